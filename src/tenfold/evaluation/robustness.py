"""How much of a classifier's accuracy is left when its pictures get worse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import check_images, checked
from tenfold.arrays import ImageDataset
from tenfold.augmentation import AugmentationDraws
from tenfold.classifier import Classifier
from tenfold.errors import UsageError, nearest
from tenfold.evaluation.evaluate import check_classes
from tenfold.files import make_folder
from tenfold.numpy_engine.runtime.batches import augment
from tenfold.records import Record, pick
from tenfold.settings import AugmentationSettings

__all__ = ["Robustness", "corrupt", "measure_robustness"]

# Fifteen ways in which pictures get worse, five severities each: whole batches, uint8 in and out.
#
# The choice follows MNIST-C (Mu & Gilmer 2019: MNIST-C: A Robustness Benchmark for Computer Vision) and
# ImageNet-C (Hendrycks & Dietterich 2019: Benchmarking Neural Network Robustness to Common Corruptions
# and Perturbations); the elastic one is that of Simard et al. 2003. Severity 1 is mild; 5 is hard, but a
# person still reads it. Lengths are of pictures of 28 pixels per side, and grow with the picture.

SEVERITIES = 5
_SIDE = 28  # pixels, of the pictures whose lengths are named here
_MOST_STROKE = 2.0  # pixels by which a stroke can change at once


@checked
def corrupt(images: np.ndarray, name: str, severity: int, *, seed: int = 0) -> np.ndarray:
    """uint8 (N, H, W) or (N, H, W, 3) -> of the same shape, each picture changed in its own way; the same for
    a seed.

    severity: 1 to 5; with the same seed a higher one does more of the same to a picture. A grey picture
    whose border is light is taken for dark ink on light paper. Raises UsageError for an unknown name
    or severity, DataError for other images.
    """
    if name not in CORRUPTIONS:
        raise UsageError(f"no corruption is called {name!r}", remedy=nearest(name, CORRUPTIONS))
    if not 1 <= severity <= SEVERITIES:
        raise UsageError(f"severity {severity}", expected=f"1 to {SEVERITIES}")
    check_images(images)
    change, *amounts = CORRUPTIONS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    flips = _light_ground(images) * np.uint8(255)
    changed = change(images ^ flips, amounts[severity - 1], rng)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8) ^ flips


def _light_ground(images: np.ndarray) -> np.ndarray:
    """bool (N, 1, 1): more than half of the border is light; no picture in colour counts as such."""
    if images.ndim == 4:
        return np.zeros((len(images), 1, 1, 1), bool)
    sides = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    light: np.ndarray = np.mean(np.concatenate(sides, axis=1) >= 128, axis=1) > 0.5
    return light[:, None, None]


def _length(images: np.ndarray, amount: float) -> float:
    """Pixels of a 28x28 picture -> pixels of these."""
    return amount * min(images.shape[1:3]) / _SIDE


def _by_channel(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Values (N, H, W) that act on every channel of the images alike."""
    return values if images.ndim == 3 else values[..., None]


def _signs(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.choice(np.array([-1.0, 1.0]), count)


# what a bad sensor or transmission does


def _noise(images: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """deviation: of white noise, as a share of the range."""
    return images + 255 * deviation * rng.standard_normal(images.shape, dtype=np.float32)


def _salt_and_pepper(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """share: of the pixels that become black or white."""
    chance = rng.random(images.shape, dtype=np.float32)
    return np.where(chance < share, np.where(chance < share / 2, 0, 255), images)


def _blur(images: np.ndarray, sigma: float, _rng: np.random.Generator) -> np.ndarray:
    """sigma: pixels."""
    from scipy.ndimage import gaussian_filter

    width = _length(images, sigma)
    return np.asarray(gaussian_filter(images.astype(np.float32), width, axes=(1, 2), mode="nearest"))


def _motion_blur(images: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """length: pixels of a straight movement, in a direction that differs from picture to picture."""
    reach, angles = _length(images, length), rng.uniform(0, np.pi, len(images))
    steps = np.linspace(-reach / 2, reach / 2, int(np.ceil(reach)) + 1)
    total = np.zeros(images.shape, np.float32)
    for step in steps:
        total += _affine(images, dx=-step * np.cos(angles), dy=-step * np.sin(angles))
    return total / len(steps)


def _pixelate(images: np.ndarray, factor: float, _rng: np.random.Generator) -> np.ndarray:
    """factor: a side of the new pixels, in old ones; each takes the mean of what it covers."""
    down, across = (_coarse(side, factor * side / _SIDE) for side in images.shape[1:3])
    planes = images.reshape(*images.shape[:3], -1).transpose(0, 3, 1, 2).astype(np.float32)
    return np.asarray((down @ planes @ across.T).transpose(0, 2, 3, 1).reshape(images.shape))


def _coarse(side: int, factor: float) -> np.ndarray:
    """float32 (side, side): row i averages the old pixels under the new pixel that covers pixel i."""
    cells = max(1, round(side / factor))
    edges = np.linspace(0, side, cells + 1)
    places = np.arange(side)
    low, high = np.maximum(edges[:-1, None], places), np.minimum(edges[1:, None], places + 1)
    means = np.maximum(high - low, 0) / (side / cells)
    over = np.minimum(((places + 0.5) * cells / side).astype(int), cells - 1)
    return np.asarray(means[over], dtype=np.float32)


# how it lies on the paper


def _affine(
    images: np.ndarray, xx: Any = 1, xy: Any = 0, yx: Any = 0, yy: Any = 1, dx: Any = 0, dy: Any = 0
) -> np.ndarray:
    """Output pixel from the picture's middle -> input pixel, each number one or (N,); black outside."""
    numbers = np.broadcast_arrays(xx, xy, dx, yx, yy, dy, np.empty(len(images)))[:6]
    matrices = np.stack(numbers, axis=1).reshape(-1, 2, 3).astype(np.float32)
    return augment(images, AugmentationDraws(affine=matrices))


def _shift(images: np.ndarray, distance: float, rng: np.random.Generator) -> np.ndarray:
    """distance: pixels, in any direction."""
    angles, pixels = rng.uniform(0, 2 * np.pi, len(images)), _length(images, distance)
    return _affine(images, dx=-pixels * np.cos(angles), dy=-pixels * np.sin(angles))


def _rotate(images: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """degrees: to either side."""
    angles = np.deg2rad(degrees) * _signs(rng, len(images))
    return _affine(images, np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles))


def _scale(images: np.ndarray, change: float, rng: np.random.Generator) -> np.ndarray:
    """change: half of the pictures shrink to 1 / (1 + change), half grow by half as much."""
    factors = np.where(_signs(rng, len(images)) > 0, 1 + change, 1 / (1 + change / 2))
    return _affine(images, xx=factors, yy=factors)


def _shear(images: np.ndarray, slope: float, rng: np.random.Generator) -> np.ndarray:
    """slope: pixels to the left or right for each pixel down."""
    return _affine(images, xy=slope * _signs(rng, len(images)))


# how it was written


def _elastic(images: np.ndarray, displacement: float, rng: np.random.Generator) -> np.ndarray:
    """displacement: pixels (standard deviation), smooth over four pixels."""
    settings = AugmentationSettings(
        elastic=_length(images, displacement), elastic_smoothness=_length(images, 4.0)
    )
    draws = AugmentationDraws.draw(settings, len(images), (images.shape[1], images.shape[2]), rng)
    return images if draws is None else augment(images, draws)


def _stroke(images: np.ndarray, pixels: float, _rng: np.random.Generator) -> np.ndarray:
    """pixels by which each side of a stroke grows, or shrinks where below 0."""
    left = abs(_length(images, pixels))
    while left > 0:
        width = np.full(len(images), np.copysign(min(left, _MOST_STROKE), pixels), np.float32)
        images = np.rint(augment(images, AugmentationDraws(stroke=width))).astype(np.uint8)
        left -= _MOST_STROKE
    return images


# what lies upon it


def _occlude(images: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """side: pixels of a grey square, whose middle lies in the inner half of the picture."""
    height, width = images.shape[1:3]
    half = _length(images, side) / 2
    middle = rng.uniform(0.25, 0.75, (2, len(images), 1)) * np.array([height, width])[:, None, None]
    rows = np.abs(np.arange(height) + 0.5 - middle[0]) <= half
    columns = np.abs(np.arange(width) + 0.5 - middle[1]) <= half
    return np.where(_by_channel(rows[:, :, None] & columns[:, None, :], images), 128, images)


def _contrast(images: np.ndarray, share: float, _rng: np.random.Generator) -> np.ndarray:
    """share: of the distance from each picture's mean that is left."""
    mean = images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return np.asarray(mean + share * (images - mean))


def _fog(images: np.ndarray, density: float, rng: np.random.Generator) -> np.ndarray:
    """density: of a light, uneven cloud that lies over the picture."""
    from scipy.ndimage import zoom

    height, width = images.shape[1:3]
    patches = rng.random((len(images), 4, 4), dtype=np.float32)
    cloud = zoom(patches, (1, height / 4, width / 4), order=1, grid_mode=True, mode="nearest")
    return np.asarray(images * (1 - density) + 255 * density * _by_channel(cloud, images))


CORRUPTIONS: dict[str, tuple[Any, float, float, float, float, float]] = {
    # (images uint8 (N, H, W) with light ink, amount, rng) -> float or uint8, any range; and five amounts
    "noise": (_noise, 0.12, 0.2, 0.28, 0.36, 0.44),
    "salt and pepper": (_salt_and_pepper, 0.03, 0.06, 0.1, 0.15, 0.2),
    "blur": (_blur, 0.6, 0.9, 1.2, 1.5, 1.8),
    "motion blur": (_motion_blur, 2.5, 3.5, 4.5, 5.5, 6.5),
    "pixelate": (_pixelate, 1.4, 1.75, 2.15, 2.55, 2.8),
    "shift": (_shift, 1.5, 2.5, 3.5, 4.5, 5.5),
    "rotation": (_rotate, 8, 15, 22, 30, 40),
    "scale": (_scale, 0.15, 0.3, 0.5, 0.7, 1.0),
    "shear": (_shear, 0.15, 0.3, 0.45, 0.6, 0.75),
    "elastic": (_elastic, 0.5, 0.8, 1.1, 1.4, 1.7),
    "thicker": (_stroke, 0.5, 0.9, 1.3, 1.6, 1.9),
    "thinner": (_stroke, -0.2, -0.35, -0.5, -0.6, -0.7),
    "occlusion": (_occlude, 4, 6, 8, 9.5, 11),
    "contrast": (_contrast, 0.6, 0.4, 0.3, 0.2, 0.15),
    "fog": (_fog, 0.2, 0.35, 0.45, 0.55, 0.65),
}


_FILE = "robustness"


@dataclass(frozen=True, eq=False)
class Robustness:
    """Accuracy of a classifier on n pictures of a data set, whole and corrupted.

    accuracy: on the whole pictures. corruptions: the names of C = 15. accuracies: float64 (C, 5), a
    row a corruption, a column a severity from 1 to 5. Each row has an example: images uint8
    (C, 5, H, W); example_label int64 (C,), its class; example_predicted int64 (C, 5), what it was read as.
    """

    dataset: str
    n: int
    accuracy: float
    corruptions: tuple[str, ...]
    accuracies: np.ndarray
    images: np.ndarray
    example_label: np.ndarray
    example_predicted: np.ndarray

    @property
    def mean_accuracy(self) -> float:
        """Over all corruptions and severities."""
        return float(self.accuracies.mean())

    def to_dict(self) -> dict[str, Any]:
        """The figures without the pictures, as JSON takes them."""
        return {
            **{key: getattr(self, key) for key in ("dataset", "n", "accuracy", "mean_accuracy")},
            "corruptions": dict(zip(self.corruptions, self.accuracies.tolist(), strict=True)),
        }

    @checked
    def save(self, folder: str | Path) -> None:
        """Writes robustness.json and robustness.npz."""
        arrays = {key: getattr(self, key) for key in _FORMS}
        Record(make_folder(folder), _FILE).write(self.to_dict(), arrays)

    @classmethod
    @checked
    def load(cls, folder: str | Path) -> Robustness:
        """What `save` wrote. Raises ModelError."""
        record = Record(Path(folder), _FILE)
        remedy = f"measure it anew: tenfold robustness {folder}"
        with record.reading("robustness", remedy):
            values = record.read_plain()
            plain = pick(values, {"dataset": "str", "n": "int", "accuracy": "float", "corruptions": "dict"})
            plain["corruptions"] = tuple(plain["corruptions"])
            arrays = record.read_arrays()
            return cls(**plain, **Record.check(arrays, _FORMS, {"C": len(plain["corruptions"])}))


_FORMS = {  # see Record.check
    "accuracies": "f C 5",
    "images": "u C 5 H W",
    "example_label": "i C",
    "example_predicted": "i C 5",
}


@checked
def measure_robustness(
    classifier: Classifier, test_set: ImageDataset, *, n: int = 1000, seed: int = 0
) -> Robustness:
    """Accuracy under fifteen corruptions, five severities each.

    n: pictures drawn from the data set; all of it where it has fewer. Raises UsageError for n below 1,
    DataError where the classes are not the classifier's.
    """
    if n < 1:
        raise UsageError(f"{n} pictures", expected="at least 1")
    check_classes(classifier, test_set)
    chosen = np.random.default_rng(seed).permutation(len(test_set))[:n]
    images, labels = np.asarray(test_set.images[chosen]), test_set.labels[chosen]
    plain = classifier.predict(images) == labels
    examples = _examples(labels, plain, len(CORRUPTIONS))
    rows = [
        _measure(classifier, images, labels, name, int(example), seed)
        for name, example in zip(CORRUPTIONS, examples, strict=True)
    ]
    accuracies, pictures, predicted = (np.stack(column) for column in zip(*rows, strict=True))
    return Robustness(
        dataset=test_set.name, n=len(chosen), accuracy=float(plain.mean()), corruptions=tuple(CORRUPTIONS),
        accuracies=accuracies, images=pictures, example_label=labels[examples], example_predicted=predicted,
    )  # fmt: skip


def _examples(labels: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    """int64 (count,): places of pictures of one class after another, rightly read where there are any."""
    places = np.flatnonzero(right) if right.any() else np.arange(len(labels))
    order = np.argsort(labels[places], kind="stable")
    classes, starts, sizes = np.unique(labels[places][order], return_index=True, return_counts=True)
    turn, which = np.divmod(np.arange(count), len(classes))
    return places[order][starts[which] + turn % sizes[which]]


def _measure(
    classifier: Classifier, images: np.ndarray, labels: np.ndarray, name: str, example: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracies float64 (5,), and of one picture: uint8 (5, H, W), predicted int64 (5,)."""
    levels = range(1, SEVERITIES + 1)
    changed = np.stack([corrupt(images, name, severity, seed=seed) for severity in levels])
    predicted = classifier.predict(changed.reshape(-1, *images.shape[1:])).reshape(SEVERITIES, -1)
    return (predicted == labels).mean(axis=1), changed[:, example], predicted[:, example]
