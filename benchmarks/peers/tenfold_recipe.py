"""A recipe of tenfold under the peers' clock: from the files to a saved classifier, then the test set.

    python benchmarks/peers/tenfold_recipe.py DATA_DIR OUT.json [--recipe fast] [--set KEY=VALUE ...]

What README shows for Python: load_dataset, split_dataset, train, save. DATA_DIR is the folder of the four
MNIST files; --source sample takes the embedded images instead. --marks notes when each stage began;
--operations where the engine's time goes (which slows the training down).
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import argparse
import time
from pathlib import Path

from stopwatch import Trial, parse_arguments


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--source", default="mnist")
    parser.add_argument("--keep", type=Path, help="a folder that the classifier is copied to, off the clock")
    parser.add_argument("--marks", action="store_true")
    parser.add_argument("--operations", action="store_true")


options = parse_arguments(__doc__, epochs=0, seed=0, extend=_more)
trial = Trial(options, packages := ["numpy"])
marks = {"interpreter": trial.seconds()}

from typing import Any  # noqa: E402

from tenfold import (  # noqa: E402
    ImageDataset,
    Recipe,
    TrainResult,
    change_recipe,
    get_recipe,
    load_dataset,
    preload_engine,
    split_dataset,
    train,
)


def load(split: str) -> ImageDataset:
    where = options.data_dir.parent if options.source == "mnist" else None
    return load_dataset(options.source, split=split, data_dir=where)


def recipe_asked_for() -> Recipe:
    recipe = get_recipe(options.recipe)
    if not options.changes:
        return recipe
    from tenfold.recipes.schema import Recipe

    return change_recipe(recipe, dict(Recipe.parse_change(change) for change in options.changes))


def learn(recipe: Recipe) -> TrainResult:
    marks["names"] = trial.seconds()
    preload_engine(recipe, options.engine)
    train_set: ImageDataset = load("train")
    val_set = None
    if recipe.data.validation:
        share, stratified = recipe.data.validation, recipe.data.stratified
        train_set, val_set = split_dataset(train_set, share, seed=options.seed, stratified=stratified)
    marks["files"] = trial.seconds()
    trial.begin_training()
    callbacks = [observer()] if options.marks else []
    return train(recipe, train_set, val_set, seed=options.seed, engine=options.engine, callbacks=callbacks)


def observer() -> Any:
    """Notes when the engine stood, when the first step was done, and the last."""
    from tenfold.training.progress import TrainingObserver, TrainingPlan

    class Marks(TrainingObserver):
        def on_start(self, plan: TrainingPlan) -> None:  # noqa: ARG002
            marks["engine"] = trial.seconds()

        def on_step(self, step: int) -> None:  # noqa: ARG002
            marks.setdefault("first step", trial.seconds())
            marks["steps"] = trial.seconds()

    return Marks()


def profiled(recipe: Recipe) -> tuple[TrainResult, list[dict[str, Any]]]:
    """The training again, with what each operation took: seconds and calls."""
    from tenfold.engines.create import Engines

    engine = Engines.check(recipe, options.engine)
    return profiled_layers(recipe) if engine == "numpy" else profiled_operations(recipe)


def profiled_operations(recipe: Recipe) -> tuple[TrainResult, list[dict[str, Any]]]:
    """By PyTorch's profiler: self CPU seconds."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        result = learn(recipe)
    operations = [
        {"name": event.key, "seconds": event.self_cpu_time_total / 1e6, "calls": event.count}
        for event in profiler.key_averages()
    ]
    return result, operations


def profiled_layers(recipe: Recipe) -> tuple[TrainResult, list[dict[str, Any]]]:
    """Of the NumPy engine: wall seconds of each kind of layer, of loss, scaling and optimiser."""
    from tenfold.numpy_engine.engine import NumpyEngine
    from tenfold.numpy_engine.losses import LOSSES
    from tenfold.numpy_engine.network import LAYERS
    from tenfold.numpy_engine.optimisers import OPTIMISERS

    found: dict[str, dict[str, Any]] = {}
    for kind, layer in LAYERS.items():
        for verb in ("forward", "backward"):
            watch(layer, verb, f"{kind} {verb}", found)
    watch(LOSSES[recipe.loss.name], "__call__", "loss", found)
    watch(OPTIMISERS[recipe.optimiser.name], "step", "optimiser", found)
    watch(NumpyEngine, "scaled", "scaling", found)
    result = learn(recipe)
    return result, [dict(entry) for entry in found.values()]  # as they are before the test


def watch(owner: Any, method: str, name: str, found: dict[str, dict[str, Any]]) -> None:
    """From now on every call of a class's method is timed."""
    plain = getattr(owner, method)
    entry = found.setdefault(name, {"name": name, "seconds": 0.0, "calls": 0})

    def timed(*arguments: Any, **more: Any) -> Any:
        start = time.perf_counter()
        try:
            return plain(*arguments, **more)
        finally:
            entry["seconds"] += time.perf_counter() - start
            entry["calls"] += 1

    setattr(owner, method, timed)


def test(result: TrainResult) -> float:
    test_set = load("test")
    return float((result.classifier.predict(test_set.images) == test_set.labels).mean())


def main() -> None:
    recipe = recipe_asked_for()
    operations: list[dict[str, Any]] = []
    if options.operations:
        result, operations = profiled(recipe)
    else:
        result = learn(recipe)
    marks["training"] = trial.seconds()
    trial.end_epoch(lambda path: result.classifier.save(path), "", lambda: test(result))
    marks["saving"] = trial.epochs[0]["seconds_since_start"]
    from tenfold.runs.folder import describe_environment

    if options.keep:
        result.classifier.save(options.keep)
    engine = result.classifier.engine
    if engine.name == "torch":
        packages.append("torch")
    trial.finish(
        threads=describe_environment(engine.name)["threads"],
        recipe=recipe.name,
        engine=engine.name,
        precision=getattr(engine, "precision", "float32"),
        training_seconds=result.seconds,
        passes=len(result.history),
        marks=marks,
        operations=operations,
    )


if __name__ == "__main__":
    main()
