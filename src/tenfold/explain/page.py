"""Explanations -> one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from tenfold.explain.explanation import Explanation
from tenfold.explain.overlay import AGAINST, FOR, lay_over
from tenfold.explain.shown import Shown, ink_of, mark_boxes
from tenfold.explain.words import explain_verdict, percent, tell_neighbours, tell_runner_up
from tenfold.pages.numbers import difference
from tenfold.pages.pictures import png_uri
from tenfold.pages.render import render_page

__all__ = ["render_explanations"]

_SEEN, _SIDE = 224, 280  # pixels of what was seen, and of a map
_SMALL = 168  # of one of many
_LONGEST = 720  # of the picture as given
_MOST_BARS = 12


def render_explanations(explanations: Sequence[Explanation], shown: Shown) -> str:
    """HTML in one file that needs nothing else: no network, no script."""
    picture = None
    if shown.picture is not None:
        picture = png_uri(mark_boxes(shown, [each.prediction for each in explanations], _LONGEST))
    context = {
        "shown": shown,
        "picture": picture,
        "digits": [_digit(each, number) for number, each in enumerate(explanations, start=1)],
        "warm": FOR,
        "cool": AGAINST,
    }
    return render_page("tenfold.explain", "explain.html.j2", context)


def _digit(explanation: Explanation, number: int) -> dict[str, Any]:
    """What the template shows of one."""
    label = explanation.prediction.label if explanation.prediction.verdict == "digit" else "?"
    return {
        "number": number,
        "label": label,
        "verdict": explain_verdict(explanation),
        "kind": explanation.prediction.verdict.replace(" ", "-"),
        "truth": explanation.truth,
        "right": explanation.truth == explanation.prediction.label,
        "seen": png_uri(_enlarged(ink_of(explanation), _SEEN)),
        "bars": _bars(explanation),
        "other": explanation.called(explanation.runner_up),
        "runner_up": tell_runner_up(explanation),
        "maps": [
            {
                "title": each.title,
                "reading": each.reading,
                "limit": each.limit,
                "sum": difference(float(each.values.sum()), 2) if each.additive else None,
                "picture": png_uri(
                    lay_over(
                        ink_of(explanation), each.values, _SIDE, least=each.least, everywhere=each.everywhere
                    )
                ),
            }
            for each in explanation.maps
        ],
        "linear": _linear(explanation),
        "neighbours": _neighbours(explanation),
        "vote": tell_neighbours(explanation),
    }


def _bars(explanation: Explanation) -> list[dict[str, Any]]:
    """The outputs in their order; of many only the likeliest, best first."""
    order = np.arange(len(explanation.names))
    if len(order) > _MOST_BARS:
        order = np.argsort(-explanation.probs, kind="stable")[:_MOST_BARS]
    roles = {explanation.winner: "winner", explanation.runner_up: "next"}
    return [
        {
            "name": explanation.names[column],
            "share": f"{100 * float(explanation.probs[column]):.2f}%",
            "percent": percent(float(explanation.probs[column])),
            "role": roles.get(int(column), "other"),
        }
        for column in order
    ]


def _linear(explanation: Explanation) -> list[dict[str, Any]]:
    """Each class: its weights times the ink, all on one scale, and the numbers that add up to its score."""
    parts = explanation.linear
    if parts is None:
        return []
    largest = float(np.abs(parts.pixels).max(initial=0))
    ink = parts.pixels.sum(axis=(1, 2), dtype=np.float64)
    return [
        {
            "name": name,
            "picture": png_uri(lay_over(ink_of(explanation), parts.pixels[k], _SMALL, least=largest)),
            "ink": difference(ink[k], 2),
            "blank": difference(float(parts.blank[k]), 2),
            "score": difference(float(explanation.logits[k]), 2),
            "winner": k == explanation.winner,
        }
        for k, name in enumerate(explanation.names)
    ]


def _neighbours(explanation: Explanation) -> list[dict[str, Any]]:
    found = explanation.neighbours
    if found is None:
        return []
    return [
        {
            "picture": png_uri(_enlarged(image, _SMALL)),
            "label": found.class_names[label],
            "distance": f"{distance:.3f}",
            "index": f"{index:,}",
            "same": found.class_names[label] == explanation.prediction.label,
        }
        for image, label, distance, index in zip(
            found.images, found.labels, found.distances, found.indices, strict=True
        )
    ]


def _enlarged(image: np.ndarray, side: int) -> Image.Image:
    """Pixels stay visible as squares."""
    ratio = max(1, side // max(image.shape))
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture.resize((picture.width * ratio, picture.height * ratio), Image.Resampling.NEAREST)
