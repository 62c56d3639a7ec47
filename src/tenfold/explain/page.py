"""Explanations -> one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import Prediction
from tenfold.errors import UsageError
from tenfold.explain.explanation import Explanation
from tenfold.explain.overlay import AGAINST, FOR, lay_over
from tenfold.explain.sheet import COLOURS, number_tag
from tenfold.explain.words import explain_verdict, percent, signed, tell_neighbours, tell_runner_up
from tenfold.files import replace_file, write_text
from tenfold.version import __version__

__all__ = ["Shown", "check_target", "ink_of", "mark_boxes", "write_explanation"]

_SEEN, _SIDE = 224, 280  # pixels of what was seen, and of a map
_SMALL = 168  # of one of many
_LONGEST = 720  # of the picture as given
_MOST_BARS = 12


@dataclass(frozen=True, eq=False)
class Shown:
    """What is explained: its name, the model's, the picture as given (None for an image of a data set),
    and lines that a reader should know, such as why there are no neighbours.

    size: (width, height) in the pixels that the verdicts' boxes count.
    """

    name: str
    model: str
    picture: Image.Image | None = None
    size: tuple[int, int] = (1, 1)
    notes: tuple[str, ...] = ()


def write_explanation(path: Path, explanations: Sequence[Explanation], shown: Shown) -> Path:
    """Writes a page (.html) or a picture (.png). Raises UsageError for another name."""
    check_target(path)
    if path.suffix.lower() == ".png":
        from tenfold.explain.picture import draw_explanations

        buffer = io.BytesIO()
        draw_explanations(explanations, shown).save(buffer, format="PNG", optimize=True)
        with replace_file(path) as beside:
            beside.write_bytes(buffer.getvalue())
    else:
        write_text(path, _render(explanations, shown))
    return path


def check_target(path: Path) -> None:
    """Raises UsageError where the name is neither that of a page nor of a picture."""
    if path.suffix.lower() not in (".html", ".htm", ".png"):
        raise UsageError(f"{path} is neither a page nor a picture", expected="a name ending in .html or .png")


def _render(explanations: Sequence[Explanation], shown: Shown) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.explain", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    picture = None
    if shown.picture is not None:
        picture = _data_uri(mark_boxes(shown, [each.prediction for each in explanations], _LONGEST))
    return environment.get_template("explain.html.j2").render(
        shown=shown,
        picture=picture,
        digits=[_digit(each, number) for number, each in enumerate(explanations, start=1)],
        warm="rgb({}, {}, {})".format(*FOR),
        cool="rgb({}, {}, {})".format(*AGAINST),
        version=__version__,
    )


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
        "seen": _data_uri(_enlarged(ink_of(explanation), _SEEN)),
        "bars": _bars(explanation),
        "other": explanation.called(explanation.runner_up),
        "runner_up": tell_runner_up(explanation),
        "maps": [
            {
                "title": each.title,
                "reading": each.reading,
                "limit": each.limit,
                "sum": signed(float(each.values.sum())) if each.additive else None,
                "picture": _data_uri(
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


def ink_of(explanation: Explanation) -> np.ndarray:
    """uint8 (H, W), the ink light on black whatever the paper was."""
    return np.abs(explanation.image.astype(np.int16) - explanation.paper).astype(np.uint8)


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
            "picture": _data_uri(lay_over(ink_of(explanation), parts.pixels[k], _SMALL, least=largest)),
            "ink": signed(ink[k]),
            "blank": signed(float(parts.blank[k])),
            "score": signed(float(explanation.logits[k])),
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
            "picture": _data_uri(_enlarged(image, _SMALL)),
            "label": found.class_names[label],
            "distance": f"{distance:.3f}",
            "index": f"{index:,}",
            "same": found.class_names[label] == explanation.prediction.label,
        }
        for image, label, distance, index in zip(
            found.images, found.labels, found.distances, found.indices, strict=True
        )
    ]


def mark_boxes(shown: Shown, digits: Sequence[Prediction], longest: int) -> Image.Image:
    """The picture as given, at most so long, with a box and a number around each digit."""
    assert shown.picture is not None
    image = shown.picture.convert("RGB")
    ratio = min(longest / max(image.size), 8.0)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    image = image.resize(size, Image.Resampling.NEAREST if ratio >= 3 else Image.Resampling.LANCZOS)
    scale = (image.width / shown.size[0], image.height / shown.size[1])
    draw = ImageDraw.Draw(image)
    for number, digit in enumerate(digits, start=1):
        if digit.box is None:
            continue
        x0, y0, x1, y1 = (round(edge * scale[place % 2]) for place, edge in enumerate(digit.box))
        box = (max(0, x0 - 3), max(0, y0 - 3), min(image.width - 1, x1 + 3), min(image.height - 1, y1 + 3))
        draw.rectangle(box, outline=COLOURS[digit.verdict], width=2)
        if len(digits) > 1:
            image.paste(number_tag(number, COLOURS[digit.verdict], 16), (box[0], box[1]))
    return image


def _enlarged(image: np.ndarray, side: int) -> Image.Image:
    """Pixels stay visible as squares."""
    ratio = max(1, side // max(image.shape))
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture.resize((picture.width * ratio, picture.height * ratio), Image.Resampling.NEAREST)


def _data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
