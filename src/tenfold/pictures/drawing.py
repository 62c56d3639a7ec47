"""The map of an explanation, drawn over the ink: orange supports it, blue contradicts it.

Readers who confuse red with green, or blue with yellow, tell the two apart as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tenfold.arrays import Verdict

__all__ = [
    "AGAINST",
    "AMBER",
    "BLUE",
    "CARD",
    "COLOURS",
    "FOR",
    "GAP",
    "GREEN",
    "GREY",
    "INK",
    "MARGIN",
    "PAPER",
    "WIDTH",
    "bars",
    "card",
    "enlarge",
    "font",
    "lay_over",
    "number_tag",
    "paragraph",
    "row",
    "stack",
]

FOR, AGAINST = (255, 106, 19), (64, 150, 255)
_FAINT = 0.25  # of the colour, where there is no ink


def lay_over(
    image: np.ndarray, values: np.ndarray, side: int, *, least: float = 0.0, everywhere: bool = False
) -> Image.Image:
    """uint8 (H, W), light ink on black, and its map (H, W) -> RGB, its longer side `side` pixels.

    The strongest value has the full colour, and no value below `least` has. everywhere: paper is
    coloured as fully as ink is.
    """
    largest = max(float(np.abs(values).max(initial=0)), least) or 1.0
    share = np.clip(values / largest, -1, 1).astype(np.float32)
    height, width = image.shape
    size = (round(side * width / max(image.shape)), round(side * height / max(image.shape)))
    smooth = Image.fromarray(share).resize(size, Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(smooth), -1, 1)[..., None]
    ink = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    grey = np.asarray(ink, np.float32)[..., None] / 255
    colour = np.where(strength > 0, FOR, AGAINST).astype(np.float32)
    cover = np.abs(strength) ** 0.7 * (1 if everywhere else _FAINT + (1 - _FAINT) * grey)
    mixed = (16 + 150 * grey) * (1 - cover) + colour * cover
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


# Drawing for the explaining sheet: words, boxes, bars and enlarged pictures, with Pillow alone.

Colour = tuple[int, int, int]

WIDTH, MARGIN, GAP = 800, 24, 16  # pixels; a phone shows the sheet at about half of it
PAPER, CARD, LINE = (244, 242, 237), (255, 255, 255), (222, 218, 209)
INK, GREY = (31, 36, 48), (104, 108, 118)
GREEN, AMBER, RED, BLUE = (15, 118, 110), (180, 95, 6), (185, 28, 28), (37, 99, 235)
COLOURS: dict[Verdict, Colour] = {"digit": GREEN, "unsure": AMBER, "not a digit": RED}


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow; it knows ASCII and little more."""
    return ImageFont.load_default(size=size)


def _wrap(text: str, size: int, width: int) -> list[str]:
    """Lines of at most `width` pixels; a word that is too long by itself is broken."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font(size).getlength(joined) <= width:
            lines[-1] = joined
            continue
        lines.append("")
        for letter in word:
            if font(size).getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


def paragraph(
    text: str, size: int, width: int, *, colour: Colour = INK, ground: Colour = PAPER
) -> Image.Image:
    """Wrapped text on its ground; letters that the font lacks show as "?"."""
    shown = "".join(letter if " " <= letter <= "~" or letter in "·…" else "?" for letter in text)
    lines, height = _wrap(shown, size, width), round(size * 1.35)
    image = Image.new("RGB", (width, max(1, len(lines)) * height), ground)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((0, number * height), line, fill=colour, font=font(size))
    return image


def stack(blocks: Sequence[Image.Image], *, gap: int = GAP, ground: Colour = PAPER) -> Image.Image:
    """One below the other, flush left."""
    height = sum(block.height for block in blocks) + gap * (len(blocks) - 1)
    image = Image.new("RGB", (max(block.width for block in blocks), height), ground)
    top = 0
    for block in blocks:
        image.paste(block, (0, top))
        top += block.height + gap
    return image


def row(images: Sequence[Image.Image], *, ground: Colour = PAPER) -> Image.Image:
    """One beside the other, their tops in line."""
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    joined = Image.new("RGB", (width, max(image.height for image in images)), ground)
    left = 0
    for image in images:
        joined.paste(image, (left, 0))
        left += image.width + GAP
    return joined


def card(content: Image.Image, width: int, height: int, *, padding: int = 12) -> Image.Image:
    """White, with round corners and a thin line, on the sheet's paper."""
    fine = 4
    mask = Image.new("L", (width * fine, height * fine), 0)
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle((0, 0, width * fine - 1, height * fine - 1), 12 * fine, fill=128)
    inner = (fine, fine, (width - 1) * fine - 1, (height - 1) * fine - 1)
    draw.rounded_rectangle(inner, 11 * fine, fill=255)
    shares = np.asarray(mask.reduce(fine), np.float32)[..., None]
    low, line, high = (np.array(colour, np.float32) for colour in (PAPER, LINE, CARD))
    outer, inside = np.minimum(shares / 128, 1), np.maximum(shares / 127.5 - 1, 0)
    mixed = low + outer * (line - low) + inside * (high - line)
    image = Image.fromarray(np.rint(np.clip(mixed, 0, 255)).astype(np.uint8))
    image.paste(content, (padding, padding))
    return image


def enlarge(image: Image.Image, width: int, height: int) -> Image.Image:
    """Fitted into a box, aspect kept; few pixels stay visible as squares."""
    ratio = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    method = Image.Resampling.NEAREST if ratio >= 3 else Image.Resampling.LANCZOS
    return image.resize(size, method)


def number_tag(number: int, colour: Colour, size: int = 20) -> Image.Image:
    """A small plate with a number."""
    text = str(number)
    width = round(font(size).getlength(text)) + size // 2
    image = Image.new("RGB", (width, round(size * 1.25)), colour)
    ImageDraw.Draw(image).text((width / 2, image.height / 2), text, CARD, font(size), anchor="mm")
    return image


def bars(
    values: Sequence[float], names: Sequence[str], colours: Sequence[Colour], width: int, height: int
) -> Image.Image:
    """Shares of 1 as columns with their names below, and the figure above where it counts."""
    image = Image.new("RGB", (width, height), CARD)
    draw = ImageDraw.Draw(image)
    step, foot, head = width / len(values), 28, 24
    for number, (value, name, colour) in enumerate(zip(values, names, colours, strict=True)):
        middle, base = (number + 0.5) * step, height - foot
        top = base - max(2, round(value * (base - head)))
        reach = step * 0.36
        draw.rectangle((middle - reach, head, middle + reach, base), fill=(241, 240, 236))
        draw.rectangle((middle - reach, top, middle + reach, base), fill=colour)
        draw.text((middle, base + foot / 2 + 2), name, colour, font(20), anchor="mm")
        if value >= 0.095:
            text, space = f"{min(100 * value, 99.4):.0f}", 10  # nothing is quite sure
            at = min(max(middle, space), width - space)
            draw.text((at, max(top - 11, 10)), text, colour, font(18), anchor="mm")
    return image
