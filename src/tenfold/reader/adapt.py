"""A reader learns one person's hand from a few labelled pictures, and rehearses what it knows of others.

Half of each batch is the person's, changed anew every time; half is rehearsed (Robins 1995). Batch-norm is
folded into the convolutions first: a few lines must not replace the statistics of the many that the reader
has seen. The new weights lie between those before and those learned (Wortsman et al. 2022), which keeps most
of what was learned and loses little of what was known.
"""

from __future__ import annotations

import csv
import errno
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.arrays import Batch
from tenfold.data.batches import fold_indices
from tenfold.data.tables import natural_key
from tenfold.engines.create import Engines
from tenfold.errors import DataError, DataNotFoundError, UsageError
from tenfold.networks.engine import StepResult
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layers import BatchNorm
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.pictures.formats import find_pictures
from tenfold.pictures.lines import find_views, make_strip
from tenfold.pictures.open import open_picture
from tenfold.reader.adaptation import Adaptation, Answer, Forgetting, Memory, gather_memory, read_views, score
from tenfold.reader.decode import CHARACTERS, DIGITS, OTHER, digits_of, encode_texts
from tenfold.reader.line_reader import LineReader
from tenfold.settings import OptimiserSettings, ScheduleSettings
from tenfold.synthesis.strips import StripMaker
from tenfold.training.steps import run_steps

__all__ = ["adapt_reader", "collect_examples", "label_pictures"]

Progress = Callable[[str, int, int], None]

NO_NUMBER = "not a digit"  # the label of a picture in which no number stands

_LIST = re.compile(r"[\d.\-/:+×÷= ]+(,[\d.\-/:+×÷= ]+)*")
_LABEL = re.compile(f"[{re.escape(CHARACTERS.replace(OTHER, ''))}]{{1,32}}")
_FAULTS = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # of the machine, not of a picture
FEWEST = 10  # labelled characters
_SCHEDULE = ScheduleSettings(name="one-cycle", rise=0.2)
_EPSILON = 1e-2  # of Adam: so large that weights with small gradients, which others need, hardly move
_SURE = 0.9  # a label that is contradicted this surely may be a mistake
_REMEDY = "give --labels 3,1049,07/11 or --labels FILE.csv, or sort the pictures into folders 0 to 9"


class Labelled(NamedTuple):
    """A picture's path and what is written on it; "" where no label is known."""

    path: str
    label: str


@dataclass(frozen=True, eq=False)
class Example:
    """A line of one picture. text: what it spells; "?" for what is not a number, "" for bare paper.
    views: uint8 (32, W), the strips that it may be read in."""

    path: str
    text: str
    views: tuple[np.ndarray, ...]


def label_pictures(given: Sequence[str | Path], labels: str | None) -> list[Labelled]:
    """Each picture with its label: what is written on it, one line of the label per line of the picture.
    labels: "3,1049", one per picture in their order; the path of a CSV file with path and label in each line,
    paths counted from its folder, whose pictures need not be named again; or None, where the name of each
    picture's folder, 0 to 9, is its label. Raises UsageError and DataError."""
    if labels is not None and (not _LIST.fullmatch(labels.strip()) or Path(labels).is_file()):
        rows = _read_table(Path(labels))
        known = {os.path.realpath(row.path): row.label for row in rows}
        return [Labelled(path, known.get(os.path.realpath(path), "")) for path in _find(given)] or rows
    if not given:
        raise UsageError("no pictures", expected="pictures of numbers", remedy=_REMEDY)
    paths = _find(given)
    if labels is not None:
        each = [label.strip() for label in labels.split(",")]
        if len(each) != len(paths):
            found = f"{len(each)} labels for {len(paths)} pictures"
            raise UsageError(found, expected="one label per picture")
    else:
        names = (Path(path).absolute().parent.name for path in paths)
        each = [name if re.fullmatch("[0-9]", name) or name == NO_NUMBER else "" for name in names]
        if not any(each):
            raise UsageError("no labels, and no picture lies in a folder 0 to 9", remedy=_REMEDY)
    return list(map(Labelled, paths, each))


def _find(given: Sequence[str | Path]) -> list[str]:
    """Files as they are; of a folder the pictures in it and below, 2.png before 10.png."""
    paths: list[str] = []
    for each in map(str, map(Path, given)):
        found = find_pictures(each)
        good = [path for path, error in found if not error]
        if not good:
            raise DataError(found[0][1])
        paths += sorted(good, key=lambda path: (natural_key(path), path))
    return paths


def _read_table(table: Path) -> list[Labelled]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except FileNotFoundError:
        raise DataNotFoundError(f"--labels {table} is neither labels nor a file", remedy=_REMEDY) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{table} cannot be read ({reason})", expected="path,label lines") from error
    columns = (0, 1)
    if lines and {"path", "label"} <= set(lines[0]):
        columns = (lines[0].index("path"), lines[0].index("label"))
        lines[0] = []
    rows = []
    for number, line in enumerate(lines, start=1):
        if line and len(line) <= max(columns):
            raise DataError(f"{table}, line {number}: {','.join(line)[:60]!r}", expected="path,label")
        if line:
            path, label = (line[column].strip() for column in columns)
            rows.append(Labelled(str(table.parent / path), label))
    if not rows:
        raise DataError(f"{table} has no lines", expected="path,label lines")
    return rows


def collect_examples(
    labelled: Sequence[Labelled], *, progress: Progress | None = None
) -> tuple[list[Example], list[tuple[str, str]]]:
    """(examples, pictures that gave none, each with the reason): the lines of the pictures, as strips that a
    reader would see; a picture that shows another number of lines than its label is left out. Raises
    DataError where the disk or the memory fails: the same pictures may be read well another time."""
    examples: list[Example] = []
    left_out: list[tuple[str, str]] = []
    for number, (path, label) in enumerate(labelled, start=1):
        try:
            examples += _lines_of(path, label)
        except DataError as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _FAULTS:
                raise
            left_out.append((path, str(error).removeprefix(f"{path}: ")))
        if progress:
            progress("pictures", number, len(labelled))
    return examples, left_out


def _lines_of(path: str, label: str) -> list[Example]:
    """The examples of one picture. Raises DataError saying why there are none."""
    texts = [] if label == NO_NUMBER else [part.replace(" ", "") for part in label.split("\n")]
    if not all(map(_LABEL.fullmatch, texts)):
        found = f"label {label!r}" if label else "no label"
        raise DataError(found, expected="1 to 32 digits and separators per line")
    grey = open_picture(path).grey
    blank = int(np.ptp(grey)) <= 8  # grey levels: a picture that spans no more shows nothing
    if blank and texts:
        raise DataError("the picture is blank")
    lines = find_views(grey)
    texts = texts or ["" if blank else OTHER] * len(lines)
    if len(lines) != len(texts):
        found = f"{len(lines)} line{'s' * (len(lines) != 1)} found"
        raise DataError(found, expected=f"{len(texts)}, for its label {label}", remedy="cut out one line")
    pairs = zip(texts, lines, strict=True)
    return [Example(path, text, tuple(make_strip(grey, box) for box in boxes)) for text, boxes in pairs]


@dataclass(frozen=True)
class AdaptSettings:
    """How a hand is learned. steps: of each training. folds: trainings besides the last, each measured on
    lines that it did not see. own: the share of each batch that is the person's. learning_rate: Adam's, at
    its peak. way: how far the weights go from those before to those that were learned."""

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
    """A reader that has learned the hand of `examples`, of at least 10 characters together. Temperature and
    threshold stay. What it brings is measured by cross-validation: each line whose digits occur in others,
    too, is read by a reader that has not learned from it. engine: what trains; the reader itself runs in the
    engine of `reader`. memory: what is rehearsed. Raises DataError for too few examples."""
    count = sum(len(example.text.strip(OTHER)) for example in examples)
    if count < FEWEST:
        found, remedy = f"{count} labelled character{'s' * (count != 1)}", "write and label some more"
        raise DataError(found, expected=f"at least {FEWEST}", remedy=remedy)
    chosen = settings or AdaptSettings()
    course = _Course(reader, memory or gather_memory(seed=seed), chosen, engine, seed, progress)
    parts = _held_out(examples, chosen.folds, seed)
    course.planned = (len(parts) + 1) * chosen.steps
    held = [int(index) for part in parts for index in part]
    before = [read_views(reader, examples[i].views) for i in held]
    after: list[Answer] = []
    for part in parts:
        learned = course.learn([each for i, each in enumerate(examples) if i not in part])
        after += [read_views(learned, examples[i].views) for i in part]
    adapted = course.learn(examples)
    labels = [examples[i].text for i in held]
    digits = Counter("".join(example.text for example in examples))
    doubtful = (i for i, *said in zip(held, before, after) if _contradict(said, examples[i].text))
    return Adaptation(
        reader=adapted,
        before=score(before, labels),
        after=score(after, labels),
        forgetting=_measure_forgetting(reader, adapted, course.memory),
        folds=len(parts),
        counts=tuple(digits[digit] for digit in DIGITS),
        doubtful=tuple(sorted(doubtful)),
        seed=seed,
    )


@dataclass(eq=False)
class _Course:
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
        adam = OptimiserSettings(name="adam", epsilon=_EPSILON, clip_norm=2.0)
        options = replace(first.engine.options, optimiser=adam, seed=self.seed, average_decay=0.0)
        learner = Engines.create(self.engine, network, weights, options)
        rng = np.random.default_rng([self.seed, self.trainings, *b"adapt"])
        steps, rate = settings.steps, settings.learning_rate
        rates = [_SCHEDULE.learning_rate_at(step, steps, rate) for step in range(steps)]
        run_steps(learner, (self._draw_batch(examples, rng) for _ in rates), rates, self._after_step)
        self.trainings += 1
        for name, learned in learner.weights().items():
            weights[name] = weights[name] + np.float32(settings.way) * (learned - weights[name])
        return first.with_weights(unfold_weights(first.network, weights))

    def _after_step(self, _result: StepResult) -> None:
        self.steps += 1
        if self.progress:
            self.progress("learning", self.steps, self.planned)

    def _draw_batch(self, examples: Sequence[Example], rng: np.random.Generator) -> Batch:
        size = self.settings.batch_size
        own = min(max(1, round(self.settings.own * size)), size)
        strips: list[tuple[np.ndarray, str]] = []
        for i in rng.integers(len(examples), size=own):
            views = examples[i].views
            strips.append((StripMaker.bend(views[rng.integers(len(views))], rng), examples[i].text))
        rehearsed = self.memory.rehearsed
        strips += [rehearsed[i] for i in rng.integers(len(rehearsed), size=size - own)]
        images = StripMaker.vary([strip for strip, _ in strips], rng)
        return Batch(images, encode_texts([text for _, text in strips]))


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
            level = {"scale": np.sqrt(1 + BatchNorm.EPSILON), "running-variance": 1}.get(parameter.role, 0)
            values[name] = np.full(shape, level, np.float32)
    return values


def _held_out(examples: Sequence[Example], folds: int, seed: int) -> list[np.ndarray]:
    """Which examples each training but the last does not see: lines whose characters are elsewhere, too."""
    lines = Counter(character for example in examples for character in set(example.text))
    several = np.flatnonzero([all(lines[character] > 1 for character in each.text) for each in examples])
    if len(several) < 2:
        return [several][: len(several)]
    _, alike = np.unique([examples[i].text for i in several.tolist()], return_inverse=True)
    return [several[part] for part in fold_indices(alike, min(folds, len(several)), seed=seed)]


def _measure_forgetting(before: LineReader, after: LineReader, memory: Memory) -> Forgetting:
    numbers = [strip for strip in memory.held if digits_of(strip[1])]
    others = [strip for strip in memory.held if not digits_of(strip[1])]
    labels = [text for _, text in numbers]
    scores = [score([read_views(reader, [s]) for s, _ in numbers], labels) for reader in (before, after)]
    silent = [sum(not read_views(reader, [s]).text for s, _ in others) for reader in (before, after)]
    return Forgetting(memory.name, scores[0], scores[1], len(others), silent[0], silent[1])


def _contradict(answers: Sequence[Answer], label: str) -> bool:
    """Whether both answers are surely the same, and another than the label."""
    texts = {answer.text for answer in answers}
    return len(texts) == 1 and label.strip(OTHER) not in texts and min(a.confidence for a in answers) > _SURE
