"""Counters, gauges and histograms in the text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import TypeVar

Labels = tuple[str, ...]


class Counter:
    """Counts by labels' values."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Labels = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self.values: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *values: str, by: float = 1) -> None:
        self.values[values] = self.values.get(values, 0) + by

    def lines(self) -> list[str]:
        return [f"{self.name}{_braces(self.labels, key)} {value:g}" for key, value in self.values.items()]


class Gauge:
    """A value that is asked for when it is read."""

    kind = "gauge"

    def __init__(self, name: str, help_text: str, ask: Callable[[], float]) -> None:
        self.name, self.help_text, self.ask = name, help_text, ask

    def lines(self) -> list[str]:
        return [f"{self.name} {self.ask():g}"]


class Histogram:
    """How many observations were at most each bound, by labels' values."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, bounds: tuple[float, ...], labels: Labels = ()) -> None:
        self.name, self.help_text, self.bounds, self.labels = name, help_text, bounds, labels
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def observe(self, value: float, *values: str) -> None:
        counts = self.counts.setdefault(values, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[values] = self.sums.get(values, 0.0) + value

    def lines(self) -> list[str]:
        lines = []
        for key, counts in self.counts.items():
            so_far = 0
            for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
                so_far += count
                place = _braces((*self.labels, "le"), (*key, bound))
                lines.append(f"{self.name}_bucket{place} {so_far}")
            place = _braces(self.labels, key)
            lines += [f"{self.name}_sum{place} {self.sums[key]:g}", f"{self.name}_count{place} {so_far}"]
        return lines


Kind = TypeVar("Kind", Counter, Gauge, Histogram)


class Registry:
    def __init__(self) -> None:
        self.all: list[Counter | Gauge | Histogram] = []

    def keep(self, metric: Kind) -> Kind:
        self.all.append(metric)
        return metric

    def text(self) -> str:
        lines = []
        for metric in self.all:
            lines += [f"# HELP {metric.name} {metric.help_text}", f"# TYPE {metric.name} {metric.kind}"]
            lines += metric.lines()
        return "\n".join(lines) + "\n"


def _braces(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
