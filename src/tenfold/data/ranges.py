"""What the numbers of a table of pixels mean: which is black and which is white, or why none can be."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.arrays import iterate_pieces
from tenfold.errors import DataError, TenfoldWarning

__all__ = ["PixelRange"]

_TOPS = (1, 3, 7, 15, 16, 31, 63, 127, 255)  # white of 1 to 8 bits, and of scikit-learn's digits
_GROUND = 0.05  # share of all pixels that are the least, or the largest: paper, or the ground of dark images
_FEW = 10  # images: of whole numbers in so few nothing can be told
_SAMPLE = 500  # images that are looked at for what only neighbouring pixels tell


class PixelRange(NamedTuple):
    """The values that are black and white: the pixels 0 and 255."""

    black: float = 0.0
    white: float = 255.0

    def tell(self, where: str | Path) -> None:
        """Says in one line that the pixels were scaled; nothing where they are as usual."""
        if self != PixelRange():
            warnings.warn(
                f"{where}: its pixels from {self.black:g} to {self.white:g} are scaled to 0 to 255",
                TenfoldWarning,
                stacklevel=3,
            )

    def is_alike(self, other: tuple[float, float]) -> bool:
        """Whether two ranges may be of one kind of data, one of them found in few or in faint images."""
        spans = self[1] - self[0], other[1] - other[0]
        return max(spans) <= 4.2 * min(spans) and abs(self[0] - other[0]) <= max(spans) / 4

    @staticmethod
    def whitest(high: float) -> float:
        """The least of the usual whites that is not below `high`, 255 at most; 255 too where all is black."""
        return float(next((top for top in _TOPS if 0 < high <= top + 1e-6), 255))

    @staticmethod
    def looks_wrapped(images: np.ndarray) -> bool:
        """Whether whole numbers 0 to 255, (N, H, W[, 3]) or (N, side * side), look as if they had been
        counted on from 255 to 0, or from 0 to 255.

        In such images dark pixels stand between bright ones and bright ones between dark ones, both often: of
        all pixels that differ from both their neighbours by half the range, 3 and 30 for every 100 of the
        rarer half. Handwriting, photos, noise and thin strokes reach one of the two at most. Images of two
        values only are never told.
        """
        some = images[:: -(-len(images) // _SAMPLE)]
        if some.ndim == 4:
            some = some[..., 1]  # green
        if some.ndim == 2:
            side = int(some.shape[1] ** 0.5)
            some = some[:, : side * side].reshape(-1, side, side)
        some = some.reshape(len(some), some.shape[1], some.shape[2]).astype(np.int16)
        between = float(((some > 31) & (some < 224)).mean())
        rarer = min(int((some < 128).sum()), int((some >= 128).sum()))
        if min(some.shape[1:]) < 3 or rarer < 100 or between < 0.01:
            return False
        rows = (some[:, :, :-2], some[:, :, 1:-1], some[:, :, 2:])
        columns = (some[:, :-2], some[:, 1:-1], some[:, 2:])
        holes = sum(int((b <= np.minimum(a, c) - 128).sum()) for a, b, c in (rows, columns)) / rarer
        spikes = sum(int((b >= np.maximum(a, c) + 128).sum()) for a, b, c in (rows, columns)) / rarer
        return min(holes, spikes) > 0.03 and max(holes, spikes) > 0.3


def find_range(parts: Sequence[np.ndarray], where: str | Path) -> tuple[float, float]:
    """The values that are black and white in all parts (N, ...) of one set; the same for its training and
    test images. A warning tells of them where they are not 0 and 255. Raises DataError for negative numbers
    that have no ground, for columns that were scaled one by one, and for bytes that wrapped around.

    What is above 255 or not finite is left to `to_pixels`, which names the place.
    """
    ends = _find_range(parts, where)
    PixelRange(*ends).tell(Path(where).name)
    return ends


def _find_range(parts: Sequence[np.ndarray], where: str | Path) -> tuple[float, float]:
    parts = [part for part in parts if part.size]
    if not parts or not all(np.isfinite((part.min(), part.max())).all() for part in parts):
        return PixelRange()
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    floats = [part for part in parts if part.dtype.kind == "f"]
    fractions = any(bool((piece % 1 != 0).any()) for part in floats for piece in iterate_pieces(part))
    if not fractions and sum(map(len, parts)) < _FEW:
        return PixelRange()
    if fractions and _scaled_by_column(parts[0]):
        raise _refusal(where, low, high, "each column scaled by itself, as by StandardScaler")
    if low < 0:
        return _signed_range(parts, low, high, where, fractions)
    if not 0 < high <= 255:
        return PixelRange()
    if high > 127 and not fractions and PixelRange.looks_wrapped(parts[0]):
        raise _refusal(where, low, high, "bytes that wrapped around: bright beside black within the ink")
    return 0.0, PixelRange.whitest(high)


def _signed_range(
    parts: Sequence[np.ndarray], low: float, high: float, where: str | Path, fractions: bool
) -> tuple[float, float]:
    for half in (0.5, 1.0):
        if low >= -half - 1e-6 and high <= half + 1e-6 and low < -half / 2 and fractions:
            return -half, half
    if not fractions and low > -high / 4:  # such as a stray -1: its place is named
        return PixelRange()
    count = sum(part.size for part in parts)
    ground = max(sum(int((part == end).sum()) for part in parts) for end in (low, high))
    if ground < _GROUND * count or high <= low:
        raise _refusal(where, low, high, "no value that is the ground")
    return low, high


def _scaled_by_column(part: np.ndarray) -> bool:
    """Whether the columns that vary have a standard deviation of 1 each, as pixels of images never do."""
    if len(part) < 20:
        return False
    some = part[:: -(-len(part) // (10 * _SAMPLE))]
    spread = some.reshape(len(some), -1).std(axis=0, dtype=np.float64)
    varied = spread[spread > 1e-9]
    return varied.size > 3 and float((np.abs(varied - 1) < 0.15).mean()) > 0.8


def _refusal(where: str | Path, low: float, high: float, found: str) -> DataError:
    return DataError(
        f"{where}: pixels from {low:g} to {high:g}, with {found}",
        expected="numbers from 0 to 255, or 0 to 1, 0 to 16, -1 to 1 or another range that all pixels share",
        remedy="save the pixels as they were before, from 0 to 255",
    )


def parse_libsvm(data: bytes, shape: tuple[int, int], where: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """LIBSVM's text format, in which USPS is published: `label index:value index:value ...` a line.

    Gives images uint8 (N, *shape) from values -1..1, and labels int64 (N,), the file's labels less one.
    Indices count from 1; what is left out is 0. Raises DataError naming file and row.
    """
    lines = data.decode("ascii", "replace").splitlines()
    values = np.zeros((len(lines), shape[0] * shape[1]), dtype=np.float32)
    labels = np.zeros(len(lines), dtype=np.int64)
    for row, line in enumerate(lines):
        try:
            labels[row] = int(line.split(maxsplit=1)[0]) - 1
            _fill(values[row], line.split()[1:])
        except (ValueError, IndexError, OverflowError) as error:
            raise DataError(
                f"{where}, row {row + 1} is not LIBSVM's format ({error})",
                expected=f"a label and index:value pairs, {values.shape[1]} values from -1 to 1",
                remedy="fetch or copy the file again",
            ) from error
    return np.rint((values + 1) * 127.5).astype(np.uint8).reshape(-1, *shape), labels


def _fill(row: np.ndarray, cells: list[str]) -> None:
    indices, values = zip(*(cell.split(":") for cell in cells), strict=True)
    places = np.array(indices, dtype=np.int64) - 1
    numbers = np.array(values, dtype=np.float32)
    if places.min() < 0 or not (np.abs(numbers) <= 1).all():
        raise ValueError("an index or value is out of range")
    row[places] = numbers
