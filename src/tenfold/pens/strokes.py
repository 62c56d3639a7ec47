"""Digits as pen strokes: points along which a pen moved, x to the right, y downwards."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.errors import DataError, DataNotFoundError

__all__ = ["Drawing", "box", "load_strokes", "normalise"]

_ENTRIES = ("points", "stroke_lengths", "strokes_per_digit", "labels", "writers")
_REMEDY = "fetch or make the file again"


@dataclass(frozen=True, eq=False)
class Drawing:
    """What one person drew: strokes, each float32 (n, 2), n at least 1; any unit of length."""

    strokes: tuple[np.ndarray, ...]
    label: str
    writer: str = ""


def load_strokes(path: str | Path) -> list[Drawing]:
    """The drawings of an npz file with `points` (P, 2), `stroke_lengths`, `strokes_per_digit`, `labels`
    0..9 and `writers`.

    Empty strokes are left out. Raises DataNotFoundError when there is no file, DataError when it is
    not whole and valid.
    """
    entries = _read(path)
    lengths, counts = _counts(entries, "stroke_lengths", path), _counts(entries, "strokes_per_digit", path)
    points = _points(entries, path)
    labels, writers = entries["labels"], entries["writers"]
    _expect(lengths.sum() == len(points), f"{path}: stroke_lengths sum to {lengths.sum()}, not {len(points)}")
    _expect(
        counts.sum() == len(lengths), f"{path}: strokes_per_digit sum to {counts.sum()}, not {len(lengths)}"
    )
    _expect(labels.shape == writers.shape == counts.shape, f"{path}: not one label and writer a digit")
    _expect(
        labels.dtype.kind in "iu" and (not labels.size or (labels.min() >= 0 and labels.max() <= 9)),
        f"{path}: a label is not a digit",
    )
    strokes = np.split(points, np.cumsum(lengths)[:-1])
    ends = np.cumsum(counts)
    drawings = []
    for end, count, label, writer in zip(ends, counts, labels, writers, strict=True):
        drawn = tuple(stroke for stroke in strokes[end - count : end] if len(stroke))
        _expect(bool(drawn), f"{path}: a digit has no point")
        drawings.append(Drawing(drawn, str(int(label)), str(writer)))
    return drawings


def normalise(drawing: Drawing) -> Drawing:
    """The same drawing, its box's corner at the origin and its longer side 1; the aspect is kept.

    A drawing of one place (a dot) keeps its size, which is 0.
    """
    low, high = box(drawing.strokes)
    scale = 1.0 / max(float((high - low).max()), 1e-6)
    strokes = tuple(((stroke - low) * scale).astype(np.float32) for stroke in drawing.strokes)
    return Drawing(strokes, drawing.label, drawing.writer)


def box(strokes: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The corners (x, y) with the smallest and the largest coordinates."""
    points = np.concatenate(strokes)
    return points.min(axis=0), points.max(axis=0)


def _read(path: str | Path) -> dict[str, np.ndarray]:
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in _ENTRIES}
    except FileNotFoundError:
        raise DataNotFoundError(f"{path} is not there", expected="an npz file of pen strokes") from None
    except KeyError as error:
        raise DataError(
            f"{path} lacks an entry: {error.args[0]}", expected=", ".join(_ENTRIES), remedy=_REMEDY
        ) from error
    except (
        OSError,
        ValueError,
        EOFError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
        MemoryError,
    ) as error:
        raise DataError(
            f"{path} cannot be read: {error}", expected="an npz file of pen strokes", remedy=_REMEDY
        ) from error


def _counts(entries: dict[str, np.ndarray], name: str, path: str | Path) -> np.ndarray:
    values = entries[name]
    _expect(values.ndim == 1 and values.dtype.kind in "iu", f"{path}: {name} is not a list of whole numbers")
    _expect(not values.size or int(values.min()) >= 0, f"{path}: {name} holds a negative number")
    return values.astype(np.int64)


def _points(entries: dict[str, np.ndarray], path: str | Path) -> np.ndarray:
    points = entries["points"]
    _expect(
        points.ndim == 2 and points.shape[1] == 2 and points.dtype.kind in "fiu",
        f"{path}: points have shape {points.shape}, {points.dtype}, not (P, 2) numbers",
    )
    points = points.astype(np.float32)
    _expect(bool(np.isfinite(points).all()), f"{path}: a point is not finite")
    return points


def _expect(holds: bool, found: str) -> None:
    if not holds:
        raise DataError(found, remedy=_REMEDY)
