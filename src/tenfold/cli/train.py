"""`tenfold train`: a recipe + data -> a run's folder with model, history, scores and report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from tenfold.cli.options import (
    Changes,
    DataDir,
    DataSource,
    DeviceName,
    EngineName,
    Json,
    Offline,
    Quiet,
    Seed,
    choose_recipe,
)
from tenfold.show.terminal import stderr, stdout

if TYPE_CHECKING:
    from tenfold.runs.run import RunOutcome


def train_command(
    context: typer.Context,
    recipe: Annotated[str | None, Argument(help="A recipe's name or file (default: cnn).")] = None,
    data: DataSource = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    seed: Seed = 0,
    epochs: Annotated[
        int | None,
        Option(
            min=1, help="Number of epochs, whatever the recipe's steps; short for --set training.epochs=N."
        ),
    ] = None,
    precision: Annotated[
        str | None, Option(help="float32, float64, bfloat16 or auto; short for --set training.precision=...")
    ] = None,
    changes: Changes = None,
    start_from: Annotated[
        str | None, Option(help="Transfer learning: the run or model whose weights to start from.")
    ] = None,
    run_dir: Annotated[Path | None, Option(help="The run's folder (default: runs/RECIPE-SEED).")] = None,
    resume: Annotated[Path | None, Option(help="Continue the stopped run in this folder.")] = None,
    report: Annotated[bool, Option(help="Write report.html.")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a recipe, evaluate it once on the test set, and write the report."""
    from tenfold.data.load import DataRequest
    from tenfold.runs.run import resume_run, start_run
    from tenfold.show.progress import TrainingProgress

    if resume is not None:
        _refuse_with_resume(context)
    short = {"training.epochs": epochs, "training.precision": precision, "network.start_from": start_from}
    with _told_as_json(as_json), stderr.progress_bar(quiet=quiet) as progress:
        request = DataRequest(data, "train", data_dir, offline, progress)
        callbacks = [] if quiet else [TrainingProgress((stderr if as_json else stdout).console)]
        if resume is not None:
            outcome = resume_run(resume, request, callbacks=callbacks)
        else:
            outcome = start_run(
                choose_recipe(recipe or "cnn", changes, short), request, engine=engine, device=device,
                seed=seed, run_dir=run_dir, command=shlex.join(["tenfold", *sys.argv[1:]]),
                announce=stderr.say, callbacks=callbacks,
            )  # fmt: skip
    _finish(outcome, report=report, as_json=as_json)


@contextmanager
def _told_as_json(as_json: bool) -> Iterator[None]:
    """A training whose loss is NaN or infinite is reported on stdout as well."""
    from tenfold.errors import DivergedError

    try:
        yield
    except DivergedError as error:
        if as_json:
            stdout.json({"status": "diverged", "learned": False, "problem": str(error)})
        raise


def _refuse_with_resume(context: typer.Context) -> None:
    """The run's folder says everything; silently ignoring what was asked for would mislead."""
    allowed = {"resume", "data_dir", "offline", "report", "as_json", "quiet"}
    sources = {name: context.get_parameter_source(name) for name in context.params if name not in allowed}
    if others := [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]:
        named = ", ".join(name.replace("_", "-") for name in others)
        found = f"--resume takes recipe, data, engine and seed from the run; leave out {named}"
        raise typer.BadParameter(found)


def _finish(outcome: RunOutcome, *, report: bool, as_json: bool) -> None:
    from tenfold.show.results import print_result

    stopped, folder, path = outcome.status == "interrupted", outcome.run.folder, None
    if report and not stopped:
        from tenfold.show.report import write_report

        path = write_report(outcome.run)
    if as_json:
        stdout.json(outcome.to_dict() | {"report": path})
    else:
        print_result(outcome, written={"run": folder, "report": path})
        if outcome.problem:
            stdout.say(f"it did not learn: {outcome.problem}; find out why: tenfold doctor {folder}")
    if stopped:
        stderr.say(f"continue with: tenfold train --resume {folder}")
        raise typer.Exit(130)
