"""`tenfold doctor`: why a network does not learn, and how to fix it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import DataDir, DataSource, EngineName, Json, Offline, Quiet, Seed
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.doctor.diagnosis import Diagnosis, Finding
    from tenfold.doctor.fix import Comparison


_FAULT_FOUND = 3  # exit code
_COLOURS = {"fault": "red", "warning": "yellow", "note": "cyan"}


def doctor_command(
    target: Annotated[str, typer.Argument(metavar="RECIPE|RUN", help="A recipe's name or file, or a run.")],
    data: DataSource = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    seed: Seed = 0,
    fix: Annotated[
        Path | None, typer.Option(help="Write the fixed recipe to this file, and train both recipes briefly.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the findings and plots as an HTML page.")] = None,
    checks: Annotated[bool, typer.Option(help="Also list the checks that passed.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Diagnose why a network does not learn: faults in recipe, data and training, and their fixes.

    The exit code is 3 if a fault was found; with warnings and notes only it is 0.
    """
    from tenfold.doctor.examine import examine_target
    from tenfold.doctor.fix import compare_recipes, write_fixed
    from tenfold.show.diagnosis import write_page

    with progress_bar(quiet=quiet) as progress:
        diagnosis, dataset = examine_target(
            target, source=data, data_dir=data_dir, offline=offline, engine=engine, seed=seed,
            progress=progress, announce=lambda line: stderr().print(line, markup=False),
        )  # fmt: skip
        comparison = None
        if fix is not None and diagnosis.changes:
            comparison = compare_recipes(diagnosis.recipe, diagnosis.fixed, dataset, engine=engine, seed=seed)
            write_fixed(diagnosis, fix)
    if html is not None:
        write_page(diagnosis, html, comparison)
    if as_json:
        extra = {"fix": str(fix) if comparison else None, "html": str(html) if html else None}
        emit_json(diagnosis.to_dict() | {"comparison": comparison.to_dict() if comparison else None} | extra)
    else:
        _show(diagnosis, checks=checks)
        _show_fix(diagnosis, comparison, fix)
        if html is not None:
            stdout().print(f"page: {html}", markup=False)
    if not diagnosis.healthy:
        raise typer.Exit(_FAULT_FOUND)


def _show(diagnosis: Diagnosis, *, checks: bool) -> None:
    console = stdout()
    console.print(
        f"{diagnosis.recipe.name} on {diagnosis.images:,} images of {diagnosis.data}, "
        f"{diagnosis.engine} engine: {diagnosis.summary}",
        markup=False,
    )
    for reference in diagnosis.references:
        console.print(f"reference: {reference}", markup=False)
    for finding in diagnosis.findings:
        _show_finding(finding)
    if checks:
        rows = [("ok" if c.passed else "look", c.name, c.seen, c.expected) for c in diagnosis.checks]
        console.print()
        console.print(plain_table(("", "check", "measured", "expected"), rows))


def _show_finding(finding: Finding) -> None:
    from rich.markup import escape

    console = stdout()
    colour = _COLOURS[finding.severity]
    console.print(f"\n[bold {colour}]{finding.severity}[/]  [bold]{escape(finding.title)}[/]")
    pairs: list[tuple[str, Any]] = [("seen", finding.seen), ("why", finding.why), ("fix", finding.remedy)]
    pairs += [("set", f"{key} = {value}") for key, value in finding.settings()]
    for name, value in pairs:
        console.print(f"  [{colour}]{name:<5}[/] {escape(str(value))}", soft_wrap=False)


def _show_fix(diagnosis: Diagnosis, comparison: Comparison | None, fix: Path | None) -> None:
    console = stdout()
    if comparison is not None:
        figures = (
            f"[bold]{percent(comparison.before)}[/] as it was, [bold]{percent(comparison.after)}[/] fixed"
        )
        images = f"{comparison.steps} steps on {comparison.images:,} images"
        console.print(f"\nread after {images}, of {comparison.held:,} others: {figures}")
        console.print(f"fixed recipe: {fix}  (tenfold train {fix})", markup=False)
    elif fix is not None:
        console.print("\nthere is nothing in the recipe to fix, so none was written")
    elif diagnosis.changes:
        console.print("\nwrite the fixed recipe, and see before and after, with --fix fixed.toml")
