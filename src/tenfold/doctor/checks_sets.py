"""Training, validation and test images against each other: pixels, orientation, labels and their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.doctor.diagnosis import Examination, Severity
from tenfold.doctor.trials import guessing, lucky

# Images answered by their nearest training images (Cover & Hart 1967): a reference that needs no recipe and
# no training, so that data can be judged apart from the network that is to learn them.

_NEIGHBOURS = 15
_SIDE = 32  # pixels: larger images are averaged down to about this


@dataclass(frozen=True, eq=False)
class Answers:
    """labels (M,): what most neighbours are. support (M,): share of the neighbours that are. nearest (M,):
    the label of the nearest image alone. likeness (M,): correlation with it, -1 to 1."""

    labels: np.ndarray
    support: np.ndarray
    nearest: np.ndarray
    likeness: np.ndarray


class Reference:
    """Answers from the training images. Images are compared by the correlation of their pixels, so that
    brightness and contrast make no difference."""

    def __init__(self, train: ImageDataset) -> None:
        self.labels, self.classes = train.labels, len(train.class_names)
        self.vectors = _describe(train.images)
        self.neighbours = max(1, min(_NEIGHBOURS, len(train) // (2 * self.classes)))

    def answer(self, images: np.ndarray) -> Answers:
        """images: uint8 (M, H, W), of the training images' size."""
        return self._answer(_describe(images) @ self.vectors.T)

    def answer_training(self) -> Answers:
        """For each training image what the others say."""
        likeness = self.vectors @ self.vectors.T
        np.fill_diagonal(likeness, -2.0)
        return self._answer(likeness)

    def _answer(self, likeness: np.ndarray) -> Answers:
        rows = np.arange(len(likeness))
        near = np.argpartition(-likeness, self.neighbours - 1, axis=1)[:, : self.neighbours]
        votes = np.zeros((len(likeness), self.classes))
        for column in near.T:
            votes[rows, self.labels[column]] += 1
        first = likeness.argmax(axis=1)
        votes[rows, self.labels[first]] += 0.5  # of equally many the class of the nearest
        answers = votes.argmax(axis=1)
        support = np.floor(votes[rows, answers]) / self.neighbours
        return Answers(answers, support, self.labels[first], likeness[rows, first])


def _describe(images: np.ndarray) -> np.ndarray:
    """float32 (M, P): pixels of mean 0 and length 1, so that a product of two is their correlation."""
    pixels = np.asarray(images, dtype=np.float32)
    for axis in (1, 2):
        step = pixels.shape[axis] // _SIDE
        if step > 1:
            starts = np.arange(0, pixels.shape[axis], step)
            pixels = np.add.reduceat(pixels, starts, axis=axis)
    vectors = pixels.reshape(len(pixels), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


# Pixels that overflowed: 250 + 10 in eight bits is 4.

_JUMP = 128  # grey levels: further apart than any two values on a circle of 256
_SLOPE = 8  # grey levels
_LEAST = 0.002  # such jumps per pixel


def share_of_wraps(images: np.ndarray) -> float:
    """Of the jumps by more than half the range between neighbouring pixels the share that goes against the
    slope on both sides, as where a value that grows runs over. images: uint8 (N, H, W).

    Small pictures, where slopes are as steep as jumps, have some of these by nature: below 16 pixels a
    side, a third of what is found counts.
    """
    pixels = images.astype(np.int16)
    jumps = against = 0
    for rows in (pixels, pixels.swapaxes(1, 2)):
        steps = np.diff(rows, axis=2)
        before, jump, after = steps[:, :, :-2], steps[:, :, 1:-1], steps[:, :, 2:]
        steep = np.abs(jump) > _JUMP
        sloped = (np.abs(before) > _SLOPE) & (np.abs(after) > _SLOPE)
        opposed = (np.sign(before) == -np.sign(jump)) & (np.sign(after) == -np.sign(jump))
        jumps += int(steep.sum())
        against += int((steep & sloped & opposed).sum())
    if against < _LEAST * pixels.size:
        return 0.0
    return against / jumps / (3 if min(images.shape[1:3]) < 16 else 1)


_SAMPLE = 500  # images of a set that are looked at
_WRAPS, _MANY_WRAPS = 0.035, 0.065  # of the jumps; handwriting has 0.005, photographs 0.045
_SORTED = 0.3  # how much further a stretch of images is from the classes' shares than a shuffled one
_NOISY, _VERY_NOISY = 0.05, 0.15  # of the labels
_NOISE_LIKE = 0.4  # of the gain from one neighbour to many that wrong labels would bring
_SURE, _OF_A_CLASS, _ENOUGH = 0.5, 0.4, 20  # support; share of a class, and its images
_GAP = 0.15  # of the answers: by how much those for test images may agree less
_CLOSE = 0.1  # of the answers: what an explanation may leave
_MOVED = 0.6  # of a class's images
_ALIKE = 0.1  # of the likeness to the nearest training image
_SHARES = 0.3  # half the sum of the differences between the shares of the classes
_DIMMER, _BRIGHTER = 1 / 3, 3.0  # times the spread of the pixels
_OFFSET = 0.5  # of the spread of the pixels


def check_wraps(examination: Examination) -> bool:
    """Pixels that ran over 255 and began again at 0: whether there are such."""
    under_test = examination.under_test
    for part, data in (("training", under_test.whole), ("test", under_test.test)):
        if data is None:
            continue
        share = share_of_wraps(np.asarray(under_test.draw(data, _SAMPLE).images))
        seen = f"{share:.1%} of the steep jumps between neighbouring pixels of the {part} images run against"
        seen += " the slope on both sides"
        expected = f"at most {_WRAPS:.1%}"
        if share > _WRAPS:
            severity: Severity = "fault" if share > _MANY_WRAPS else "warning"
            examination.found("pixels-wrapped", severity, seen, expected, part=part)
            return True
        examination.passed(f"overflow of the {part} pixels", seen, expected)
    return False


def check_order(examination: Examination) -> None:
    """Without shuffling, each stretch of the training images should hold all classes as a draw would."""
    under_test, recipe = examination.under_test, examination.under_test.recipe
    if recipe.training.shuffle:
        return
    labels = under_test.whole.labels
    width = min(max(under_test.batch_size(recipe), 4 * under_test.classes), len(labels))
    own = _distance(labels, width, under_test.classes)
    drawn = _distance(np.random.default_rng(under_test.seed).permutation(labels), width, under_test.classes)
    seen = (
        f"the classes of {width:,} images in a row differ from those of the whole by {own:.0%}, "
        f"in a random order by {drawn:.0%}"
    )
    expected = f"at most {_SORTED:.0%} more than in a random order"
    examination.judge("order-sorted", seen, expected, {"training.shuffle": True}, fault=own - drawn > _SORTED)


def _distance(labels: np.ndarray, width: int, classes: int) -> float:
    """Mean over stretches of `width` images: half the sum of the differences of the classes' shares."""
    whole = np.bincount(labels, minlength=classes) / len(labels)
    parts = [labels[start : start + width] for start in range(0, len(labels) - width + 1, width)]
    shares = np.array([np.bincount(part, minlength=classes) / width for part in parts])
    return float(np.abs(shares - whole).sum(axis=1).mean() / 2)


def check_labels_by_reference(examination: Examination, reference: Reference) -> None:
    """The share of wrong labels, from images whose neighbours agree most.

    In a hard data set even those are answered wrongly. Wrong labels show by what many neighbours answer
    better than one: with a share n of wrong labels one is right in (1 - n)^2 of the cases, many in 1 - n.
    """
    labels, classes = reference.labels, reference.classes
    if len(labels) < 10 * classes:
        return
    answers = reference.answer_training()
    right = answers.labels == labels
    surest = np.argsort(-answers.support, kind="stable")[: max(len(labels) // 4, _ENOUGH)]
    noise = 1 - float(right[surest].mean())
    gain = float(right.mean() - (answers.nearest == labels).mean())
    expected_gain = (1 - noise) * noise - noise**2 / (classes - 1)
    typical = gain > _NOISE_LIKE * expected_gain
    credible = right.mean() > lucky(guessing(labels), len(labels))
    worst, share = _worst_class(answers, labels, examination.under_test.whole.class_names)
    seen = f"about {noise:.0%} of the labels differ from what the most similar images say"
    expected, noisy = f"at most {_NOISY:.0%}", credible and typical and noise > _NOISY
    odd = credible and not noisy and share > _OF_A_CLASS
    if odd:
        seen = f"{share:.0%} of the images labelled {worst} are surrounded by images of another class"
        expected = f"at most {_OF_A_CLASS:.0%}"
    grave = noisy and noise > _VERY_NOISY
    examination.judge("labels-noisy", seen, expected, fault=grave, warning=noisy or odd)


def _worst_class(answers: Answers, labels: np.ndarray, names: tuple[str, ...]) -> tuple[str, float]:
    """The class of whose images most are, beyond doubt, answered with one other class; and that share."""
    sure = answers.support >= _SURE
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (labels[sure], answers.labels[sure]), 1)
    np.fill_diagonal(table, 0)
    counts = np.bincount(labels, minlength=len(names))
    shares = np.where(counts >= _ENOUGH, table.max(axis=1) / np.maximum(counts, 1), 0.0)
    worst = int(shares.argmax())
    return names[worst], float(shares[worst])


def check_test(examination: Examination, reference: Reference, *, pixels: bool) -> None:
    """Whether the test images and their labels are of the same kind as those learned from.

    pixels: whether those of both are sound so far, without which nothing can be compared.
    """
    under_test = examination.under_test
    if under_test.test is None or not _check_frame(examination, under_test.test):
        return
    _check_shares(examination, under_test.test)
    if not pixels or not _check_pixels(examination, under_test.test):
        return
    held, few = reference.answer(under_test.held.images), under_test.draw(under_test.test, _SAMPLE)
    agreed = float((held.labels == under_test.held.labels).mean())
    if agreed <= lucky(guessing(under_test.held.labels), len(under_test.held)):
        return
    answers = reference.answer(few.images)
    theirs = float((answers.labels == few.labels).mean())
    seen = (
        f"the most similar training images agree with {agreed:.0%} of the labels of images held out, and "
        f"with {theirs:.0%} of the test labels"
    )
    gap = agreed - theirs
    wide = gap > max(_GAP, 3 * float(np.sqrt(agreed * (1 - agreed) / len(few)))) and len(few) >= _ENOUGH
    if wide and _check_views(examination, reference, few, agreed, seen):
        return
    if _check_names(examination, answers, few, seen):
        return
    alike = np.median(answers.likeness) > np.median(held.likeness) - _ALIKE
    chance = theirs <= lucky(guessing(few.labels), len(few))
    code, expected = (
        "test-labels" if alike else "test-differs",
        f"at most {_GAP:.0%} less with the test labels",
    )
    examination.judge(code, seen, expected, fault=wide and (alike or chance), warning=wide)


def _check_frame(examination: Examination, test: ImageDataset) -> bool:
    """Size of the images and names of the classes: without them nothing can be compared."""
    whole = examination.under_test.whole
    ours, theirs = whole.image_shape, test.image_shape
    if ours != theirs or whole.class_names != test.class_names:
        seen = f"{theirs[0]} x {theirs[1]} pixels and classes {', '.join(test.class_names[:12])}"
        expected = f"{ours[0]} x {ours[1]} pixels and classes {', '.join(whole.class_names[:12])}"
        seen += f"; those of the training images: {expected}"
        examination.found("test-frame", "fault", seen, expected)
        return False
    return True


def _check_shares(examination: Examination, test: ImageDataset) -> None:
    whole = examination.under_test.whole
    ours, theirs = (data.class_counts() / len(data) for data in (whole, test))
    apart = float(np.abs(ours - theirs).sum() / 2)
    names = [whole.class_names[k] for k in np.flatnonzero((theirs == 0) & (ours > 0))]
    seen = f"the shares of the classes differ by {apart:.0%}"
    if names:
        seen += f"; of {len(names)} classes there are no test images ({', '.join(names[:5])})"
    expected = f"all classes, and at most {_SHARES:.0%}"
    examination.judge("test-balance", seen, expected, warning=apart > _SHARES or bool(names))


def _check_pixels(examination: Examination, test: ImageDataset) -> bool:
    """The mean images of both: alike, opposite, or of another range."""
    under_test = examination.under_test
    ours, theirs = (np.asarray(under_test.draw(data, _SAMPLE).images) for data in (under_test.whole, test))
    spread, other = float(ours.std()), float(theirs.std())
    if not spread:
        return False
    means = [images.mean(axis=0).ravel() for images in (ours, theirs)]
    likeness = float(np.corrcoef(*means)[0, 1]) if means[0].std() and means[1].std() else 1.0
    offset = float(theirs.mean() - ours.mean())
    turned = abs(theirs.mean() - (255 - ours.mean())) < abs(offset)
    seen = f"their mean image correlates with that of the training images by {likeness:+.2f}"
    if examination.judge("test-inverted", seen, "a positive correlation", fault=likeness < 0 and turned):
        return False
    seen = (
        f"their pixels spread {other / spread:.2g} times as far as those of the training images, "
        f"and are {abs(offset):.0f} of 255 {'brighter' if offset > 0 else 'darker'} on average"
    )
    expected = f"a spread about as wide, and at most {_OFFSET * spread:.0f} brighter or darker"
    apart = not _DIMMER < other / spread < _BRIGHTER or abs(offset) > _OFFSET * spread
    return not examination.judge("test-scale", seen, expected, fault=apart)


def _check_views(
    examination: Examination, reference: Reference, few: ImageDataset, agreed: float, seen: str
) -> bool:
    """Whether the test images agree once they are inverted, turned, mirrored or moved."""
    best, name = 0.0, ""
    for each, images in _views(np.asarray(few.images), np.asarray(examination.under_test.train.images)):
        share = float((reference.answer(images).labels == few.labels).mean())
        if share > best:
            best, name = share, each
    if best < agreed - _CLOSE:
        return False
    code = "test-inverted" if name == "inverted" else "test-turned"
    seen += f"; once {name}, with {best:.0%}"
    examination.found(code, "fault", seen, "test images as the training images are", how=name)
    return True


def _views(images: np.ndarray, train: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(what was done, the images after it), the likely ones first."""
    turned: dict[str, np.ndarray] = {
        "": images,
        "turned by 180 degrees": images[:, ::-1, ::-1],
        "mirrored left to right": images[:, :, ::-1],
        "mirrored top to bottom": images[:, ::-1],
    }
    if images.shape[1] == images.shape[2]:
        turned |= {
            "transposed": images.swapaxes(1, 2),
            "turned by 90 degrees to the left": np.rot90(images, 1, (1, 2)),
            "turned by 90 degrees to the right": np.rot90(images, -1, (1, 2)),
            "transposed along the other diagonal": images[:, ::-1, ::-1].swapaxes(1, 2),
        }
    yield "inverted", 255 - images
    yield from ((name, view) for name, view in turned.items() if name)
    yield "moved back", np.roll(images, _offset(images, train), axis=(1, 2))
    yield from ((f"inverted and {name}", 255 - view) for name, view in turned.items() if name)


def _offset(images: np.ndarray, train: np.ndarray) -> tuple[int, int]:
    """Pixels (down, right) by which the mean image has to move to lie over that of the training images."""
    ours, theirs = (part.mean(axis=(0, *range(3, part.ndim))) for part in (train, images))
    fit = np.fft.ifft2(np.fft.fft2(ours) * np.conj(np.fft.fft2(theirs))).real
    down, right = np.unravel_index(int(fit.argmax()), fit.shape)
    return int(down), int(right)


def _check_names(examination: Examination, answers: Answers, few: ImageDataset, seen: str) -> bool:
    """Whether test labels name other classes than the training labels do, by a shift or any exchange."""
    names = few.class_names
    shift, share = best_shift(answers.labels, few.labels, len(names))
    if shift and share > 0.5 and len(names) > 2:
        seen = f"{share:.0%} of the test labels are what similar training images say, shifted by {shift}"
        examination.found("labels-shifted", "fault", seen, "no shift", part="test", shift=str(shift))
        return True
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (few.labels, answers.labels), 1)
    counts = table.sum(axis=1)
    likely = table.argmax(axis=1)
    moved = [
        k
        for k in range(len(names))
        if likely[k] != k and counts[k] >= 5 and table[k, likely[k]] > _MOVED * counts[k]
    ]
    if not moved or sorted(moved) != sorted(int(likely[k]) for k in moved):
        return False
    pairs = ", ".join(f"{names[k]} are {names[likely[k]]}" for k in moved[:5])
    seen += f"; by them, test images labelled {pairs}"
    examination.found("test-renamed", "fault", seen, "the same numbering in both")
    return True


def best_shift(answers: np.ndarray, labels: np.ndarray, classes: int) -> tuple[int, float]:
    """(shift, share): the number to add to the answers (modulo classes, nearest to 0) with which most of
    them are the labels, and how many then are."""
    counts = np.bincount((labels - answers) % classes, minlength=classes)
    shift = int(counts.argmax())
    return shift if shift <= classes // 2 else shift - classes, float(counts[shift] / max(len(labels), 1))
