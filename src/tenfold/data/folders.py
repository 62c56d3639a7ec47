"""Image folders: `<class>/*.png`, alone or under `train/` and `test/`; kept as one array for next time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import Progress, cache_folder
from tenfold.data.decode import Pictures, Wishes
from tenfold.data.tables import natural_key
from tenfold.errors import DataError, UsageError, printable
from tenfold.files import replace_file

# Validation images are taken for the test part where there is no other.
PART_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "t10k"),
}
_IGNORED = ("thumbs.db", "desktop.ini")
CACHE_VERSION = "3"  # of what is made of the files
LAYOUT = "a folder for each class with pictures in it"


# A picture's path, class, path within the folder, and stamp: name, size, times and place on the disk; ctime
# tells of changes that put back the others.
_Picture = tuple[str, str, str, str]


def split_folders(folder: Path) -> dict[str, Path]:
    """{"train": ..., "val": ..., "test": ...}, as far as there; {} where the classes lie flat in `folder`.
    Where there is no test part, the validation part is it."""
    there = {child.name.lower(): child for child in _subfolders(folder)}
    found = {part: next(filter(None, map(there.get, names)), None) for part, names in PART_NAMES.items()}
    if not found["test"]:
        found["test"], found["val"] = found["val"], None
    return {part: place for part, place in found.items() if place and found["train"]}


def class_folders(*folders: Path) -> tuple[str, ...]:
    """The classes that have a folder with something in it in any of `folders`, in natural order (2 before
    10)."""
    names = {child.name for folder in folders for child in _subfolders(folder) if _holds_something(child)}
    return tuple(sorted(sorted(names), key=natural_key))


def read_image_folder(
    folder: str | Path,
    *,
    class_names: tuple[str, ...] = (),
    class_pattern: str | None = None,
    wishes: Wishes = Wishes(),  # noqa: B008 - a constant
    progress: Progress | None = None,
    cache: Path | None = None,
) -> ImageDataset:
    """The pictures in `<class>/` and below, with their files; class_names: when more are known than lie here.

    class_pattern: a regular expression that finds the class in a file's name, in the group "label" or
    in its first group; folders mean nothing then.
    What a file is, its content says, not its name; pipes, sockets and devices are passed over.
    The array is kept in `cache` (None: the XDG cache's folder `tenfold/folders`), named after the
    files' names, sizes, times and places on the disk, and mapped from there the next time; a broken one is
    made anew. Raises DataError naming the files that are not pictures, and where all need too much memory.
    """
    folder = Path(folder)
    listing = _by_pattern(folder, class_pattern) if class_pattern else _by_folder(folder, class_names)
    names = class_names or _classes_of(listing)
    if len(names) < 2:
        raise DataError(f"{folder.name}: {len(names)} class", expected="at least two classes")
    stamps = "\n".join([CACHE_VERSION, repr((wishes, names)), *(picture[-1] for picture in listing)])
    key = hashlib.sha256(stamps.encode("utf-8", "surrogateescape")).hexdigest()
    place = (cache or cache_folder("folders")) / f"{key}.npy"
    kept = _load_kept(place)
    if kept is None:
        kept = _read(listing, names, wishes, progress)
        _keep(place, kept)
    notes = kept.note, _note_empty(folder, {picture[1] for picture in listing}, names, class_pattern)
    note = "; ".join(filter(None, notes))
    labels = np.array(kept.labels, dtype=np.int64)
    return ImageDataset(kept.images, labels, names, folder.name, note, files=tuple(kept.files))


class _Kept(NamedTuple):
    """What stays of a folder: with `labels` and `files` of each image."""

    images: np.ndarray
    note: str
    labels: list[int]
    files: list[str]


def _read(
    listing: list[_Picture], names: tuple[str, ...], wishes: Wishes, progress: Progress | None
) -> _Kept:
    """The pictures in the order of their classes, those of a class in natural order."""
    place = {name: label for label, name in enumerate(names)}
    ordered = sorted(listing, key=lambda picture: (place[picture[1]], natural_key(picture[2]), picture[2]))
    paths = [picture[0] for picture in ordered]
    pictures = Pictures.decode(paths, paths, wishes, progress=progress)
    broken = set(pictures.broken)
    whole = [picture for at, picture in enumerate(ordered) if at not in broken]
    labels = [place[picture[1]] for picture in whole]
    return _Kept(pictures.images, pictures.note, labels, [printable(picture[2]) for picture in whole])


def pattern_classes(class_pattern: str, *folders: Path) -> tuple[str, ...]:
    """The classes that the names of the pictures in `folders` and below name, in natural order."""
    return _classes_of([picture for folder in folders for picture in _by_pattern(folder, class_pattern)])


def _classes_of(listing: list[_Picture]) -> tuple[str, ...]:
    return tuple(sorted(sorted({picture[1] for picture in listing}), key=natural_key))


def _note_empty(folder: Path, there: set[str], names: tuple[str, ...], pattern: str | None) -> str:
    """A class here without pictures, though others have some."""
    known = set(names) if pattern else {child.name for child in _subfolders(folder)} | set(names)
    empty = sorted(known - there, key=natural_key)
    more = ", ..." * (len(empty) > 10)
    return f"{folder.name} has no pictures of {', '.join(empty[:10])}{more}" if empty else ""


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror})", expected=LAYOUT, remedy="check the path"
        ) from error
    return [folder / name for name in names]


def _visible(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    return (e for e in entries if not e.name.startswith(".") and e.name.lower() not in _IGNORED)


def _holds_something(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in _visible(entries))
    except OSError:
        return True  # what is wrong is said when it is read


def _by_folder(folder: Path, names: tuple[str, ...]) -> list[_Picture]:
    """Every picture, sorted by class and name."""
    present = {child.name: child for child in _subfolders(folder)}
    if not present:
        with os.scandir(folder) as entries:
            flat = any(entry.is_file() for entry in _visible(entries))
        remedy = "sort the pictures into them" + flat * (
            ", or name the part of the file's name that is the class: --class-pattern '([a-z]+)_'"
        )
        raise DataError(f"{folder} has no subfolders", expected=LAYOUT, remedy=remedy)
    chosen = [name for name in names or present if name in present]
    listing = [_picture(*found, name) for name in chosen for found in _files_below(present[name], f"{name}/")]
    if not listing:
        found = f"{folder} has no pictures in its {len(present)} folders"
        raise DataError(found, expected=LAYOUT, remedy="fill the folders")
    return listing


def _by_pattern(folder: Path, pattern: str) -> list[_Picture]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"the class pattern {pattern!r} is not a regular expression ({error})") from error
    if not compiled.groups:
        remedy = f"put brackets around what is the class: '({pattern})'"
        raise UsageError(f"the class pattern {pattern!r} has no group", expected="one", remedy=remedy)
    group: str | int = "label" if "label" in compiled.groupindex else 1
    listing: list[_Picture] = []
    unlike = []
    for entry, name, about in _files_below(folder, ""):
        match = compiled.search(entry.name)
        if match and match[group]:
            listing.append(_picture(entry, name, about, match[group]))
        else:
            unlike.append(name)
    if unlike or not listing:
        told = f"{len(unlike):,} of {len(unlike) + len(listing):,} files are not called like {pattern!r}"
        some = ": " + ", ".join(unlike[:10]) + ", ..." * (len(unlike) > 10) if unlike else ""
        raise DataError(printable(f"{folder}: {told}{some}"), remedy="change the pattern or move them out")
    return listing


def _files_below(
    folder: Path | str, before: str
) -> Iterator[tuple[os.DirEntry[str], str, os.stat_result | None]]:
    """The files in a folder and below, each with its path from the top, and what the disk says of it: None of
    a link to nowhere."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(_visible(entries), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror})", remedy="check the folder") from error
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, f"{before}{entry.name}/")
            continue
        about = None
        with suppress(OSError):
            about = entry.stat()
        if about is None or stat.S_ISREG(about.st_mode):
            yield entry, before + entry.name, about


def _picture(entry: os.DirEntry[str], name: str, about: os.stat_result | None, label: str) -> _Picture:
    place = ""
    if about is not None:
        place = f"{about.st_size}|{about.st_mtime_ns}|{about.st_ctime_ns}|{about.st_dev}|{about.st_ino}"
    return entry.path, label, name, f"{name}|{label}|{place}"


def _load_kept(path: Path) -> _Kept | None:
    try:
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)
            end = file.tell()
            length = int.from_bytes(file.read(8), "little")
            file.seek(end - length)
            facts = json.loads(file.read(length))
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        kept = _Kept(images, facts["note"], facts["labels"], facts["files"])
        whole = facts["size"] == end - length and len(images) == len(kept.labels) == len(kept.files)
        return kept if whole and images.dtype == np.uint8 else None
    except Exception:  # missing or broken in any way: it is made anew
        return None


def _keep(path: Path, kept: _Kept) -> None:
    """An npy file, which can be mapped, and after its array what else is known."""
    with suppress(OSError), replace_file(path) as beside, beside.open("wb") as file:
        np.save(file, kept.images)
        told = json.dumps(kept._asdict() | {"images": None, "size": file.tell()}).encode()
        file.write(told + len(told).to_bytes(8, "little"))
