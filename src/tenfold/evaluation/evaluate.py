"""What a classifier is worth on a labelled set, with all that a report shows of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset, image_place
from tenfold.classifier import Classifier
from tenfold.data.ranges import PixelRange
from tenfold.errors import DataError, FigureNotMetError, TenfoldWarning, UsageError, nearest
from tenfold.files import make_folder
from tenfold.numerics import log_softmax, wilson_interval
from tenfold.numpy_engine.losses import Loss
from tenfold.records import Record, pick

__all__ = ["Evaluation", "evaluate"]

_SHOWN_MISSES, _FIRST_MISSES, _SHOWN_HITS = 100, 10, 30
_CELL_PICTURES, _ALL_CELLS, _CELL_BYTES = 12, 1000, 4 << 20


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a classifier on n images.

    loss: the recipe's own as in the history, without label smoothing and temperature (cross-entropy in
    nats). Confidences are calibrated, that is, with the temperature.
    interval: of the accuracy, 95 % (Wilson).
    calibration_bins: float64 (15, 3), count, mean confidence, accuracy. confusion: int64 (K, K),
    rows true. miss_*: every miss, the most confident first: index in the data set, true class,
    predicted class, confidence. miss_images: uint8 (M, H, W), of the 100 most confident misses and
    of the ten that come first in the data set; miss_shown: int64 (M,), their places among the misses.
    hit_*: the first right ones: index, class, confidence, images.
    labels: int64 (N,) and probs: float32 (N, K), calibrated, of every image; none of them (0,) and
    (0, K) in files of an earlier version. cell_*: what the cells of the confusion matrix hold, at most
    twelve images each: off the diagonal the surest, on it the least sure ones; index, true class,
    predicted class, confidence, images. files: of every image, or none (see ImageDataset).
    """

    dataset: str
    dataset_sha256: str
    n: int
    class_names: tuple[str, ...]
    loss: float
    accuracy: float
    interval: tuple[float, float]
    calibration_error: float
    seconds: float
    confusion: np.ndarray
    calibration_bins: np.ndarray
    miss_index: np.ndarray
    miss_label: np.ndarray
    miss_predicted: np.ndarray
    miss_confidence: np.ndarray
    miss_images: np.ndarray
    miss_shown: np.ndarray
    hit_index: np.ndarray
    hit_label: np.ndarray
    hit_confidence: np.ndarray
    hit_images: np.ndarray
    labels: np.ndarray
    probs: np.ndarray
    cell_index: np.ndarray
    cell_label: np.ndarray
    cell_predicted: np.ndarray
    cell_confidence: np.ndarray
    cell_images: np.ndarray
    files: tuple[str, ...] = ()

    @property
    def misses(self) -> int:
        return len(self.miss_index)

    @property
    def right(self) -> np.ndarray:
        """bool (N,): which images are read rightly, in the order of the data set."""
        right = np.ones(self.n, dtype=bool)
        right[self.miss_index] = False
        return right

    @property
    def has_probs(self) -> bool:
        """Whether the probabilities of every image are kept, which earlier versions did not."""
        return len(self.probs) == self.n

    def coverage_risk(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the probabilities that are kept: see the function `coverage_risk`."""
        return coverage_risk(self.probs.max(axis=1).astype(np.float64), self.right)

    def per_class(self) -> list[dict[str, Any]]:
        """A row per class: name, precision, recall, f1, each with its 95 % interval, and support."""
        columns, intervals = per_class(self.confusion), class_intervals(self.confusion)
        return [
            {"class": name}
            | {key: values[i].item() for key, values in columns.items()}
            | {f"{key}_interval_95": values[i].tolist() for key, values in intervals.items()}
            for i, name in enumerate(self.class_names)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The figures without the pictures, as JSON takes them."""
        return {
            **{key: getattr(self, key) for key in ("dataset", "dataset_sha256", "n", "loss", "accuracy")},
            "accuracy_interval_95": list(self.interval),
            **{key: getattr(self, key) for key in ("misses", "calibration_error", "seconds")},
            "class_names": list(self.class_names),
            "per_class": self.per_class(),
            "confusion": self.confusion.tolist(),
            "most_confident_misses": [self._miss(place) for place in range(min(20, self.misses))],
        }

    def _miss(self, place: int) -> dict[str, Any]:
        return image_place(self.miss_index[place], self.files) | {
            "label": self.class_names[self.miss_label[place]],
            "predicted": self.class_names[self.miss_predicted[place]],
            "confidence": float(self.miss_confidence[place]),
        }

    @checked
    def check_required(self, bounds: Sequence[tuple[str, float]]) -> None:
        """bounds: names and values of figures that must be met; accuracy at least, the others at most.
        Raises FigureNotMetError."""
        for name, bound in bounds:
            value = getattr(self, name)
            met = value >= bound if _HIGHER_IS_BETTER[name] else value <= bound
            if not met:
                side = "at least" if _HIGHER_IS_BETTER[name] else "at most"
                raise FigureNotMetError(f"{name} is {value:.6g}", expected=f"{side} {bound:g}")

    @classmethod
    @checked
    def parse_required(cls, text: str) -> tuple[str, float]:
        """ "accuracy=0.99" -> ("accuracy", 0.99). Raises UsageError."""
        name, _, value = text.partition("=")
        if name not in _HIGHER_IS_BETTER:
            raise UsageError(f"--require {text!r}: unknown figure", remedy=nearest(name, _HIGHER_IS_BETTER))
        try:
            return name, float(value)
        except ValueError as error:
            raise UsageError(f"--require {text!r}", expected=f"a number, such as {name}=0.99") from error

    @checked
    def save(self, folder: str | Path, name: str = "evaluation") -> None:
        """Writes `<name>.json` and `<name>.npz`."""
        arrays = {key: getattr(self, key) for key in _FORMS}
        Record(make_folder(folder), name).write(self.to_dict(), arrays, self.files)

    @classmethod
    @checked
    def load(cls, folder: str | Path, name: str = "evaluation") -> Evaluation:
        """What `save` wrote. Raises ModelError."""
        record = Record(Path(folder), name)
        remedy = f"make it anew: tenfold evaluate {folder}"
        with record.reading("an evaluation", remedy):
            values = record.read_plain()
            arrays = record.read_arrays()
            return cls._from_parts(values, _empty_answers(arrays) | arrays)

    @classmethod
    def _from_parts(cls, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Evaluation:
        """Raises ValueError and the like where they do not belong together."""
        low, high = pick(values, {"accuracy_interval_95": "floats"})["accuracy_interval_95"]
        scalars = pick(values, _SCALARS)
        files = Record.files_of(arrays)
        n, answers = scalars["n"], len(arrays["labels"])
        for what, size in (("files", len(files)), ("labels", answers)):
            if size not in (0, n):
                raise ValueError(f"{size:,} {what} of {n:,} images")
        sizes = {"N": n, "A": answers, "K": len(scalars["class_names"])}
        kept = Record.check(arrays, _FORMS, sizes)
        if n < 1 or kept["confusion"].sum() != n:
            raise ValueError(f"a confusion matrix of {kept['confusion'].sum():,} images, not of {n:,}")
        return cls(**scalars, interval=(low, high), files=files, **kept)


_HIGHER_IS_BETTER = {"accuracy": True, "loss": False, "calibration_error": False, "misses": False}
_SCALARS = {
    "dataset": "str", "dataset_sha256": "str", "n": "int", "class_names": "strs", "loss": "float",
    "accuracy": "float", "calibration_error": "float", "seconds": "float",
}  # fmt: skip
_FORMS = {  # see Record.check
    "confusion": "i K K", "calibration_bins": "f 15 3",
    "miss_index": "i<N M", "miss_label": "i<K M", "miss_predicted": "i<K M", "miss_confidence": "f M",
    "miss_images": "u S H W", "miss_shown": "i<M S",
    "hit_index": "i<N R", "hit_label": "i<K R", "hit_confidence": "f R", "hit_images": "u R H W",
    "labels": "i<K A", "probs": "f A K",
    "cell_index": "i<N C", "cell_label": "i<K C", "cell_predicted": "i<K C", "cell_confidence": "f C",
    "cell_images": "u C H W",
}  # fmt: skip


def _empty_answers(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What stands for the arrays that a file of version 0.1 does not hold."""
    none = np.zeros(0, dtype=np.int64)
    return dict.fromkeys(("labels", "cell_index", "cell_label", "cell_predicted"), none) | {
        "probs": np.zeros((0, len(arrays["confusion"])), dtype=np.float32),
        "cell_confidence": np.zeros(0),
        "cell_images": arrays["miss_images"][:0],
    }


@checked
def evaluate(classifier: Classifier, test_set: ImageDataset) -> Evaluation:
    """Scores on a labelled set. Raises DataError where its classes are not the classifier's; warns
    (TenfoldWarning) where its pixels were scaled a little otherwise than those that the classifier learned.
    """
    check_classes(classifier, test_set)
    _compare_ranges(classifier, test_set)
    started = time.perf_counter()
    logits = classifier.logits(test_set.images)
    seconds = time.perf_counter() - started
    scaled = logits.astype(np.float64) / classifier.card.temperature
    labels, predicted = test_set.labels, logits.argmax(axis=1)
    confidence = np.exp(log_softmax(scaled).max(axis=1))
    right = predicted == labels
    return Evaluation(
        dataset=test_set.name,
        dataset_sha256=test_set.sha256(),
        n=len(labels),
        class_names=test_set.class_names,
        loss=Loss.measure(logits.astype(np.float64), labels, classifier.card.recipe.loss),
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(labels)),
        calibration_error=calibration_error(confidence, right),
        seconds=seconds,
        confusion=confusion_matrix(predicted, labels, len(test_set.class_names)),
        calibration_bins=calibration_bins(confidence, right),
        labels=labels,
        probs=classifier.to_probs(logits),
        files=test_set.files,
        **_pictures(test_set, predicted, confidence),
    )


def check_classes(classifier: Classifier, test_set: ImageDataset) -> None:
    """Raises DataError where they are not the classifier's."""
    if test_set.class_names != classifier.class_names:
        found = f"{test_set.name} has the classes {', '.join(test_set.class_names[:12])}"
        raise DataError(found, expected=f"those of the model: {', '.join(classifier.class_names[:12])}")


def _compare_ranges(classifier: Classifier, test_set: ImageDataset) -> None:
    own, learned = test_set.value_range, classifier.card.value_range
    if own != learned and PixelRange(*own).is_alike(learned):
        warnings.warn(
            f"{test_set.name}: its pixels were scaled from {own[0]:g} to {own[1]:g}, the model's from "
            f"{learned[0]:g} to {learned[1]:g}; load it with value_range={learned}",
            TenfoldWarning,
            stacklevel=4,
        )


def _pictures(test_set: ImageDataset, predicted: np.ndarray, confidence: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of single images: all misses, the most confident first, with pictures of those that a
    report shows; the first right answers, in the order of the data set; and what the cells hold."""
    wrong = np.flatnonzero(predicted != test_set.labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    shown = np.union1d(np.arange(min(_SHOWN_MISSES, len(wrong))), np.argsort(wrong)[:_FIRST_MISSES])
    hits = np.flatnonzero(predicted == test_set.labels)[:_SHOWN_HITS]
    cells = _fill_cells(test_set, predicted, confidence)
    kept: dict[str, np.ndarray] = {"miss_shown": shown}
    for kind, index, pictured in (("miss", wrong, wrong[shown]), ("hit", hits, hits), ("cell", cells, cells)):
        kept |= {
            f"{kind}_index": index,
            f"{kind}_label": test_set.labels[index],
            f"{kind}_predicted": predicted[index],
            f"{kind}_confidence": confidence[index],
            f"{kind}_images": test_set.images[pictured],
        }
    del kept["hit_predicted"]  # the label
    return kept


def _fill_cells(test_set: ImageDataset, predicted: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """At most twelve images per cell of the confusion matrix; the fullest cells first."""
    labels, classes = test_set.labels, len(test_set.class_names)
    cell = labels * classes + predicted
    telling = np.where(predicted == labels, confidence, -confidence)  # the lowest come first
    order = np.lexsort((telling, cell))
    starts = np.searchsorted(cell[order], np.arange(classes**2))
    rank = np.arange(len(order)) - starts[cell[order]]
    order, rank = order[rank < _CELL_PICTURES], rank[rank < _CELL_PICTURES]
    size = np.bincount(cell, minlength=classes**2)[cell[order]]
    most = min(_ALL_CELLS, _CELL_BYTES // int(np.prod(test_set.image_shape)))
    return order[np.sort(np.lexsort((-size, rank))[:most])]


# Arrays in, numbers out: confusion, calibration, coverage and risk.


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """int64 (K, K): rows are true classes, columns predicted ones."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall, f1: float64 (K,), 0 where undefined; support: int64 (K,)."""
    hits = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(support, 1)
    total = precision + recall
    f1 = 2 * precision * recall / np.where(total > 0, total, 1)
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def class_intervals(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall, f1: float64 (K, 2), 95 % intervals; 0 to 1 where there is nothing to count.

    F1 is 2 J / (1 + J) of J = hits / (hits + misses + false alarms), a share of counted things, so that
    Wilson's interval of J gives that of F1 (Lam et al. 2024, the indirect method).
    """
    hits, predicted, support = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    shares = np.array(_intervals(hits, predicted + support - hits))
    return {
        "precision": np.array(_intervals(hits, predicted)),
        "recall": np.array(_intervals(hits, support)),
        "f1": 2 * shares / (1 + shares),
    }


def _intervals(right: np.ndarray, total: np.ndarray) -> list[tuple[float, float]]:
    return [wilson_interval(int(r), int(t)) for r, t in zip(right, total, strict=True)]


def coverage_risk(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk): float64 (T,) each, the share answered and the share of those that is wrong.

    The surest are answered first; equally sure ones together, so T is the number of different
    confidences (El-Yaniv & Wiener 2010).
    """
    order = np.argsort(-confidence, kind="stable")
    sure, wrong = confidence[order], np.cumsum(~correct[order])
    last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True)[: len(sure)])
    return (last + 1) / max(len(sure), 1), wrong[last] / (last + 1)


def calibration_bins(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> np.ndarray:
    """float64 (bins, 3): count, mean confidence and accuracy in equal bins of (0, 1]."""
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins).astype(np.float64)
    filled = np.maximum(count, 1)
    mean_confidence = np.bincount(index, weights=confidence, minlength=bins) / filled
    mean_correct = np.bincount(index, weights=correct.astype(np.float64), minlength=bins) / filled
    return np.stack([count, mean_confidence, mean_correct], axis=1)


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Naeini 2015; Guo et al. 2017): the mean gap, weighed by count."""
    count, mean_confidence, mean_correct = calibration_bins(confidence, correct, bins).T
    return float(np.sum(count * np.abs(mean_confidence - mean_correct)) / max(len(confidence), 1))
