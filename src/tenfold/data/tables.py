"""Tables of pixels: CSV, one image per row, as Kaggle has it."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.idx import read_payload
from tenfold.data.ranges import PixelRange, find_range
from tenfold.errors import DataError

__all__ = ["natural_key", "to_pixels"]

LABEL_NAMES = ("label", "target", "class", "y")
MOST_CLASSES = 10_000
_PIECE = 1 << 20  # pixels that are float64 at a time
CHUNK = 1 << 22  # bytes of a table that are parsed at once
SQUARE = "images of equal height and width, one image per row"


def read_csv(path: str | Path, *, value_range: tuple[float, float] | None = None) -> ImageDataset:
    """A CSV file, gzip or not: one image per row, its label first or in the column that a header
    calls label, target, class or y; the other columns are the pixels of a square image.

    value_range: the numbers that are black and white; None is found as `find_range` has it.

    Whole-number labels name classes 0..max; other labels are class names, in natural order.
    Raises DataError naming file, row (1 is the first line) and column (1 is the first).
    """
    pixels, labels, label_at, first_row = _read_numbers(path, labelled=True)
    return from_numbers(pixels, labels, path, value_range=value_range, first_row=first_row, label_at=label_at)


def read_unlabelled(path: str | Path, *, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """uint8 (N, side, side) of a CSV file as `read_csv` takes, whose label's column may be missing, as in the
    test.csv of Kaggle."""
    pixels, _, label_at, first_row = _read_numbers(path, labelled=False)
    side = image_side(pixels.shape[1], path)
    ends = value_range or find_range([pixels], path)
    images = to_pixels(pixels, path, first_row=first_row, label_at=label_at, value_range=ends)
    return images.reshape(-1, side, side)


def from_numbers(
    pixels: np.ndarray,
    labels: np.ndarray,
    path: str | Path,
    *,
    value_range: tuple[float, float] | None = None,
    first_row: int = 0,
    label_at: int = -1,
) -> ImageDataset:
    """Numbers (N, side * side) and labels (N,) -> images. Raises DataError as `read_csv` does."""
    side = image_side(pixels.shape[1], path)
    ends = value_range or find_range([pixels], path)
    images = to_pixels(pixels, path, first_row=first_row, label_at=label_at, value_range=ends)
    indices, names = class_labels(labels, path, first_row=first_row)
    return ImageDataset(images.reshape(-1, side, side), indices, names, Path(path).name, value_range=ends)


def _read_numbers(path: str | Path, *, labelled: bool) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Pixels (N, P), labels (N,), the label's column (-1: there is none), the number of the first row."""
    data = read_payload(path, share=3)
    header, body = _split_header(data)
    if not body.strip():
        raise DataError(f"{path} has no rows", remedy="check that it is the right file")
    lower = [cell.lower() for cell in header]
    columns = len(header) or body.split(b"\n", 1)[0].count(b",") + 1
    bare = not labelled and math.isqrt(columns) ** 2 == columns
    label_at = next((lower.index(name) for name in LABEL_NAMES if name in lower), -1 if bare else 0)
    first_row = 2 if header else 1
    numbers = parse_numbers(body)
    if numbers is None or numbers.shape[1] != columns or columns < 2:
        pixels, labels = _parse_slowly(body, columns, label_at, path, first_row)
    elif label_at < 0:
        pixels, labels = numbers, np.zeros(len(numbers))
    else:
        pixels, labels = np.delete(numbers, label_at, axis=1), numbers[:, label_at]
    return pixels, labels, label_at, first_row


def parse_numbers(data: bytes) -> np.ndarray | None:
    """uint8 (rows, columns) from comma-separated whole numbers 0..255 (perhaps with .0 after them),
    or None if that is not all there is. Works on whole arrays of bytes: 60,000 rows of 785 take
    about a second."""
    text = data.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    if b".0" in text:
        text = text.replace(b".0,", b",").replace(b".0\n", b"\n")
    columns = text[: text.index(b"\n")].count(b",") + 1
    rows, start = [], 0
    while start < len(text):
        end = text.rfind(b"\n", start, start + CHUNK) + 1 or text.find(b"\n", start) + 1
        part = _parse_chunk(np.frombuffer(text, np.uint8, end - start, start), columns)
        if part is None:
            return None
        rows.append(part)
        start = end
    return np.concatenate(rows)


def _parse_chunk(text: np.ndarray, columns: int) -> np.ndarray | None:
    digits = text - np.uint8(ord("0"))  # wraps: everything else is above 9
    ends = np.flatnonzero(digits > 9)
    newline = text[ends] == ord("\n")
    if len(ends) % columns or not (newline | (text[ends] == ord(","))).all():
        return None
    table = newline.reshape(-1, columns)
    if table[:, :-1].any() or not table[:, -1].all():
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.min() < 1 or lengths.max() > 3:
        return None
    values = digits[ends - 1].astype(np.uint16)
    for place in (1, 2):
        longer = np.flatnonzero(lengths > place)
        values[longer] += digits[ends[longer] - 1 - place].astype(np.uint16) * np.uint16(10**place)
    return values.astype(np.uint8).reshape(-1, columns) if values.max() <= 255 else None


def _split_header(data: bytes) -> tuple[list[str], bytes]:
    """The cells of the first line when it is a header: one names the label, or most are not numbers."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    line, _, body = data.partition(b"\n")
    cells = _cells(line.decode("utf-8", "replace"))
    words = sum(not _is_number(cell) for cell in cells)
    if any(cell.lower() in LABEL_NAMES for cell in cells) or words > len(cells) / 2:
        return cells, body
    return [], data


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.strip("\r\n").split(",")]


def _is_number(cell: str) -> bool:
    with suppress(ValueError):
        float(cell)
        return True
    return False


def _parse_slowly(
    body: bytes, columns: int, label_at: int, path: str | Path, first_row: int
) -> tuple[np.ndarray, np.ndarray]:
    """float32 pixels, and labels as text or float64; errors name the place of what is wrong."""
    pixels: list[np.ndarray] = []
    labels: list[str] = []
    for row, line in enumerate(body.decode("utf-8", "replace").rstrip("\r\n").split("\n"), first_row):
        cells = _cells(line) if '"' in line else line.split(",")
        if len(cells) != columns or columns < 2:
            raise DataError(
                f"{path}, row {row} has {len(cells)} column{'s' * (len(cells) != 1)}",
                expected=f"{columns}, as in row 1" if columns > 1 else "a label and pixels",
                remedy="fix or delete the row" if columns > 1 else "separate them by commas",
            )
        label = cells.pop(label_at).strip() if label_at >= 0 else "0"
        if not label or label.lower() in ("nan", "na", "null", "none"):
            raise DataError(
                f"{path}, row {row}, column {label_at + 1}: the label is {label or 'blank'!r}",
                expected="a whole number or a class name",
                remedy="fix or delete the row",
            )
        try:
            pixels.append(np.array(cells, dtype=np.float32))
        except ValueError:
            at = next(k for k, cell in enumerate(cells) if not _is_number(cell))
            raise _bad_pixel(path, row, at, label_at, cells[at].strip() or "blank") from None
        labels.append(label)
    plain = np.array(labels)
    with suppress(ValueError):
        plain = np.array(labels, dtype=np.float64)
    return np.array(pixels), plain


def _bad_pixel(
    path: str | Path,
    row: int,
    at: int,
    label_at: int,
    found: object,
    value_range: tuple[float, float] = PixelRange(),
) -> DataError:
    column = at + 1 + (at >= label_at >= 0)
    return DataError(
        f"{path}, row {row}, column {column}: the pixel is {found}",
        expected=f"a number from {value_range[0]:g} to {value_range[1]:g}",
        remedy="fix or delete the row",
    )


def to_pixels(
    values: np.ndarray,
    where: str | Path,
    *,
    first_row: int = 0,
    label_at: int = -1,
    value_range: tuple[float, float] = PixelRange(),
) -> np.ndarray:
    """uint8 of the same shape from numbers (N, ...), of which value_range are black and white (rounded).

    Raises DataError naming row (counted from first_row) and column of the first outside.
    """
    black, white = value_range
    if values.dtype == np.uint8 and value_range == PixelRange():
        return values
    if values.dtype.kind not in "iuf":
        raise DataError(f"{where}: pixels are {values.dtype}", expected="numbers from 0 to 255")
    slack = 1e-5 * abs(white - black) if value_range != PixelRange() else 0.0  # what float32 loses
    bad = ~((values >= min(value_range) - slack) & (values <= max(value_range) + slack))  # also where NaN
    if bad.any():
        row, at = divmod(int(bad.reshape(-1).argmax()), math.prod(values.shape[1:]))
        found = values.reshape(len(values), -1)[row, at]
        raise _bad_pixel(where, first_row + row, at, label_at, f"{found:g}", value_range)
    pixels = np.empty(values.shape, np.uint8)
    step = max(1, _PIECE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), step):
        part = values[start : start + step].astype(np.float64)
        scaled = part if value_range == PixelRange() else (part - black) * (255 / (white - black))
        pixels[start : start + step] = np.rint(np.clip(scaled, 0, 255))
    return pixels


def image_side(columns: int, where: str | Path) -> int:
    side = math.isqrt(columns)
    if side * side != columns or not columns:
        raise DataError(
            f"{where}: {columns} pixels per image, which is not a square number",
            expected=f"a label and {SQUARE}",
            remedy="is the label's column missing, or an index's column too many? "
            f"a header names the label {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}",
        )
    return side


def class_labels(
    labels: np.ndarray, where: str | Path, *, first_row: int = 0
) -> tuple[np.ndarray, tuple[str, ...]]:
    """int64 (N,) and class names: whole numbers k are the classes 0..max, text is in natural order.

    labels: (N,), (N, 1), or (N, K) of zeros and a one in each row. Raises DataError naming the row, counted
    from first_row, that is neither.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if is_one_hot(labels):
        return labels.argmax(axis=1), tuple(str(k) for k in range(labels.shape[1]))
    if labels.ndim != 1 or labels.dtype.kind not in "iufUS" or not len(labels):
        raise DataError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}",
            expected="whole numbers or class names, one per image",
        )
    if labels.dtype.kind in "US":
        return _named(labels.astype(np.str_))
    bad = ~((labels >= 0) & (labels < MOST_CLASSES) & (labels % 1 == 0))
    if bad.any():
        at = int(bad.argmax())
        raise DataError(
            f"{where}, row {first_row + at}: the label is {labels[at]:g}",
            expected=f"a whole number from 0 to {MOST_CLASSES - 1}",
            remedy="fix or delete the row",
        )
    indices = labels.astype(np.int64)
    return indices, tuple(str(k) for k in range(int(indices.max()) + 1))


def is_one_hot(labels: np.ndarray) -> bool:
    """Whether (N, K) holds in each row a one and zeros."""
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iufb":
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def _named(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    found, inverse = np.unique(labels, return_inverse=True)
    names = sorted(found.tolist(), key=natural_key)
    place = {name: k for k, name in enumerate(names)}
    order = np.array([place[name] for name in found.tolist()], dtype=np.int64)
    return order[inverse], tuple(names)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts 2 before 10, and numbers before words."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name)
    return [(0, int(digits), digits) if digits else (1, 0, word.lower()) for digits, word in parts]
