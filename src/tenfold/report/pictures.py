"""Arrays -> small PNG pictures inside the page (data URIs)."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from tenfold.evaluation.evaluate import Evaluation

__all__ = ["COOL", "WARM", "grey_picture", "kept_pictures", "picture_row", "signed_picture"]

_LARGEST = 64  # pixels a side: larger pictures are shrunk, so that the file stays small
WARM, COOL = (214, 84, 28), (44, 116, 214)  # positive and negative


def grey_picture(image: np.ndarray) -> str:
    """uint8 (H, W) -> a PNG's data URI."""
    return _data_uri(_shrink(Image.fromarray(np.ascontiguousarray(image))))


def picture_row(images: np.ndarray, gap: int = 2) -> str:
    """uint8 (n, H, W) -> one PNG with the pictures side by side, `gap` transparent pixels between."""
    small = [np.asarray(_shrink(Image.fromarray(np.ascontiguousarray(image)))) for image in images]
    height, width = small[0].shape
    row = np.zeros((height, len(small) * (width + gap) - gap, 2), dtype=np.uint8)
    for i, image in enumerate(small):
        left = i * (width + gap)
        row[:, left : left + width, 0] = image
        row[:, left : left + width, 1] = 255
    return _data_uri(Image.fromarray(row))


def kept_pictures(evaluation: Evaluation) -> dict[int, np.ndarray]:
    """Place in the test set -> uint8 (H, W), of the images that an evaluation keeps."""
    shown = evaluation.miss_index[evaluation.miss_shown]
    kept = (
        (evaluation.hit_index, evaluation.hit_images),
        (evaluation.cell_index, evaluation.cell_images),
        (shown, evaluation.miss_images),
    )
    return {int(i): image for index, images in kept for i, image in zip(index, images, strict=False)}


def signed_picture(values: np.ndarray, scale: float) -> str:
    """float (H, W) -> warm where positive, cool where negative, clear at 0, full at +-scale.

    Being clear at 0, the same picture is right on a light and on a dark page.
    """
    share = np.nan_to_num(values / scale if scale > 0 else np.zeros_like(values))
    index = (127 + np.rint(127 * np.clip(share, -1, 1))).astype(np.uint8)
    picture = Image.fromarray(index)
    steps = np.arange(-127, 129)
    palette = np.where(steps[:, None] > 0, WARM, COOL).astype(np.uint8)
    if max(picture.size) > _LARGEST:
        picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.BOX)
    picture.putpalette(palette.tobytes())
    alpha = np.minimum(np.abs(steps) * 2, 255).astype(np.uint8)
    return _data_uri(picture, transparency=alpha.tobytes())


def _shrink(picture: Image.Image) -> Image.Image:
    if max(picture.size) > _LARGEST:
        picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return picture


def _data_uri(picture: Image.Image, **options: bytes) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
