"""Arrays in a file: npz as NumPy, Keras and MedMNIST write it, npy."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.decode import Wishes, fit_images
from tenfold.data.ranges import find_range
from tenfold.data.tables import class_labels, image_side, is_one_hot, to_pixels
from tenfold.errors import DataError, DataNotFoundError
from tenfold.limits import MemoryLimit

_PARTS = (
    ("train", "images", "labels"), ("train", "x_train", "y_train"), ("test", "x_test", "y_test"),
    ("train", "train_images", "train_labels"), ("val", "val_images", "val_labels"),
    ("val", "x_val", "y_val"), ("test", "test_images", "test_labels"),
)  # fmt: skip
_ALONE = ("images", "x_test", "test_images", "x", "X", "arr_0")  # arrays that need no labels to be predicted


def read_npz(
    path: str | Path,
    *,
    value_range: tuple[float, float] | None = None,
    wishes: Wishes = Wishes(),  # noqa: B008 - a constant
) -> dict[str, ImageDataset]:
    """{"train": ..., "val": ..., "test": ...} from the arrays images and labels; x_train, y_train and perhaps
    x_test, y_test (Keras); or train_images, train_labels and so on (MedMNIST).

    images: (N, H, W), (N, H, W, 1|3), (N, 1|3, H, W) or (N, side * side). labels: as `class_labels` has them.

    value_range: the numbers that are black and white in both parts; None is found as `find_range` has it.

    Both parts have the class names of both. Nothing is unpickled. Raises DataError naming file,
    array and remedy.
    """
    arrays, names_found = _load_arrays(Path(path), {name for _, *pair in _PARTS for name in pair})
    pairs = {part: pair for part, *pair in _PARTS if arrays.keys() >= set(pair)}
    if "train" not in pairs:
        raise DataError(
            f"{path} holds the arrays {', '.join(names_found) or '(none)'}",
            expected="images and labels, x_train and y_train, or train_images and train_labels",
            remedy="rename them with numpy.savez",
        )
    labels, names = class_labels(
        _joined([arrays[pair[1]] for pair in pairs.values()], path), f"{path} ({pairs['train'][1]})"
    )
    shaped = {part: _shaped(arrays.pop(key), f"{path} ({key})") for part, (key, _) in pairs.items()}
    if len(shapes := {part.shape[3:] for part in shaped.values()}) > 1:
        raise DataError(f"{path}: some parts are in colour and others grey {shapes}", expected="one kind")
    ends = value_range or find_range(list(shaped.values()), path)
    datasets, start = {}, 0
    chosen = wishes
    for part, (images_key, labels_key) in pairs.items():
        count = len(arrays[labels_key])
        pixels = to_pixels(shaped.pop(part), f"{path} ({images_key})", value_range=ends)
        images, note = fit_images(pixels, chosen)
        chosen = chosen._replace(colour=images.ndim == 4)  # all parts as the first, which is to be trained on
        datasets[part] = ImageDataset(
            images, labels[start : start + count], names, Path(path).name, note, value_range=ends
        )
        start += count
    return datasets


def read_alone(path: str | Path, *, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """uint8 (N, H, W) or (N, H, W, 3) of an npz or npy file, whatever labels there are."""
    if str(path).lower().endswith(".npy"):
        key = ""
        array = _read_npy(Path(path))
    else:
        arrays, found = _load_arrays(Path(path), set(_ALONE))
        key = next((name for name in _ALONE if name in arrays), "")
        if not key:
            expected = f"one of {', '.join(_ALONE)}"
            raise DataError(f"{path} holds the arrays {', '.join(found) or '(none)'}", expected=expected)
        array = arrays[key]
    where = f"{path} ({key})" if key else str(path)
    shaped = _shaped(array[None] if array.ndim == 2 and not _is_square(array.shape[1]) else array, where)
    return to_pixels(shaped, where, value_range=value_range or find_range([shaped], path))


def _read_npy(path: Path) -> np.ndarray:
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there", remedy="check the path")
    MemoryLimit.check(path.stat().st_size, path)
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy's header parser raises a dozen kinds on broken bytes
        raise DataError(f"{path} is broken npy ({error})", expected="an array of numbers") from error
    return array


def _joined(labels: list[np.ndarray], path: str | Path) -> np.ndarray:
    if all(map(is_one_hot, labels)) and len({part.shape[1] for part in labels}) == 1:
        return np.concatenate(labels)
    flat = [part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part for part in labels]
    if any(part.ndim != 1 for part in flat) or len({part.dtype.kind in "US" for part in flat}) > 1:
        shapes = ", ".join(f"{part.dtype} of shape {part.shape}" for part in labels)
        raise DataError(f"{path}: labels are {shapes}", expected="one whole number or name per image")
    return np.concatenate(flat)


def _shaped(array: np.ndarray, where: str) -> np.ndarray:
    """(N, H, W) or (N, H, W, 3) of numbers."""
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3):
        array = array.transpose(0, 2, 3, 1)  # as PyTorch has it
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        side = image_side(array.shape[1], where)
        array = array.reshape(-1, side, side)
    if array.ndim not in (3, 4) or array.shape[3:] not in ((), (3,)):
        raise DataError(
            f"{where}: images of shape {array.shape}",
            expected="(N, height, width), (N, height, width, 1 or 3) or (N, pixels)",
        )
    if array.dtype.kind not in "iuf":
        raise DataError(f"{where}: pixels are {array.dtype}", expected="numbers from 0 to 255")
    return array


def _load_arrays(path: Path, known: set[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that make a data set, and the names of all; sizes are checked before they are read."""
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there", remedy="check the path")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not an npz file", remedy="write it with numpy.savez, or copy it again")
    try:
        with zipfile.ZipFile(path) as archive:
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


def _is_square(columns: int) -> bool:
    return math.isqrt(columns) ** 2 == columns
