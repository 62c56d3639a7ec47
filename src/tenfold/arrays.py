"""The arrays that travel through the package: frozen, and checked when they are made."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tenfold.arguments import checked, describe_value
from tenfold.errors import DataError

if TYPE_CHECKING:
    from tenfold.augmentation import AugmentationDraws

__all__ = [
    "COLOURS",
    "Batch",
    "ImageDataset",
    "ImageRows",
    "Prediction",
    "Verdict",
    "WeightedDataset",
    "grey_pixels",
    "image_place",
    "iterate_pieces",
]

Verdict = Literal["digit", "unsure", "not a digit"]

ImageShape = tuple[int, ...]  # (H, W) of a grey image, (H, W, 3) of one in colour
COLOURS = 3  # red, green, blue
_PIECE_BYTES = 1 << 18  # of images that are walked through: they and what is made of them fit a cache


class ImageRows(NDArrayOperatorsMixin):
    """Some images of a memory-mapped array, in some order, read from the file when they are asked for.

    base: uint8 (M, H, W) or (M, H, W, 3); rows: int64 (N,). Stands where an array (N, ...) is
    expected: an index on the first axis reads those images, and everything else first reads them all.
    """

    def __init__(self, base: np.ndarray, rows: np.ndarray) -> None:
        self.base, self.rows = base, rows
        self.shape, self.ndim = (len(rows), *base.shape[1:]), base.ndim
        self.dtype, self.itemsize = base.dtype, base.itemsize
        self.size = math.prod(self.shape)
        self.nbytes = self.size * self.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        return np.asarray(self.base[self.rows[index]])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [np.asarray(value) if isinstance(value, ImageRows) else value for value in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # NumPy's and pickle's questions are not for an array that soon is gone
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def subset(self, indices: np.ndarray) -> ImageRows:
        return ImageRows(self.base, self.rows[indices])


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images, grey or in colour, and their classes.

    images: uint8 (N, H, W), or (N, H, W, 3) red, green, blue; 0 is black; an array, a memory map of a
    file, or ImageRows of one.
    labels: int64 (N,), indices into class_names.
    note: one line on where the data came from when that is not what was asked for.
    files: of each image the file that it came from, within the folder of its part, such as
    "7/scan 12.png"; none where images have no files of their own.
    value_range: the numbers that became the pixels 0 and 255, where the data were in other units.
    Raises DataError when the arrays do not fit each other.
    Usable as a PyTorch map-style data set: `dataset[i]` is (image, label).
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    name: str = "data"
    note: str = ""
    files: tuple[str, ...] = field(default=(), kw_only=True)
    value_range: tuple[float, float] = field(default=(0.0, 255.0), kw_only=True)

    pixel_types: ClassVar[tuple[type, ...]] = (np.uint8,)

    def __post_init__(self) -> None:
        _check_types(self)
        images, labels, names, files = self.images, self.labels, self.class_names, self.files
        found = expected = ""
        if images.dtype not in self.pixel_types or not (
            images.ndim == 3 or (images.ndim == 4 and images.shape[3] == COLOURS)
        ):
            found = f"images are {images.dtype} of shape {images.shape}"
            types = " or ".join(t.__name__ for t in self.pixel_types)
            expected = f"{types} of shape (N, height, width) or (N, height, width, 3)"
        elif labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            found = f"{len(images)} images but labels of shape {labels.shape}, {labels.dtype}"
            expected = "one integer label per image"
        elif not images.size:
            found, expected = "no images", "at least one image"
        elif len(names) < 2:
            found, expected = f"{len(names)} class", "at least two classes"
        elif len(set(names)) < len(names):
            found, expected = "two classes have the same name", "a name for each"
        elif labels.min() < 0 or labels.max() >= len(names):
            found = f"labels from {labels.min()} to {labels.max()}"
            expected = f"0 to {len(names) - 1} for {len(names)} classes"
        elif files and len(files) != len(images):
            found, expected = f"{len(images)} images but {len(files)} files", "one per image, or none"
        if found:
            raise DataError(f"{self.name}: {found}", expected=expected)
        object.__setattr__(self, "labels", _read_only(labels.astype(np.int64, copy=False)))
        object.__setattr__(self, "images", _read_only(images))
        object.__setattr__(self, "class_names", tuple(names))
        object.__setattr__(self, "files", tuple(files))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[np.ndarray, int]]:
        chosen = np.asarray(indices)
        return list(zip(self.images[chosen], self.labels[chosen].tolist(), strict=True))

    @property
    def classes(self) -> list[str]:
        return list(self.class_names)

    @property
    def targets(self) -> np.ndarray:
        return self.labels

    @property
    def image_shape(self) -> ImageShape:
        """(H, W) of grey images, (H, W, 3) of those in colour."""
        return tuple(self.images.shape[1:])

    def to_grey(self) -> Self:
        """The same images without colour: luma of ITU-R BT.601, as Pillow's "L" has it."""
        if self.images.ndim == 3:
            return self
        grey = np.empty(self.images.shape[:3], self.images.dtype)
        at = 0
        for piece in iterate_pieces(self.images):
            grey[at : at + len(piece)] = grey_pixels(piece)
            at += len(piece)
        return replace(self, images=grey)

    def to_colour(self) -> Self:
        """The same images as (N, H, W, 3): three times the grey."""
        return (
            self
            if self.images.ndim == 4
            else replace(self, images=np.repeat(self.images[..., None], 3, axis=3))
        )

    def class_counts(self) -> np.ndarray:
        """int64 (K,): images per class."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    @checked
    def subset(self, indices: np.ndarray | Sequence[int] | slice, *, name: str | None = None) -> Self:
        """The images at `indices`, in that order: copies, or where they are memory-mapped not yet read.

        indices: whole numbers, a bool for each image, or a slice. Raises DataError for others.
        """
        chosen = _check_indices(indices, len(self), self.name)
        images: Any = self.images
        if isinstance(images, np.memmap):
            images = ImageRows(images, np.arange(len(images)))
        rows: dict[str, Any] = {"labels": self.labels[chosen]}
        rows["images"] = images.subset(chosen) if isinstance(images, ImageRows) else images[chosen]
        rows["files"] = tuple(np.array(self.files, dtype=object)[chosen]) if self.files else ()
        weights = getattr(self, "image_weights", None)
        if weights is not None:
            rows["image_weights"] = weights[chosen]
        return replace(self, name=name or self.name, **rows)

    def pixel_moments(self) -> tuple[float, float]:
        """Mean and standard deviation of pixel / 255."""
        counts, values = self.count_pixels(self.images).astype(np.float64), np.arange(256) / 255
        mean = float(counts @ values / counts.sum())
        return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))

    @classmethod
    @checked
    def count_pixels(cls, images: np.ndarray) -> np.ndarray:
        """int64 (256,): how often each value occurs in uint8 (N, ...)."""
        counts = np.zeros(256, np.int64)
        for piece in iterate_pieces(images):
            values = piece.reshape(-1)
            # Two at a time, which is faster; an odd last one by itself.
            pairs = np.bincount(values[: len(values) // 2 * 2].view(np.uint16), minlength=1 << 16)
            table = pairs.reshape(256, 256)
            counts += table.sum(axis=0) + table.sum(axis=1)
            counts += np.bincount(values[len(values) // 2 * 2 :], minlength=256)
        return counts

    def sha256(self) -> str:
        """Of shape, images and labels: the same pictures in the same order give the same figure."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        for piece in iterate_pieces(self.images):
            digest.update(piece.data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class WeightedDataset(ImageDataset):
    """Images that do not all count alike, and whose pixels need not be whole numbers.

    images: pixels from 0 to 255 (N, H, W) or (N, H, W, 3), uint8 or float32.
    image_weights: float (N,), see Batch; None is 1
    for each. Raises DataError as ImageDataset does, and for weights that are negative or not finite.
    """

    image_weights: np.ndarray | None = None

    pixel_types: ClassVar[tuple[type, ...]] = (np.uint8, np.float32)

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.image_weights
        if weights is not None:
            if weights.shape != self.labels.shape or not np.isfinite(weights).all() or weights.min() < 0:
                raise DataError(
                    f"{self.name}: weights of shape {weights.shape} for {len(self)} images",
                    expected="one finite number per image, none below 0",
                )
            object.__setattr__(self, "image_weights", _read_only(weights))

    def pixel_moments(self) -> tuple[float, float]:
        """As ImageDataset has it; an image of weight 2 counts twice."""
        rows = (piece.reshape(len(piece), -1).astype(np.float64) for piece in iterate_pieces(self.images))
        sums = [(piece.sum(axis=1), np.square(piece).sum(axis=1)) for piece in rows]
        pixels = self.images[0].size
        mean, square = (
            float(np.average(np.concatenate(part), weights=self.image_weights)) / pixels
            for part in zip(*sums)
        )
        return mean / 255, max(square - mean**2, 0.0) ** 0.5 / 255


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step takes.

    images: pixels from 0 to 255 (N, H, W) or (N, H, W, 3), uint8 or float32.
    labels: int64 (N,), or for line networks
    (N, L), each row the classes of a sequence and then -1 up to its end.
    augmentation: how to change each image, or None. image_weights: float (N,), the factor of each image's
    loss in the mean (or sum) over the batch; None is 1 for each.
    """

    images: np.ndarray
    labels: np.ndarray
    augmentation: AugmentationDraws | None = None
    image_weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    @checked
    def part(self, rows: slice) -> Batch:
        """Some of its images."""
        draws = self.augmentation.part(rows) if self.augmentation else None
        weights = None if self.image_weights is None else self.image_weights[rows]
        return Batch(self.images[rows], self.labels[rows], draws, weights)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says of one image.

    label: the likeliest class's name. confidence: its probability. probs: float32 (K,).
    box: where in the picture it was found, (x0, y0, x1, y1) in pixels, or None. row: of writing, from 0.
    none: the probability that it is none of the classes, from a classifier that learned to say so.
    verdict: what to make of it, by the classifier's thresholds. image: uint8 (H, W), what the network saw.
    """

    label: str
    confidence: float
    probs: np.ndarray
    class_names: tuple[str, ...] = field(repr=False)
    box: tuple[int, int, int, int] | None = None
    row: int = 0
    none: float = 0.0
    verdict: Verdict = "digit"
    image: np.ndarray | None = field(default=None, repr=False)

    @checked
    def alternatives(self, count: int = 3) -> list[tuple[str, float]]:
        """The likeliest classes, best first, with their probabilities."""
        order = np.argsort(-self.probs, kind="stable")[:count]
        return [(self.class_names[i], float(self.probs[i])) for i in order]

    def explain_verdict(self) -> str:
        """ "4 or 9 (51 % / 47 %)" where it is unsure, "not a digit" where it is refused, else ""."""
        if self.verdict == "digit":
            return ""
        if self.verdict == "not a digit":
            return "not a digit"
        (first, p), (second, q), *_ = self.alternatives(2)
        return f"{first} or {second} ({100 * p:.0f} % / {100 * q:.0f} %)"

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label, "confidence": float(self.confidence), "verdict": self.verdict,
            "alternatives": [{"label": name, "confidence": value} for name, value in self.alternatives()],
            "probs": [float(value) for value in self.probs], "none": float(self.none), "box": self.box,
        }  # fmt: skip


def image_place(index: int, files: Sequence[str] = ()) -> dict[str, Any]:
    """What names an image of a data set: {"index": 3}, and where it came from a file also "file".

    files: of every image of the set, or none.
    """
    return {"index": int(index)} | ({"file": files[index]} if files else {})


def grey_pixels(images: np.ndarray) -> np.ndarray:
    """(..., 3) red, green, blue -> (...): luma of ITU-R BT.601, rounded as Pillow's convert("L") does."""
    if images.dtype == np.uint8:
        red, green, blue = (images[..., channel].astype(np.uint32) for channel in range(COLOURS))
        return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)
    return images @ np.array([0.299, 0.587, 0.114], images.dtype)


def iterate_pieces(images: np.ndarray) -> Iterator[np.ndarray]:
    """(N, ...) a few images at a time, contiguous: memory does not grow with N."""
    step = max(1, _PIECE_BYTES // (images.itemsize * images[0].size)) if len(images) else 1
    for start in range(0, len(images), step):
        yield np.ascontiguousarray(images[start : start + step])


def _check_types(dataset: ImageDataset) -> None:
    for name, value in vars(dataset).items():
        if name in ("images", "labels") and not isinstance(value, np.ndarray | ImageRows):
            raise DataError(f"{name} are {describe_value(value)}", expected="a NumPy array: np.asarray(...)")
        listed = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        if name in ("class_names", "files") and not listed:
            raise DataError(f"{name} are {describe_value(value)}", expected="a tuple of texts")
        if name in ("name", "note") and not isinstance(value, str):
            raise DataError(f"{name} is {describe_value(value)}", expected="a text")


def _check_indices(indices: np.ndarray | Sequence[int] | slice, count: int, name: str) -> Any:
    """Whole numbers or bools (n,), or a slice, as an array of `count` images takes them. Raises DataError.

    name: of the data set, for the message.
    """
    if isinstance(indices, slice):
        return indices
    given = np.asarray(indices)
    if given.size == 0 or given.ndim != 1 or given.dtype.kind not in "iub":
        raise DataError(
            f"{name}: indices are {describe_value(given)}",
            expected=f"whole numbers (n,) from 0 to {count - 1}, or {count} bools",
        )
    mask = given.dtype == bool
    if len(given) != count if mask else not -count <= given.min() <= given.max() < count:
        found = f"{len(given)} bools" if mask else f"{given.min()} to {given.max()}"
        raise DataError(f"{name}: indices are {found}", expected=f"for {count} images")
    return given


def _read_only(array: np.ndarray | ImageRows) -> np.ndarray:
    if isinstance(array, ImageRows):  # of a map that is read only
        return cast(np.ndarray, array)
    view = array.view()
    view.flags.writeable = False
    return view
