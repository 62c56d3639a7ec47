"""Labels that are likely wrong: of the test set, by its probabilities; of the training set, as kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.arrays import image_place
from tenfold.evaluation.evaluate import Evaluation
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.pages import numbers
from tenfold.pages.pictures import grey_picture
from tenfold.report.parts import class_names_of, label_errors_of
from tenfold.report.pictures import kept_pictures
from tenfold.runs.folder import Run

__all__ = ["suspects_section"]

Section = dict[str, Any]
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
    return shown | {"count": numbers.count(len(found)), "share": numbers.percent(len(found) / found.n)}


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
            "quality": numbers.percent(float(quality), 2),
            "picture": grey_picture(pictures[index]),
        }
        for index, given, suggested, quality in columns
        if index in pictures
    ]
    return {
        "n": numbers.count(found.n),
        "count": numbers.count(len(found)),
        "share": numbers.percent(len(found) / found.n),
        "files": bool(found.files),
        "shown": shown[:_SHOWN],
        "note": found.note,
    }
