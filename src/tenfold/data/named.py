"""The catalogue's data sets on this machine: where they lie, and reading them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import CatalogueEntry, DataFile
from tenfold.data.idx import check_digest, check_images, check_sha256, label_column, open_payload, parse_idx
from tenfold.data.libsvm import parse_libsvm
from tenfold.data.places import cache_folder
from tenfold.errors import DataError

__all__ = [
    "download_folder",
    "find_entry",
    "kept_digest",
    "local_file",
    "missing_files",
    "read_entry",
    "search_folders",
]


def search_folders(entry: CatalogueEntry, data_dir: str | Path | None) -> list[Path]:
    """Where `entry` may lie, best first: data_dir, TENFOLD_DATA_DIR, the XDG cache.

    `<folder>/<name>`, and for mnist the folder itself too.
    """
    folders = []
    for place in (data_dir, os.environ.get("TENFOLD_DATA_DIR")):
        if place:
            folders.append(Path(place) / entry.name)
            folders += [Path(place)] * (entry.name == "mnist")
    return [*folders, download_folder(entry)]


def download_folder(entry: CatalogueEntry) -> Path:
    return cache_folder("data", entry.name)


def find_entry(entry: CatalogueEntry, data_dir: str | Path | None) -> Path | None:
    """The first folder that has all files of `entry`, or None."""
    folders = search_folders(entry, data_dir)
    return next((folder for folder in folders if not missing_files(entry, folder)), None)


def missing_files(entry: CatalogueEntry, folder: Path) -> list[str]:
    return [file.name for file in entry.files if local_file(folder, file) is None]


def local_file(folder: Path, file: DataFile) -> Path | None:
    """The file in `folder`, with - or . before idx; of both, uncompressed before compressed."""
    bare = file.name.removesuffix(".gz").removesuffix(".bz2")
    names = [bare, file.name]
    names += [name.replace("-idx", ".idx") for name in names]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_entry(entry: CatalogueEntry, folder: Path, split: str, *, verify: bool) -> ImageDataset:
    """The train or test part from `folder`, which has all files.

    verify: sha256 of the uncompressed payloads where known, and the counts; of what was downloaded also that
    its files are still those that were published.
    Raises DataError naming the file.
    """
    files = entry.part(split)
    paths = [local_file(folder, file) or folder / file.name for file in files]
    for file, path in zip(files, paths, strict=True):
        if verify and folder == download_folder(entry):
            _check_published(file, path)
    payloads = [open_payload(path) for path in paths]
    for file, path, payload in zip(files, paths, payloads, strict=True):
        if verify and file.sha256:
            check_sha256(path, payload, file.sha256)
    images, labels = _decode(entry, payloads, paths)
    expected = entry.counts[split == "test"]
    if len(images) != len(labels) or (verify and len(images) != expected):
        raise DataError(
            f"{' and '.join(map(str, paths))}: {len(images)} images, {len(labels)} labels",
            expected=f"{expected} of each",
            remedy="delete the files and fetch them again",
        )
    return ImageDataset(images, labels, entry.class_names, entry.name)


def _check_published(file: DataFile, path: Path) -> None:
    kept = kept_digest(path)
    if kept.is_file():
        check_digest(path, kept.read_text(encoding="ascii", errors="replace").strip())
    elif path.name != file.name:  # unpacked by hand: its digest as published says nothing
        return
    elif file.published_sha256:
        check_digest(path, file.published_sha256)
    elif file.md5 and not file.sha256:
        check_digest(path, file.md5, kind="md5")


def kept_digest(path: Path) -> Path:
    """Where the sha256 of a file stands that came in an archive, which was checked when it was unpacked."""
    return path.with_name(f"{path.name}.sha256")


def _decode(
    entry: CatalogueEntry, payloads: Sequence[np.ndarray], paths: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray]:
    if entry.form == "libsvm":
        return parse_libsvm(payloads[0].tobytes(), entry.image_shape, paths[0])
    images = parse_idx(payloads[0], paths[0])
    check_images(images, paths[0])
    if entry.transposed:
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    return images, label_column(parse_idx(payloads[1], paths[1]), paths[1])
