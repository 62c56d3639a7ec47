"""One mark of the explaining sheet: what the network saw, what decided, how sure it is, what is wrong."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import Prediction
from tenfold.classifier import Classifier
from tenfold.explain.occlusion import saliency_map, winner_of
from tenfold.explain.overlay import lay_over
from tenfold.explain.sheet import (
    CARD,
    COLOURS,
    GAP,
    GREY,
    bars,
    font,
    number_tag,
    paragraph,
    row,
    stack,
)
from tenfold.reader.reading import Reading
from tenfold.reader.troubles import explain_verdict, mark_troubles, percent

__all__ = ["mark_card"]

_WIDE = 500  # pixels: from here on the bars stand beside the pictures
_LEAST_FALL = 1e-3  # of probability: the map's full colour stands for at least this much


def mark_card(reading: Reading, classifier: Classifier, number: int, *, width: int) -> Image.Image:
    """What the card of the mark `number`, from 0, of a reading by this classifier holds."""
    digit = reading.digits[number]
    head = _head(digit, number + 1, width)
    if width > _WIDE:
        pictures = _pictures(digit, classifier, 224)
        room = width - GAP - pictures.width
        parts = [head, row([pictures, _chart(digit, classifier, room, pictures.height)], ground=CARD)]
    else:
        side = (width - GAP) // 2
        parts = [head, _pictures(digit, classifier, side), _chart(digit, classifier, width, 130)]
    if why := _why(digit, classifier):
        parts.append(paragraph(why, 20, width, colour=GREY, ground=CARD))
    for trouble in mark_troubles(reading.picture, reading.ink, digit):
        parts.append(paragraph(trouble, 20, width, colour=COLOURS["unsure"], ground=CARD))
    return stack(parts, gap=10, ground=CARD)


def _head(digit: Prediction, number: int, width: int) -> Image.Image:
    """Number, the answer in large, and the verdict in words."""
    colour = COLOURS[digit.verdict]
    image = Image.new("RGB", (width, 56), CARD)
    image.paste(number_tag(number, colour), (0, 16))
    draw = ImageDraw.Draw(image)
    left = 0.0 + number_tag(number, colour).width + 14
    if digit.verdict == "digit":
        draw.text((left, 28), digit.label, colour, font(52), anchor="lm")
        left += font(52).getlength(digit.label) + 14
    words = explain_verdict(digit) or f"{percent(digit.confidence)} sure"
    draw.text((left, 29), words, colour, font(24), anchor="lm")
    return image


def _why(digit: Prediction, classifier: Classifier) -> str:
    """The threshold that was not met."""
    if digit.verdict == "not a digit":
        limit = f"{100 * classifier.card.most_none:.2g} %"
        return f"none of the digits: {percent(digit.none)}; above {limit} a mark is refused"
    if digit.verdict == "unsure":
        return f"an answer needs {percent(classifier.card.least_confidence)}"
    return ""


def _pictures(digit: Prediction, classifier: Classifier, side: int) -> Image.Image:
    """What the network saw, and the same with the ink that decided in colour."""
    seen = np.zeros(classifier.card.image_shape, np.uint8) if digit.image is None else digit.image
    fall = saliency_map(classifier, seen, winner_of(digit))
    plain = Image.fromarray(seen).convert("RGB").resize((side, side), Image.Resampling.NEAREST)
    return row(
        [
            _captioned("Network sees", plain),
            _captioned("What decides", lay_over(seen, fall, side, least=_LEAST_FALL)),
        ],
        ground=CARD,
    )


def _captioned(title: str, image: Image.Image) -> Image.Image:
    return stack([paragraph(title, 20, image.width, colour=GREY, ground=CARD), image], gap=2, ground=CARD)


def _chart(digit: Prediction, classifier: Classifier, width: int, height: int) -> Image.Image:
    """The classes' probabilities, and beside them that of being none of them."""
    winner = winner_of(digit)
    values = [float(value) for value in digit.probs]
    colours = [COLOURS[digit.verdict] if index == winner else GREY for index in range(len(values) + 1)]
    if not classifier.card.rejects:
        return bars(values, digit.class_names, colours[:-1], width, height)
    room = max(64, width // 6)
    none = bars([digit.none], ["none"], colours[-1:], room, height)
    return row([bars(values, digit.class_names, colours[:-1], width - room - GAP, height), none], ground=CARD)
