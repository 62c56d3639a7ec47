"""A reader learns one person's hand from a few labelled lines, and rehearses what it knows of others.

Half of each batch is the person's, changed anew every time; half is rehearsed (Robins 1995). Batch-norm is
folded into the convolutions first: a few lines must not replace the statistics of the many that the reader
has seen. The new weights lie between those before and those learned (Wortsman et al. 2022), which keeps most
of what was learned and loses little of what was known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tenfold.arrays import Batch
from tenfold.data.split import fold_indices
from tenfold.engines.create import create_engine
from tenfold.errors import DataError
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layers import EPSILON
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.reader.adaptation import Adaptation, Answer, Forgetting, read_views, score
from tenfold.reader.alphabet import DIGITS, OTHER, encode_texts
from tenfold.reader.examples import Example
from tenfold.reader.line_reader import LineReader
from tenfold.reader.memory import Memory, Strip, gather_memory
from tenfold.schedules import learning_rate_at
from tenfold.settings import OptimiserSettings, ScheduleSettings
from tenfold.synthesis.vary import bend, vary

__all__ = ["FEWEST", "AdaptSettings", "adapt_reader", "unfold_weights"]

Progress = Callable[[str, int, int], None]

FEWEST = 10  # labelled characters
_SCHEDULE = ScheduleSettings(name="one-cycle", rise=0.2)
_EPSILON = 1e-2  # of Adam: so large that weights with small gradients, which others need, hardly move
_SURE = 0.9  # a label that is contradicted this surely may be a mistake


@dataclass(frozen=True)
class AdaptSettings:
    """How a hand is learned.

    steps: of each training. folds: trainings besides the last, each measured on lines that it did not
    see. own: the share of each batch that is the person's. learning_rate: Adam's, at its peak. way: how far
    the weights go from those before to those that were learned.
    """

    steps: int = 60
    batch_size: int = 16
    own: float = 0.5
    folds: int = 4
    learning_rate: float = 3e-3
    way: float = 0.7


def adapt_reader(
    reader: LineReader,
    examples: Sequence[Example],
    *,
    seed: int = 0,
    engine: str = "auto",
    memory: Memory | None = None,
    settings: AdaptSettings | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """A reader that has learned the hand of `examples`, of at least 10 characters together.

    Temperature and threshold stay. What it brings is measured by cross-validation: each line whose digits
    occur in others, too, is read by a reader that has not learned from it.
    engine: what trains; the reader itself runs in the engine of `reader`. memory: what is rehearsed.
    Raises DataError for too few examples.
    """
    count = sum(len(example.text.strip(OTHER)) for example in examples)
    if count < FEWEST:
        raise DataError(
            f"{count} labelled character{'s' * (count != 1)}",
            expected=f"at least {FEWEST}",
            remedy="write and label some more",
        )
    chosen = settings or AdaptSettings()
    course = _Course(reader, memory or gather_memory(seed=seed), chosen, engine, seed, progress)
    parts = _held_out(examples, chosen.folds, seed)
    course.planned = (len(parts) + 1) * chosen.steps
    held = [int(index) for part in parts for index in part]
    before, after = (
        [read_views(reader, examples[i].views) for i in held],
        _cross_validate(course, examples, parts),
    )
    adapted = course.learn(examples)
    labels = [examples[i].text for i in held]
    digits = Counter("".join(example.text for example in examples))
    return Adaptation(
        reader=adapted,
        before=score(before, labels),
        after=score(after, labels),
        forgetting=_measure_forgetting(reader, adapted, course.memory),
        folds=len(parts),
        counts=tuple(digits[digit] for digit in DIGITS),
        doubtful=tuple(
            sorted(i for i, *said in zip(held, before, after) if _contradict(said, examples[i].text))
        ),
        seed=seed,
    )


@dataclass(eq=False)
class _Course:
    """All that one training has in common with the next."""

    reader: LineReader
    memory: Memory
    settings: AdaptSettings
    engine: str
    seed: int
    progress: Progress | None
    planned: int = 0  # steps of all trainings
    steps: int = 0
    trainings: int = 0

    def learn(self, examples: Sequence[Example]) -> LineReader:
        """The reader as it was, trained on these examples."""
        settings, first = self.settings, self.reader
        network, weights = fold_network(first.network, first.engine.weights())
        options = replace(
            first.engine.options,
            optimiser=OptimiserSettings(name="adam", epsilon=_EPSILON, clip_norm=2.0),
            seed=self.seed,
            average_decay=0.0,
        )
        learner = create_engine(self.engine, network, weights, options)
        rng = np.random.default_rng([self.seed, self.trainings, *b"adapt"])
        for step in range(settings.steps):
            rate = learning_rate_at(step, settings.steps, settings.learning_rate, _SCHEDULE)
            learner.train_step(self._draw_batch(examples, rng), rate)
            self.steps += 1
            if self.progress:
                self.progress("learning", self.steps, self.planned)
        self.trainings += 1
        for name, learned in learner.weights().items():
            weights[name] = weights[name] + np.float32(settings.way) * (learned - weights[name])
        return first.with_weights(unfold_weights(first.network, weights))

    def _draw_batch(self, examples: Sequence[Example], rng: np.random.Generator) -> Batch:
        size = self.settings.batch_size
        own = min(max(1, round(self.settings.own * size)), size)
        strips: list[Strip] = []
        for i in rng.integers(len(examples), size=own):
            views = examples[i].views
            strips.append((bend(views[rng.integers(len(views))], rng), examples[i].text))
        rehearsed = self.memory.rehearsed
        strips += [rehearsed[i] for i in rng.integers(len(rehearsed), size=size - own)]
        return Batch(vary([strip for strip, _ in strips], rng), encode_texts([text for _, text in strips]))


def unfold_weights(network: Network, folded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of `network` that answer as those of the network that `fold_network` makes of it: where a
    batch-norm was folded, it adds what is now the layer's bias, and changes nothing else."""
    values: dict[str, np.ndarray] = {}
    names = {parameter.name for parameter in network.parameters()}
    bias = ""
    for parameter in network.parameters():
        name, shape = parameter.name, parameter.shape
        if parameter.role == "weight":
            bias = name.removesuffix("weight") + "bias"
        if name in folded:
            values[name] = folded[name]
        elif parameter.role == "shift" and bias not in names:
            values[name] = folded[bias]
        else:
            level = {"scale": np.sqrt(1 + EPSILON), "running-variance": 1}.get(parameter.role, 0)
            values[name] = np.full(shape, level, np.float32)
    return values


def _held_out(examples: Sequence[Example], folds: int, seed: int) -> list[np.ndarray]:
    """Which examples each training but the last does not see: lines whose characters are elsewhere, too."""
    lines = Counter(character for example in examples for character in set(example.text))
    several = np.array(
        [i for i, each in enumerate(examples) if all(lines[c] > 1 for c in each.text)], np.int64
    )
    if len(several) < 2:
        return [several][: len(several)]
    _, alike = np.unique([examples[i].text for i in several], return_inverse=True)
    return [several[part] for part in fold_indices(alike, min(folds, len(several)), seed=seed)]


def _cross_validate(
    course: _Course, examples: Sequence[Example], parts: Sequence[np.ndarray]
) -> list[Answer]:
    """What is said of the parts' examples by readers that have not learned from them."""
    answers = []
    for part in parts:
        learned = course.learn([each for i, each in enumerate(examples) if i not in part])
        answers += [read_views(learned, examples[i].views) for i in part]
    return answers


def _measure_forgetting(before: LineReader, after: LineReader, memory: Memory) -> Forgetting:
    numbers = [strip for strip in memory.held if any(character in DIGITS for character in strip[1])]
    others = [strip for strip in memory.held if not any(character in DIGITS for character in strip[1])]
    labels = [text for _, text in numbers]
    scores = [score([read_views(reader, [s]) for s, _ in numbers], labels) for reader in (before, after)]
    silent = [sum(not read_views(reader, [s]).text for s, _ in others) for reader in (before, after)]
    return Forgetting(memory.name, scores[0], scores[1], len(others), silent[0], silent[1])


def _contradict(answers: Sequence[Answer], label: str) -> bool:
    """Whether both answers are surely the same, and another than the label."""
    texts = {answer.text for answer in answers}
    return len(texts) == 1 and label.strip(OTHER) not in texts and min(a.confidence for a in answers) > _SURE
