"""Tables of pixels: CSV (one image per row, as Kaggle has it) and npz (as Keras has it)."""

from __future__ import annotations

import math
import re
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.idx import read_payload
from tenfold.data.ranges import PixelRange, find_range
from tenfold.errors import DataError, DataNotFoundError
from tenfold.limits import MemoryLimit

__all__ = ["natural_key", "to_pixels"]

NPZ_PARTS = (("train", "images", "labels"), ("train", "x_train", "y_train"), ("test", "x_test", "y_test"))
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
    data = read_payload(path, share=3)
    header, body = _split_header(data)
    if not body.strip():
        raise DataError(f"{path} has no rows", remedy="check that it is the right file")
    lower = [cell.lower() for cell in header]
    label_at = next((lower.index(name) for name in LABEL_NAMES if name in lower), 0)
    first_row = 2 if header else 1
    columns = len(header) or body.split(b"\n", 1)[0].count(b",") + 1
    numbers = parse_numbers(body)
    if numbers is None or numbers.shape[1] != columns or columns < 2:
        pixels, labels = _parse_slowly(body, columns, label_at, path, first_row)
    else:
        pixels, labels = np.delete(numbers, label_at, axis=1), numbers[:, label_at]
    side = _side(pixels.shape[1], path)
    ends = value_range or find_range([pixels], path)
    images = to_pixels(pixels, path, first_row=first_row, label_at=label_at, value_range=ends)
    indices, names = class_labels(labels, path, first_row=first_row)
    return ImageDataset(images.reshape(-1, side, side), indices, names, Path(path).name, value_range=ends)


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
        label = cells.pop(label_at).strip()
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


def _side(columns: int, where: str | Path) -> int:
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

    labels: (N,) or (N, 1). Raises DataError naming the row, counted from first_row, that is neither.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
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


def read_npz(path: str | Path, *, value_range: tuple[float, float] | None = None) -> dict[str, ImageDataset]:
    """{"train": ..., "test": ...} from the arrays images and labels, or x_train, y_train and
    perhaps x_test, y_test (Keras). images: (N, H, W), (N, H, W, 1) or (N, side * side).

    value_range: the numbers that are black and white in both parts; None is found as `find_range` has it.

    Both parts have the class names of both. Nothing is unpickled. Raises DataError naming file,
    array and remedy.
    """
    arrays, names_found = _load_arrays(Path(path))
    pairs = {part: pair for part, *pair in NPZ_PARTS if arrays.keys() >= set(pair)}
    if "train" not in pairs:
        raise DataError(
            f"{path} holds the arrays {', '.join(names_found) or '(none)'}",
            expected="images and labels, or x_train and y_train",
            remedy="rename them with numpy.savez",
        )
    labels, names = class_labels(
        _joined([arrays[pair[1]] for pair in pairs.values()], path), f"{path} ({pairs['train'][1]})"
    )
    shaped = {part: _shaped(arrays.pop(key), f"{path} ({key})") for part, (key, _) in pairs.items()}
    ends = value_range or find_range(list(shaped.values()), path)
    datasets, start = {}, 0
    for part, (images_key, labels_key) in pairs.items():
        count = len(arrays[labels_key])
        images = to_pixels(shaped.pop(part), f"{path} ({images_key})", value_range=ends)
        datasets[part] = ImageDataset(
            images, labels[start : start + count], names, Path(path).name, value_range=ends
        )
        start += count
    return datasets


def _joined(labels: list[np.ndarray], path: str | Path) -> np.ndarray:
    flat = [part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part for part in labels]
    if any(part.ndim != 1 for part in flat) or len({part.dtype.kind in "US" for part in flat}) > 1:
        shapes = ", ".join(f"{part.dtype} of shape {part.shape}" for part in labels)
        raise DataError(f"{path}: labels are {shapes}", expected="one whole number or name per image")
    return np.concatenate(flat)


def _shaped(array: np.ndarray, where: str) -> np.ndarray:
    """(N, H, W) of numbers."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        side = _side(array.shape[1], where)
        array = array.reshape(-1, side, side)
    if array.ndim != 3:
        raise DataError(
            f"{where}: images of shape {array.shape}",
            expected="(N, height, width), (N, height, width, 1) or (N, pixels)",
            remedy="convert colours to grey first" if array.ndim == 4 else "",
        )
    if array.dtype.kind not in "iuf":
        raise DataError(f"{where}: pixels are {array.dtype}", expected="numbers from 0 to 255")
    return array


def _load_arrays(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that make a data set, and the names of all; sizes are checked before they are read."""
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there", remedy="check the path")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not an npz file", remedy="write it with numpy.savez, or copy it again")
    try:
        with zipfile.ZipFile(path) as archive:
            known = {name for _, *pair in NPZ_PARTS for name in pair}
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = {name: info for name, info in members.items() if name in known}
            MemoryLimit.check(sum(_claimed_bytes(archive, info) for info in wanted.values()), path)
            arrays = {name: _read_member(archive, info) for name, info in wanted.items()}
        return arrays, sorted(members)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path} needs more memory than available", remedy="save fewer images") from error
    except Exception as error:  # zipfile and NumPy's header parser raise a dozen kinds on broken bytes
        if "Object arrays" in str(error):
            raise DataError(
                f"{path} holds an object array, which would have to be unpickled",
                expected="arrays of numbers or text",
                remedy="save them with a plain dtype",
            ) from None
        raise DataError(f"{path} is broken npz ({error})", remedy="copy the file again") from error


def _claimed_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Of an array, by its header alone. Raises ValueError where its file is not as long."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, _, dtype = readers[version[0]](file)
        start = file.tell()
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or start + claimed != info.file_size:
        raise ValueError(f"{info.filename} claims {claimed:,} bytes and has {info.file_size - start:,}")
    return claimed


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError(f"{info.filename} goes on after its array")
    return array
