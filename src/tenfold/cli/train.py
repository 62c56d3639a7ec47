"""`tenfold train`: a recipe + data -> a run's folder with model, history, scores and report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
)
from tenfold.cli.output import emit_json, percent, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.runs.run import RunOutcome


def train_command(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Argument(help="A recipe's name or file (default: cnn).")] = None,
    data: DataSource = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    seed: Seed = 0,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of epochs, whatever the recipe's steps; short for --set training.epochs=N."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="float32, float64, bfloat16 or auto; short for --set training.precision=..."),
    ] = None,
    changes: Changes = None,
    start_from: Annotated[
        str | None, typer.Option(help="Transfer learning: the run or model whose weights to start from.")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="The run's folder (default: runs/RECIPE-SEED).")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the stopped run in this folder.")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a recipe, evaluate it once on the test set, and write the report."""
    from tenfold.cli.options import choose_recipe
    from tenfold.runs.run import resume_run, start_run

    console = stderr() if as_json else stdout()
    from tenfold.cli.training_progress import TrainingProgress

    callbacks = [] if quiet else [TrainingProgress(console)]
    if resume is not None:
        _refuse_with_resume(context)
        with _told_as_json(as_json), progress_bar(quiet=quiet) as progress:
            outcome = resume_run(
                resume, data_dir=data_dir, offline=offline, callbacks=callbacks, progress=progress
            )
    else:
        short = {
            "training.epochs": epochs,
            "training.precision": precision,
            "network.start_from": start_from,
        }
        chosen = choose_recipe(recipe or "cnn", changes, short)
        with _told_as_json(as_json), progress_bar(quiet=quiet) as progress:
            outcome = start_run(
                chosen,
                source=data,
                data_dir=data_dir,
                offline=offline,
                engine=engine,
                device=device,
                seed=seed,
                run_dir=run_dir,
                command=shlex.join(["tenfold", *sys.argv[1:]]),
                callbacks=callbacks,
                progress=progress,
                announce=lambda line: stderr().print(line, markup=False),
            )
    _finish(outcome, report=report, as_json=as_json)


@contextmanager
def _told_as_json(as_json: bool) -> Iterator[None]:
    """A training whose loss is NaN or infinite is reported on stdout as well."""
    from tenfold.errors import DivergedError

    try:
        yield
    except DivergedError as error:
        if as_json:
            emit_json({"status": "diverged", "learned": False, "problem": str(error)})
        raise


def _refuse_with_resume(context: typer.Context) -> None:
    """The run's folder says everything; silently ignoring what was asked for would mislead."""
    allowed = {"resume", "data_dir", "offline", "report", "as_json", "quiet"}
    given = (name for name in context.params if name not in allowed)
    others = [name for name in given if _on_command_line(context, name)]
    if others:
        named = ", ".join(name.replace("_", "-") for name in others)
        raise typer.BadParameter(
            f"--resume takes recipe, data, engine and seed from the run; leave out {named}"
        )


def _on_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _finish(outcome: RunOutcome, *, report: bool, as_json: bool) -> None:
    report_path = None
    if report and outcome.status != "interrupted":
        from tenfold.show.report import write_report

        report_path = write_report(outcome.run)
    if as_json:
        emit_json(outcome.to_dict() | {"report": str(report_path) if report_path else None})
    else:
        _print_outcome(outcome, report_path)
    if outcome.problem and not as_json:
        stdout().print(
            f"it did not learn: {outcome.problem}; find out why: tenfold doctor {outcome.run.folder}",
            markup=False,
        )
    if outcome.status == "interrupted":
        stderr().print(f"continue with: tenfold train --resume {outcome.run.folder}", markup=False)
        raise typer.Exit(130)


def _print_outcome(outcome: RunOutcome, report_path: Path | None) -> None:
    console = stdout()
    test = outcome.evaluation
    if test is not None:
        low, high = test.interval
        console.print(
            f"test accuracy [bold]{percent(test.accuracy)}[/bold] (95 % interval {percent(low)} to "
            f"{percent(high)}, {test.misses} of {test.n:,} missed), loss {test.loss:.4f}, "
            f"trained in {outcome.seconds:.1f} s"
        )
    console.print(f"run: {outcome.run.folder}", markup=False)
    if report_path is not None:
        console.print(f"report: {report_path}", markup=False)
