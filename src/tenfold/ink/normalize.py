"""Any picture -> the grey image of fixed size that a network was trained on.

`fit_picture` serves every classifier of small images: it opens, turns the polarity round where
needed, and resizes. `normalize_ink` does what MNIST's makers did to a digit (LeCun et al. 1998):
aspect kept into 20x20, then the centre of mass to the centre of 28x28.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.ndimage import shift

from tenfold.errors import DataError

__all__ = ["Background", "find_background", "fit_picture", "normalize_ink", "open_grey"]

Background = Literal["dark", "light", "any"]

_BOX, _SIDE = 20, 28  # pixels: MNIST's box for the digit, and its picture
_MAX_PIXELS = 64_000_000
_INK = 0.2  # ink fainter than this share of the darkest is taken for paper


def open_grey(picture: Any) -> np.ndarray:
    """A path, PIL image or array -> uint8 (H, W), EXIF orientation applied. Raises DataError.

    Where there is an alpha channel, the picture is laid over white paper, or over black where what
    it shows is light.
    """
    if isinstance(picture, np.ndarray):
        return _array_to_grey(picture)
    if isinstance(picture, Image.Image):
        return _image_to_grey(picture)
    path = Path(picture)
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise DataError(
                    f"{path} has {image.width} x {image.height} pixels",
                    expected=f"at most {_MAX_PIXELS:,}",
                    remedy="make it smaller",
                )
            return _image_to_grey(image)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there", expected="a picture") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path} is no picture that can be opened", expected="PNG, JPEG, ...") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read: {error}", expected="a whole picture") from error


def _image_to_grey(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _array_to_grey(np.asarray(image, dtype=np.float32))
    if "A" in image.getbands() or "transparency" in image.info:
        layers = np.asarray(image.convert("LA"), dtype=np.float32)
        grey, alpha = layers[..., 0], layers[..., 1] / 255
        seen = grey[alpha > 0.5]
        paper = 0 if seen.size and seen.mean() > 127 else 255
        return np.rint(grey * alpha + paper * (1 - alpha)).astype(np.uint8)
    return np.asarray(image.convert("L"))


def _array_to_grey(array: np.ndarray) -> np.ndarray:
    if array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.dtype == np.uint8:
        return _image_to_grey(Image.fromarray(array.squeeze()))
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise DataError(
            f"an array of shape {array.shape}, {array.dtype}", expected="a finite picture (H, W[, 3|4])"
        )
    if array.dtype == np.uint8:
        return array
    values = array.astype(np.float32)
    top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
    return np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)


def find_background(images: np.ndarray) -> Background:
    """What lies around the ink of uint8 (N, H, W): decided when nine images of ten agree."""
    dark = float(np.mean(_border_medians(images) < 128))
    return "dark" if dark >= 0.9 else "light" if dark <= 0.1 else "any"


def _border_medians(images: np.ndarray) -> np.ndarray:
    border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    return np.median(np.concatenate(border, axis=1), axis=1)


def fit_picture(picture: Any, image_shape: tuple[int, int], *, background: Background) -> np.ndarray:
    """Any picture -> uint8 (H, W) of the training images' size and polarity.

    A picture of that size already is only turned round. Digits-like ones (light ink on a dark
    ground, 28x28) of another size go through `normalize_ink`; others are resized.
    """
    grey = open_grey(picture)
    if background != "any" and find_background(grey[None]) not in (background, "any"):
        grey = 255 - grey
    if grey.shape == image_shape:
        return grey
    if background == "dark" and image_shape == (_SIDE, _SIDE):
        return normalize_ink(grey)
    resized = Image.fromarray(grey).resize(image_shape[::-1], Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(resized)


def normalize_ink(picture: Any) -> np.ndarray:
    """One digit in a picture of any size and polarity -> uint8 (28, 28), white ink on black."""
    grey = open_grey(picture)
    if _border_medians(grey[None])[0] >= 128:
        grey = 255 - grey
    ink = grey.astype(np.float32) - np.median(_border_pixels(grey))
    ink = np.clip(ink / max(float(ink.max()), 1.0), 0, 1)
    rows, columns = np.nonzero(ink > _INK)
    if not len(rows):
        return np.zeros((_SIDE, _SIDE), dtype=np.uint8)
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return _centre(_into_box(cut))


def _border_pixels(grey: np.ndarray) -> np.ndarray:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _into_box(ink: np.ndarray) -> np.ndarray:
    """Resized, anti-aliased, so that its longer side is 20 pixels."""
    height, width = ink.shape
    ratio = _BOX / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS))


def _centre(ink: np.ndarray) -> np.ndarray:
    """Laid into 28x28 with its centre of mass at the centre."""
    canvas = np.zeros((_SIDE, _SIDE), dtype=np.float32)
    top, left = (_SIDE - ink.shape[0]) // 2, (_SIDE - ink.shape[1]) // 2
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = np.clip(ink, 0, 1)
    mass = canvas.sum()
    grid = np.arange(_SIDE)
    offset = [
        _SIDE / 2 - float((canvas.sum(axis=1) * (grid + 0.5)).sum() / mass),
        _SIDE / 2 - float((canvas.sum(axis=0) * (grid + 0.5)).sum() / mass),
    ]
    moved = shift(canvas, np.rint(offset), order=0)
    return np.rint(moved / max(float(moved.max()), 1e-6) * 255).astype(np.uint8)
