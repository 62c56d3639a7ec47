"""A run -> what the page says, section by section: text and figures ready to print, no layout.

Each function gives a dictionary for the template, or None where the run does not have that part.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from tenfold.engines.ensemble import split_members
from tenfold.files import shown_path
from tenfold.networks.shapes import Layer, Network
from tenfold.runs.folder import Run
from tenfold.show import components, plots
from tenfold.show.charts import (
    class_names_of,
    final_record,
    history_of,
    model_of,
    network_of,
    parameters_of,
    robustness_of,
)
from tenfold.show.components import figure_to_svg, grey_picture, picture_row
from tenfold.show.plots import HISTORY_NAMES, history_figure, progress_facts
from tenfold.show.weights import draw_first_weights

Section = dict[str, Any]
_SHOWN_CLASSES = 60


def verdict_section(run: Run) -> Section:
    """What a reader wants to know first, and what they must know of the data."""
    evaluation, environment = run.evaluation, run.environment
    data = environment.get("data") or {}
    facts = [
        ("network", run.recipe.title or run.recipe.name),
        ("ensemble", _ensemble(run)),
        ("seed", environment.get("seed")),
        ("engine", _engine(environment)),
        ("training", components.duration(environment.get("seconds"))),
        *progress_facts(run),
    ]
    return {
        "accuracy": evaluation and components.percent(evaluation.accuracy),
        "interval": evaluation and [components.percent(value) for value in evaluation.interval],
        "n": evaluation and components.count(evaluation.n),
        "dataset": evaluation and evaluation.dataset,
        "note": (run.summary.note if run.summary else "") or data.get("note") or "",
        "status": environment.get("status", ""),
        "facts": [(name, value) for name, value in facts if value not in (None, "", components.NOTHING)],
    }


def _ensemble(run: Run) -> str:
    """Empty for one network that looks once; where some are still to be trained, how many there are."""
    wanted, model = run.recipe.ensemble, model_of(run)
    whole = wanted.members if model is None else len(split_members(model[1]))
    networks = f"{whole} of {wanted.members}" if whole < wanted.members else f"{wanted.members}"
    parts = [f"{networks} networks"] * (wanted.members > 1) + [f"{wanted.views} views"] * (wanted.views > 1)
    return ", ".join(parts)


def _engine(environment: dict[str, Any]) -> str:
    parts = [environment.get(key) for key in ("engine", "device", "precision")]
    return ", ".join(str(part) for part in parts if part)


def published_section(run: Run) -> Section | None:
    """The source document's figures beside this run's; None where it publishes none."""
    published, record = run.recipe.published, final_record(run)
    here: dict[str, float | None] = {key: getattr(record, key, None) for key in HISTORY_NAMES}
    here["test_accuracy"] = run.evaluation.accuracy if run.evaluation else None
    here["parameters"] = parameters_of(run)
    names = {**HISTORY_NAMES, "test_accuracy": "test accuracy", "parameters": "parameters"}
    rows = [
        _compare(name, key, getattr(published, key), here[key])
        for key, name in names.items()
        if getattr(published, key) is not None
    ]
    epochs = _published_epochs(run)
    if not rows and not epochs and not published.remark:
        return None
    return {"rows": rows, "epochs": epochs, "remark": published.remark, "source": run.recipe.source}


def _compare(name: str, key: str, published: float, here: float | None) -> Section:
    gap = None if here is None else here - published
    if key == "parameters":
        texts = components.count(published), components.count(here), components.difference(gap, 0)
    elif key.endswith("accuracy"):
        texts = components.percent(published), components.percent(here), components.points(gap)
    else:
        texts = components.decimal(published), components.decimal(here), components.difference(gap)
    return dict(zip(("name", "published", "here", "difference"), (name, *texts), strict=True))


def _published_epochs(run: Run) -> Section | None:
    """The published history beside ours, only the columns that were published."""
    published = run.recipe.published.epochs
    given = [key for key in HISTORY_NAMES if any(getattr(epoch, key) is not None for epoch in published)]
    if not given:
        return None
    ours = {record.epoch: record for record in history_of(run)}
    rows = [
        (
            epoch.epoch,
            [
                history_figure(key, getattr(source, key, None))
                for key in given
                for source in (epoch, ours.get(epoch.epoch))
            ],
        )
        for epoch in published
    ]
    return {"columns": [HISTORY_NAMES[key] for key in given], "rows": rows}


def data_section(run: Run) -> Section | None:
    """Counts, distribution, examples and mean images of the training images."""
    summary = run.summary
    if summary is None:
        return None
    names, counts = tuple(summary.class_names), np.asarray(summary.class_counts)
    split = run.environment.get("data") or {}
    facts = [
        ("data set", summary.name),
        ("images", components.count(summary.count)),
        ("used for training", components.count(split["train"]) if split.get("train") else ""),
        ("held out for validation", components.count(split["val"]) if split.get("val") else ""),
        ("size", f"{components.times(summary.image_shape)} pixels, grey"),
        ("classes", components.count(len(names))),
        ("mean and deviation of the pixels", f"{summary.pixel_mean:.4f} and {summary.pixel_std:.4f}"),
    ]
    alt = (
        f"Bars: images per class, from {components.count(counts.min())} to {components.count(counts.max())}."
    )
    return {
        "facts": [(name, value) for name, value in facts if value],
        "sha256": summary.sha256,
        "note": summary.note,
        "counts": figure_to_svg(plots.plot_class_counts(names, counts), "counts", alt),
        "examples": [
            (name, min(number, len(images)), picture_row(images[:number]))
            for name, number, images in zip(names[:_SHOWN_CLASSES], counts, summary.examples, strict=False)
            if number and len(images)
        ],
        "means": [
            (name, grey_picture(image))
            for name, image in zip(names[:_SHOWN_CLASSES], summary.class_means, strict=False)
        ],
        "shown": min(len(names), _SHOWN_CLASSES),
        "classes": len(names),
    }


def network_section(run: Run) -> Section | None:
    """A row per layer: its line, the shape that leaves it, its parameter tensors and their count."""
    network = network_of(run)
    if network is None:
        return None
    return {
        "input": components.times(network.input_shape),
        "rows": [_layer_row(layer, depth) for layer, depth in _walk(network.layers)],
        "members": run.recipe.ensemble.members,
        "views": run.recipe.ensemble.views,
        "total": components.count(network.parameter_count),
        "kept": components.count(_not_learned(network)) if _not_learned(network) else "",
        "source": run.recipe.source,
        "description": run.recipe.description,
        "loss": run.recipe.loss.name,
        "optimiser": _optimiser(run),
    }


def _walk(layers: tuple[Layer, ...], depth: int = 0) -> Iterator[tuple[Layer, int]]:
    for layer in layers:
        yield layer, depth
        yield from _walk(layer.inner, depth + 1)


def _layer_row(layer: Layer, depth: int) -> Section:
    learned = [p for p in layer.parameters if p.learned]
    return {
        "name": layer.spec.name.rsplit(".", 1)[-1],
        "depth": depth,
        "what": _describe(layer),
        "shape": components.times(layer.output_shape),
        "tensors": [(p.role, components.times(p.shape), components.count(prod(p.shape))) for p in learned],
        "count": components.count(sum(prod(p.shape) for p in learned)) if learned else "",
    }


def _sides(pair: tuple[int, int]) -> str:
    """ "3" for (3, 3), "2x1" for (2, 1)."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _describe(layer: Layer) -> str:
    """The layer as a recipe writes it."""
    spec = layer.spec
    if spec.kind == "linear":
        return f"linear {spec.units}"
    if spec.kind == "conv":
        stride = f" stride {spec.stride[0]}" if spec.stride != (1, 1) else ""
        padding = f" padding {_sides(spec.padding)}" if spec.padding != (0, 0) else ""
        return f"conv {spec.units} {spec.kernel[0]}x{spec.kernel[1]}{stride}{padding}"
    if spec.kind in ("max-pool", "average-pool", "pixel-unshuffle"):
        stride = "" if spec.stride in ((1, 1), spec.kernel) else f" stride {spec.stride[0]}"
        return f"{spec.kind} {_sides(spec.kernel)}{stride}"
    if spec.kind == "dropout":
        return f"dropout {spec.rate:g}"
    return "adds the layers below to its input" if spec.kind == "residual" else spec.kind


def _not_learned(network: Network) -> int:
    return sum(prod(p.shape) for p in network.parameters() if not p.learned)


def _optimiser(run: Run) -> str:
    optimiser, schedule = run.recipe.optimiser, run.recipe.schedule
    batch = run.recipe.training.batch_size
    size = f"batches of {components.count(batch)}" if batch else "all images at once"
    rate = f"learning rate {components.short(optimiser.learning_rate)}"
    return f"{optimiser.name}, {rate}, schedule {schedule.name}, {size}"


def weights_section(run: Run) -> Section | None:
    """The first layer's weights as pictures; None without a model, `pictures` None without any."""
    model, names, network = model_of(run), class_names_of(run), network_of(run)
    if model is None or names is None or network is None:
        return None
    members = split_members(model[1])
    drawn = draw_first_weights(run.recipe, network, members[0], names)
    return {"drawn": drawn, "members": len(members), "scale": components.short(drawn.scale) if drawn else ""}


def environment_section(run: Run) -> Section:
    """What the run ran on: every plain entry of environment.json, in its order."""
    names = {
        "cores": "processor cores",
        "seconds": "seconds of training",
        "loading_seconds": "seconds of reading the data",
        "total_seconds": "seconds in all",
        "peak_memory_mib": "peak memory in MiB",
    }
    left_out = {"command", "data"}
    plain = {key: value for key, value in run.environment.items() if key not in left_out}
    data = run.environment.get("data") or {}
    rows = [(names.get(key, key.replace("_", " ")), _plain(value)) for key, value in plain.items()]
    rows += [(f"data: {key}", _plain(value)) for key, value in data.items() if value not in (None, "")]
    return {"rows": rows, "folder": run.name}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return components.NOTHING if value in (None, "") else shown_path(str(value))


# Robustness -> a row a corruption: its accuracies by severity, and what its pictures look like.


def robustness_section(run: Run) -> Section | None:
    """None where the run's folder does not hold it."""
    found, names = robustness_of(run), class_names_of(run)
    if found is None or names is None:
        return None
    rows = [
        {
            "name": name,
            "cells": [
                (
                    components.percent(float(share), 1),
                    f"{100 * (0.85 * max(found.accuracy - share, 0.0)):.0f}",
                )
                for share in found.accuracies[place]
            ],
            "mean": components.percent(float(found.accuracies[place].mean()), 1),
            "label": names[found.example_label[place]],
            "strip": picture_row(found.images[place]),
            "read": ", ".join(names[answer] for answer in found.example_predicted[place]),
        }
        for place, name in enumerate(found.corruptions)
    ]
    order = sorted(range(len(rows)), key=lambda place: float(found.accuracies[place].mean()))
    return {
        "facts": [
            ("as they are", components.percent(found.accuracy, 1)),
            ("mean of all corruptions", components.percent(found.mean_accuracy, 1)),
            ("hardest", f"{rows[order[0]]['name']}, {rows[order[0]]['mean']}"),
            ("images", components.count(found.n)),
        ],
        "severities": found.accuracies.shape[1],
        "rows": [rows[place] for place in order],
    }
