"""The data: is there something to learn from, and something honest to measure with?"""

from __future__ import annotations

import numpy as np

from tenfold.arrays import ImageDataset, iterate_pieces
from tenfold.doctor.checks_sets import (
    Reference,
    best_shift,
    check_labels_by_reference,
    check_order,
    check_test,
    check_wraps,
)
from tenfold.doctor.diagnosis import Examination
from tenfold.explore.duplicates import find_duplicates
from tenfold.numerics import wilson_interval

_IMBALANCE = 10  # times as many of the largest class as of the smallest
_LEAKED, _LEAKED_BADLY = 0.002, 0.01  # of the test images; MNIST itself has none
_COPIES, _MANY_COPIES = 0.01, 0.1  # of the training images
_FLAT, _FLAT_BADLY = 0.01, 0.2  # of the images
_WIDE = 0.08  # half of the 95 % interval of an accuracy of 95 %
_MOST_HELD = 0.5  # of the images
_AGREE = 0.5  # of the answers, which a shift of the labels must bring to agreement
_READ = 300  # images that the line reader reads


def check_data(examination: Examination) -> None:
    """Everything that can be said without a network of the recipe's."""
    under_test = examination.under_test
    whole = under_test.whole
    _check_classes(examination, whole)
    _check_flat(examination, whole)
    wrapped = check_wraps(examination)
    check_order(examination)
    _check_validation(examination)
    _check_copies(examination)
    reference = Reference(under_test.train)
    check_labels_by_reference(examination, reference)
    check_test(examination, reference, pixels=not wrapped)
    _check_reader(examination, whole)


def _check_classes(examination: Examination, whole: ImageDataset) -> None:
    counts = whole.class_counts()
    names = [whole.class_names[index] for index in np.flatnonzero(counts == 0)]
    filled = counts[counts > 0]
    seen = f"{filled.min():,} to {filled.max():,} images per class"
    expected = f"images of all classes, the largest at most {_IMBALANCE} times the smallest"
    if names:
        classes = f"{len(filled)} of {len(counts)} classes have images"
        named = "class " + ", ".join(names[:5])
        examination.found("class-missing", "fault", classes, expected, names=named)
    uneven = filled.max() > _IMBALANCE * filled.min()
    if uneven:
        share = filled.max() / filled.sum()
        seen += f"; always the most frequent one would be right in {share:.0%} of the cases"
    if uneven or not names:
        examination.judge("class-imbalance", seen, expected, warning=uneven)


def _check_flat(examination: Examination, whole: ImageDataset) -> None:
    flat = sum(int(_flat(piece).sum()) for piece in iterate_pieces(whole.images))
    seen, expected = f"{flat:,} of {len(whole):,} images are flat", f"at most {_FLAT:.0%}"
    share = flat / len(whole)
    examination.judge("constant-images", seen, expected, fault=share > _FLAT_BADLY, warning=share > _FLAT)


def _check_validation(examination: Examination) -> None:
    """How far chance moves an accuracy of 95 % on so many images (Wilson 1927)."""
    recipe, whole = examination.under_test.recipe, examination.under_test.whole
    held = round(recipe.data.validation * len(whole))
    if not held:
        tenth = {"data.validation": 0.1}
        examination.found("validation-none", "note", "0 images are held out", "a tenth or so", tenth)
        return
    fifth = {"data.validation": 0.2}
    if held > _MOST_HELD * len(whole):
        seen = f"{held:,} of {len(whole):,} images are held out"
        examination.found("validation-large", "warning", seen, f"at most {_MOST_HELD:.0%}", fifth)
        return
    low, high = wilson_interval(round(0.95 * held), held)
    seen = f"{held:,} images: an accuracy of 95 % could as well be {low:.0%} or {high:.0%}"
    wide = high - low > 2 * _WIDE
    examination.judge("validation-small", seen, "an interval of at most 16 points", fifth, warning=wide)
    if recipe.data.augment and recipe.augmentation.active:
        seen = f"all {held:,} are changed once, as training images are"
        as_is = {"data.augment": False}
        examination.found("validation-augmented", "note", seen, "images as they are", as_is)


def _check_copies(examination: Examination) -> None:
    """Equal copies, within the training images and across; flat images, of which any two may be equal, do not
    count."""
    whole, test = examination.under_test.whole, examination.under_test.test
    others = test.images if test is not None and test.image_shape == whole.image_shape else None
    duplicates = find_duplicates(whole.images, others=others)
    groups = [group.rows[group.rows < len(whole)] for group in duplicates.exact]
    rows = np.concatenate([rows for rows in groups if len(rows) > 1] or [np.zeros(0, np.int64)])
    copies = _count_drawn(whole.images, rows)
    seen = f"{copies:,} of {len(whole):,} training images occur more than once ({copies / len(whole):.1%})"
    # Validation images are drawn from the training images: of copies some come to either side.
    share = copies / len(whole) if examination.under_test.recipe.data.validation else 0.0
    expected = f"at most {_COPIES:.0%}"
    examination.judge("validation-leak", seen, expected, fault=share > _MANY_COPIES, warning=share > _COPIES)
    if test is None or others is None:
        return
    copies = _count_drawn(test.images, duplicates.leaked())
    seen = f"{copies:,} of {len(test):,} test images are also training images ({copies / len(test):.1%})"
    expected = f"at most {_LEAKED:.1%}"
    share = copies / len(test)
    examination.judge("test-leak", seen, expected, fault=share > _LEAKED_BADLY, warning=share > _LEAKED)


def _count_drawn(images: np.ndarray, rows: np.ndarray) -> int:
    return int((~_flat(np.asarray(images[rows]))).sum()) if len(rows) else 0


def _flat(images: np.ndarray) -> np.ndarray:
    """bool (N,): all pixels are the same."""
    return (images == images[:, :1, :1]).reshape(len(images), -1).all(axis=1)


def _check_reader(examination: Examination, whole: ImageDataset) -> None:
    """Where the classes are the ten digits, tenfold's line reader, which has not seen these labels, says
    whether they count from 1. The diagnosis says that it was asked."""
    if whole.class_names != tuple("0123456789") or whole.image_shape != (28, 28):
        return
    few = examination.under_test.draw(whole, _READ)
    answers = _read_digits(np.asarray(few.images))
    examination.references.append(
        f"labels of {len(few)} images compared with the answers of tenfold's own line reader, which comes "
        "with tenfold; whether the labels are numbered from 0 is all that it decides"
    )
    labels, answers = few.labels[answers >= 0], answers[answers >= 0]
    shift, agreed = best_shift(answers, labels, 10)
    plain = float((answers == labels).mean()) if len(labels) else 0.0
    shifted = bool(shift) and agreed > _AGREE
    seen = f"{plain:.0%} agree with tenfold's line reader"
    if shifted:
        seen = f"{plain:.0%} of the labels agree with tenfold's line reader"
        seen += f"; shifted back by {shift}, {agreed:.0%}"
    examination.judge(
        "labels-shifted", seen, "agreement without a shift", fault=shifted, part="training", shift=str(shift)
    )


def _read_digits(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W) of one digit each -> int64 (N,); -1 where not exactly one digit is read."""
    from tenfold.pictures.lines import make_strip
    from tenfold.reader.line_reader import load_reader

    reader = load_reader()
    texts = [reader.read_strip(make_strip(image))[0].text or "" for image in images]
    return np.array([int(text) if text.isdecimal() and len(text) == 1 else -1 for text in texts], np.int64)
