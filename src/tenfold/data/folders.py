"""Image folders: `<class>/*.png`, alone or under `train/` and `test/`; kept as one array for next time."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import Progress, cache_folder
from tenfold.data.tables import natural_key
from tenfold.errors import DataError, printable
from tenfold.files import is_special, replace_file
from tenfold.helpers import Helper, count_cores
from tenfold.limits import MemoryLimit
from tenfold.pictures.open import open_grey

_MODULE = "tenfold.data.folders"  # what a helper runs
CHUNK = 250  # pictures a question
WORTH_A_PROCESS = 1500  # pictures; fewer are decoded before another process has started


def decode_pictures(
    paths: Sequence[str], *, progress: Progress | None = None, processes: int | None = None
) -> list[np.ndarray]:
    """Grey images, uint8 (H, W) each, in the order of `paths`.

    processes: None chooses by the number of pictures and cores. Raises the DataError of the first
    file that is not a picture, and where they need more memory than one data set may.
    """
    if processes is None:
        processes = min(count_cores(), 8, len(paths) // WORTH_A_PROCESS)
    if paths:
        MemoryLimit.check(len(paths) * open_grey(paths[0]).size, f"{len(paths):,} pictures like {paths[0]}")
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    images: list[np.ndarray] = []
    total = 0
    for chunk, decoded in _decode_chunks(chunks, processes):
        if isinstance(decoded, DataError):
            raise decoded
        images += _decode(chunk) if decoded is Helper.NoAnswer.UNASKED else decoded
        total += sum(image.size for image in images[-len(chunk) :])
        MemoryLimit.check(total, f"the first {len(images):,} of {len(paths):,} pictures")
        if progress:
            progress("pictures", len(images), len(paths))
    return images


def _decode_chunks(chunks: Sequence[Sequence[str]], processes: int) -> Iterator[tuple[Sequence[str], Any]]:
    """Each with its images, what is wrong with one of its files, or UNASKED. A picture that ends the
    process which decodes it is not opened here: of a chunk that ended its helper, each is asked for alone."""
    if processes < 2:
        yield from ((chunk, Helper.NoAnswer.UNASKED) for chunk in chunks)
        return
    for chunk, decoded in Helper.ask_many(_MODULE, chunks, processes):
        if decoded is not Helper.NoAnswer.ENDED:
            yield chunk, decoded
            continue
        for alone, image in Helper.ask_many(_MODULE, [[path] for path in chunk], 1):
            if image is Helper.NoAnswer.ENDED:
                found = f"{alone[0]} ended the process that decoded it"
                raise DataError(found, expected="a picture", remedy="save it anew, or smaller")
            yield alone, image


def _decode(chunk: Sequence[str]) -> list[np.ndarray]:
    images, total = [], 0
    for path in chunk:
        images.append(open_grey(path))
        total += images[-1].size
        MemoryLimit.check(total, f"pictures up to {path}")
    return images


def _try_decode(chunk: Sequence[str]) -> list[np.ndarray] | DataError:
    try:
        return _decode(chunk)
    except DataError as error:
        return error


if __name__ == "__main__":
    Helper.serve(lambda _: _try_decode)


# Validation images are taken for the test part where there is no other.
PART_NAMES = {"train": ("train", "training"), "test": ("test", "testing", "t10k", "val", "validation")}
_IGNORED = ("thumbs.db", "desktop.ini")
CACHE_VERSION = "2"  # of what open_grey makes of a file
LAYOUT = "a folder for each class with pictures in it"


class _Picture(NamedTuple):
    path: str
    label: int
    name: str  # within the folder
    stamp: str  # name, size, times and place on the disk: ctime tells of changes that put back the others


def split_folders(folder: Path) -> dict[str, Path]:
    """{"train": ..., "test": ...}, as far as there; {} where the classes lie flat in `folder`."""
    there = {child.name.lower(): child for child in _subfolders(folder)}
    found = {part: next(filter(None, map(there.get, names)), None) for part, names in PART_NAMES.items()}
    return {part: place for part, place in found.items() if place and found["train"]}


def class_folders(*folders: Path) -> tuple[str, ...]:
    """The classes that have a subfolder in any of `folders`, in natural order (2 before 10)."""
    names = {child.name for folder in folders for child in _subfolders(folder)}
    return tuple(sorted(sorted(names), key=natural_key))


def read_image_folder(
    folder: str | Path,
    *,
    class_names: tuple[str, ...] = (),
    progress: Progress | None = None,
    cache: Path | None = None,
) -> ImageDataset:
    """`<class>/*` pictures as grey images, with their files; class_names: when more are known than lie here.

    What a file is, its content says, not its name; pipes, sockets and devices are passed over.
    The array is kept in `cache` (None: the XDG cache's folder `tenfold/folders`), named after the
    files' names, sizes, times and places on the disk; a broken one is made anew. Raises DataError
    naming the first file that is not a picture or has another size, and where all need too much memory.
    """
    folder = Path(folder)
    names = class_names or class_folders(folder)
    listing = _listing(folder, names)
    stamps = "\n".join([CACHE_VERSION, *(picture.stamp for picture in listing)])
    key = hashlib.sha256(stamps.encode("utf-8", "surrogateescape")).hexdigest()
    kept = (cache or cache_folder("folders")) / f"{key}.npz"
    images = _load_kept(kept, len(listing))
    if images is None:
        paths = [picture.path for picture in listing]
        pictures = decode_pictures(paths, progress=progress)
        _check_sizes(paths, pictures)
        images = np.stack(pictures)
        _keep(kept, images)
    labels = np.array([picture.label for picture in listing], dtype=np.int64)
    files = tuple(printable(picture.name) for picture in listing)
    return ImageDataset(images, labels, names, folder.name, files=files)


def _subfolders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror})", expected=LAYOUT, remedy="check the path"
        ) from error
    return [child for child in children if child.is_dir() and not child.name.startswith(".")]


def _listing(folder: Path, names: tuple[str, ...]) -> list[_Picture]:
    """Every picture, sorted by class and name."""
    present = {child.name: child for child in _subfolders(folder)}
    if not present:
        raise DataError(f"{folder} has no subfolders", expected=LAYOUT, remedy="sort the pictures into them")
    found: list[_Picture] = []
    for label, name in enumerate(names):
        if name in present:
            found += _pictures_in(present[name], label)
    return found


def _pictures_in(folder: Path, label: int) -> list[_Picture]:
    with os.scandir(folder) as entries:
        files = {e.name: e for e in entries if not e.name.startswith(".") and e.name.lower() not in _IGNORED}
    for name in sorted(files):
        if files[name].is_dir():
            raise DataError(
                f"{folder / name} is not a picture but a folder",
                expected="a folder for each class, with pictures alone in it",
                remedy="move it out of the class's folder",
            )
        if is_special(files[name].path):
            del files[name]
    if not files:
        raise DataError(f"{folder} has no pictures", expected=LAYOUT, remedy="fill or delete the folder")
    return [_picture(files[name], folder.name, label) for name in sorted(sorted(files), key=natural_key)]


def _picture(entry: os.DirEntry[str], class_name: str, label: int) -> _Picture:
    try:
        about = entry.stat()
    except OSError as error:
        raise DataError(f"{entry.path} cannot be read ({error.strerror})", remedy="delete it") from error
    name = f"{class_name}/{entry.name}"
    stamp = (name, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_dev, about.st_ino)
    return _Picture(entry.path, label, name, "|".join(map(str, stamp)))


def _check_sizes(paths: list[str], images: list[np.ndarray]) -> None:
    sizes = Counter(image.shape for image in images)
    if len(sizes) == 1:
        return
    usual = sizes.most_common(1)[0][0]
    first = next(k for k, image in enumerate(images) if image.shape != usual)
    counts = ", ".join(f"{count} of {w}x{h}" for (h, w), count in sizes.most_common(5))
    height, width = images[first].shape
    raise DataError(
        f"{paths[first]} is {width}x{height}; sizes found: {counts}{', ...' * (len(sizes) > 5)}",
        expected="pictures of one size",
        remedy="bring them to one size, or delete the odd ones",
    )


def _load_kept(path: Path, count: int) -> np.ndarray | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            images = archive["images"]
    except Exception:  # missing or broken in any way: it is made anew
        return None
    return images if images.dtype == np.uint8 and images.ndim == 3 and len(images) == count else None


def _keep(path: Path, images: np.ndarray) -> None:
    with suppress(OSError), replace_file(path) as beside, beside.open("wb") as file:
        np.savez(file, images=images)
