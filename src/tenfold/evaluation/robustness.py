"""How much of a classifier's accuracy is left when its pictures get worse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked, make_folder
from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.errors import DataError, UsageError
from tenfold.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from tenfold.records import check_arrays, pick, read_arrays, read_json, reading, write_record

__all__ = ["Robustness", "measure_robustness"]

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
            "dataset": self.dataset,
            "n": self.n,
            "accuracy": self.accuracy,
            "mean_accuracy": self.mean_accuracy,
            "corruptions": {
                name: row.tolist() for name, row in zip(self.corruptions, self.accuracies, strict=True)
            },
        }

    @checked
    def save(self, folder: str | Path) -> None:
        """Writes robustness.json and robustness.npz."""
        write_record(make_folder(folder), _FILE, self.to_dict(), {key: getattr(self, key) for key in _FORMS})

    @classmethod
    @checked
    def load(cls, folder: str | Path) -> Robustness:
        """What `save` wrote. Raises ModelError."""
        folder = Path(folder)
        remedy = f"measure it anew: tenfold robustness {folder}"
        with reading(f"{folder / _FILE}.json with its .npz", expected="robustness", remedy=remedy):
            values = read_json(folder / f"{_FILE}.json")
            plain = pick(values, {"dataset": "str", "n": "int", "accuracy": "float", "corruptions": "dict"})
            plain["corruptions"] = tuple(plain["corruptions"])
            arrays = read_arrays(folder / f"{_FILE}.npz")
            return cls(**plain, **check_arrays(arrays, _FORMS, {"C": len(plain["corruptions"])}))


_FORMS = {  # see check_arrays
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
    if test_set.class_names != classifier.class_names:
        raise DataError(
            f"{test_set.name} has the classes {', '.join(test_set.class_names[:12])}",
            expected=f"those of the model: {', '.join(classifier.class_names[:12])}",
        )
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
        dataset=test_set.name,
        n=len(chosen),
        accuracy=float(plain.mean()),
        corruptions=tuple(CORRUPTIONS),
        accuracies=accuracies,
        images=pictures,
        example_label=labels[examples],
        example_predicted=predicted,
    )


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
