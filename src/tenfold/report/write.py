"""A run's folder -> one HTML file that needs nothing else: no network, one small script, under 3 MB."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import UsageError
from tenfold.files import write_text
from tenfold.pages.paths import shown_command, shown_path
from tenfold.records import reading
from tenfold.report import sections
from tenfold.report.costs import costs_section
from tenfold.report.curves import training_section
from tenfold.report.page import render_page
from tenfold.report.parts import label_errors_of, robustness_of
from tenfold.report.robust import robustness_section
from tenfold.report.scores import evaluation_section
from tenfold.report.suspects import suspects_section
from tenfold.runs.folder import Run, open_run

__all__ = ["write_report"]

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
