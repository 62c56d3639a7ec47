"""How a picture was read, as a picture: found, lifted, framed, judged, and what decided.

Drawn with Pillow alone, so that it is there as soon as the answer is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import Prediction
from tenfold.classifier import Classifier
from tenfold.explain.sheet import (
    CARD,
    COLOURS,
    GAP,
    GREY,
    INK,
    MARGIN,
    PAPER,
    WIDTH,
    card,
    enlarge,
    font,
    number_tag,
    paragraph,
    row,
    stack,
)
from tenfold.reader.card import mark_card
from tenfold.reader.reading import Reading
from tenfold.reader.troubles import find_notes, percent

__all__ = ["explain_reading"]

_INNER = WIDTH - 2 * MARGIN
_HALF = (_INNER - GAP) // 2
_PADDING = 12
_MOST_CARDS = 40  # a page of marks needs no sheet of its own for each
_MOST_LINES = 6  # of the text in large letters


def explain_reading(reading: Reading, classifier: Classifier, *, name: str = "") -> Image.Image:
    """A sheet, RGB, 800 pixels wide: the picture with its marks numbered, the lifted ink, and of each
    mark what the network saw, its probabilities, the ink that decided, the verdict and its troubles.

    classifier: that of the reading. name: of the picture, shown at the top.
    """
    shown = reading.digits[:_MOST_CARDS]
    blocks = [*_header(reading, name), *_steps(reading)]
    width = (_INNER if len(shown) == 1 else _HALF) - 2 * _PADDING
    marks = [mark_card(reading, classifier, number, width=width) for number in range(len(shown))]
    blocks += [_cards(marks[first : first + 2]) for first in range(0, len(marks), 2)]
    if len(shown) < len(reading.digits):
        blocks.append(_small(f"… and {len(reading.digits) - len(shown)} more marks, not shown"))
    if shown:
        blocks.append(_small("What decides: orange ink speaks for the answer, blue ink against it."))
    content = stack(blocks)
    sheet = Image.new("RGB", (WIDTH, content.height + 2 * MARGIN), PAPER)
    sheet.paste(content, (MARGIN, MARGIN))
    return sheet


def _small(text: str) -> Image.Image:
    return paragraph(text, 20, _INNER, colour=GREY)


def _header(reading: Reading, name: str) -> list[Image.Image]:
    sure = reading.confidence
    notes = list(find_notes(reading.ink, reading.digits))
    if sure is not None and all(digit.verdict == "digit" for digit in reading.digits):
        notes.append(f"{'each at least ' * (len(reading.digits) > 1)}{percent(sure)} sure")
    lines = [_small(name)] if name else []
    lines.append(_text(reading.digits) if reading.digits else paragraph("Nothing found", 48, _INNER))
    if notes:
        lines.append(_small(" · ".join(notes)))
    lines += [paragraph(text, 22, _INNER, colour=COLOURS["unsure"]) for text in reading.troubles]
    return [stack(lines, gap=6)]


def _text(digits: Sequence[Prediction]) -> Image.Image:
    """The text in large letters, each in the colour of its verdict."""
    longest = max(sum(d.row == digit.row for d in digits) for digit in digits)
    size = 72 if longest <= 16 else 40
    lines = _lines(digits, int(_INNER // font(size).getlength("0")))
    image = Image.new("RGB", (_INNER, len(lines) * round(size * 1.1)), PAPER)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        at = 0.0
        for digit in line:
            letter = digit.label if digit.verdict == "digit" else "?"
            colour = INK if digit.verdict == "digit" else COLOURS[digit.verdict]
            draw.text((at, number * size * 1.1), letter, colour, font(size))
            at += font(size).getlength(letter)
    return image


def _lines(digits: Sequence[Prediction], most: int) -> list[list[Prediction]]:
    lines: list[list[Prediction]] = []
    for digit in digits:
        if not lines or lines[-1][-1].row != digit.row or len(lines[-1]) == most:
            lines.append([])
        lines[-1].append(digit)
    return lines[:_MOST_LINES]


def _steps(reading: Reading) -> list[Image.Image]:
    """The picture as found, and its ink: beside each other, or below where it is wide."""
    found = Image.fromarray(reading.picture.pixels)
    strength = np.clip(reading.ink.strength, 0, 1)
    ink = Image.fromarray(np.rint(255 * (1 - strength)).astype(np.uint8)).convert("RGB")
    wide = found.width > 1.5 * found.height
    width = (_INNER if wide else _HALF) - 2 * _PADDING
    panels = [
        _panel("As found", _numbered(enlarge(found, width, 420), reading), width),
        _panel("Ink lifted", enlarge(ink, width, 420), width),
    ]
    return [_cards([panel]) for panel in panels] if wide else [_cards(panels)]


def _cards(contents: Sequence[Image.Image]) -> Image.Image:
    """Cards of one height beside each other."""
    height = max(content.height for content in contents) + 2 * _PADDING
    return row([card(each, each.width + 2 * _PADDING, height, padding=_PADDING) for each in contents])


def _panel(title: str, image: Image.Image, width: int) -> Image.Image:
    centred = Image.new("RGB", (width, image.height), CARD)
    centred.paste(image, ((width - image.width) // 2, 0))
    return stack([paragraph(title, 20, width, colour=GREY, ground=CARD), centred], gap=4, ground=CARD)


def _numbered(image: Image.Image, reading: Reading) -> Image.Image:
    """Boxes and numbers on the picture, in the colours of the verdicts."""
    draw = ImageDraw.Draw(image)
    ratio = image.width / reading.picture.size[0]
    size = 20 if len(reading.digits) <= 20 else 14
    for number, digit in enumerate(reading.digits, start=1):
        x0, y0, x1, y1 = (round(edge * ratio) for edge in digit.box or (0, 0, 0, 0))
        box = (max(0, x0 - 2), max(0, y0 - 2), min(image.width, x1 + 2) - 1, min(image.height, y1 + 2) - 1)
        draw.rectangle(box, outline=COLOURS[digit.verdict], width=2)
        tag = number_tag(number, COLOURS[digit.verdict], size)
        above = box[1] - tag.height + 1
        image.paste(tag, (min(box[0], image.width - tag.width), above if above >= 0 else box[1]))
    return image
