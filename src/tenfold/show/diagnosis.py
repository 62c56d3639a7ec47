"""A diagnosis as one page that opens without network: findings first, then what they rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tenfold.doctor.diagnosis import Diagnosis
from tenfold.doctor.fix import Comparison, describe_changes
from tenfold.files import write_text
from tenfold.recipes.load import toml_value
from tenfold.show.charts import Mark, draw_histogram, draw_line, draw_ratios
from tenfold.show.components import render_page

__all__ = ["write_page"]

_MOST_ROWS = 40  # parameters in a chart


def write_page(diagnosis: Diagnosis, path: str | Path, comparison: Comparison | None = None) -> Path:
    """Writes one HTML file: no script, nothing from elsewhere, light and dark. Returns where."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, render_page("doctor.html.j2", _context(diagnosis, comparison)))
    return target


def _context(diagnosis: Diagnosis, comparison: Comparison | None) -> dict[str, Any]:
    ratios = dict(list(diagnosis.updates.items())[:_MOST_ROWS])
    return {
        "diagnosis": diagnosis,
        "comparison": comparison,
        "changes": [(key, toml_value(old), toml_value(new)) for key, old, new in describe_changes(diagnosis)],
        "layers": _layers(diagnosis),
        "ratios": draw_ratios(ratios) if ratios else "",
        "range_chart": _range_chart(diagnosis),
        "loss_chart": _loss_chart(diagnosis),
    }


def _layers(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """Each layer at the start and afterwards, side by side."""
    rows = []
    for before, after in zip(diagnosis.before, diagnosis.after, strict=True):
        moments = [
            {
                "title": title,
                "chart": draw_histogram(reading),
                "outputs": f"{reading.outputs_std:.3g}",
                "gradient": f"{reading.gradient_std:.2g}",
                "dead": f"{reading.dead:.0%}" if reading.kind == "relu" else "",
                "saturated": f"{reading.saturated:.0%}" if reading.kind in ("sigmoid", "tanh") else "",
            }
            for title, reading in (("before the first step", before), ("afterwards", after))
        ]
        rows.append({"name": before.name, "kind": before.kind, "moments": moments})
    return rows


def _range_chart(diagnosis: Diagnosis) -> str:
    test = diagnosis.range_test
    if test is None:
        return ""
    marks = [
        Mark(test.used, f"used {test.used:.2g}", "bad"),
        Mark(test.best, f"fastest {test.best:.2g}", "good"),
    ]
    return draw_line(
        test.rates,
        test.losses,
        alt="loss against learning rate in the range test",
        x_title="learning rate (logarithmic)",
        y_title="loss, smoothed",
        log_x=True,
        marks=marks,
    )


def _loss_chart(diagnosis: Diagnosis) -> str:
    losses = np.array(diagnosis.losses)
    return draw_line(
        np.arange(1, len(losses) + 1, dtype=float), losses, alt="loss of the short training, step by step",
        x_title="step", y_title="loss of the batch",
    )  # fmt: skip
