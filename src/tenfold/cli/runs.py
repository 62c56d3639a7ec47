"""`tenfold runs`, `tenfold report` and `tenfold compare`: what was trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from tenfold.cli.options import DataDir, Json, find_model
from tenfold.show.terminal import stderr, stdout


def report_command(
    run: Annotated[Path | None, Argument(help="A run's folder (default: the newest run).")] = None,
    out: Annotated[
        Path | None, Option(help="Output file (default: report.html in the run's folder).")
    ] = None,
    measure: Annotated[bool, Option(help="Measure missing figures if the test images are available.")] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run: one HTML file that works offline."""
    from tenfold.runs.folder import Run
    from tenfold.show.report import write_report

    opened = Run.open(find_model(run, quiet=as_json))
    if measure:
        from tenfold.data.load import DataRequest

        opened = opened.complete(DataRequest(data_dir=data_dir), announce=stderr.say)
    path = write_report(opened, out)
    if as_json:
        stdout.json({"report": str(path), "bytes": path.stat().st_size})
    else:
        stdout.say(f"report: {path}")


def compare_command(
    runs: Annotated[list[Path], Argument(help="Two or more runs' folders.")],
    html: Annotated[
        Path | None, Option(metavar="PATH", help="Also write a page with curves and pictures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: figures, recipes, and whether their difference is significant."""
    if len(runs) < 2:
        raise typer.BadParameter("compare takes two runs or more")
    from tenfold.runs.folder import Run
    from tenfold.show.pages import write_comparison
    from tenfold.show.results import print_result
    from tenfold.show.runs import RunComparison

    opened = [Run.open(path) for path in runs]
    compared = RunComparison(opened)
    rows, differences, tests, notes = compared.rows, compared.differences, compared.tests, compared.notes
    if html is not None:
        write_comparison(opened, html)
    if as_json:
        stdout.json(
            {
                "runs": rows,
                "differences": [{"key": key, "values": values} for key, values in differences],
                "tests": [test.to_dict() for test in tests],
                "notes": notes,
                "page": str(html) if html else None,
            }
        )
        return
    print_result(rows)
    stdout.say("", *(test.sentence() for test in tests), *notes)
    stdout.say("\nthe recipes differ in" if differences else "\nthe recipes are the same")
    if differences:
        columns = ("key", *(str(row["name"]) for row in rows))
        stdout.table(columns, [(key, *values) for key, values in differences])
    if html is not None:
        stdout.say(f"\npage: {html}")


app = typer.Typer(help="List the runs, show one, or compare several.", invoke_without_command=True)

Root = Annotated[Path, Option("--root", help="The folder of runs.")]


@app.callback()
def list_command(context: typer.Context, root: Root = Path("runs"), as_json: Json = False) -> None:
    """List the runs in a folder, oldest first."""
    if context.invoked_subcommand:
        return
    from tenfold.runs.folder import list_runs
    from tenfold.show.results import print_result
    from tenfold.show.runs import RunComparison

    rows = RunComparison(list_runs(root)).rows
    if as_json:
        stdout.json(rows)
    elif rows:
        print_result(rows)
    else:
        stdout.say(f"{root} holds no run; `tenfold train` makes one")


@app.command("show")
def show_command(run: Annotated[Path, Argument(help="A run's folder.")], as_json: Json = False) -> None:
    """Show a run: its record, history and scores."""
    from dataclasses import asdict

    from tenfold.runs.folder import Run
    from tenfold.show.results import print_result

    opened = Run.open(run)
    history = opened.history if (opened.folder / "history.jsonl").is_file() else []
    document = {
        "run": str(opened.folder),
        "environment": opened.environment,
        "recipe": opened.recipe.model_dump(mode="json", exclude_none=True),
        "history": [asdict(record) for record in history],
        "evaluation": opened.evaluation.to_dict() if opened.evaluation else None,
    }
    if as_json:
        stdout.json(document)
    else:
        print_result(opened, document=document)


app.command("compare")(compare_command)
