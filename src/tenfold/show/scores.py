"""The evaluation -> what the page says of it: scores, confusion, calibration, right and wrong pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset, image_place
from tenfold.evaluation.evaluate import Evaluation
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.files import write_text
from tenfold.numerics import coverage_risk
from tenfold.runs.folder import Run
from tenfold.show import components, plots
from tenfold.show.charts import class_names_of, draw_chart, kept_pictures, label_errors_of, render_page
from tenfold.show.components import figure_to_svg, grey_picture, picture_row

__all__ = ["write_label_errors_page"]

# Coverage and risk: how many wrong answers are left when the network may pass on what it is unsure of.

Section = dict[str, Any]
_PLACES = 200  # of the curve that are drawn, at even distances
_RISKS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


def risk_section(evaluation: Evaluation) -> Section:
    """The curve, and a row for each risk that one may want to stay below."""
    confidence = evaluation.probs.max(axis=1).astype(np.float64)
    coverage, risk = coverage_risk(confidence, evaluation.right)
    sure = -np.unique(-confidence)  # the confidence from which on so many are answered
    chosen = _even_places(risk)
    texts = [
        f"The surest {components.percent(coverage[i], 1)}: {components.percent(risk[i])} of them wrong"
        for i in chosen
    ]
    alt = f"Wrong answers over the share answered: {components.percent(risk[-1])} where all are answered."
    figure = plots.plot_coverage_risk(coverage[chosen], risk[chosen])
    bounds = {_last_within(bound, risk): bound for bound in reversed(_RISKS) if bound < risk[-1]}
    return {
        "chart": draw_chart(figure, "risk", alt, coverage[chosen], texts, title="coverage and risk"),
        "rows": [
            {
                "risk": components.percent(bound, 1) if bound else "none",
                "coverage": components.percent(coverage[last], 1),
                "passed": components.count(evaluation.n - round(evaluation.n * coverage[last])),
                "threshold": components.percent(sure[last], 2),
            }
            for last, bound in reversed(bounds.items())
            if last >= 0
        ],
    }


def _even_places(risk: np.ndarray) -> np.ndarray:
    """Up to so many places from where the first wrong answer comes, and the first of all."""
    first = max(int(np.argmax(risk > 0)) - 1, 0) if risk.any() else 0
    return np.unique(np.append(np.linspace(first, len(risk) - 1, _PLACES).round().astype(int), 0))


def _last_within(bound: float, risk: np.ndarray) -> int:
    """Up to where can be answered with no more than this share of the answers wrong; -1 for nowhere."""
    return int(np.flatnonzero(np.append(True, risk <= bound))[-1]) - 1


# Labels that are likely wrong: of the test set, by its probabilities; of the training set, as kept.


_SHOWN = 24


def suspects_section(run: Run) -> Section:
    """test and train: each a section, or None where the run does not hold what it takes."""
    evaluation, kept = run.evaluation, label_errors_of(run)
    names = class_names_of(run)
    return {
        "test": _of_test(evaluation) if evaluation is not None and evaluation.has_probs else None,
        "train": _of_train(kept, names) if kept is not None and names is not None else None,
    }


def _of_test(evaluation: Evaluation) -> Section:
    """The labels that the network doubts most, whether confident learning counts them as wrong or not."""
    found, probs = _judge(evaluation), evaluation.probs.copy()
    doubted = found.most_suspect(_SHOWN)
    given = evaluation.labels[doubted]
    probs[doubted, given] = -1  # the best of the others
    most = replace(
        found,
        index=doubted,
        given=given,
        suggested=probs[doubted].argmax(axis=1),
        quality=found.all_quality[doubted],
    )
    shown = _describe(most, evaluation.class_names, kept_pictures(evaluation))
    return shown | {"count": components.count(len(found)), "share": components.percent(len(found) / found.n)}


def _judge(evaluation: Evaluation) -> LabelErrors:
    return find_label_errors(evaluation.probs, evaluation.labels, files=evaluation.files)


def _of_train(found: LabelErrors, names: Sequence[str]) -> Section:
    images = found.images if found.images is not None else ()
    pictures = {int(index): image for index, image in zip(found.index, images, strict=False)}
    return _describe(found, names, pictures)


def _describe(found: LabelErrors, names: Sequence[str], pictures: Mapping[int, np.ndarray]) -> Section:
    """The most suspect records, as far as their pictures are kept."""
    columns = zip(found.index.tolist(), found.given, found.suggested, found.quality, strict=True)
    shown = [
        image_place(index, found.files)
        | {
            "label": names[given],
            "suggested": names[suggested],
            "quality": components.percent(float(quality), 2),
            "picture": grey_picture(pictures[index]),
        }
        for index, given, suggested, quality in columns
        if index in pictures
    ]
    return {
        "n": components.count(found.n),
        "count": components.count(len(found)),
        "share": components.percent(len(found) / found.n),
        "files": bool(found.files),
        "shown": shown[:_SHOWN],
        "note": found.note,
    }


# The likely label errors of a data set with their pictures, as one HTML file.

_MOST_PICTURES = 1000  # a page of about 1 MB
_MOST_PAIRS = 20


def write_label_errors_page(found: LabelErrors, dataset: ImageDataset, path: Path) -> None:
    """found: of that data set. The page opens without network."""
    names = dataset.class_names
    columns = zip(found.index, found.given, found.suggested, found.quality, strict=True)
    shown = [
        image_place(index, found.files)
        | {
            "given": names[given],
            "suggested": names[suggested],
            "quality": components.percent(float(quality), 2),
            "picture": grey_picture(dataset.images[index]),
        }
        for index, given, suggested, quality in list(columns)[:_MOST_PICTURES]
    ]
    context = {
        "name": dataset.name,
        "contents": [("suspects", "Suspects"), ("pairs", "Classes")] if shown else [],
        "n": components.count(found.n),
        "count": components.count(len(found)),
        "share": components.percent(len(found) / found.n),
        "note": found.note,
        "files": bool(found.files),
        "shown": shown,
        "hidden": len(found) - len(shown),
        "pairs": _pairs(found, dataset),
    }
    write_text(path, render_page("label_errors.html.j2", context))


def _pairs(found: LabelErrors, dataset: ImageDataset) -> list[tuple[str, str, int]]:
    """(given, suggested, records), the most frequent first."""
    counts = Counter(zip(found.given.tolist(), found.suggested.tolist(), strict=True))
    names = dataset.class_names
    return [(names[given], names[best], count) for (given, best), count in counts.most_common(_MOST_PAIRS)]


# The confusion matrix as a table whose cells open what is in them.


_MOST_CLASSES = 60


def confusion_section(evaluation: Evaluation) -> Section | None:
    """Rows of cells; None where there are too many classes for a table."""
    names, confusion = evaluation.class_names, evaluation.confusion
    if len(names) > _MOST_CLASSES:
        return None
    shades, pictures = _shades(confusion), _cell_pictures(evaluation)
    return {
        "names": [_shorten(name) for name in names],
        "upright": max(map(len, names)) > 3,
        "rows": [
            (
                _shorten(name),
                [
                    _cell(evaluation, row, column, shades, pictures.get((row, column)))
                    for column in range(len(names))
                ],
            )
            for row, name in enumerate(names)
        ],
        "opens": bool(pictures),
    }


def confused_pairs(evaluation: Evaluation, limit: int = 5) -> list[tuple[str, str, str]]:
    """The most frequent mistakes: true class, predicted class, how often."""
    mistakes = evaluation.confusion * (1 - np.eye(len(evaluation.confusion), dtype=np.int64))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:limit]
    pairs = [np.unravel_index(place, mistakes.shape) for place in order]
    names = evaluation.class_names
    return [(names[t], names[p], components.count(int(mistakes[t, p]))) for t, p in pairs if mistakes[t, p]]


def _cell(
    evaluation: Evaluation, row: int, column: int, shades: np.ndarray, pictures: Section | None
) -> Section:
    names, count = evaluation.class_names, int(evaluation.confusion[row, column])
    right = row == column
    said = f"{names[row]}, {'answered rightly' if right else f'taken for {names[column]}'}"
    return {
        "id": f"cell-{row}-{column}",
        "count": count,
        "text": f"{count}" if count < 10_000 else f"{count / 1000:.0f}k",
        "right": right,
        "shade": f"{100 * shades[row, column]:.0f}",
        "said": f"{said}: {components.count(count)} image{'s' * (count != 1)}",
        "pictures": pictures,
    }


def _shades(confusion: np.ndarray) -> np.ndarray:
    """Opacity of each cell: the diagonal against its largest, mistakes against the largest mistake."""
    mistakes = confusion * (1 - np.eye(len(confusion), dtype=confusion.dtype))
    wrong = 0.12 + 0.5 * np.sqrt(mistakes / max(mistakes.max(), 1))
    right = 0.08 + 0.27 * confusion / max(np.diag(confusion).max(), 1)
    return np.where(np.eye(len(confusion), dtype=bool), right, wrong)


def _cell_pictures(evaluation: Evaluation) -> dict[tuple[int, int], Section]:
    """(true, predicted) -> the cell's pictures as one strip, and what stands below each."""
    cells: dict[tuple[int, int], list[int]] = {}
    for place, cell in enumerate(zip(evaluation.cell_label, evaluation.cell_predicted, strict=True)):
        cells.setdefault((int(cell[0]), int(cell[1])), []).append(place)
    height, width = evaluation.cell_images.shape[1:]
    return {
        cell: {
            "strip": picture_row(evaluation.cell_images[places], gap=0),
            "ratio": f"{width} / {height}",
            "items": [
                image_place(evaluation.cell_index[i], evaluation.files)
                | {"confidence": components.percent(float(evaluation.cell_confidence[i]), 1)}
                for i in places
            ],
        }
        for cell, places in cells.items()
    }


def _shorten(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


_SHOWN_PICTURES, _MORE_PICTURES = 27, 100


def evaluation_section(run: Run) -> Section | None:
    """Scores, confusion, calibration and pictures of the test set; None where it was not read."""
    evaluation = run.evaluation
    if evaluation is None:
        return None
    ece = components.percent(evaluation.calibration_error)
    reliability = plots.plot_reliability(evaluation.calibration_bins)
    alt = f"Bars: the share of right answers against confidence. Calibration error {ece}."
    return {
        "facts": [
            ("accuracy", components.percent(evaluation.accuracy)),
            ("95 % interval", " to ".join(components.percent(value) for value in evaluation.interval)),
            ("loss", components.decimal(evaluation.loss)),
            ("images", components.count(evaluation.n)),
            ("misses", components.count(evaluation.misses)),
            ("calibration error", ece),
            ("time for all images", components.duration(evaluation.seconds)),
        ],
        "n": components.count(evaluation.n),
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
        key: (components.percent(row[key]), " to ".join(_bare(bound) for bound in row[f"{key}_interval_95"]))
        for key in ("precision", "recall", "f1")
    }
    return {"name": row["class"], **shares, "support": components.count(row["support"])}


def _bare(share: float) -> str:
    return components.percent(share, 1).partition("\u00a0")[0]


def _pictures(evaluation: Evaluation) -> Section:
    names = evaluation.class_names
    hits = [
        image_place(index, evaluation.files)
        | {"label": names[label], "predicted": names[label],
         "confidence": components.percent(sure, 1), "picture": grey_picture(image)}
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
        "misses": components.count(evaluation.misses),
    }


def _miss(evaluation: Evaluation, place: int) -> Section:
    """The miss at a place in the order of confidence; its picture only where it was kept."""
    kept = np.flatnonzero(evaluation.miss_shown == place)
    return image_place(evaluation.miss_index[place], evaluation.files) | {
        "label": evaluation.class_names[evaluation.miss_label[place]],
        "predicted": evaluation.class_names[evaluation.miss_predicted[place]],
        "confidence": components.percent(float(evaluation.miss_confidence[place]), 1),
        "picture": grey_picture(evaluation.miss_images[kept[0]]) if len(kept) else "",
    }
