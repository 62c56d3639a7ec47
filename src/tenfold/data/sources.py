"""A path, or another library's object -> what reads its parts: the one place that knows every format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import Progress
from tenfold.data.decode import Wishes, fit_images
from tenfold.data.idx import label_column, read_idx, read_idx_pair, refuse_special
from tenfold.data.listed import lists_files, read_listed
from tenfold.data.npz import read_alone, read_npz
from tenfold.data.tables import class_labels, natural_key, read_csv, read_unlabelled
from tenfold.errors import DataError, DataNotFoundError
from tenfold.records import reading

__all__ = ["read_images"]

PARTS = ("train", "val", "test")


class Reading(NamedTuple):
    """How the files are read."""

    wishes: Wishes
    progress: Progress | None
    value_range: tuple[float, float] | None
    class_pattern: str | None


IMAGES = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test)-images[-.]idx3-ubyte(\.gz)?", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """parts: "train", perhaps "val" and "test" -> what reads it; "train" alone is everything there is.

    folders: part -> the name of its folder, where pictures lie in one for each part."""

    parts: Mapping[str, Callable[[], ImageDataset]]
    folders: Mapping[str, str] = field(default_factory=dict)


def open_path(path: Path, how: Reading) -> Source:
    """Looks what `path` is, and reads nothing yet but tables. Raises DataError when it is nothing known."""
    refuse_special(path)
    wishes, value_range, progress = how.wishes, how.value_range, how.progress
    if path.is_dir():
        return _open_folder(path, how)
    name = path.name.lower()
    if name.endswith(".npz"):
        datasets = read_npz(path, value_range=value_range, wishes=wishes)
        return Source({part: partial(datasets.__getitem__, part) for part in datasets})
    if name.endswith(".parquet"):
        return _parquet_source({"train": [path]}, path.name, how)
    if name.endswith((".csv", ".csv.gz")):
        if lists_files(path):
            return Source({"train": partial(read_listed, path, wishes, progress)})
        return fitted(Source({"train": partial(read_csv, path, value_range=value_range)}), wishes)
    if "images" in name and "idx" in name:
        return fitted(_idx_source({"train": (path, _labels_beside(path))}, path.name), wishes)
    expected = "a folder of pictures, IDX or parquet files, an IDX images file, .csv[.gz], .npz or .parquet"
    raise DataError(f"{path} is not a known kind of data set", expected=expected)


def read_images(path: str | Path, *, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """uint8 (N, H, W) or (N, H, W, 3) of a table or of arrays, with or without labels: .csv, .csv.gz, .npz,
    .npy, .parquet. Raises DataError."""
    name = str(path).lower()
    if name.endswith((".csv", ".csv.gz")):
        return read_unlabelled(path, value_range=value_range)
    if name.endswith(".parquet"):
        from tenfold.data.hub import read_parquet_alone

        return read_parquet_alone(Path(path))
    return read_alone(path, value_range=value_range)


def fitted(source: Source, wishes: Wishes) -> Source:
    """Its images in the size and the colours that are asked for."""

    def read(load: Callable[[], ImageDataset]) -> ImageDataset:
        dataset = load()
        images, note = fit_images(dataset.images, wishes)
        if images is dataset.images:
            return dataset
        return replace(dataset, images=images, note="; ".join(filter(None, [dataset.note, note])))

    return replace(source, parts={part: partial(read, load) for part, load in source.parts.items()})


def _agreeing(readers: Mapping[str, Callable[[Wishes], ImageDataset]], wishes: Wishes) -> Source:
    """Parts that are read by themselves, in the size, colours and classes of them all: the first decides the
    size and the colours."""
    first = next(iter(readers))

    @cache
    def read(part: str) -> ImageDataset:
        if part == first:
            return readers[part](wishes)
        shape = read(first).image_shape
        return readers[part](wishes._replace(colour=len(shape) == 3, size=(shape[0], shape[1])))

    def relabelled(part: str) -> ImageDataset:
        dataset = read(part)
        if len(readers) == 1:
            return dataset
        names = {name: None for each in readers for name in read(each).class_names}
        if tuple(names) == dataset.class_names:
            return dataset
        ordered = sorted(sorted(names), key=natural_key)
        place = np.array([ordered.index(name) for name in dataset.class_names])
        return replace(dataset, labels=place[dataset.labels], class_names=tuple(ordered))

    return Source({part: partial(relabelled, part) for part in readers})


def _parquet_source(parts: Mapping[str, list[Path]], name: str, how: Reading) -> Source:
    from tenfold.data.hub import read_parquet

    def read(paths: list[Path], wishes: Wishes) -> ImageDataset:
        return read_parquet(paths, name, wishes, how.progress, how.value_range)

    ordered = {part: partial(read, parts[part]) for part in PARTS if part in parts}
    return _agreeing(ordered, how.wishes)


def object_source(source: Any, wishes: Wishes) -> Source:
    from tenfold.data.hub import part_name, read_object

    given = {"train": source}
    if isinstance(source, Mapping):
        given = {part_name(str(name)): part for name, part in source.items()}
        if "test" not in given and "val" in given:
            given["test"] = given.pop("val")
        if "train" not in given:
            raise DataError(f"the data set has the parts {', '.join(given)}", expected="one called train")
    return _agreeing({part: partial(read_object, given[part]) for part in PARTS if part in given}, wishes)


def _open_folder(path: Path, how: Reading) -> Source:
    """IDX files, in it or as torchvision lays them (MNIST/raw), parquet files, or pictures."""
    from tenfold.data.hub import parquet_parts

    raws = [place for place in (path / "raw", *sorted(path.glob("*/raw"))) if place.is_dir()]
    for place in (path, *raws):
        if pairs := _idx_pairs(place):
            return fitted(_idx_source(pairs, path.name), how.wishes)
    if parquet := parquet_parts(path):
        return _parquet_source(parquet, path.name, how)
    return _picture_source(path, how)


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
        every = np.concatenate([labels, *others])
        if every.min() == 1 and pairs[part][0].name.lower().startswith("emnist-letters"):
            labels, names = labels - 1, tuple(map(chr, range(97, 97 + int(every.max()))))
        else:
            _, names = class_labels(every, pairs[part][1])
            names = _names_beside(pairs[part][0], names)
        if pairs[part][0].name.lower().startswith("emnist-"):  # published lying on their side
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return ImageDataset(images, labels, names, name)

    return Source({part: partial(read, part) for part in pairs})


def _names_beside(images: Path, numbers: tuple[str, ...]) -> tuple[str, ...]:
    """The class names that `tenfold data convert` wrote, else the numbers."""
    path = images.with_name("classes.json")
    if not path.is_file():
        return numbers
    with reading(str(path), expected="a list of class names", remedy="convert again", kind=DataError):
        names = tuple(map(str, json.loads(path.read_text(encoding="utf-8"))))
        if len(names) < len(numbers):
            raise ValueError(f"{len(names)} names for {len(numbers)} classes")
    return names


def _picture_source(folder: Path, how: Reading) -> Source:
    from tenfold.data.folders import (  # brings in processes
        class_folders,
        pattern_classes,
        read_image_folder,
        split_folders,
    )

    splits, pattern = split_folders(folder), how.class_pattern
    places = splits or {"train": folder}

    @cache
    def names() -> tuple[str, ...]:
        return pattern_classes(pattern, *places.values()) if pattern else class_folders(*places.values())

    def read(place: Path, wishes: Wishes) -> ImageDataset:
        dataset = read_image_folder(
            place, class_names=names(), class_pattern=pattern, wishes=wishes, progress=how.progress
        )
        return replace(dataset, name=folder.name)

    agreed = _agreeing({part: partial(read, place) for part, place in places.items()}, how.wishes)
    return replace(agreed, folders={part: place.name for part, place in splits.items()})
