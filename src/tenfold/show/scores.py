"""The evaluation -> what the page says of it: scores, confusion, calibration, right and wrong pictures,
and the labels that are likely wrong.

Each function gives what the template needs besides the result object itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tenfold.evaluation.evaluate import Evaluation
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.runs.folder import Run
from tenfold.show import charts, plots
from tenfold.show.components import count, percent, picture_items
from tenfold.show.runs import class_names_of

Section = dict[str, Any]
_PLACES = 200  # of the curve of coverage and risk that are drawn, at even distances
_RISKS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
_SHOWN_PICTURES, _MORE_PICTURES, _SHOWN_SUSPECTS = 27, 100, 24
_MOST_CLASSES = 60  # of a confusion matrix


def evaluation_section(run: Run) -> Section | None:
    """Confusion, calibration and pictures of the test set; None where it was not read."""
    evaluation = run.evaluation
    if evaluation is None:
        return None
    names = evaluation.class_names
    misses = image_items(evaluation, "miss")
    first = sorted(misses, key=lambda item: item["index"])[:10]
    error = percent(evaluation.calibration_error)
    alt = f"Bars: the share of right answers against confidence. Calibration error {error}."
    reliability = plots.plot_reliability(evaluation.calibration_bins)
    return {
        "found": evaluation,
        "small": len(names) <= 12 and max(map(len, names)) <= 3,
        "shades": _shades(evaluation.confusion) if len(names) <= _MOST_CLASSES else None,
        "cells": _cell_pictures(evaluation),
        "pairs": _confused_pairs(evaluation),
        "reliability": charts.figure_to_svg(reliability, "reliability", alt),
        "risk": risk_section(evaluation) if evaluation.has_probs else None,
        "hits": image_items(evaluation, "hit")[:_SHOWN_PICTURES],
        "wrong": misses[:_SHOWN_PICTURES],
        "more_wrong": misses[_SHOWN_PICTURES:_MORE_PICTURES],
        "first_misses": first,
        "first_drawn": all(item["picture"] is not None for item in first),
    }


def kept_pictures(evaluation: Evaluation) -> dict[int, np.ndarray]:
    """Place in the test set -> uint8 (H, W), of the images that an evaluation keeps."""
    kept = (
        (evaluation.hit_index, evaluation.hit_images),
        (evaluation.cell_index, evaluation.cell_images),
        (evaluation.miss_index[evaluation.miss_shown], evaluation.miss_images),
    )
    return {int(i): image for index, images in kept for i, image in zip(index, images, strict=False)}


def image_items(evaluation: Evaluation, kind: Literal["miss", "hit"]) -> list[Section]:
    """All misses, the most confident first, or the right answers that are kept."""
    index, labels = getattr(evaluation, f"{kind}_index"), getattr(evaluation, f"{kind}_label")
    predicted = evaluation.miss_predicted if kind == "miss" else labels
    names = np.array(evaluation.class_names, dtype=object)
    columns = {"label": names[labels], "predicted": names[predicted]}
    columns["confidence"] = getattr(evaluation, f"{kind}_confidence")
    return picture_items(index, evaluation.files, kept_pictures(evaluation), **columns)


# Coverage and risk: how many wrong answers are left when the network may pass on what it is unsure of.


def risk_section(evaluation: Evaluation) -> Section:
    """The curve, and a row for each risk that one may want to stay below."""
    coverage, risk = evaluation.coverage_risk()
    # The confidence from which on so many are answered.
    sure = -np.unique(-evaluation.probs.max(axis=1).astype(np.float64))
    # Even places from where the first wrong answer comes, and the first of all.
    first = max(int(np.argmax(risk > 0)) - 1, 0) if risk.any() else 0
    chosen = np.unique(np.append(np.linspace(first, len(risk) - 1, _PLACES).round().astype(int), 0))
    read = [
        (coverage[i], f"The surest {percent(coverage[i], 1)}: {percent(risk[i])} of them wrong")
        for i in chosen
    ]
    alt = f"Wrong answers over the share answered: {percent(risk[-1])} where all are answered."
    figure = plots.plot_coverage_risk(coverage[chosen], risk[chosen])
    rows = {}
    for bound in reversed(_RISKS):
        # Up to where can be answered with no more than this share of the answers wrong; -1 for nowhere.
        last = int(np.flatnonzero(np.append(True, risk <= bound))[-1]) - 1
        if bound < risk[-1] and last >= 0:
            rows[last] = {
                "risk": percent(bound, 1) if bound else "none",
                "coverage": percent(coverage[last], 1),
                "passed": count(evaluation.n - round(evaluation.n * coverage[last])),
                "threshold": percent(sure[last]),
            }
    chart = charts.draw_chart(figure, "risk", alt, read, title="coverage and risk")
    return {"chart": chart, "rows": list(rows.values())[::-1]}


# The confusion matrix, whose cells open what is in them.


def _shades(confusion: np.ndarray) -> np.ndarray:
    """Opacity of each cell: the diagonal against its largest, mistakes against the largest mistake."""
    mistakes = _mistakes(confusion)
    wrong = 0.12 + 0.5 * np.sqrt(mistakes / max(mistakes.max(), 1))
    right = 0.08 + 0.27 * confusion / max(np.diag(confusion).max(), 1)
    return np.where(np.eye(len(confusion), dtype=bool), right, wrong)


def _mistakes(confusion: np.ndarray) -> np.ndarray:
    return confusion * (1 - np.eye(len(confusion), dtype=np.int64))


def _confused_pairs(evaluation: Evaluation, limit: int = 5) -> list[tuple[str, str, int]]:
    """The most frequent mistakes: true class, predicted class, how often."""
    mistakes, names = _mistakes(evaluation.confusion), evaluation.class_names
    order = np.argsort(-mistakes, axis=None, kind="stable")[:limit]
    pairs = [np.unravel_index(place, mistakes.shape) for place in order]
    return [(names[t], names[p], int(mistakes[t, p])) for t, p in pairs if mistakes[t, p]]


def _cell_pictures(evaluation: Evaluation) -> dict[tuple[int, int], list[Section]]:
    """(true, predicted) -> the pictures that the cell opens."""
    cells: dict[tuple[int, int], list[Section]] = {}
    items = picture_items(
        evaluation.cell_index, evaluation.files, kept_pictures(evaluation),
        cell=zip(evaluation.cell_label.tolist(), evaluation.cell_predicted.tolist(), strict=True),
        confidence=evaluation.cell_confidence,
    )  # fmt: skip
    for item in items:
        cells.setdefault(item["cell"], []).append(item)
    return cells


# Labels that are likely wrong: of the test set, by its probabilities; of the training set, as kept.


def suspects_section(run: Run) -> Section:
    """test and train: each what `describe_suspects` gives, or None where the run does not hold it."""
    evaluation, kept, names = run.evaluation, run.label_errors, class_names_of(run)
    test = train = None
    if evaluation is not None and evaluation.has_probs:
        found = find_label_errors(evaluation.probs, evaluation.labels, files=evaluation.files)
        # Those that the network doubts most, whether confident learning counts them as wrong or not.
        doubted = found.most_suspect(_SHOWN_SUSPECTS)
        given, probs = evaluation.labels[doubted], evaluation.probs[doubted]
        probs[np.arange(len(given)), given] = -1  # the best of the others
        quality = found.all_quality[doubted]
        most = replace(found, index=doubted, given=given, suggested=probs.argmax(axis=1), quality=quality)
        test = describe_suspects(most, evaluation.class_names, kept_pictures(evaluation))
        test |= {"suspects": len(found)}
    if kept is not None and names is not None:
        images = kept.images if kept.images is not None else ()
        pictures = {int(index): image for index, image in zip(kept.index, images, strict=False)}
        train = describe_suspects(kept, names, pictures)
    return {"test": test, "train": train}


def describe_suspects(
    found: LabelErrors, names: Sequence[str], pictures: Mapping[int, np.ndarray], most: int = _SHOWN_SUSPECTS
) -> Section:
    """The most suspect records, as far as their pictures are kept."""
    labels = np.array(names, dtype=object)
    items = picture_items(
        found.index, found.files, pictures, label=labels[found.given], suggested=labels[found.suggested],
        quality=found.quality,
    )  # fmt: skip
    shown = [item for item in items if item["picture"] is not None][:most]
    return {"found": found, "suspects": len(found), "shown": shown}
