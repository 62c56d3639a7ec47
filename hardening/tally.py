"""What an attack reports: how many trials, which of them failed, and how to repeat these."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Failure", "Options", "Tally", "show_failures", "table"]

_SHOWN = 3  # failures of one cause that are printed with their command


@dataclass(frozen=True)
class Options:
    """quick: a small part, in seconds. most: trials of each kind. only: trials of this name, such as
    "kill:train:17" or the first words of it."""

    quick: bool = False
    seed: int = 0
    most: int = sys.maxsize
    only: str = ""

    def chosen(self, names: Sequence[str], place: int) -> Sequence[str]:
        """The names, or that which --only has in this place."""
        words = self.only.split(":") if self.only else []
        return [words[place]] if len(words) > place else names


@dataclass(frozen=True)
class Failure:
    """attack: such as "kill". trial: its name. found: what went wrong. alone: whether --only repeats it."""

    attack: str
    trial: str
    found: str
    alone: bool = True

    @property
    def cause(self) -> str:
        """What failures of one cause have in common: the command or kind, and what was found, without
        numbers, names, and the message of an exception whose place is known."""
        text = re.sub(r"^(\w+): .* \((.*)\)$", r"\1 \2", self.found)
        text = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{6,}|\d+|\S*/\S*", "*", text)
        return f"{self.trial.rpartition(':')[0]}: {text[:120]}"


@dataclass
class Tally:
    """A row of the table. alone: whether its trials can be repeated one by one."""

    name: str
    alone: bool = True
    n: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started

    def count(self, attack: str, trial: str, found: str) -> None:
        """found: "" where the trial ended as it should; else it is printed at once, on stderr."""
        self.n += 1
        if found:
            self.failures.append(Failure(attack, trial, " ".join(found.split()), self.alone))
            print(f"{attack} {trial}: {self.failures[-1].found}", file=sys.stderr, flush=True)


def table(tallies: Sequence[Tally]) -> str:
    """In Markdown."""
    rows = [(each.name, f"{each.n:,}", f"{len(each.failures):,}", f"{each.seconds:,.0f}") for each in tallies]
    total = (
        sum(t.n for t in tallies),
        sum(len(t.failures) for t in tallies),
        sum(t.seconds for t in tallies),
    )
    rows.append(("all", f"{total[0]:,}", f"{total[1]:,}", f"{total[2]:,.0f}"))
    lines = [("attack", "n", "failures", "seconds"), ("---", "--:", "--:", "--:"), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def show_failures(tallies: Sequence[Tally], seed: int) -> str:
    """By cause, the most frequent first, some of each with the command that repeats it."""
    failures = [failure for tally in tallies for failure in tally.failures]
    lines = []
    for cause, number in Counter(failure.cause for failure in failures).most_common():
        alike = [failure for failure in failures if failure.cause == cause][:_SHOWN]
        lines.append(f"\n{number} x {alike[0].trial}: {alike[0].found}")
        lines += [
            f"    python -m hardening {f.attack} --seed {seed}" + f" --only {f.trial}" * f.alone
            for f in alike
        ]
    return "\n".join(lines)
