"""Arrays and pictures -> PNGs inside the page (data URIs)."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["COOL", "LARGEST", "WARM", "grey_picture", "picture_row", "png_uri", "signed_picture"]

LARGEST = 64  # pixels per side: larger pictures are shrunk, so that the file stays small
WARM, COOL = (214, 84, 28), (44, 116, 214)  # positive and negative


def png_uri(picture: Image.Image, **options: bytes) -> str:
    """The picture as a data URI. options: of Pillow's PNG writer."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def grey_picture(image: np.ndarray) -> str:
    """uint8 (H, W) -> a PNG's data URI."""
    return png_uri(_shrink(image))


def picture_row(images: np.ndarray, gap: int = 2) -> str:
    """uint8 (n, H, W) -> one PNG with the pictures side by side, `gap` transparent pixels between."""
    small = [np.asarray(_shrink(image)) for image in images]
    height, width = small[0].shape
    row = np.zeros((height, len(small) * (width + gap) - gap, 2), dtype=np.uint8)
    for i, image in enumerate(small):
        left = i * (width + gap)
        row[:, left : left + width, 0] = image
        row[:, left : left + width, 1] = 255
    return png_uri(Image.fromarray(row))


def signed_picture(values: np.ndarray, scale: float) -> str:
    """float (H, W) -> warm where positive, cool where negative, clear at 0, full at +-scale.

    Being clear at 0, the same picture is right on a light and on a dark page.
    """
    share = np.nan_to_num(values / scale if scale > 0 else np.zeros_like(values))
    index = (127 + np.rint(127 * np.clip(share, -1, 1))).astype(np.uint8)
    picture = Image.fromarray(index)
    steps = np.arange(-127, 129)
    palette = np.where(steps[:, None] > 0, WARM, COOL).astype(np.uint8)
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    picture.putpalette(palette.tobytes())
    alpha = np.minimum(np.abs(steps) * 2, 255).astype(np.uint8)
    return png_uri(picture, transparency=alpha.tobytes())


def _shrink(image: np.ndarray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture
