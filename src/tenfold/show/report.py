"""A run's folder -> one HTML file that needs nothing else: no network, one small script, under 3 MB."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import UsageError
from tenfold.files import shown_path, write_text
from tenfold.networks.engine import EnsembleEngine
from tenfold.networks.shapes import Layer
from tenfold.records import reading
from tenfold.runs.folder import Run
from tenfold.show import charts, plots, runs
from tenfold.show.components import NOTHING, count, difference, duration, figure, points, render_page, short
from tenfold.show.scores import evaluation_section, suspects_section
from tenfold.show.weights import weights_section
from tenfold.training.progress import EpochRecord

__all__ = ["write_report"]

Section = dict[str, Any]


@checked
def write_report(run: Run | str | Path, path: str | Path | None = None) -> Path:
    """Writes the report (`report.html` in the run's folder unless `path` is given); returns its path.

    run: a Run, or its folder.
    Parts that the run does not have (no evaluation, no summary, no epoch yet) are said to be missing,
    with the command that adds them. Nothing is measured here.
    Raises UsageError where `path` is a folder, ModelError or DataError where a part is there but cannot
    be read.
    """
    run = Run.open(run)
    target = run.folder / "report.html" if path is None else Path(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder", expected="a file's name, such as report.html")
    remedy = f"measure it anew: tenfold evaluate {run.folder}"
    with reading(f"the run {run.folder}", expected="files that belong together", remedy=remedy):
        page = render_page("report.html.j2", _context(run))
    write_text(target, page)
    return target


def _context(run: Run) -> Section:
    evaluation, network = run.evaluation, runs.network_of(run)
    return {
        "run": run,
        "recipe": run.recipe,
        "names": runs.class_names_of(run),
        "split": run.environment.get("data") or {},
        "command": shown_command(run.environment.get("command", "")),
        "folder": shlex.quote(shown_path(str(run.folder))),
        "trained": (run.folder / "model.safetensors").is_file(),
        "facts_of_run": _facts(run),
        "evaluation": evaluation,
        "published": published_section(run),
        "counts": _class_counts(run),
        "network": network,
        "layers": list(_walk(network.layers)) if network else [],
        "training": training_section(run),
        "test": evaluation_section(run),
        "suspects": suspects_section(run),
        "robustness": run.robustness,
        "weights": weights_section(run),
        "costs": costs_section(run),
        "plain": _plain,
    }


# What a reader wants to know first, and what a run took.


def _facts(run: Run) -> list[tuple[str, Any]]:
    environment = run.environment
    engine = [environment.get(key) for key in ("engine", "device", "precision")]
    return [
        ("network", run.recipe.title or run.recipe.name),
        ("ensemble", _ensemble(run)),
        ("seed", environment.get("seed")),
        ("engine", ", ".join(str(part) for part in engine if part)),
        ("training", duration(environment.get("seconds"))),
        *progress_facts(run),
    ]


def _ensemble(run: Run) -> str:
    """Empty for one network that looks once; where some are still to be trained, how many there are."""
    wanted, model = run.recipe.ensemble, runs.model_of(run)
    whole = wanted.members if model is None else len(EnsembleEngine.split(model[1]))
    networks = f"{whole} of {wanted.members}" if whole < wanted.members else f"{wanted.members}"
    parts = [f"{networks} networks"] * (wanted.members > 1) + [f"{wanted.views} views"] * (wanted.views > 1)
    return ", ".join(parts)


def progress_facts(run: Run) -> list[tuple[str, Any]]:
    """Epochs, and where the training is not over, of how many; steps, where the recipe counts those."""
    history, training = runs.history_of(run), run.recipe.training
    images = (run.environment.get("data") or {}).get("train")
    over = run.environment.get("status") not in ("running", "interrupted")
    planned, _, all_steps = training.plan_steps(images) if images else (0, 0, 0)
    at_most = " at most" if training.patience else ""

    def so_far(done: int, of: int) -> str:
        known = not over and of
        return f"{done:,} of {of * run.recipe.ensemble.members:,}{at_most}" if known else count(done)

    facts = [("epochs", so_far(len(history), planned))]
    steps = history[-1].steps if history else 0
    return facts + ([("steps", so_far(steps, all_steps))] if training.steps else [])


def costs_section(run: Run) -> Section:
    """Rows of a part's time, share of the longest and images per second; and facts beside them."""
    environment, evaluation = run.environment, run.evaluation
    parts: list[tuple[str, float | None, int | None]] = [
        ("reading the data", environment.get("loading_seconds"), None),
        ("training and validation", environment.get("seconds"), _images_trained(run)),
    ]
    if evaluation is not None:
        parts.append(("test images through the network", evaluation.seconds, evaluation.n))
    total = environment.get("total_seconds")
    known = sum(seconds for _, seconds, _ in parts if seconds)
    if total and total > known:
        parts.append(("all else: start, checks, saving", total - known, None))
    longest = max((seconds for _, seconds, _ in parts if seconds), default=0.0)
    rows = [
        {
            "name": name,
            "seconds": duration(seconds),
            "share": round(seconds / longest, 4) if longest else 0,
            "images": count(images),
            "rate": count(round(images / seconds)) if images and seconds else NOTHING,
        }
        for name, seconds, images in parts
        if seconds is not None
    ]
    model, peak = run.folder / "model.safetensors", environment.get("peak_memory_mib")
    epochs = sorted(record.seconds for record in runs.history_of(run))
    facts = [
        ("in all", duration(total)),
        ("peak memory", f"{peak:,.0f} MiB" if peak else ""),
        ("parameters", count(runs.parameters_of(run))),
        ("size of the model", f"{model.stat().st_size / 1024:,.0f} KiB" if model.is_file() else ""),
        ("an epoch", duration(epochs[len(epochs) // 2]) if epochs else ""),
    ]
    return {"rows": rows, "facts": facts}


def _images_trained(run: Run) -> int | None:
    """Every image counted each time the networks met it."""
    history, training = runs.history_of(run), run.recipe.training
    images = (run.environment.get("data") or {}).get("train")
    if not history or not images:
        return None
    return min(history[-1].steps * (training.batch_size or images), len(history) * images)


def _plain(value: Any) -> str:
    """An entry of environment.json."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return NOTHING if value in (None, "") else shown_path(str(value))


# The source document's figures beside this run's.


def published_section(run: Run) -> Section | None:
    """None where the source publishes nothing."""
    published, record = run.recipe.published, runs.final_record(run)
    here = {key: getattr(record, key, None) for key in runs.HISTORY_NAMES}
    here |= {"test_accuracy": run.evaluation.accuracy if run.evaluation else None}
    here |= {"parameters": runs.parameters_of(run)}
    names = {**runs.HISTORY_NAMES, "test_accuracy": "test accuracy", "parameters": "parameters"}
    rows = [
        (name, figure(theirs, key), figure(here[key], key), _gap(theirs, here[key], key))
        for key, name in names.items()
        if (theirs := getattr(published, key)) is not None
    ]
    columns = {
        key: name
        for key, name in runs.HISTORY_NAMES.items()
        if any(getattr(epoch, key) is not None for epoch in published.epochs)
    }
    if not rows and not columns and not published.remark:
        return None
    ours = {record.epoch: record for record in runs.history_of(run)}
    epochs = [
        (epoch.epoch, [
            figure(getattr(source, key, None), key)
            for key in columns
            for source in (epoch, ours.get(epoch.epoch))
        ])
        for epoch in published.epochs
    ]  # fmt: skip
    return {"rows": rows, "columns": list(columns.values()), "epochs": epochs, "remark": published.remark}


def _gap(published: float, here: float | None, key: str) -> str:
    gap = None if here is None else here - published
    if key.endswith("accuracy"):
        return points(gap)
    return difference(gap, 0 if key == "parameters" else 4)


# Data, network and training.


def _class_counts(run: Run) -> str:
    """The chart of images per class."""
    if run.summary is None:
        return ""
    counts = np.asarray(run.summary.class_counts)
    alt = f"Bars: images per class, from {count(counts.min())} to {count(counts.max())}."
    drawn = plots.plot_bars(run.summary.class_names, counts, [f"{value:,}" for value in counts])
    return charts.figure_to_svg(drawn, "counts", alt)


def _walk(layers: tuple[Layer, ...], depth: int = 0) -> Iterator[tuple[Layer, int, str]]:
    """(layer, how deep within others, as a recipe writes it)."""
    for layer in layers:
        yield layer, depth, _describe(layer)
        yield from _walk(layer.inner, depth + 1)


def _describe(layer: Layer) -> str:
    spec = layer.spec
    if spec.kind == "linear":
        return f"linear {spec.units}"
    if spec.kind in ("conv", "depthwise"):
        stride = f" stride {spec.stride[0]}" if spec.stride != (1, 1) else ""
        padding = f" padding {_sides(spec.padding)}" if spec.padding != (0, 0) else ""
        units = f" {spec.units}" if spec.units else ""
        return f"{spec.kind}{units} {spec.kernel[0]}x{spec.kernel[1]}{stride}{padding}"
    if spec.kind in ("max-pool", "average-pool", "pixel-unshuffle"):
        stride = "" if spec.stride in ((1, 1), spec.kernel) else f" stride {spec.stride[0]}"
        return f"{spec.kind} {_sides(spec.kernel)}{stride}"
    if spec.kind in ("dropout", "scale"):
        return f"{spec.kind} {spec.rate:g}"
    return "adds the layers below to its input" if spec.kind == "residual" else spec.kind


def _sides(pair: tuple[int, int]) -> str:
    """ "3" for (3, 3), "2x1" for (2, 1)."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def training_section(run: Run) -> Section | None:
    """The curves; None before the first epoch."""
    history = runs.history_of(run)
    if not history:
        return None
    last = short(history[-1].learning_rate)
    return {
        "history": history,
        "loss": _curve_chart(run, history, "loss"),
        "accuracy": _curve_chart(run, history, "accuracy"),
        "rate": charts.draw_chart(
            plots.plot_learning_rate(history),
            "rate",
            f"Learning rate over {len(history)} epochs, at the end {last}.",
            [(record.epoch, f"Epoch {record.epoch}: {short(record.learning_rate)}") for record in history],
            title="learning rate",
        ),
    }


def _curve_chart(run: Run, history: Sequence[EpochRecord], quantity: Any) -> Section:
    published, last = run.recipe.published.epochs, history[-1]
    train, val = (figure(getattr(last, f"{part}_{quantity}"), quantity) for part in ("train", "val"))
    alt = f"{quantity.capitalize()} over {len(history)} epochs, at the end {train} in training and {val}"
    read = [(record.epoch, _at_epoch(record, quantity, published)) for record in history]
    return charts.draw_chart(
        plots.plot_curves(history, quantity, published), quantity, f"{alt} in validation.", read
    )


def _at_epoch(record: EpochRecord, quantity: str, published: Sequence[Any]) -> str:
    """Epoch 3: training 0.0712, validation 0.0803 (published 0.0791)."""
    theirs = next((epoch for epoch in published if epoch.epoch == record.epoch), None)
    parts = []
    for part, name in (("train", "training"), ("val", "validation")):
        key = f"{part}_{quantity}"
        value, other = getattr(record, key), getattr(theirs, key, None)
        if value is not None:
            also = f" (published {figure(other, key)})" if other is not None else ""
            parts.append(f"{name} {figure(value, key)}{also}")
    return f"Epoch {record.epoch}: {', '.join(parts)}"


def shown_command(command: str) -> str:
    """A command line with its absolute paths as `shown_path`, also behind KEY= and --option=; a call in
    Python stays as it is."""
    if "(" in command.partition(" ")[0]:
        return command
    try:
        words = shlex.split(command)
    except ValueError:  # quotes that do not close
        words = command.split()
    parts = [word.rpartition("=") for word in words]
    return shlex.join(f"{before}{equals}{shown_path(value)}" for before, equals, value in parts)
