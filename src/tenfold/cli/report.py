"""`tenfold report`: the HTML report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.models import find_model
from tenfold.cli.options import DataDir, Json
from tenfold.cli.output import emit_json, stderr, stdout

__all__ = ["report_command"]


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
    from tenfold.report.write import write_report
    from tenfold.runs.folder import open_run

    opened = open_run(find_model(run, quiet=as_json))
    if measure:
        from tenfold.runs.measure import complete_run

        opened = complete_run(
            opened, data_dir=data_dir, announce=lambda line: stderr().print(line, markup=False)
        )
    path = write_report(opened, out)
    if as_json:
        emit_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        stdout().print(f"report: {path}", markup=False)
