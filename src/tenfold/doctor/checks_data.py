"""The data: is there something to learn from, and something honest to measure with?"""

from __future__ import annotations

import numpy as np

from tenfold.arrays import ImageDataset, iterate_pieces
from tenfold.doctor.diagnosis import Severity
from tenfold.doctor.examination import Examination
from tenfold.explore.duplicates import find_duplicates
from tenfold.metrics import wilson_interval

__all__ = ["best_shift", "check_data"]

_IMBALANCE = 10  # times as many of the largest class as of the smallest
_LEAKED, _LEAKED_BADLY = 0.002, 0.01  # of the test images; MNIST itself has none
_FLAT, _FLAT_BADLY = 0.01, 0.2  # of the images
_WIDE = 0.08  # half of the 95 % interval of an accuracy of 95 %
_AGREE = 0.5  # of the answers, which a shift of the labels must bring to agreement
_WITNESSED = 300  # images that the line reader reads


def check_data(examination: Examination) -> None:
    """Everything that can be said without a network of its own."""
    whole, test = examination.patient.whole, examination.patient.test
    _check_classes(examination, whole)
    _check_flat(examination, whole)
    _check_validation(examination)
    if test is not None:
        _check_leak(examination, whole, test)
        _check_pixels(examination, whole, test)
    _check_witness(examination, whole)


def _check_classes(examination: Examination, whole: ImageDataset) -> None:
    counts = whole.class_counts()
    names = [whole.class_names[index] for index in np.flatnonzero(counts == 0)]
    filled = counts[counts > 0]
    seen = f"{filled.min():,} to {filled.max():,} images a class"
    expected = f"images of all classes, the largest at most {_IMBALANCE} times the smallest"
    if names:
        examination.found(
            "class-missing", "fault", f"{len(filled)} of {len(counts)} classes have images",
            expected=expected, names="class " + ", ".join(names[:5]),
        )  # fmt: skip
    if filled.max() > _IMBALANCE * filled.min():
        share = filled.max() / filled.sum()
        examination.found(
            "class-imbalance", "warning",
            f"{seen}; always the most frequent one would be right in {share:.0%} of the cases",
            expected=expected,
        )  # fmt: skip
    elif not names:
        examination.passed("balance of the classes", seen, expected)


def _check_flat(examination: Examination, whole: ImageDataset) -> None:
    flat = sum(
        int((piece.max(axis=(1, 2)) == piece.min(axis=(1, 2))).sum())
        for piece in iterate_pieces(whole.images)
    )
    seen, expected = f"{flat:,} of {len(whole):,} images are flat", f"at most {_FLAT:.0%}"
    if flat > _FLAT * len(whole):
        severity: Severity = "fault" if flat > _FLAT_BADLY * len(whole) else "warning"
        examination.found("constant-images", severity, seen, expected=expected)
    else:
        examination.passed("images with nothing on them", seen, expected)


def _check_validation(examination: Examination) -> None:
    """How far chance moves an accuracy of 95 % on so many images (Wilson 1927)."""
    recipe, whole = examination.patient.recipe, examination.patient.whole
    held = round(recipe.data.validation * len(whole))
    if not held:
        examination.found(
            "validation-none", "note", "0 images are held out", expected="a tenth or so",
            changes={"data.validation": 0.1},
        )  # fmt: skip
        return
    low, high = wilson_interval(round(0.95 * held), held)
    seen = f"{held:,} images: an accuracy of 95 % could as well be {low:.0%} or {high:.0%}"
    expected = "an interval of at most 16 points"
    if high - low > 2 * _WIDE:
        examination.found(
            "validation-small", "warning", seen, expected=expected, changes={"data.validation": 0.2}
        )
    else:
        examination.passed("images to validate on", seen, expected)
    if recipe.data.augment and recipe.augmentation.active:
        examination.found(
            "validation-augmented", "note", f"all {held:,} are changed once, as training images are",
            expected="images as they are", changes={"data.augment": False},
        )  # fmt: skip


def _check_leak(examination: Examination, whole: ImageDataset, test: ImageDataset) -> None:
    """Equal copies; flat images, of which any two may be equal, do not count."""
    if whole.image_shape != test.image_shape:
        return
    leaked = find_duplicates(whole.images, others=test.images).leaked()
    pictures = test.images[leaked]
    copies = int((pictures.max(axis=(1, 2)) > pictures.min(axis=(1, 2))).sum()) if len(leaked) else 0
    seen = f"{copies:,} of {len(test):,} test images are also training images ({copies / len(test):.1%})"
    expected = f"at most {_LEAKED:.1%}"
    if copies > _LEAKED * len(test):
        severity: Severity = "fault" if copies > _LEAKED_BADLY * len(test) else "warning"
        examination.found("test-leak", severity, seen, expected=expected)
    else:
        examination.passed("test images among the training images", seen, expected)


def _check_pixels(examination: Examination, whole: ImageDataset, test: ImageDataset) -> None:
    """The mean images of both: alike, opposite, or of another range."""
    ours, theirs = _mean_image(whole.images), _mean_image(test.images)
    if ours.shape != theirs.shape or not (ours.std() and theirs.std()):
        return
    likeness = float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])
    turned = abs(theirs.mean() - (255 - ours.mean())) < abs(theirs.mean() - ours.mean())
    seen = f"their mean image correlates with that of the training images by {likeness:+.2f}"
    if likeness < 0 and turned:
        examination.found("test-inverted", "fault", seen, expected="a positive correlation")
        return
    examination.passed("polarity of the test images", seen, "a positive correlation")
    spread = float(test.images[:2000].std() / max(whole.images[:2000].std(), 1e-9))
    seen = f"their pixels spread {spread:.2g} times as far as those of the training images"
    if not 1 / 3 < spread < 3:
        examination.found("test-scale", "fault", seen, expected="about 1")
    else:
        examination.passed("contrast of the test images", seen, "about 1")


def _mean_image(images: np.ndarray) -> np.ndarray:
    total = sum(piece.sum(axis=0, dtype=np.float64) for piece in iterate_pieces(images))
    return np.asarray(total) / len(images)


def _check_witness(examination: Examination, whole: ImageDataset) -> None:
    """Where the classes are the ten digits, tenfold's line reader is a reference: it has not seen these
    labels."""
    if whole.class_names != tuple("0123456789") or whole.image_shape != (28, 28):
        return
    order = np.random.default_rng(examination.patient.seed).permutation(len(whole))[:_WITNESSED]
    answers = _read_digits(np.asarray(whole.images[order]))
    labels, answers = whole.labels[order][answers >= 0], answers[answers >= 0]
    shift, agreed = best_shift(answers, labels, 10)
    plain = float((answers == labels).mean()) if len(labels) else 0.0
    expected = "agreement without a shift"
    if shift and agreed > _AGREE:
        seen = f"{plain:.0%} of the labels agree with tenfold's reader; shifted back by {shift}, {agreed:.0%}"
        examination.found(
            "labels-shifted", "fault", seen, expected=expected, part="training", shift=str(shift)
        )
    else:
        examination.passed("numbering of the labels", f"{plain:.0%} agree with tenfold's reader", expected)


def _read_digits(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W) of one digit each -> int64 (N,); -1 where not exactly one digit is read."""
    from tenfold.ink.strip import make_strip
    from tenfold.reader.load import load_reader

    reader = load_reader()
    texts = [reader.read_strip(make_strip(image))[0].text or "" for image in images]
    return np.array([int(text) if text.isdecimal() and len(text) == 1 else -1 for text in texts], np.int64)


def best_shift(answers: np.ndarray, labels: np.ndarray, classes: int) -> tuple[int, float]:
    """(shift, share): the number to add to the answers (modulo classes, nearest to 0) with which most of
    them are the labels, and how many then are."""
    counts = np.bincount((labels - answers) % classes, minlength=classes)
    shift = int(counts.argmax())
    return shift if shift <= classes // 2 else shift - classes, float(counts[shift] / max(len(labels), 1))
