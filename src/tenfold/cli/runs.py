"""`tenfold runs`: what was trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tenfold.cli.models import find_model
from tenfold.cli.options import DataDir, Json
from tenfold.cli.output import emit_json, percent, plain_table, stderr, stdout

# `tenfold report`: the HTML report of a run.


def report_command(
    run: Annotated[Path | None, typer.Argument(help="A run's folder (default: the newest run).")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Output file (default: report.html in the run's folder).")
    ] = None,
    measure: Annotated[
        bool, typer.Option(help="Measure missing figures if the test images are available.")
    ] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run: one HTML file that works offline."""
    from tenfold.runs.folder import open_run
    from tenfold.show.report import write_report

    opened = open_run(find_model(run, quiet=as_json))
    if measure:
        from tenfold.runs.train import complete_run

        opened = complete_run(
            opened, data_dir=data_dir, announce=lambda line: stderr().print(line, markup=False)
        )
    path = write_report(opened, out)
    if as_json:
        emit_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        stdout().print(f"report: {path}", markup=False)


# `tenfold compare`: runs side by side, and whether their difference is real.


def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Two or more runs' folders.")],
    html: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write a page with curves and pictures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: figures, recipes, and whether their difference is significant."""
    if len(runs) < 2:
        raise typer.BadParameter("compare takes two runs or more")
    from tenfold.runs.folder import open_run
    from tenfold.show.compare import compare_pairs, compare_runs, recipe_differences

    opened = [open_run(path) for path in runs]
    rows, differences = compare_runs(opened), recipe_differences(opened)
    tests, notes = compare_pairs(opened)
    if html is not None:
        from tenfold.show.compare import write_comparison

        write_comparison(opened, html)
    if as_json:
        emit_json(
            {
                "runs": rows,
                "differences": [{"key": key, "values": values} for key, values in differences],
                "tests": [test.to_dict() for test in tests],
                "notes": notes,
                "page": str(html) if html else None,
            }
        )
        return
    _show_comparison(rows, differences, [*(test.sentence() for test in tests), *notes])
    if html is not None:
        stdout().print(f"\npage: {html}", markup=False)


def _show_comparison(
    rows: list[dict[str, Any]], differences: list[tuple[str, list[Any]]], said: list[str]
) -> None:
    console = stdout()
    console.print(runs_table(rows))
    console.print()
    for sentence in said:
        console.print(sentence, markup=False)
    console.print("\nthe recipes differ in" if differences else "\nthe recipes are the same")
    columns = ("key", *(str(row["name"]) for row in rows))
    if differences:
        console.print(plain_table(columns, [(key, *values) for key, values in differences]))


def runs_table(rows: list[dict[str, Any]]) -> Any:
    """One line per run."""
    columns = ("run", "recipe", "engine", "seed", "epochs", "seconds", "val accuracy", "test accuracy")
    cells = [
        (
            row["name"],
            row["recipe"],
            row["engine"],
            row["seed"],
            row["epochs"],
            "-" if row["seconds"] is None else f"{row['seconds']:.1f}",
            percent(row["val_accuracy"]),
            percent(row["test_accuracy"]),
        )
        for row in rows
    ]
    return plain_table(columns, cells, right=columns[3:])


app = typer.Typer(help="List the runs, show one, or compare several.", invoke_without_command=True)

Root = Annotated[Path, typer.Option("--root", help="The folder of runs.")]


@app.callback()
def list_command(context: typer.Context, root: Root = Path("runs"), as_json: Json = False) -> None:
    """List the runs in a folder, oldest first."""
    if context.invoked_subcommand:
        return
    from tenfold.runs.folder import list_runs
    from tenfold.show.compare import compare_runs

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
