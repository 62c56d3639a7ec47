"""scikit-learn's X -> the pixels that engines take: settled when fitted, the same ever after."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arrays import COLOURS
from tenfold.data.ranges import PixelRange
from tenfold.errors import DataError, TenfoldWarning


class EstimatorDataError(DataError, ValueError):
    """A DataError that is a ValueError too, which is what scikit-learn's own estimators raise."""


_MNIST_MEAN, _MNIST_STD = 0.1307, 0.3081  # of pixel / 255
_TAILS = 3.0  # ranges that are so much wider than the spread suggests are not pixels'
_FEW = 10  # rows: of bytes in so few nothing can be told
_CHUNK = 4096  # rows that are float64 at a time


@dataclass(frozen=True)
class PixelMap:
    """image_shape: (H, W) or (H, W, 3). black, white: the values of X that become the pixels 0 and 255."""

    image_shape: tuple[int, ...]
    black: float
    white: float

    def to_images(self, rows: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, *image_shape): the bytes themselves where 0 is black and 255 white, else float32.

        Nothing is rounded or cut off: a value beyond black or white is a pixel below 0 or above 255.
        """
        shape = (len(rows), *self.image_shape)
        if rows.dtype == np.uint8 and (self.black, self.white) == (0, 255):
            return np.ascontiguousarray(rows).reshape(shape)
        pixels = np.empty(rows.shape, np.float32)
        factor = 255 / (self.white - self.black)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            pixels[part] = (rows[part].astype(np.float64) - self.black) * factor
        return pixels.reshape(shape)


def learn_pixels(rows: np.ndarray, shape: Any, value_range: Any) -> PixelMap:
    """What `fit` settles about its rows (N, F).

    shape: (H, W) or (H, W, 3), or None for a square if F is a square number, else for a single row.
    value_range: (black, white), or None for 0 and 255 where rows are uint8, else for the smallest and
    the largest value of all. Two kinds of rows are taken otherwise, with a TenfoldWarning: bytes that end
    far below 255, and features whose largest values lie far outside what their spread suggests, as after a
    StandardScaler: these get the mean and the spread that digits have. Raises EstimatorDataError, also for
    bytes that wrapped around.
    """
    settled = _settle_shape(rows.shape[1], shape)
    if len(settled) == 3:  # neighbours are those of one colour
        rows = rows.reshape(len(rows), -1, COLOURS).swapaxes(1, 2).reshape(len(rows), -1)
    return PixelMap(settled, *_settle_range(rows, value_range))


def check_meaning(rows: np.ndarray, black: float, white: float) -> None:
    """Raises EstimatorDataError for rows (N, F) in other units than those fitted: fractions of 0 to 1 where
    255 was white, or 0 to 255 where it was 1 or 16."""
    low, high = float(rows.min(initial=0)), float(rows.max(initial=0))
    dim = (
        (black, white) == PixelRange()
        and 0 < high <= 1
        and rows.dtype.kind == "f"
        and bool((rows % 1 > 0).any())
    )
    bright = black == 0 and white <= 16 and low >= 0 and 128 <= high <= 255
    if dim or bright:
        raise EstimatorDataError(
            f"X has values from {low:g} to {high:g}",
            expected=f"the units of fit, where {black:g} was black and {white:g} white",
            remedy="scale it as the X that was fitted",
        )


def flatten_pictures(values: Any) -> tuple[Any, tuple[int, ...] | None]:
    """(N, H, W) -> (N, H * W) and (H, W), likewise (N, H, W, 3); a list of pictures (paths, PIL images) as
    the data sets read them; anything else as it is, and None. Raises EstimatorDataError for pictures of
    several sizes."""
    array = values
    if isinstance(values, list | tuple) and values:
        if isinstance(values[0], Path) or hasattr(values[0], "getexif"):
            array = _open_pictures(values)
        elif np.ndim(values) in (3, 4):
            array = np.asarray(values)
    if not isinstance(array, np.ndarray) or not (array.ndim == 3 or array.shape[3:] == (COLOURS,)):
        return values, None
    return array.reshape(len(array), prod(array.shape[1:])), array.shape[1:]


def _open_pictures(pictures: Sequence[Any]) -> np.ndarray:
    from tenfold.pictures.open import open_grey

    opened = [open_grey(picture) for picture in pictures]
    sizes = {f"{grey.shape[1]}x{grey.shape[0]}" for grey in opened}
    if len(sizes) > 1:
        raise EstimatorDataError(f"pictures of {', '.join(sorted(sizes))}", expected="pictures of one size")
    return np.stack(opened)


def _settle_shape(features: int, shape: Any) -> tuple[int, ...]:
    if shape is None:
        side = isqrt(features)
        return (side, side) if side * side == features else (1, features)
    sides = tuple(int(side) for side in shape)
    if prod(sides) != features or len(sides) not in (2, 3):
        shown = " x ".join(map(str, sides))
        raise EstimatorDataError(
            f"image_shape {shown} is {prod(sides)} pixels, and X has {features} features",
            expected="(height, width) or (height, width, 3), as many pixels as features",
        )
    return sides


def _settle_range(rows: np.ndarray, value_range: Any) -> tuple[float, float]:
    if value_range is not None:
        black, white = (float(value) for value in value_range)
        if not np.isfinite((black, white)).all() or black == white:
            raise EstimatorDataError(f"value_range is {value_range}", expected="two numbers that differ")
        return black, white
    low, high = float(rows.min()), float(rows.max())
    if rows.dtype == np.uint8:
        return _settle_bytes(rows, high)
    high = high if high > low else low + 1
    # black and white with which rows have the mean and the standard deviation of MNIST's pixels
    mean, std = float(rows.mean(dtype=np.float64)), float(rows.std(dtype=np.float64))
    unit = (std or 1.0) / _MNIST_STD
    black = mean - _MNIST_MEAN * unit
    white = black + unit
    if high - low <= _TAILS * (white - black):
        return low, high
    _say(f"X from {low:g} to {high:g} has values far from the others; {black:g} is black, {white:g} white")
    return black, white


def _settle_bytes(rows: np.ndarray, high: float) -> tuple[float, float]:
    if len(rows) < _FEW:
        return PixelRange()
    if PixelRange.looks_wrapped(rows):
        raise EstimatorDataError(
            "X has bytes that wrapped around: bright beside black within the ink",
            expected="pixels from 0 to 255",
            remedy="scale them as floats before they become bytes",
        )
    if (white := PixelRange.whitest(high)) != 255:
        _say(f"X has bytes from 0 to {high:g}; 0 is black, {white:g} white")
    return 0.0, white


def _say(line: str) -> None:
    warnings.warn(line, TenfoldWarning, stacklevel=5)
