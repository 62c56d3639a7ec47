"""What a command writes: lines, tables and progress for a person (on a terminal or plain), JSON for a
program."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from tenfold.errors import printable

if TYPE_CHECKING:  # rich takes 25 ms, which JSON and a line of help need not wait for
    from rich.console import Console

__all__ = ["stderr", "stdout"]


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


@dataclass(frozen=True)
class Stream:
    """What results are written to, or what remarks are."""

    stderr: bool = False

    @property
    def console(self) -> Console:
        terminal = (sys.stderr if self.stderr else sys.stdout).isatty()
        width = None if terminal else _PLAIN_WIDTH
        return _console_class()(stderr=self.stderr, highlight=False, soft_wrap=True, width=width)

    def say(self, *lines: str, style: str | None = None) -> None:
        """Lines, as they are."""
        for line in lines:
            self.console.print(line, markup=False, style=style)

    def json(self, document: Any) -> None:
        """One document; what JSON cannot say (NaN, infinity) is null."""
        text = json.dumps(_finite(document), indent=2, allow_nan=False, default=str)
        (sys.stderr if self.stderr else sys.stdout).write(f"{text}\n")

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
    ) -> None:
        """A table without lines; columns named in `right` are flush right. They are never folded, nor is the
        first column, unless it holds files, whose names have any length."""
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            justify: Literal["left", "right"] = "right" if column in right else "left"
            whole = column in right or (column == columns[0] and column != "file")
            table.add_column(escape(printable(column)), justify=justify, overflow="fold", no_wrap=whole)
        for row in rows:
            table.add_row(*(escape(printable(str(cell))) for cell in row))
        self.console.print(table)

    def rows(
        self,
        items: Iterable[Any],
        columns: Mapping[str, Callable[[Any], object]],
        *,
        left: Sequence[str] | None = None,
    ) -> None:
        """A table. columns: title -> what it shows of an item. left: those flush left, None for the first."""
        flush_left = [*columns][:1] if left is None else left
        rows = [[show(item) for show in columns.values()] for item in items]
        self.table([*columns], rows, right=[title for title in columns if title not in flush_left])

    @contextmanager
    def progress_bar(self, *, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
        """Yields progress(what, done, total): a bar where this is a terminal, else nothing."""
        if quiet or not (console := self.console).is_terminal:
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


stdout, stderr = Stream(), Stream(stderr=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(share: float | None, digits: int = 2) -> str:
    """0.9785 -> 97.85 %. A share short of 1 is never rounded up to 100 %."""
    if share is None or not math.isfinite(share):
        return "-" if share is None else "not a number"
    value, limit = 100 * share, 10**digits
    if share < 1:
        value = min(value, (100 * limit - 1) / limit)
    return f"{value:.{digits}f} %"
