"""What a path holds: IDX files, a table or pictures, and which parts of a data set are there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.idx import label_column, read_idx, read_idx_pair, refuse_special
from tenfold.data.progress import Progress
from tenfold.data.tables import class_labels, read_csv, read_npz
from tenfold.errors import DataError, DataNotFoundError

__all__ = ["Source", "open_path"]

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
