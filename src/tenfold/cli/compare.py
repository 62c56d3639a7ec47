"""`tenfold compare`: runs side by side, and whether their difference is real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tenfold.cli.options import Json
from tenfold.cli.output import emit_json, percent, plain_table, stdout

__all__ = ["compare_command", "runs_table"]


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
    from tenfold.report.compare import compare_runs, recipe_differences
    from tenfold.report.paired import compare_pairs
    from tenfold.runs.folder import open_run

    opened = [open_run(path) for path in runs]
    rows, differences = compare_runs(opened), recipe_differences(opened)
    tests, notes = compare_pairs(opened)
    if html is not None:
        from tenfold.report.compare_page import write_comparison

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
    _show(rows, differences, [*(test.sentence() for test in tests), *notes])
    if html is not None:
        stdout().print(f"\npage: {html}", markup=False)


def _show(rows: list[dict[str, Any]], differences: list[tuple[str, list[Any]]], said: list[str]) -> None:
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
