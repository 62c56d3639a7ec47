"""What a person sees (rich, on a terminal or plain) and what a program reads (JSON)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from tenfold.errors import printable

if TYPE_CHECKING:  # rich takes 25 ms, which JSON and a line of help need not wait for
    from rich.console import Console
    from rich.table import Table


_PLAIN_WIDTH = 240  # columns where there is no terminal: nothing is folded in a pipe or a file


@cache
def _console_class() -> type[Console]:
    """A console that spells out what is not printable, but for the ends of lines and its own colours."""
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Any:
            for text, style, control in super().render(renderable, options):
                lines = text if control else "\n".join(map(printable, text.split("\n")))
                yield Segment(lines, style, control)

    return PlainConsole


def stdout() -> Console:
    return _console_class()(
        highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PLAIN_WIDTH
    )


def stderr() -> Console:
    width = None if sys.stderr.isatty() else _PLAIN_WIDTH
    return _console_class()(stderr=True, highlight=False, soft_wrap=True, width=width)


def emit_json(document: Any) -> None:
    """One document on stdout; what JSON cannot say (NaN, infinity) is null."""
    sys.stdout.write(json.dumps(_finite(document), indent=2, allow_nan=False, default=str) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(share: float | None, digits: int = 2) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def plain_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
) -> Table:
    """A table without lines; those named in `right` are flush right. They are never folded, nor is the first
    column, unless it holds files, whose names have any length."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        whole = column in right or (column == columns[0] and column != "file")
        table.add_column(escape(printable(column)), justify=justify, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(escape(printable(str(cell))) for cell in row))
    return table


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Yields progress(what, done, total): a bar on stderr where that is a terminal, else nothing."""
    console = None if quiet else stderr()
    if console is None or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    piped = not sys.stdout.isatty()  # results for a file or a program must not be drawn above the bar
    with Progress(*columns, console=console, transient=True, redirect_stdout=not piped) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done, total=total or None)
            if total and done >= total:  # what comes next may have a bar of its own
                bar.remove_task(tasks.pop(what))

        yield show
