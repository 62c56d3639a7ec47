"""Trains the reader that comes with the package, and writes it with its card.

    scripts/train_reader.py LESSONS.npz OUT [--data-dir DIR] [--epochs N] [--seed 0] [--set KEY=VALUE]

Data: MNIST's training images but 3,000 (validation), and the lessons of scripts/reader_lessons.py.
Temperature and thresholds are fitted on the validation images alone. MNIST's test set is not read.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.load import load_dataset
from tenfold.metrics import calibration_error
from tenfold.reader.lessons import NONE
from tenfold.reader.thresholds import REFUSED_NONE, REFUSED_UNSURE, choose_thresholds
from tenfold.recipes.load import change_recipe, get_recipe, parse_change
from tenfold.training.calibrate import fit_temperature
from tenfold.training.history import EpochRecord
from tenfold.training.loop import train
from tenfold.training.observers import TrainingObserver

CLASSES = (*"0123456789", NONE)
MNIST_VAL = 3000


class Lines(TrainingObserver):
    """A line an epoch."""

    def on_epoch(self, record: EpochRecord) -> None:
        print(record, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    changes = [*given.set, *([f"training.epochs={given.epochs}"] if given.epochs else [])]
    recipe = change_recipe(get_recipe("reader"), dict(parse_change(change) for change in changes))
    train_set, val_set, mnist = gather(given.lessons, given.data_dir, given.seed)
    result = train(recipe, train_set, val_set, seed=given.seed, callbacks=[Lines()])
    classifier, figures = settle(result.classifier, val_set, mnist)
    classifier.save(given.out)
    card = write_card(classifier, figures, train_set)
    (given.out / "card.md").write_text(card, encoding="utf-8")
    print(json.dumps(figures | {"seconds": result.seconds}, indent=2))


def gather(lessons: Path, data_dir: Path | None, seed: int) -> tuple[ImageDataset, ImageDataset, np.ndarray]:
    """Training set, validation set, and which images of the latter are MNIST's."""
    mnist = load_dataset("mnist", split="train", data_dir=data_dir)
    order = np.random.default_rng(seed).permutation(len(mnist))
    drawn = np.load(lessons)
    parts = {"train": order[MNIST_VAL:], "val": order[:MNIST_VAL]}
    sets = [
        ImageDataset(
            np.concatenate([mnist.images[chosen], drawn[f"{name}_images"]]),
            np.concatenate([mnist.labels[chosen], drawn[f"{name}_labels"]]),
            CLASSES,
            name=f"reader-{name}",
        )
        for name, chosen in parts.items()
    ]
    return sets[0], sets[1], np.arange(len(sets[1])) < MNIST_VAL


def settle(
    trained: Classifier, val_set: ImageDataset, mnist: np.ndarray
) -> tuple[Classifier, dict[str, float]]:
    """Eleven outputs become ten classes and "none", with temperature and thresholds; and its figures."""
    card = replace(trained.card, class_names=CLASSES[:-1], rejects=True, temperature=1.0)
    classifier = Classifier(trained.engine, card)
    digit = val_set.labels < len(CLASSES) - 1
    images, labels = val_set.images[digit], val_set.labels[digit]
    classifier = classifier.with_temperature(fit_temperature(classifier.logits(images), labels))
    probs, none = classifier.judge(val_set.images)
    drawn = digit & ~mnist  # thresholds are for pictures that people draw and photograph
    confidence, most_none = choose_thresholds(probs[drawn], none[drawn])
    card = replace(classifier.card, least_confidence=confidence, most_none=most_none)
    classifier = Classifier(classifier.engine, card)
    refused = (none > most_none) | (probs.max(axis=1) < confidence)
    right = probs.argmax(axis=1) == val_set.labels
    return classifier, {
        "temperature": card.temperature,
        "least_confidence": confidence,
        "most_none": most_none,
        "mnist validation accuracy": float(right[mnist].mean()),
        "mnist validation refused": float(refused[mnist].mean()),
        "mnist validation calibration error": calibration_error(probs[mnist].max(axis=1), right[mnist]),
        "drawn digits accuracy": float(right[drawn].mean()),
        "drawn digits refused": float(refused[drawn].mean()),
        "drawn digits calibration error": calibration_error(probs[drawn].max(axis=1), right[drawn]),
        "others refused": float(refused[~digit].mean()),
    }


def write_card(classifier: Classifier, figures: dict[str, float], train_set: ImageDataset) -> str:
    """The card's text: the template beside this program, with this training's figures."""
    template = Path(__file__).with_name("reader_card.md").read_text(encoding="utf-8")
    card, count = classifier.card, classifier.network.parameter_count
    shown = {key: value for key, value in figures.items() if " " in key}
    drawn = train_set.class_counts() - np.bincount(
        train_set.labels[: 60_000 - MNIST_VAL], minlength=len(CLASSES)
    )
    return template.format(
        parameters=count,
        outputs=card.outputs,
        megabytes=4 * count / 1e6,
        mnist=60_000 - MNIST_VAL,
        digits=int(drawn[:-1].sum()),
        others=int(drawn[-1]),
        figures="\n".join(f"| {key} | {100 * value:.2f} % |" for key, value in shown.items()),
        temperature=card.temperature,
        most_none=card.most_none,
        least_confidence=card.least_confidence,
        refused_none=REFUSED_NONE,
        refused_unsure=REFUSED_UNSURE,
    )


if __name__ == "__main__":
    main()
