"""`tenfold runs`: what was trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tenfold.cli.compare import compare_command, runs_table
from tenfold.cli.options import Json
from tenfold.cli.output import emit_json, percent, plain_table, stdout

__all__ = ["app"]

app = typer.Typer(help="List the runs, show one, or compare several.", invoke_without_command=True)

Root = Annotated[Path, typer.Option("--root", help="The folder of runs.")]


@app.callback()
def list_command(context: typer.Context, root: Root = Path("runs"), as_json: Json = False) -> None:
    """List the runs in a folder, oldest first."""
    if context.invoked_subcommand:
        return
    from tenfold.report.compare import compare_runs
    from tenfold.runs.folder import list_runs

    rows = compare_runs(list_runs(root))
    if as_json:
        emit_json(rows)
    elif not rows:
        stdout().print(f"{root} holds no run; `tenfold train` makes one", markup=False)
    else:
        stdout().print(runs_table(rows))


@app.command("show")
def show_command(run: Annotated[Path, typer.Argument(help="A run's folder.")], as_json: Json = False) -> None:
    """Show a run: its record, history and scores."""
    from tenfold.runs.folder import open_run

    opened = open_run(run)
    if as_json:
        emit_json(_document(opened))
        return
    _show(opened)


app.command("compare")(compare_command)


def _document(run: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "run": str(run.folder),
        "environment": run.environment,
        "recipe": run.recipe.model_dump(mode="json", exclude_none=True),
        "history": [asdict(record) for record in run.history]
        if (run.folder / "history.jsonl").is_file()
        else [],
        "evaluation": run.evaluation.to_dict() if run.evaluation else None,
    }


def _show(run: Any) -> None:
    document = _document(run)
    console = stdout()
    flat = [(key, value) for key, value in document["environment"].items() if key != "data"]
    flat += [
        (f"data {key}", value) for key, value in (document["environment"].get("data") or {}).items() if value
    ]
    console.print(plain_table(("recorded", "value"), flat))
    columns = ("epoch", "train loss", "train accuracy", "val loss", "val accuracy", "seconds")
    rows = [
        (
            row["epoch"],
            f"{row['train_loss']:.4f}",
            percent(row["train_accuracy"]),
            "-" if row["val_loss"] is None else f"{row['val_loss']:.4f}",
            percent(row["val_accuracy"]),
            f"{row['seconds']:.2f}",
        )
        for row in document["history"]
    ]
    console.print()
    console.print(plain_table(columns, rows, right=columns))
    if run.evaluation:
        low, high = run.evaluation.interval
        console.print(
            f"\ntest accuracy {percent(run.evaluation.accuracy)} ({percent(low)} to {percent(high)})"
        )
