"""Trains the line reader on the shards of scripts/reader_strips.py, which may still be drawing them.

    scripts/train_reader.py STRIPS FOLDER --steps N [--seed 0] [--start MODEL.safetensors]

FOLDER gets `checkpoint.safetensors` every 500 steps (a run that was stopped goes on from it), the history
`history.jsonl`, and at the end `weights.safetensors`, the averaged weights.
The order of strips and their changes are pure functions of seed and step.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from reader_strips import SHARD, read_shard, shard_path
from safetensors.numpy import load_file, save_file

from tenfold.arrays import Batch
from tenfold.engines.create import Engines
from tenfold.files import replace_file
from tenfold.networks.engine import Engine, EngineOptions
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import OUTPUTS, encode_texts
from tenfold.reader.line_reader import read_recipe
from tenfold.recipes.schema import Recipe
from tenfold.synthesis.strips import StripMaker

BLOCK = 8  # shards that are gone through `PASSES` times before the next ones
PASSES = 3
CHUNK = 1024  # strips that are sorted by width, so that a batch holds strips of one width
BENT = 0.5  # share of strips that are stretched and slanted a little, anew each time
EVERY = 500  # steps from checkpoint to checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("strips", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--rate", type=float, help="the largest learning rate; else the recipe's")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    recipe = read_recipe()
    engine = build_engine(recipe, given.seed, given.start)
    first = load_checkpoint(engine, given.folder / "checkpoint.safetensors")
    train(engine, recipe, given, first)
    save_arrays(given.folder / "weights.safetensors", engine.weights())


def build_engine(recipe: Recipe, seed: int, start: Path | None) -> Engine:
    network = recipe.plan((Strip.HEIGHT, 128), OUTPUTS)
    weights = network.initial_weights(recipe.network.initialise, seed=seed)
    if start:
        weights = widen(load_file(start), weights, np.random.default_rng(seed))
    options = EngineOptions(
        mean=recipe.input.mean, std=recipe.input.std, loss=recipe.loss, optimiser=recipe.optimiser,
        average_decay=recipe.training.average_decay, seed=seed, precision=recipe.training.precision,
    )  # fmt: skip
    return Engines.create("torch", network, weights, options)


def widen(
    old: dict[str, np.ndarray], new: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Weights of a narrower network in a wider one, which gives nearly its answers (Chen et al. 2016).

    Channels beyond the old ones are copies of some, a little changed, and what reads them shares between
    the copies. Layers that the old network has not keep their first weights, and add little.
    """
    widened, source, count = {}, np.arange(16), np.ones(16)  # of pixel-unshuffle 4
    for name, first in new.items():
        if name not in old:
            small = 0.2 if name.startswith("residual") and name.endswith(".weight") and first.ndim == 1 else 1
            widened[name] = np.asarray(first * np.float32(small))
            continue
        weight = np.asarray(old[name], np.float64)
        if weight.ndim == 4:
            weight = weight[:, source] / count[source].reshape(1, -1, 1, 1)
            more = len(first) - len(weight)
            source = np.concatenate([np.arange(len(weight)), rng.permutation(len(weight))[:more]])
            count = np.bincount(source).astype(np.float64)
            weight = weight[source]
            weight[len(source) - more :] *= 1 + rng.normal(0, 0.1, weight[len(source) - more :].shape)
        else:
            weight = weight[source]
        widened[name] = np.asarray(weight, np.float32)
    return widened


def train(engine: Engine, recipe: Recipe, given: argparse.Namespace, first: int) -> None:
    batches = draw_batches(given.strips, recipe.training.batch_size, given.seed, first)
    started, loss, right, seen = time.monotonic(), 0.0, 0.0, 0
    for step in range(first, given.steps):
        rate = recipe.schedule.learning_rate_at(
            step, given.steps, given.rate or recipe.optimiser.learning_rate
        )
        batch = next(batches)
        result = engine.train_step(batch, rate)
        loss, right, seen = loss + float(result.loss), right + float(result.correct), seen + len(batch.labels)
        if (step + 1) % 100 == 0:
            line = {
                "step": step + 1,
                "loss": loss / 100,
                "exact": right / seen,
                "seconds": time.monotonic() - started,
            }
            with (given.folder / "history.jsonl").open("a") as history:
                history.write(json.dumps(line) + "\n")
            print(line, flush=True)
            loss, right, seen = 0.0, 0.0, 0
        if (step + 1) % EVERY == 0:
            state = engine.state() | {"next_step": np.array(step + 1)}
            save_arrays(given.folder / "checkpoint.safetensors", state)
            save_arrays(given.folder / "weights.safetensors", engine.weights())


def draw_batches(folder: Path, size: int, seed: int, first: int) -> Iterator[Batch]:
    """The batches from step `first` on: blocks of shards, each gone through several times."""
    per_visit = SHARD // size
    visit = first // per_visit
    while True:
        block, place = divmod(visit, BLOCK * PASSES)
        strips, texts = wait_for(shard_path(folder, "train", block * BLOCK + place % BLOCK))
        rng = np.random.default_rng([seed, visit, *b"order"])
        order = rng.permutation(SHARD)
        chunks = [
            part[np.argsort([strips[i].shape[1] for i in part], kind="stable")]
            for part in np.split(order, SHARD // CHUNK)
        ]
        groups = np.concatenate(chunks).reshape(-1, size)[rng.permutation(per_visit)]
        for number in range(first - visit * per_visit if visit * per_visit < first else 0, per_visit):
            draw = np.random.default_rng([seed, visit, number])
            chosen = groups[number]
            bent = [StripMaker.bend(strips[i], draw) if draw.random() < BENT else strips[i] for i in chosen]
            yield Batch(StripMaker.vary(bent, draw), encode_texts([texts[i] for i in chosen]))
        visit += 1


def wait_for(path: Path) -> tuple[list[np.ndarray], list[str]]:
    while not path.exists():
        time.sleep(1)
    return read_shard(path)


def load_checkpoint(engine: Engine, path: Path) -> int:
    if not path.exists():
        return 0
    state = load_file(path)
    step = int(state.pop("next_step"))
    engine.load_state(state)
    return step


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with replace_file(path) as beside:
        save_file({name: np.asarray(value, order="C") for name, value in arrays.items()}, beside)


if __name__ == "__main__":
    main()
