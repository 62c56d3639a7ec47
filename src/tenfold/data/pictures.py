"""A picture's file -> its grey values. PIL is imported on first use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read_grey"]


def read_grey(path: str | Path) -> np.ndarray:
    """uint8 (H, W) of a picture's first frame.

    Colours become luma (ITU-R 601, as PIL has it), 16 bits are scaled to 8, and what is transparent
    lies over black. Raises DataError when the file is no picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return _grey(picture)
    except Exception as error:  # PIL's readers raise a dozen kinds on broken bytes
        reason = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({error})"
        raise DataError(
            f"{path} is not a picture that can be read{reason}", remedy="mend or delete the file"
        ) from error


def _grey(picture: Image.Image) -> np.ndarray:
    from PIL import Image

    if picture.mode == "L" and "transparency" not in picture.info:
        return np.asarray(picture)
    if picture.mode.startswith("I"):
        return _eight_bits(np.asarray(picture))
    if picture.mode == "F":
        raise ValueError("its pixels are fractions; save it with 8 bits")
    if picture.has_transparency_data:
        ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        ground.alpha_composite(picture.convert("RGBA"))
        return np.asarray(ground.convert("L"))
    return np.asarray(picture.convert("L"))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels have more than 16 bits")
    return np.rint(values / 257).astype(np.uint8)
