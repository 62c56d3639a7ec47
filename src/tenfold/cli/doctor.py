"""`tenfold doctor`: why a network does not learn, and how to fix it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from tenfold.cli.options import DATA, Common, DataSource, takes_common
from tenfold.show.terminal import stderr

_FAULT_FOUND = 3  # exit code


@takes_common(*DATA, "engine", "seed", "as_json", "quiet")
def doctor_command(
    target: Annotated[str, Argument(metavar="RECIPE|RUN", help="A recipe's name or file, or a run.")],
    data: DataSource = None,
    fix: Annotated[
        Path | None, Option(help="Write the fixed recipe to this file, and train both recipes briefly.")
    ] = None,
    html: Annotated[Path | None, Option(help="Write the findings and plots as an HTML page.")] = None,
    checks: Annotated[bool, Option(help="Also list the checks that passed.")] = False,
    *,
    common: Common,
) -> None:
    """Diagnose why a network does not learn: faults in recipe, data and training, and their fixes.

    The exit code is 3 if a fault was found; with warnings and notes only it is 0.
    """
    from tenfold.doctor.examine import Comparison, examine_target
    from tenfold.show.pages import write_page

    how: dict[str, Any] = {"engine": common.engine, "seed": common.seed}
    with common.loading(data) as request:
        diagnosis, dataset = examine_target(target, request, announce=stderr.say, **how)
        comparison = None
        if fix is not None and diagnosis.changes:
            comparison = Comparison.measure(diagnosis.recipe, diagnosis.fixed, dataset, **how)
            diagnosis.write_fixed(fix)
    if html is not None:
        write_page(diagnosis, path=html, comparison=comparison)
    document = diagnosis.to_dict() | {
        "comparison": comparison.to_dict() if comparison else None,
        "fix": str(fix) if comparison else None,
        "html": str(html) if html else None,
    }
    common.tell(document, diagnosis, checks=checks, comparison=comparison, fix=fix, written={"page": html})
    if not diagnosis.healthy:
        raise typer.Exit(_FAULT_FOUND)
