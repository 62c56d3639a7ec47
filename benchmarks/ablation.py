"""Fixes for the sigmoid loss tutorial's network: each remedy of its own list alone, then one after another.

    python benchmarks/ablation.py [--seeds 3] [--only alone|together] [--validate] [--quick] [--readme]

The network as published (784-500-10, weights from N(0, 1), a sigmoid's distance as the loss) gets one
change at a time, and then all of them, each on top of those before. Its own list: more layers, more
weights, convolutions, dropout, a rate a layer, a schedule, transfer, training while the validation loss
falls; and what its figures say is wrong: the first weights and the loss. Every row is n seeds on full
MNIST; the test set is read once per training, at its end; with --validate never, for choosing settings.
Results are kept as they come in build/ablation, and a row that is there is not trained again. Writes
benchmarks/results/ablation.json and .png, and with --readme the table of docs/fixing.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ablation_plot import draw_ablation
from accuracy import digest, keep, kept_seeds
from common import RESULTS, ROOT, machine, markdown_table, publish, spread

from tenfold import (
    ImageDataset,
    Recipe,
    change_recipe,
    evaluate,
    get_recipe,
    load_dataset,
    split_dataset,
    train,
)
from tenfold.pictures.normalize import frame_ink
from tenfold.synthesis.glyphs import DIGITS, LETTERS, load_glyphs
from tenfold.synthesis.ink import draw_glyph, random_pen

PARTS = ROOT / "build" / "ablation"
BASE = "sigmoid-500-published"
PUBLISHED = 0.3481


@dataclass(frozen=True)
class Remedy:
    """key: what the functions below ask for. listed: whether the document names it."""

    key: str
    title: str
    listed: bool


REMEDIES = (
    Remedy("start", "better start: weights for ReLU (He et al. 2015)", False),
    Remedy("loss", "better loss: cross-entropy, with its own learning rate", False),
    Remedy("schedule", "schedule: one cycle, up to three times the rate", True),
    Remedy("layers", "more layers: a residual block with batch norm", True),
    Remedy("width", "more weights: 1,000 hidden units", True),
    Remedy("dropout", "dropout of 0.3", True),
    Remedy("convolutions", "convolutions: 24 and 48, batch norm; 2.5 times the rate, clipped", True),
    Remedy("rates", "discriminative rates: the last layer at a third", True),
    Remedy("transfer", "transfer: started from drawn letters and digits", True),
    Remedy("stopping", "early stopping: train while the validation loss falls", True),
)


@dataclass(frozen=True)
class Row:
    """active: keys of the remedies in force; added: the one that this row is about, or none."""

    kind: str
    active: tuple[str, ...]
    added: Remedy | None

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.added.key}" if self.added else "published"


def rows_of(kinds: Iterable[str]) -> list[Row]:
    rows = [Row("published", (), None)]
    if "alone" in kinds:
        rows += [Row("alone", (remedy.key,), remedy) for remedy in REMEDIES]
    if "together" in kinds:
        keys = [remedy.key for remedy in REMEDIES]
        rows += [Row("together", tuple(keys[: i + 1]), remedy) for i, remedy in enumerate(REMEDIES)]
    return rows


def layers(active: Sequence[str]) -> tuple[Any, ...]:
    """784-500-10, and what the remedies make of it."""
    hidden = f"linear {1000 if 'width' in active else 500}"
    front = (
        "pixel-unshuffle 2", "conv 24 3x3 padding same", "batch-norm", "max-pool 2", "relu",
        "conv 48 3x3 padding same", "batch-norm", "max-pool 2", "relu",
    )  # fmt: skip
    block = {"residual": ["linear 200", "batch-norm", "relu", hidden, "batch-norm"]}
    return (
        *(front if "convolutions" in active else ()),
        "flatten", hidden, "relu",
        *((block, "relu") if "layers" in active else ()),
        *(("dropout 0.3",) if "dropout" in active else ()),
        "linear classes",
    )  # fmt: skip


def recipe_of(row: Row, epochs: int) -> Recipe:
    """The recipe of a row, but for the weights that transfer starts from."""
    active = row.active
    changes: dict[str, Any] = {"name": row.name, "network.layers": layers(active), "training.epochs": epochs}
    if "start" in active:
        changes["network.initialise"] = "kaiming"
    if "loss" in active:
        changes |= {"loss.name": "cross-entropy", "optimiser.learning_rate": 0.2}
    rate = changes.get("optimiser.learning_rate", get_recipe(BASE).optimiser.learning_rate)
    if "schedule" in active:
        changes["schedule.name"] = "one-cycle"
        rate *= 3
    if "convolutions" in active:
        changes["optimiser.clip_norm"] = 1.0
        rate *= 2.5
    changes["optimiser.learning_rate"] = rate
    if "loss" in active or "convolutions" in active:  # without saturation the lower bits do not matter
        changes["training.precision"] = "auto"
    if "rates" in active:
        last = ({"match": "residual", "factor": 1.0}, {"match": "linear2", "factor": 1 / 3})
        changes["optimiser.groups"] = last
    if "stopping" in active:
        changes |= {"training.patience": epochs // 2, "data.validation": 1 / 12}
    return change_recipe(get_recipe(BASE), changes)


def draw_letters(count: int) -> ImageDataset:
    """The package's letters and digits by pen, `count` pictures of each glyph, framed like MNIST."""
    known = {*DIGITS, *LETTERS}
    glyphs = [glyph for glyph in load_glyphs() if glyph.label in known]
    names = sorted({glyph.label for glyph in glyphs})
    rng = np.random.default_rng(0)
    drawn = [draw_glyph(glyph.strokes, 40, random_pen(rng), rng) for glyph in glyphs for _ in range(count)]
    images = np.stack([frame_ink(ink / np.float32(255)) for ink in drawn])
    labels = np.repeat([names.index(glyph.label) for glyph in glyphs], count)
    return ImageDataset(images, labels, tuple(names), "drawn letters and digits")


def pretrain(recipe: Recipe, parts: Path, count: int) -> Path:
    """A model of the same layers that knows drawn letters; made once."""
    changes = {"network.initialise": "kaiming", "loss.name": "cross-entropy", "optimiser.name": "adam",
               "optimiser.learning_rate": 2e-3, "optimiser.groups": (), "schedule.name": "one-cycle",
               "training.batch_size": 128, "training.epochs": 10, "training.patience": 0}  # fmt: skip
    source = change_recipe(recipe, changes)
    folder = parts / f"letters-{digest(source)}-{count}"
    if not (folder / "model.json").is_file():
        train(source, draw_letters(count), None, seed=0, engine="torch").classifier.save(folder)
    return folder


def measure(row: Row, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One training, or what is kept of it."""
    recipe = recipe_of(row, options.epochs)
    kept = kept_seeds(recipe, options.parts)
    if seed in kept:
        return kept[seed]
    used = recipe
    if "transfer" in row.active:
        used = change_recipe(
            recipe, {"network.start_from": str(pretrain(recipe, options.parts, options.drawn))}
        )
    train_set, val_set, judged = _sets(used, options, seed)
    started = time.perf_counter()
    result = train(used, train_set, val_set, seed=seed, engine="torch")
    seconds = time.perf_counter() - started
    scores = evaluate(result.classifier, judged)
    found = {
        "seed": seed,
        "digest": digest(recipe),
        "accuracy": scores.accuracy,
        "loss": scores.loss,
        "epochs": len(result.history),
        "seconds": seconds,
        "parameters": result.classifier.network.parameter_count,
    }
    keep(found, recipe, options.parts)
    print(f"{row.name} seed {seed}: {100 * scores.accuracy:.2f} % in {seconds:.0f} s", flush=True)
    return found


def _kept(row: Row, options: argparse.Namespace) -> list[dict[str, Any]]:
    recipe = recipe_of(row, options.epochs)
    return [result for _, result in sorted(kept_seeds(recipe, options.parts).items())]


def _sets(
    recipe: Recipe, options: argparse.Namespace, seed: int
) -> tuple[ImageDataset, ImageDataset | None, ImageDataset]:
    """To train on, to stop by, to judge by."""
    whole = load_dataset("mnist", data_dir=options.data_dir)
    if options.quick:
        whole = whole.subset(np.arange(6000))
    if options.validate:
        whole, judged = split_dataset(whole, 1 / 6, seed=99)
    else:
        judged = load_dataset("mnist", split="test", data_dir=options.data_dir)
    if not recipe.data.validation:
        return whole, None, judged
    train_set, val_set = split_dataset(whole, recipe.data.validation, seed=seed)
    return train_set, val_set, judged


def table(rows: Sequence[Row], found: dict[str, list[dict[str, Any]]]) -> str:
    base = _mean(found["published"])
    cells, before = [], base
    for row in rows:
        mean = _mean(found[row.name])
        gain = mean - (before if row.kind == "together" else base)
        before = mean if row.kind == "together" else before
        cells.append(
            (
                {"published": "", "alone": "alone", "together": "on top"}[row.kind],
                row.added.title + (" *" if not row.added.listed else "") if row.added else "as published",
                spread([one["accuracy"] for one in found[row.name]], scale=100, unit=" %"),
                f"{100 * gain:+.2f}" if row.added else "",
                str(len(found[row.name])),
                f"{found[row.name][0]['parameters']:,}",
                f"{statistics.fmean(one['epochs'] for one in found[row.name]):.0f}",
            )
        )
    return markdown_table(("", "remedy", "accuracy", "gain", "n", "parameters", "epochs"), cells)


def _mean(results: Sequence[dict[str, Any]]) -> float:
    return statistics.fmean(one["accuracy"] for one in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30, help="passes over the training images")
    parser.add_argument("--drawn", type=int, default=25, help="pictures of each glyph, for transfer")
    parser.add_argument("--only", choices=("alone", "together"), default=None)
    parser.add_argument("--kept", action="store_true", help="train nothing: the table of what is there")
    parser.add_argument("--validate", action="store_true", help="judge by held-out training images")
    parser.add_argument("--quick", action="store_true", help="one seed, few images and passes: does it run?")
    parser.add_argument("--parts", type=Path, default=PARTS, help="folder of the results of single trainings")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of JSON and picture")
    parser.add_argument("--readme", action="store_true", help="put the table into docs/fixing.md")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.epochs, options.drawn, options.validate = 1, 2, 1, True
        options.parts = options.parts / "quick"
    elif options.validate:
        options.parts = options.parts / "validation"
    rows = rows_of((options.only,) if options.only else ("alone", "together"))
    if options.kept:
        found = {row.name: _kept(row, options) for row in rows}
        rows = [row for row in rows if found[row.name]]
    else:
        runs = [[measure(row, seed, options) for row in rows] for seed in range(options.seeds)]
        found = {row.name: list(each) for row, each in zip(rows, zip(*runs, strict=True), strict=True)}
    if options.validate or options.only:
        print(table(rows, found))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    bars = [
        (row.kind, row.added.title if row.added else "as published", *_points(found[row.name]))
        for row in rows
    ]
    draw_ablation(PUBLISHED, bars, options.out / "ablation.png")
    host = machine()
    note = (
        "Mean ± standard deviation over n seeds, 10,000 test images; published: 34.81 %. "
        "gain: points, over the network as published (alone) or over the row before (on top). * not on "
        f"the document's list. {host['processor']}, {host['threads']} thread(s), torch {host['torch']}. "
        "Made by `python benchmarks/ablation.py`."
    )
    publish("ablation", table(rows, found), note, {"rows": found}, readme=options.readme, folder=options.out)


def _points(results: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Mean and standard deviation."""
    values = [one["accuracy"] for one in results]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
