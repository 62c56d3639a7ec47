"""An array of any numbers -> the eight bits per channel that the rest of the package works with."""

from __future__ import annotations

import numpy as np

from tenfold.errors import DataError

__all__ = ["check_array", "to_eight_bits"]

# The whitest value of what scanners, cameras and programs write: 8, 10, 12, 14 and 16 bits.
_TOPS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_SLACK = 1.05  # a resampled picture of 0..1 may overshoot a little


def check_array(array: np.ndarray, name: str) -> None:
    """Raises DataError unless it is a finite picture: (H, W) or (H, W, 1|3|4) of numbers or bools."""
    shape = array.shape
    is_picture = array.ndim == 2 or (array.ndim == 3 and shape[2] in (1, 3, 4))
    if not is_picture or not array.size or array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        raise DataError(
            f"{name} has the shape {shape} and the type {array.dtype}",
            expected="a finite picture (H, W[, 1|3|4]) of numbers",
            remedy="give one picture at a time, its colours last",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(
            f"{name} has values that are not finite (NaN or infinity)",
            expected="a finite picture",
            remedy="replace them, as with numpy.nan_to_num",
        )


def to_eight_bits(values: np.ndarray, white: float | None = None) -> np.ndarray:
    """Finite numbers of any type -> uint8 of the same shape; uint8 comes back as it is.

    0 stays black. White is the largest value of the depth that the picture uses: 1, or 8, 10, 12, 14
    or 16 bits, the first that holds its maximum, so that a 12-bit scan in a 16-bit file is as light as
    it was. What lies outside (negative, or above 16 bits) is stretched from its least to its largest.
    white: the largest value of the depth, where it is known.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    bottom, top = _range(float(values.min()), float(values.max()))
    if white is not None and 0 <= bottom <= top <= white:
        bottom, top = 0.0, white
    if values.dtype == np.uint16:  # a look-up spares the floats
        table = _scaled(np.arange(65536, dtype=np.float64), bottom, top)
        return table[values]
    deep = bottom < 0 or top > _TOPS[-1] or values.dtype.itemsize > 4
    return _scaled(values.astype(np.float64 if deep else np.float32), bottom, top)


def _range(low: float, high: float) -> tuple[float, float]:
    """The values that become black and white."""
    if low < 0 or high > _TOPS[-1]:
        return min(low, 0.0) if high > 0 else low, high
    if high <= _SLACK:
        return 0.0, 1.0
    return 0.0, next(top for top in _TOPS if high <= top)


def _scaled(values: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """In place, but for the last step: values are a copy already. Halves keep the span finite."""
    values /= 2
    values -= bottom / 2
    values *= 255 / ((top / 2 - bottom / 2) or 1.0)
    np.clip(values, 0, 255, out=values)
    return np.rint(values, out=values).astype(np.uint8)
