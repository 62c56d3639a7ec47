"""Explanations -> one picture, drawn with Pillow alone: verdict, bars, maps, words and neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tenfold.explain.explanation import Explanation
from tenfold.explain.overlay import lay_over
from tenfold.explain.sheet import (
    BLUE,
    CARD,
    COLOURS,
    GAP,
    GREY,
    INK,
    MARGIN,
    PAPER,
    WIDTH,
    bars,
    card,
    enlarge,
    paragraph,
    row,
    stack,
)
from tenfold.explain.shown import Shown, ink_of, mark_boxes
from tenfold.explain.words import explain_verdict, tell_neighbours, tell_runner_up

__all__ = ["draw_explanations"]

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
        content = _digit(each)
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


def _digit(explanation: Explanation) -> Image.Image:
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
        parts.append(_neighbours(explanation))
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


def _neighbours(explanation: Explanation) -> Image.Image:
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
