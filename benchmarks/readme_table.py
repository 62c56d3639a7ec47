"""The README's table: the figures that matter next to the peers, out of benchmarks/results. Measures nothing.

python benchmarks/readme_table.py
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from common import RESULTS, markdown_table, update_pages


def read(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return results


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def make_table() -> str:
    rows = [*_reading_rows(), *_page_rows(), *_cost_rows(), *_training_rows()]
    return markdown_table(("measured", "tenfold", "beside it"), rows)


def _reading_rows() -> list[tuple[str, str, str]]:
    figures = read("handwriting")["figures"]
    masked, stock = "RapidOCR, digits only", "RapidOCR"  # which of the two does better
    kinds = (
        ("cheque", "amounts on cheques: exact / wrong", masked),
        ("logbook", "numbers in a logbook: exact / wrong", masked),
        ("other", "pictures without a digit: none answered", stock),
    )
    rows = []
    for kind, title, peer in kinds:
        ours, theirs = (figures[reader][kind] for reader in ("tenfold", peer))
        shown = [
            percent(each["exact"]["share"])
            + ("" if kind == "other" else f" / {percent(each['wrong']['share'])}")
            for each in (ours, theirs)
        ]
        rows.append((f"{title} (n = {ours['n']})", shown[0], f"{peer} {shown[1]}"))
    return rows


def _page_rows() -> list[tuple[str, str, str]]:
    scores = read("tables")["scores"]
    rows = []
    for kind, title in (("sudoku-page", "cells of whole sudokus"), ("sheet", "digits of whole sheets")):
        ours, theirs = (
            sum(right for right, _, _ in scores[kind][reader]) / sum(n for _, n, _ in scores[kind][reader])
            for reader in ("tenfold", "RapidOCR")
        )
        n = sum(n for _, n, _ in scores[kind]["tenfold"])
        rows.append((f"{title} (n = {n:,})", percent(ours), f"RapidOCR {percent(theirs)}"))
    return rows


def _cost_rows() -> list[tuple[str, str, str]]:
    costs = read("handwriting")["costs"]
    strips, sizes = (
        [costs[reader]["strip"]["median_ms"] for reader in ("tenfold", "RapidOCR")],
        [costs[reader]["bytes"] / 2**20 for reader in ("tenfold", "RapidOCR")],
    )
    return [
        ("CPU per amount, one core", f"{strips[0]:.0f} ms", f"RapidOCR {strips[1]:.0f} ms"),
        ("model on disk", f"{sizes[0]:.1f} MiB", f"RapidOCR {sizes[1]:.0f} MiB"),
    ]


def _training_rows() -> list[tuple[str, str, str]]:
    rows, best = read("time_to_99")["rows"], read("accuracy")["rows"]["best"]
    epochs = read("epoch_speed")["epochs"]
    ours, theirs = (
        statistics.median(epochs[name]["wall"]) for name in ("tenfold, NumPy", "scikit-learn MLPClassifier")
    )
    keras, torch = (
        next(row for row in rows.values() if row["title"].startswith(name)) for name in ("Keras", "PyTorch")
    )
    return [
        (
            "99 % of MNIST, from the start of the process",
            f"{rows['fast']['seconds']:.1f} s",
            f"Keras {keras['seconds']:.0f} s, PyTorch's example {torch['seconds']:.0f} s",
        ),
        (
            "the most accurate single network on MNIST",
            percent(best["accuracy"], 2),
            f"in {best['seconds'] / 60:.0f} minutes, two cores",
        ),
        ("an epoch of MNIST in NumPy", f"{ours:.2f} s", f"scikit-learn {theirs:.2f} s"),
    ]


if __name__ == "__main__":
    print(make_table())
    update_pages("figures", make_table())
