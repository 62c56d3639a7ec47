"""`tenfold train`: a recipe + data -> a run's folder with model, history, scores and report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from tenfold.cli.options import (
    Changes,
    ClassPattern,
    Colour,
    DataDir,
    DataSource,
    DeviceName,
    EngineName,
    Json,
    Offline,
    Quiet,
    Seed,
    Size,
    SkipBroken,
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
    colour: Colour = None,
    size: Size = None,
    skip_broken: SkipBroken = False,
    class_pattern: ClassPattern = None,
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
    resume_if_there: Annotated[
        bool,
        Option("--resume-if-there", help="Continue the run in --run-dir where there is one, else start."),
    ] = False,
    checkpoint_every: Annotated[
        int, Option(min=0, help="Steps after which a checkpoint is written; 0: after each epoch only.")
    ] = 0,
    report: Annotated[bool, Option(help="Write report.html.")] = True,
    log: Annotated[
        list[str] | None, Option(help="Log each epoch for tensorboard (in the run's folder) or mlflow.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a recipe, evaluate it once on the test set, and write the report.

    Several processes that torchrun starts train one network together.
    """
    from tenfold.data.load import DataRequest
    from tenfold.engines.create import Engines
    from tenfold.runs.run import follow_run, resume_run, start_run
    from tenfold.show.progress import TrainingProgress
    from tenfold.training.loggers import Loggers

    if resume is not None:
        _refuse_with_resume(context)
    short = {"training.epochs": epochs, "training.precision": precision, "network.start_from": start_from}
    with Engines.join_ranks() as ranks, _told_as_json(as_json):
        request = DataRequest(
            data, "train", data_dir, offline, colour=colour, size=size, skip_broken=skip_broken,
            class_pattern=class_pattern,
        )  # fmt: skip
        if ranks.number:
            status = follow_run(ranks, request, checkpoint_every=checkpoint_every).status
        else:
            shown = [] if quiet else [TrainingProgress((stderr if as_json else stdout).console)]
            how: dict[str, Any] = {
                "callbacks": [*map(Loggers.make, log or ()), *shown],
                "checkpoint_every": checkpoint_every, "ranks": ranks,
            }  # fmt: skip
            with stderr.progress_bar(quiet=quiet) as progress:
                request = replace(request, progress=progress)
                if resume is not None:
                    outcome = resume_run(resume, request, **how)
                else:
                    outcome = start_run(
                        choose_recipe(recipe or "cnn", changes, short), request, engine=engine, device=device,
                        seed=seed, run_dir=run_dir, command=shlex.join(["tenfold", *sys.argv[1:]]),
                        announce=stderr.say, resume_if_there=resume_if_there, **how,
                    )  # fmt: skip
            status = _finish(outcome, report=report, as_json=as_json)
    if status == "interrupted":
        raise typer.Exit(130)


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
    allowed = {
        "resume", "checkpoint_every", "data_dir", "offline", "report", "log", "as_json", "quiet",
    }  # fmt: skip
    sources = {name: context.get_parameter_source(name) for name in context.params if name not in allowed}
    if others := [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]:
        named = ", ".join(name.replace("_", "-") for name in others)
        found = f"--resume takes recipe, data, engine and seed from the run; leave out {named}"
        raise typer.BadParameter(found)


def _finish(outcome: RunOutcome, *, report: bool, as_json: bool) -> str:
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
    return outcome.status
