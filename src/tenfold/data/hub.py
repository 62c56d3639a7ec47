"""Data sets as other libraries have them: parquet files of the Hugging Face hub, `datasets` and torchvision's
objects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import Progress
from tenfold.data.decode import Pictures, Wishes
from tenfold.data.tables import LABEL_NAMES, class_labels, from_numbers
from tenfold.errors import DataError, MissingDependencyError
from tenfold.limits import MemoryLimit

__all__ = ["is_object"]

_SHARD = re.compile(
    r"(?P<part>train|training|test|validation|valid|val)(?:-(\d+)-of-(\d+).*)?\.parquet", re.I
)
_PARTS = {"training": "train", "validation": "val", "valid": "val"}
_LABELS = (*LABEL_NAMES, "labels", "fine_label", "category")
_IMAGES = ("image", "img", "images", "picture", "pixels")


def is_object(source: Any) -> bool:
    """Whether it is a data set of another library: pairs by number, or parts by name."""
    if isinstance(source, str | bytes | Path | np.ndarray | ImageDataset | list | tuple | set):
        return False
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def part_name(name: str) -> str:
    """ "train", "val" or "test"."""
    return _PARTS.get(name.lower(), name.lower())


def read_object(source: Any, wishes: Wishes) -> ImageDataset:
    """`datasets.Dataset`, or anything whose items are (picture or array, label), perhaps with `classes`.

    Raises DataError where the items are not that.
    """
    name = type(source).__name__
    if len(source) == 0:
        raise DataError(f"{name} has no images", expected="at least one")
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        image, label, classes = _columns(features)
        pictures = [row[image] for row in source]
        labels = list(source[label])
        name = str(getattr(source.info, "dataset_name", None) or name)
    else:
        pairs = [_pair(source[number], number, name) for number in range(len(source))]
        pictures, labels = [picture for picture, _ in pairs], [label for _, label in pairs]
        given = getattr(source, "classes", None)
        classes = tuple(str(each) for each in given) if given else ()
    names = [f"{name}[{number}]" for number in range(len(pictures))]
    return _assemble(pictures, names, np.array(labels), classes, name, wishes)


def _columns(features: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    kinds = {column: type(feature).__name__ for column, feature in features.items()}
    image = next((column for column, kind in kinds.items() if kind == "Image"), None)
    labels = [column for column, kind in kinds.items() if kind == "ClassLabel"]
    label = next((column for column in (*_LABELS, *labels) if column in features), None)
    if image is None or label is None:
        told = ", ".join(f"{column} ({kind})" for column, kind in kinds.items())
        remedy = "rename the column of the classes to label"
        raise DataError(f"the data set has {told}", expected="an Image and a label", remedy=remedy)
    return image, label, tuple(getattr(features[label], "names", ()) or ())


def _pair(item: Any, number: int, name: str) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise DataError(f"{name}[{number}] is {type(item).__name__}", expected="(picture, label)")
    picture, label = item[0], item[1]
    if not hasattr(picture, "getexif"):  # not a PIL image
        picture = np.asarray(picture)
        if picture.ndim == 3 and picture.shape[0] in (1, 3) and picture.shape[2] not in (1, 3):
            picture = picture.transpose(1, 2, 0)  # as PyTorch has it
        if picture.dtype.kind == "f" and picture.min() < 0:
            raise DataError(f"{name}[{number}] has pixels below 0", remedy="leave out Normalize")
    if isinstance(label, str):
        return picture, label
    plain = np.asarray(label).reshape(-1)
    if len(plain) != 1:
        raise DataError(f"{name}[{number}] has {len(plain)} labels", expected="one class per picture")
    return picture, plain[0].item()


def _assemble(
    pictures: Sequence[Any],
    sources: Sequence[str],
    labels: np.ndarray,
    classes: tuple[str, ...],
    name: str,
    wishes: Wishes,
    progress: Progress | None = None,
) -> ImageDataset:
    indices, found = class_labels(labels, name)
    if classes and (labels.dtype.kind in "US" or len(found) > len(classes)):
        classes = ()
    decoded = Pictures.decode(pictures, sources, wishes, progress=progress)
    kept = np.setdiff1d(np.arange(len(pictures)), decoded.broken)
    return ImageDataset(decoded.images, indices[kept], classes or found, name, decoded.note)


def parquet_parts(folder: Path) -> dict[str, list[Path]]:
    """ "train", "val", "test" -> the parquet files of each, in `folder`, its `data` or one other folder."""
    found = sorted(folder.glob("*.parquet")) or sorted((folder / "data").glob("*.parquet"))
    parts: dict[str, list[Path]] = {}
    for path in found or sorted(folder.glob("*/*.parquet")):
        match = _SHARD.fullmatch(path.name)
        part = part_name(match["part"]) if match else "train"
        parts.setdefault(part, []).append(path)
        if not match or not match[3]:
            continue
        there = len(list(path.parent.glob(f"{match[1]}-*-of-{match[3]}*.parquet")))
        if there != int(match[3]):
            raise DataError(
                f"{path.parent} holds {there} of {int(match[3])} parquet files of {match['part']}",
                expected=f"{match['part']}-00000-of-{match[3]}.parquet and so on",
                remedy="fetch them all",
            )
    return parts


def read_parquet(
    paths: Sequence[Path],
    name: str,
    wishes: Wishes,
    progress: Progress | None = None,
    value_range: tuple[float, float] | None = None,
) -> ImageDataset:
    """Files with a column of pictures ({bytes, path}, or bytes) and one of labels, as on the Hugging Face
    hub; or with a label and a column for each pixel. Raises DataError."""
    table = _read_table(paths)
    columns = table.column_names
    image = _image_column(table)
    label = next((column for column in _LABELS if column in columns), None)
    if label is None:
        told = ", ".join(columns[:10]) + ", ..." * (len(columns) > 10)
        raise DataError(f"{name} has the columns {told}", expected="one called label", remedy="rename it")
    labels = table[label].to_numpy()
    labels = labels.astype(np.str_) if labels.dtype == object else labels
    if image is None:
        pixels = np.column_stack([table[column].to_numpy() for column in columns if column != label])
        return from_numbers(pixels, labels, name, value_range=value_range)
    contents = _contents(table[image])
    sources = [f"{name}, row {row}" for row in range(1, len(contents) + 1)]
    return _assemble(contents, sources, labels, _class_names(table, label), name, wishes, progress)


def read_parquet_alone(path: Path) -> np.ndarray:
    """uint8 (N, H, W) or (N, H, W, 3) of a parquet file, whatever labels it has."""
    table = _read_table([path])
    image = _image_column(table)
    if image is None:
        expected = f"a column of pictures, such as {_IMAGES[0]}"
        raise DataError(f"{path} has the columns {', '.join(table.column_names[:10])}", expected=expected)
    contents = _contents(table[image])
    return Pictures.decode(contents, [f"{path}, row {row + 1}" for row in range(len(contents))]).images


def _read_table(paths: Sequence[Path]) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="reading parquet files") from error
    MemoryLimit.check(sum(path.stat().st_size for path in paths), paths[0].parent)
    try:
        return pa.concat_tables([pq.ParquetFile(path).read() for path in paths])
    except (pa.ArrowException, OSError) as error:
        told = str(error).splitlines()[0][:200]
        found = f"{paths[0]} cannot be read as parquet ({told})"
        raise DataError(
            found, expected="parquet files of one kind", remedy="copy or fetch it again"
        ) from error


def _image_column(table: Any) -> str | None:
    import pyarrow.types as kinds

    for field in table.schema:
        if kinds.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
    named = [field for field in table.schema if field.name.lower() in _IMAGES]
    binary = [field for field in named if kinds.is_binary(field.type) or kinds.is_large_binary(field.type)]
    return str(binary[0].name) if binary else None


def _contents(column: Any) -> list[bytes]:
    values = column.to_pylist()
    return [(value.get("bytes") if isinstance(value, dict) else value) or b"" for value in values]


def _class_names(table: Any, label: str) -> tuple[str, ...]:
    """As the `datasets` library writes them into the file."""
    try:
        about = json.loads((table.schema.metadata or {})[b"huggingface"])
        return tuple(about["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()
