"""LIBSVM's text format, in which USPS is published: `label index:value index:value ...` a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tenfold.errors import DataError

__all__ = ["parse_libsvm"]


def parse_libsvm(data: bytes, shape: tuple[int, int], where: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, *shape) from values -1..1, and labels int64 (N,), the file's labels less one.

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
