"""The evaluation -> what the page says of it: scores, confusion, calibration, right and wrong pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.arrays import image_place
from tenfold.evaluation.evaluate import Evaluation
from tenfold.pages import numbers
from tenfold.pages.pictures import grey_picture
from tenfold.pages.svg import figure_to_svg
from tenfold.report import plots
from tenfold.report.confusion import confused_pairs, confusion_section
from tenfold.report.risk import risk_section
from tenfold.runs.folder import Run

__all__ = ["evaluation_section"]

Section = dict[str, Any]
_SHOWN_PICTURES, _MORE_PICTURES = 27, 100


def evaluation_section(run: Run) -> Section | None:
    """Scores, confusion, calibration and pictures of the test set; None where it was not read."""
    evaluation = run.evaluation
    if evaluation is None:
        return None
    ece = numbers.percent(evaluation.calibration_error)
    reliability = plots.plot_reliability(evaluation.calibration_bins)
    alt = f"Bars: the share of right answers against confidence. Calibration error {ece}."
    return {
        "facts": [
            ("accuracy", numbers.percent(evaluation.accuracy)),
            ("95 % interval", " to ".join(numbers.percent(value) for value in evaluation.interval)),
            ("loss", numbers.decimal(evaluation.loss)),
            ("images", numbers.count(evaluation.n)),
            ("misses", numbers.count(evaluation.misses)),
            ("calibration error", ece),
            ("time for all images", numbers.duration(evaluation.seconds)),
        ],
        "n": numbers.count(evaluation.n),
        "dataset": evaluation.dataset,
        "files": bool(evaluation.files),
        "ece": ece,
        "small": len(evaluation.class_names) <= 12 and max(map(len, evaluation.class_names)) <= 3,
        "confusion": confusion_section(evaluation),
        "pairs": confused_pairs(evaluation),
        "per_class": [_class_row(row) for row in evaluation.per_class()],
        "reliability": figure_to_svg(reliability, "reliability", alt),
        "risk": risk_section(evaluation) if evaluation.has_probs else None,
        **_pictures(evaluation),
    }


def _class_row(row: Section) -> Section:
    """Each share with its 95 % interval."""
    shares = {
        key: (numbers.percent(row[key]), " to ".join(_bare(bound) for bound in row[f"{key}_interval_95"]))
        for key in ("precision", "recall", "f1")
    }
    return {"name": row["class"], **shares, "support": numbers.count(row["support"])}


def _bare(share: float) -> str:
    return numbers.percent(share, 1).partition("\u00a0")[0]


def _pictures(evaluation: Evaluation) -> Section:
    names = evaluation.class_names
    hits = [
        image_place(index, evaluation.files)
        | {"label": names[label], "predicted": names[label],
         "confidence": numbers.percent(sure, 1), "picture": grey_picture(image)}
        for index, label, sure, image in zip(
            evaluation.hit_index, evaluation.hit_label, evaluation.hit_confidence,
            evaluation.hit_images[:_SHOWN_PICTURES], strict=False)
    ]  # fmt: skip
    misses = [_miss(evaluation, place) for place in range(min(evaluation.misses, _MORE_PICTURES))]
    first = [_miss(evaluation, int(place)) for place in np.argsort(evaluation.miss_index, kind="stable")[:10]]
    return {
        "hits": hits,
        "wrong": misses[:_SHOWN_PICTURES],
        "more_wrong": misses[_SHOWN_PICTURES:],
        "first_misses": first,
        "first_drawn": all(item["picture"] for item in first),
        "misses": numbers.count(evaluation.misses),
    }


def _miss(evaluation: Evaluation, place: int) -> Section:
    """The miss at a place in the order of confidence; its picture only where it was kept."""
    kept = np.flatnonzero(evaluation.miss_shown == place)
    return image_place(evaluation.miss_index[place], evaluation.files) | {
        "label": evaluation.class_names[evaluation.miss_label[place]],
        "predicted": evaluation.class_names[evaluation.miss_predicted[place]],
        "confidence": numbers.percent(float(evaluation.miss_confidence[place]), 1),
        "picture": grey_picture(evaluation.miss_images[kept[0]]) if len(kept) else "",
    }
