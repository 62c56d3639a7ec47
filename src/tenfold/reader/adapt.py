"""Transfer to one person's hand: a reader that knows many hands learns one more, from few digits.

Each batch mixes the person's digits, changed anew each time, with old ones that are rehearsed, so that
the old are not forgotten (rehearsal: Robins 1995). The first layers, which see strokes and corners and
serve every hand, learn more slowly than the last (Howard & Ruder 2018: discriminative fine-tuning).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tenfold.arrays import Batch
from tenfold.augmentation.draws import draw_augmentation
from tenfold.classifier import Classifier
from tenfold.data.split import fold_indices
from tenfold.engines.create import create_engine
from tenfold.engines.ensemble import split_members
from tenfold.errors import DataError, UsageError
from tenfold.networks.shapes import Network
from tenfold.pens.glyphs import DIGITS
from tenfold.reader.adaptation import Adaptation, Forgetting, refused, score
from tenfold.reader.memory import Memory, gather_memory
from tenfold.schedules import learning_rate_at
from tenfold.settings import AugmentationSettings, OptimiserSettings, ParameterGroup, ScheduleSettings

__all__ = ["FEWEST", "AdaptSettings", "adapt_reader", "check_adaptable"]

FEWEST = 10  # digits that a hand can be learned from

Progress = Callable[[str, int, int], None]
Judged = tuple[np.ndarray, np.ndarray]

_AUGMENTATION = AugmentationSettings(rotation=8, shear=8, shift=1, scale=0.08, elastic=0.5, stroke_width=0.5)
_SCHEDULE = ScheduleSettings(name="one-cycle", rise=0.2)
_SURE = 0.9  # a label that is contradicted this surely may be a mistake


@dataclass(frozen=True)
class AdaptSettings:
    """How a hand is learned.

    steps: of each training. folds: trainings besides the last, each measured on digits that it did not
    see. own: the share of each batch that is the person's. learning_rate: Adam's, of the last layer;
    first_factor: times that for the first layer, and geometrically in between.
    """

    steps: int = 80
    batch_size: int = 32
    own: float = 0.5
    folds: int = 4
    learning_rate: float = 2e-3
    first_factor: float = 0.1


def adapt_reader(
    classifier: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    engine: str = "auto",
    memory: Memory | None = None,
    settings: AdaptSettings | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """A reader that has learned the hand of `images`, uint8 (N, 28, 28) as `frame_ink` gives them.

    labels: integers (N,), 0..9; N at least 10. Temperature and thresholds stay. What it brings is
    measured by cross-validation: each example of a digit that is there more than once is read by a
    reader that has not learned from it.
    engine: what trains; the answer runs in the engine of `classifier`. memory: what is rehearsed.
    Raises DataError for examples that are too few or no such arrays, UsageError for another reader.
    """
    check_adaptable(classifier)
    labels = _check_examples(images, labels)
    chosen = settings or AdaptSettings()
    course = _Course(classifier, memory or gather_memory(seed=seed), chosen, engine, seed, progress)
    parts = _held_out(labels, chosen.folds, seed)
    course.planned = (len(parts) + 1) * chosen.steps
    held = np.concatenate([np.zeros(0, np.int64), *parts])
    before, after = classifier.judge(images[held]), _cross_validate(course, images, labels, parts)
    adapted = course.learn(images, labels)
    return Adaptation(
        classifier=adapted,
        before=score(classifier, before, labels[held]),
        after=score(classifier, after, labels[held]),
        forgetting=_measure_forgetting(classifier, adapted, course.memory),
        folds=len(parts),
        counts=tuple(np.bincount(labels, minlength=len(DIGITS)).tolist()),
        doubtful=tuple(sorted(held[_doubtful(before, after, labels[held])].tolist())),
        seed=seed,
    )


def check_adaptable(classifier: Classifier) -> None:
    """Raises UsageError for a classifier that is no reader of handwritten digits, or an ensemble."""
    if not classifier.card.reads_ink or classifier.class_names != DIGITS:
        raise UsageError(
            "this model is no reader of handwritten digits",
            expected="one for light ink on 28x28 dark pixels with the classes 0 to 9",
            remedy="leave out --model for the reader that comes with tenfold",
        )
    networks = len(split_members(classifier.engine.weights()))
    if networks > 1:
        raise UsageError(
            f"this model is an ensemble of {networks} networks",
            expected="one network, which learns a hand",
            remedy="adapt one of them: the folder member-1 in that of the run",
        )


def _check_examples(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{len(images)} images with labels {labels.dtype} of shape {labels.shape}",
            expected="one integer label an image",
        )
    if len(labels) < FEWEST:
        raise DataError(
            f"{len(labels)} labelled digits",
            expected=f"at least {FEWEST}",
            remedy="write and label some more",
        )
    if labels.min() < 0 or labels.max() >= len(DIGITS):
        raise DataError(f"labels from {labels.min()} to {labels.max()}", expected="0 to 9")
    return labels.astype(np.int64)


@dataclass(eq=False)
class _Course:
    """All that one training has in common with the next."""

    classifier: Classifier
    memory: Memory
    settings: AdaptSettings
    engine: str
    seed: int
    progress: Progress | None
    planned: int = 0  # steps of all trainings
    steps: int = 80
    trainings: int = 0

    def __post_init__(self) -> None:
        known = self.memory.labels < self.classifier.card.outputs  # a reader may have no "not a digit"
        self._old = self.memory.images[known], self.memory.labels[known]

    def learn(self, images: np.ndarray, labels: np.ndarray) -> Classifier:
        """The reader as it was, trained on these examples: the weights of its last step."""
        settings, first = self.settings, self.classifier
        groups = _groups(first.network, settings.first_factor)
        options = replace(
            first.engine.options,
            optimiser=OptimiserSettings(name="adam", groups=groups),
            seed=self.seed,
            average_decay=0.0,
        )
        learner = create_engine(self.engine, first.network, first.engine.weights(), options)
        rng = np.random.default_rng([self.seed, self.trainings, *b"adapt"])
        for step in range(settings.steps):
            rate = learning_rate_at(step, settings.steps, settings.learning_rate, _SCHEDULE)
            learner.train_step(self._draw_batch(images, labels, rng), rate)
            self._tell()
        self.trainings += 1
        return first.with_weights(learner.weights())

    def _draw_batch(self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Batch:
        size = self.settings.batch_size
        own = min(max(1, round(self.settings.own * size)), size)
        mine = rng.integers(len(images), size=own)
        old = rng.integers(len(self._old[0]), size=size - own)
        mixed = np.concatenate([images[mine], self._old[0][old]])
        draws = draw_augmentation(_AUGMENTATION, size, self.classifier.card.image_shape, rng)
        return Batch(mixed, np.concatenate([labels[mine], self._old[1][old]]), draws)

    def _tell(self) -> None:
        self.steps += 1
        if self.progress:
            self.progress("learning", self.steps, self.planned)


def _groups(network: Network, first_factor: float) -> tuple[ParameterGroup, ...]:
    """A learning-rate factor for every layer; batch-norm has that of the layer before it."""
    weighty = [p.name.rpartition(".")[0] for p in network.parameters() if p.role == "weight"]
    factors: dict[str, float] = {}
    depth = 0
    for parameter in network.parameters():
        layer = parameter.name.rpartition(".")[0]
        depth = weighty.index(layer) if layer in weighty else depth
        factors.setdefault(layer, first_factor ** (1 - depth / max(1, len(weighty) - 1)))
    return tuple(ParameterGroup(match=f"{layer}.", factor=factor) for layer, factor in factors.items())


def _held_out(labels: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    """Which examples each training but the last does not see, as even in class as can be."""
    several = np.flatnonzero(np.bincount(labels)[labels] > 1)
    folds = min(folds, len(several))
    return [several[part] for part in fold_indices(labels[several], folds, seed=seed)] if folds else []


def _cross_validate(
    course: _Course, images: np.ndarray, labels: np.ndarray, parts: Sequence[np.ndarray]
) -> Judged:
    """Probabilities (M, K) and (M,) of the parts' examples, by readers that have not learned from them."""
    probs = [np.zeros((0, len(DIGITS)), np.float32)]
    none = [np.zeros(0, np.float32)]
    for part in parts:
        kept = np.setdiff1d(np.arange(len(labels)), part)
        judged = course.learn(images[kept], labels[kept]).judge(images[part])
        probs.append(judged[0])
        none.append(judged[1])
    return np.concatenate(probs), np.concatenate(none)


def _measure_forgetting(before: Classifier, after: Classifier, memory: Memory) -> Forgetting:
    digits = [
        score(reader, reader.judge(memory.held_images), memory.held_labels) for reader in (before, after)
    ]
    others = [int(refused(reader, reader.judge(memory.held_others)).sum()) for reader in (before, after)]
    return Forgetting(memory.name, digits[0], digits[1], len(memory.held_others), others[0], others[1])


def _doubtful(before: Judged, after: Judged, labels: np.ndarray) -> np.ndarray:
    """bool (M,): read as another digit, the same one and surely, before and after learning this hand."""
    said = [probs.argmax(axis=1) for probs, _ in (before, after)]
    sure = np.minimum(before[0].max(axis=1), after[0].max(axis=1)) > _SURE
    doubtful: np.ndarray = (said[0] == said[1]) & (said[0] != labels) & sure
    return doubtful
