"""A run's folder -> one HTML file that needs nothing else: no network, one small script, under 3 MB."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import UsageError
from tenfold.files import shown_command, shown_path, write_text
from tenfold.records import reading
from tenfold.runs.folder import Run, open_run
from tenfold.show import components, sections
from tenfold.show.charts import history_of, label_errors_of, parameters_of, render_page, robustness_of
from tenfold.show.plots import training_section
from tenfold.show.scores import evaluation_section, suspects_section
from tenfold.show.sections import robustness_section

__all__ = ["write_report"]

# What a run took: seconds per part, images per second, memory, parameters.

Section = dict[str, Any]


def costs_section(run: Run) -> Section:
    """Rows of (part, time, share of all as a number, images, images per second), and facts beside them."""
    environment, evaluation = run.environment, run.evaluation
    trained, training = _images_trained(run), environment.get("seconds")
    parts: list[tuple[str, float | None, int | None]] = [
        ("reading the data", environment.get("loading_seconds"), None),
        ("training and validation", training, trained),
    ]
    if evaluation is not None:
        parts.append(("test images through the network", evaluation.seconds, evaluation.n))
    total = environment.get("total_seconds")
    known = sum(seconds for _, seconds, _ in parts if seconds)
    if total and total > known:
        parts.append(("all else: start, checks, saving", total - known, None))
    longest = max((seconds for _, seconds, _ in parts if seconds), default=0.0)
    peak = environment.get("peak_memory_mib")
    facts = [
        ("in all", components.duration(total)),
        ("peak memory", f"{peak:,.0f} MiB" if peak else ""),
        ("parameters", components.count(parameters_of(run))),
        ("size of the model", _model_size(run)),
        ("an epoch", _epoch_seconds(run)),
    ]
    return {
        "rows": [_row(name, each, images, longest) for name, each, images in parts if each is not None],
        "facts": [(name, value) for name, value in facts if value not in ("", components.NOTHING)],
        "where": ", ".join(str(environment[key]) for key in ("processor", "device") if environment.get(key)),
        "threads": environment.get("threads"),
    }


def _row(name: str, seconds: float, images: int | None, longest: float) -> Section:
    return {
        "name": name,
        "seconds": components.duration(seconds),
        "share": round(seconds / longest, 4) if longest else 0,
        "images": components.count(images),
        "rate": components.count(round(images / seconds)) if images and seconds else components.NOTHING,
    }


def _images_trained(run: Run) -> int | None:
    """Every image counted each time the networks met it."""
    history, training = history_of(run), run.recipe.training
    images = (run.environment.get("data") or {}).get("train")
    if not history or not images:
        return None
    return min(history[-1].steps * (training.batch_size or images), len(history) * images)


def _epoch_seconds(run: Run) -> str:
    seconds = sorted(record.seconds for record in history_of(run))
    return components.duration(seconds[len(seconds) // 2]) if seconds else ""


def _model_size(run: Run) -> str:
    path = run.folder / "model.safetensors"
    return f"{path.stat().st_size / 1024:,.0f} KiB" if path.is_file() else ""


_CONTENTS = (
    ("again", "Do it again"),
    ("published", "Published figures"),
    ("data", "Data"),
    ("network", "Network"),
    ("training", "Training"),
    ("test", "Test"),
    ("pictures", "Right and wrong"),
    ("suspects", "Label errors"),
    ("robustness", "Robustness"),
    ("weights", "Weights"),
    ("costs", "Time and memory"),
    ("environment", "Environment"),
)


@checked
def write_report(run: Run | str | Path, path: str | Path | None = None) -> Path:
    """Writes the report (`report.html` in the run's folder unless `path` is given); returns its path.

    run: a Run, or its folder.
    Parts that the run does not have (no evaluation, no summary, no epoch yet) are said to be missing,
    with the command that adds them. Nothing is measured here.
    Raises UsageError where `path` is a folder, ModelError or DataError where a part is there but cannot
    be read.
    """
    run = open_run(run)
    target = run.folder / "report.html" if path is None else Path(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder", expected="a file's name, such as report.html")
    remedy = f"measure it anew: tenfold evaluate {run.folder}"
    with reading(f"the run {run.folder}", expected="files that belong together", remedy=remedy):
        page = render_page("report.html.j2", _context(run))
    write_text(target, page)
    return target


def _context(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "recipe": run.recipe,
        "contents": _CONTENTS,
        "command": shown_command(run.environment.get("command", "")),
        "absent": _absent_parts(run),
        "verdict": sections.verdict_section(run),
        "published": sections.published_section(run),
        "data": sections.data_section(run),
        "network": sections.network_section(run),
        "training": training_section(run),
        "test": evaluation_section(run),
        "suspects": suspects_section(run),
        "robustness": robustness_section(run),
        "weights": sections.weights_section(run),
        "costs": costs_section(run),
        "environment": sections.environment_section(run),
    }


def _absent_parts(run: Run) -> list[tuple[str, str]]:
    """(what this report could hold besides, the command that adds it)."""
    evaluation, folder = run.evaluation, shlex.quote(shown_path(str(run.folder)))
    if not (run.folder / "model.safetensors").is_file():
        again = "tenfold.train(..., resume=True)" if run.in_memory else f"tenfold train --resume {folder}"
        return [("All that is measured after training", again)]
    absent, images = [], " --data DATA" * run.in_memory
    if evaluation is None or not evaluation.has_probs:
        absent.append(("The test set, with every probability", f"tenfold evaluate {folder}{images}"))
    if robustness_of(run) is None:
        absent.append(("Accuracy under fifteen corruptions", f"tenfold robustness {folder}{images}"))
    if label_errors_of(run) is None and not images:
        absent.append(("Likely label errors of the training set", f"tenfold label-errors {folder}"))
    return absent
