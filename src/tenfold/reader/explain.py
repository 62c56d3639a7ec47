"""How a picture was read, as a picture: the lines found, the strips that the network saw, and each character.

Drawn with Pillow alone, so that it is there as soon as the answer is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import Prediction
from tenfold.pictures.drawing import Palette, Sheet
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import BLANK, CHARACTERS, OTHER, OUTPUTS
from tenfold.reader.line_reader import LineReader
from tenfold.reader.reading import Line, Reading, percent

__all__ = ["decisive_pixels", "explain_reading"]

_INNER = Sheet.WIDTH - 2 * Sheet.MARGIN
_PADDING = 12
_WHOLE, _HALF = _INNER - 2 * _PADDING, (_INNER - Sheet.GAP) // 2 - 2 * _PADDING  # pixels inside a card
_MOST_CARDS, _MOST_LINES = 40, 12
_MOST_TEXT = 6  # lines in large letters
_LETTERS, _SPIKES = 28, 40  # pixels above a strip for its characters, and below it for the scores
_PLAIN = str.maketrans({"×": "x", "÷": "div"})  # which Pillow's own font lacks


def explain_reading(
    reading: Reading, reader: LineReader, *, name: str = "", only: int | None = None
) -> Image.Image:
    """A sheet, RGB, 800 pixels wide: the picture with its lines and characters, each strip with the scores of
    its columns, and for each character its window, what decided, and the likeliest answers. reading: by this
    reader, with its picture. name: of the picture. only: the one character to show, from 1."""
    blocks = [_header(reading, name), _found(reading)]
    cards: list[Image.Image] = []
    for line in reading.seen[:_MOST_LINES]:
        _, logs = reader.read_strip(line.strip)
        blocks.append(_card(_line(line, logs, reader), _WHOLE))
        numbers = range(len(cards) + 1, _MOST_CARDS + 1)
        decisive = decisive_pixels(reader, line, logs) if numbers else ()
        shown = zip(numbers, line.characters, line.places, decisive, strict=False)
        cards += [_character(*each) for each in shown]
    if only:
        cards = cards[only - 1 : only]
    for pair in (cards[first : first + 2] for first in range(0, len(cards), 2)):
        height = max(each.height for each in pair)
        blocks.append(Sheet.row([_card(each, _HALF, height) for each in pair]))
    if (hidden := len(reading.characters) - len(cards)) > 0 and not only:
        blocks.append(_small(f"… and {hidden} more characters, not shown"))
    if cards:
        blocks.append(_small("What decides: orange supports the answer, blue the runner-up."))
    return Sheet.compose(blocks)


def decisive_pixels(reader: LineReader, line: Line, logs: np.ndarray) -> np.ndarray:
    """float32 (characters, 32, W): what each pixel's departure from the paper adds to the lead of a character
    over the next likeliest one in its column, to first order. logs: (T, 21), of the line's strip."""
    weights = np.zeros((len(line.places), len(logs), OUTPUTS), np.float32)
    for rows, place, character in zip(weights, line.places, line.characters, strict=True):
        answer = CHARACTERS.index(OTHER if character.verdict == "not a digit" else character.label)
        others = np.where(np.arange(BLANK) == answer, -np.inf, logs[place, :BLANK])
        rows[place, answer], rows[place, others.argmax()] = 1, -1
    strips = np.repeat(line.strip[None], len(weights), axis=0)
    departures = strips.astype(np.float32) - Strip.PAPER
    return departures * reader.engine.input_gradient(strips, weights) if len(strips) else departures


def _small(text: str) -> Image.Image:
    return Sheet.paragraph(text, 20, _INNER, colour=Palette.GREY)


def _card(content: Image.Image, width: int, height: int = 0) -> Image.Image:
    width, height = (side + 2 * _PADDING for side in (width, height or content.height))
    return Sheet.card(content, width, height, padding=_PADDING)


def _header(reading: Reading, name: str) -> Image.Image:
    """The picture's name, the text in large letters, how sure it is, and the troubles."""
    parts = [_small(name)] if name else []
    parts.append(_text(reading.lines) if reading.lines else Sheet.paragraph("Nothing found", 48, _INNER))
    if reading.confidence is not None:
        sure = "the least sure line: " if len(reading.lines) > 1 else ""
        parts.append(_small(f"{sure}{percent(reading.confidence)} sure"))
    amber = Palette.VERDICTS["unsure"]
    parts += [Sheet.paragraph(text, 22, _INNER, colour=amber) for text in reading.troubles]
    return Sheet.stack(parts, gap=6)


def _text(lines: Sequence[Line]) -> Image.Image:
    size = 72 if max(len(line.characters) for line in lines) <= 16 else 40
    most = int(_INNER // Sheet.font(size).getlength("0"))
    image = Image.new("RGB", (_INNER, len(lines[:_MOST_TEXT]) * round(size * 1.1)), Palette.PAPER)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines[:_MOST_TEXT]):
        at = 0.0
        for letter, character in zip(line.text[:most], line.characters, strict=False):
            shown = letter.translate(_PLAIN)
            colour = Palette.INK if character.verdict == "digit" else Palette.VERDICTS[character.verdict]
            draw.text((at, number * size * 1.1), shown, colour, Sheet.font(size))
            at += Sheet.font(size).getlength(shown)
    return image


def _found(reading: Reading) -> Image.Image:
    """The picture, with a box around each line and a numbered one around each character."""
    assert reading.picture is not None
    image = Sheet.enlarge(Image.fromarray(reading.picture.pixels).convert("RGB"), _WHOLE, 420)
    draw = ImageDraw.Draw(image)
    ratio = image.width / reading.picture.size[0]
    for cell in (cell for row in reading.table.rows for cell in row) if reading.table else ():
        draw.polygon([(ratio * x, ratio * y) for x, y in cell.corners], outline=Palette.VERDICTS["unsure"])
    for line in () if reading.table else reading.seen:
        draw.rectangle(_place(line.box, ratio, image, 3), outline=Palette.GREY)
    size = 20 if len(reading.characters) <= 20 else 14
    for number, character in enumerate(reading.characters, start=1):
        box = _place(character.box or (0, 0, 0, 0), ratio, image, 0)
        colour = Palette.VERDICTS[character.verdict]
        draw.rectangle(box, outline=colour, width=2)
        tag = Sheet.number_tag(number, colour, size)
        above = box[1] - tag.height + 1
        image.paste(tag, (min(box[0], image.width - tag.width), above if above >= 0 else box[1]))
    return _card(_titled("As found", image, _WHOLE), _WHOLE)


def _place(box: tuple[int, ...], ratio: float, image: Image.Image, margin: int) -> tuple[int, int, int, int]:
    """A box of the original as one of the picture shown, inside it."""
    x0, y0, x1, y1 = (round(edge * ratio) for edge in box)
    edges = x0 - margin, y0 - margin, max(x0, x1 + margin - 1), max(y0, y1 + margin - 1)
    x0, y0, x1, y1 = np.clip(edges, 0, np.subtract(2 * image.size, 1)).tolist()
    return x0, y0, x1, y1


def _titled(title: str, image: Image.Image, width: int) -> Image.Image:
    return _joined(Sheet.paragraph(title, 20, width, colour=Palette.GREY, ground=Palette.CARD), image)


def _joined(*blocks: Image.Image) -> Image.Image:
    return Sheet.stack(blocks, gap=5, ground=Palette.CARD)


def _line(line: Line, logs: np.ndarray, reader: LineReader) -> Image.Image:
    """What was read, the strip with a mark where each character was seen, and each column's best score."""
    least = reader.card.least_confidence
    told = "Nothing of the expected form" if line.unfit else "No number"
    if line.characters:
        told = f"{line.text.translate(_PLAIN)}, {percent(line.confidence)} sure"
        told += f"; below {100 * least:.0f} % its weakest character is ?" * (line.confidence < least)
    scale = min(_WHOLE / line.strip.shape[1], 4.0)
    strip = _enlarged(line.strip, scale)
    image = Image.new("RGB", (_WHOLE, _LETTERS + strip.height + _SPIKES), Palette.CARD)
    image.paste(strip, (0, _LETTERS))
    draw, step, base = ImageDraw.Draw(image), Strip.COLUMN_WIDTH * scale, image.height - 1
    for column, best in enumerate(np.exp(logs[:, :BLANK].max(axis=1)).tolist()):
        left, top = column * step, base - round(best * (_SPIKES - 6))
        draw.rectangle((left, top, max(left, left + step - 2), base), fill=Palette.GREY)
    for character, place in zip(line.characters, line.places, strict=True):
        middle, colour = (place + 0.5) * step, Palette.VERDICTS[character.verdict]
        draw.line((middle, _LETTERS, middle, base), fill=colour, width=2)
        letter = character.label.translate(_PLAIN)
        draw.text((middle, _LETTERS / 2), letter, colour, Sheet.font(22), anchor="mm")
    title = "The strip that the network sees, and the best score of each of its columns"
    return _joined(Sheet.paragraph(told, 24, _WHOLE, ground=Palette.CARD), _titled(title, image, _WHOLE))


def _enlarged(pixels: np.ndarray, scale: float) -> Image.Image:
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    smooth = Image.Resampling.NEAREST if scale >= 3 else Image.Resampling.BILINEAR
    return Image.fromarray(pixels).convert("RGB").resize(size, smooth)


def _character(number: int, character: Prediction, place: int, decisive: np.ndarray) -> Image.Image:
    """Its number and verdict, its window, what decided there, and the three likeliest answers."""
    colour = Palette.VERDICTS[character.verdict]
    head = Image.new("RGB", (_HALF, 44), Palette.CARD)
    tag = Sheet.number_tag(number, colour)
    head.paste(tag, (0, 10))
    words = character.explain_verdict() or f"{character.label}, {percent(character.confidence)}"
    at = tag.width + 12, 22
    ImageDraw.Draw(head).text(at, words.translate(_PLAIN), colour, Sheet.font(24), anchor="lm")
    side = 116
    blank = np.full((Strip.HEIGHT, Strip.HEIGHT), Strip.PAPER, np.uint8)
    seen = blank if character.image is None else character.image
    near = Line.window(decisive, place)
    departure = np.minimum(2 * np.abs(seen.astype(np.int16) - Strip.PAPER), 255).astype(np.uint8)
    likeliest = character.alternatives(3)
    names, values = [name.translate(_PLAIN) for name, _ in likeliest], [value for _, value in likeliest]
    colours = [colour if name == character.label else Palette.GREY for name, _ in likeliest]
    pictures = [
        _titled("Sees", _enlarged(seen, side / Strip.HEIGHT), side),
        _titled("Decides", Sheet.lay_over(departure, near, side), side),
        Sheet.bars(values, names, colours, _HALF - 2 * (side + Sheet.GAP), side + 30),
    ]
    return _joined(head, Sheet.row(pictures, ground=Palette.CARD))
