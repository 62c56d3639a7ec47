"""Explanations -> one HTML page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tenfold.errors import UsageError
from tenfold.explain.explanation import Explanation
from tenfold.explain.subject import Shown, ink_of, mark_boxes
from tenfold.files import replace_file, write_text
from tenfold.pictures.drawing import (
    AGAINST,
    BLUE,
    CARD,
    COLOURS,
    FOR,
    GAP,
    GREY,
    INK,
    MARGIN,
    PAPER,
    WIDTH,
    bars,
    card,
    enlarge,
    lay_over,
    paragraph,
    row,
    stack,
)
from tenfold.show.components import difference, png_uri, render_page
from tenfold.show.explanation_words import explain_verdict, percent, tell_neighbours, tell_runner_up

__all__ = ["check_target", "write_explanation"]

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
    return render_page("explain.html.j2", context)


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


# Explanations -> one picture, drawn with Pillow alone: verdict, bars, maps, words and neighbours.

_INNER = WIDTH - 2 * MARGIN
_PADDING = 14
_CONTENT = _INNER - 2 * _PADDING  # inside a card
_TILE = (_CONTENT - 2 * GAP) // 3
_MOST = 12  # digits that fit into one picture


def draw_explanations(explanations: Sequence[Explanation], shown: Shown) -> Image.Image:
    """RGB, 800 pixels wide: what `write_explanation` draws on a page, without the sentences on maps."""
    blocks = [_words(f"{shown.name} · model {shown.model}", 20, GREY, PAPER, _INNER)]
    if shown.picture is not None:
        given = mark_boxes(shown, [each.prediction for each in explanations], _INNER)
        blocks.append(enlarge(given, _INNER, 360))
    if not explanations:
        blocks.append(paragraph("Nothing found", 48, _INNER))
    blocks += [_words(note, 20, COLOURS["unsure"], PAPER, _INNER) for note in shown.notes]
    for each in explanations[:_MOST]:
        content = _drawn_digit(each)
        blocks.append(card(content, _INNER, content.height + 2 * _PADDING, padding=_PADDING))
    if len(explanations) > _MOST:
        blocks.append(_words(f"… and {len(explanations) - _MOST} more, not shown", 20, GREY, PAPER, _INNER))
    if explanations:
        key = "Orange ink supports the answer, blue ink contradicts it; each map has its own scale."
        blocks.append(_words(key, 20, GREY, PAPER, _INNER))
    content = stack(blocks)
    sheet = Image.new("RGB", (WIDTH, content.height + 2 * MARGIN), PAPER)
    sheet.paste(content, (MARGIN, MARGIN))
    return sheet


def _words(
    text: str, size: int, colour: tuple[int, int, int], ground: tuple[int, int, int], width: int
) -> Image.Image:
    """In the letters that Pillow's own font has."""
    plain = text.replace("−", "-").replace("–", "-")
    return paragraph(plain, size, width, colour=colour, ground=ground)


def _drawn_digit(explanation: Explanation) -> Image.Image:
    verdict = COLOURS[explanation.prediction.verdict]
    parts = [_words(explain_verdict(explanation), 32, verdict, CARD, _CONTENT)]
    if explanation.truth is not None:
        right = explanation.truth == explanation.prediction.label
        text = f"The data set calls it {explanation.truth}: the answer is {'right' if right else 'wrong'}."
        parts.append(_words(text, 20, GREY, CARD, _CONTENT))
    parts.append(_seen_and_bars(explanation))
    parts += [_words(sentence, 20, INK, CARD, _CONTENT) for sentence in tell_runner_up(explanation)]
    tiles = [_tile(explanation, number) for number in range(len(explanation.maps))]
    parts += [row(tiles[first : first + 3], ground=CARD) for first in range(0, len(tiles), 3)]
    parts += [_words(sentence, 20, INK, CARD, _CONTENT) for sentence in tell_neighbours(explanation)]
    if explanation.neighbours is not None and len(explanation.neighbours.labels):
        parts.append(_drawn_neighbours(explanation))
    return stack(parts, gap=12, ground=CARD)


def _seen_and_bars(explanation: Explanation) -> Image.Image:
    """What the network saw, beside the probabilities of at most a dozen outputs."""
    seen = enlarge(Image.fromarray(ink_of(explanation)).convert("RGB"), _TILE, _TILE)
    order = np.sort(np.argsort(-explanation.probs, kind="stable")[:12])
    roles = {explanation.winner: COLOURS[explanation.prediction.verdict], explanation.runner_up: BLUE}
    names = [explanation.names[column] for column in order]
    short = [name if len(name) <= 4 else name[:4] for name in names]
    colours = [roles.get(int(column), GREY) for column in order]
    values = [float(explanation.probs[column]) for column in order]
    chart = bars(values, short, colours, _CONTENT - seen.width - GAP, seen.height)
    return row([seen, chart], ground=CARD)


def _tile(explanation: Explanation, number: int) -> Image.Image:
    each = explanation.maps[number]
    picture = lay_over(ink_of(explanation), each.values, _TILE, least=each.least, everywhere=each.everywhere)
    return stack([_words(each.title, 20, GREY, CARD, _TILE), picture], gap=2, ground=CARD)


def _drawn_neighbours(explanation: Explanation) -> Image.Image:
    found = explanation.neighbours
    assert found is not None
    side = (_CONTENT - 7 * GAP) // 8
    tiles = []
    for image, label in zip(found.images[:8], found.labels, strict=False):
        name = found.class_names[label]
        colour = INK if name == explanation.prediction.label else COLOURS["unsure"]
        picture = enlarge(Image.fromarray(image).convert("RGB"), side, side)
        tiles.append(stack([picture, _words(name, 20, colour, CARD, side)], gap=2, ground=CARD))
    return row(tiles, ground=CARD)


# Explanations -> a file: a page or a picture, by its name.


def write_explanation(path: Path, explanations: Sequence[Explanation], shown: Shown) -> Path:
    """Writes a page (.html) or a picture (.png). Raises UsageError for another name."""
    check_target(path)
    if path.suffix.lower() == ".png":
        buffer = io.BytesIO()
        draw_explanations(explanations, shown).save(buffer, format="PNG")
        with replace_file(path) as beside:
            beside.write_bytes(buffer.getvalue())
    else:
        write_text(path, render_explanations(explanations, shown))
    return path


def check_target(path: Path) -> None:
    """Raises UsageError where the name is neither that of a page nor of a picture."""
    if path.suffix.lower() not in (".html", ".htm", ".png"):
        raise UsageError(f"{path} is neither a page nor a picture", expected="a name ending in .html or .png")
