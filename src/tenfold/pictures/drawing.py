"""Drawing for explaining sheets with Pillow alone: words, boxes, bars, enlarged pictures, maps over the ink.

In a map orange supports an answer and blue contradicts it: readers who confuse red with green, or blue with
yellow, tell the two apart as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tenfold.arrays import Verdict

__all__ = ["Palette", "Sheet"]

_Colour = tuple[int, int, int]

_FAINT = 0.25  # of the colour, where there is no ink


class Palette:
    """Colours of a sheet. FOR, AGAINST: of ink that supports an answer, or contradicts it."""

    FOR, AGAINST = (255, 106, 19), (64, 150, 255)
    PAPER, CARD, LINE = (244, 242, 237), (255, 255, 255), (222, 218, 209)
    INK, GREY = (31, 36, 48), (104, 108, 118)
    GREEN, AMBER, RED, BLUE = (15, 118, 110), (180, 95, 6), (185, 28, 28), (37, 99, 235)
    VERDICTS: Mapping[Verdict, _Colour] = {"digit": GREEN, "unsure": AMBER, "not a digit": RED}


def _wrap(text: str, size: int, width: int) -> list[str]:
    """Lines of at most `width` pixels; a word that is too long by itself is broken."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if Sheet.font(size).getlength(joined) <= width:
            lines[-1] = joined
            continue
        lines.append("")
        for letter in word:
            if Sheet.font(size).getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


class Sheet:
    """An explaining sheet, 800 pixels wide, and the blocks that it is composed of."""

    WIDTH, MARGIN, GAP = 800, 24, 16  # pixels; a phone shows the sheet at about half of it

    @staticmethod
    def lay_over(
        image: np.ndarray, values: np.ndarray, side: int, *, least: float = 0.0, everywhere: bool = False
    ) -> Image.Image:
        """uint8 (H, W), light ink on black, and its map (H, W) -> RGB, its longer side `side` pixels. The
        strongest value has the full colour, and no value below `least` has. everywhere: paper is coloured as
        fully as ink is."""
        largest = max(float(np.abs(values).max(initial=0)), least) or 1.0
        share = np.clip(values / largest, -1, 1).astype(np.float32)
        height, width = image.shape
        size = (round(side * width / max(image.shape)), round(side * height / max(image.shape)))
        smooth = Image.fromarray(share).resize(size, Image.Resampling.BICUBIC)
        strength = np.clip(np.asarray(smooth), -1, 1)[..., None]
        ink = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
        grey = np.asarray(ink, np.float32)[..., None] / 255
        colour = np.where(strength > 0, Palette.FOR, Palette.AGAINST).astype(np.float32)
        cover = np.abs(strength) ** 0.7 * (1 if everywhere else _FAINT + (1 - _FAINT) * grey)
        mixed = (16 + 150 * grey) * (1 - cover) + colour * cover
        return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))

    @staticmethod
    @lru_cache(maxsize=32)
    def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        """The font that comes with Pillow; it knows ASCII and little more."""
        return ImageFont.load_default(size=size)

    @staticmethod
    def paragraph(
        text: str, size: int, width: int, *, colour: _Colour = Palette.INK, ground: _Colour = Palette.PAPER
    ) -> Image.Image:
        """Wrapped text on its ground; letters that the font lacks show as "?"."""
        shown = "".join(letter if " " <= letter <= "~" or letter in "·…" else "?" for letter in text)
        lines, height = _wrap(shown, size, width), round(size * 1.35)
        image = Image.new("RGB", (width, max(1, len(lines)) * height), ground)
        draw = ImageDraw.Draw(image)
        for number, line in enumerate(lines):
            draw.text((0, number * height), line, fill=colour, font=Sheet.font(size))
        return image

    @staticmethod
    def stack(
        blocks: Sequence[Image.Image], *, gap: int = GAP, ground: _Colour = Palette.PAPER
    ) -> Image.Image:
        """One below the other, flush left."""
        height = sum(block.height + gap for block in blocks) - gap
        image = Image.new("RGB", (max(block.width for block in blocks), height), ground)
        top = 0
        for block in blocks:
            image.paste(block, (0, top))
            top += block.height + gap
        return image

    @staticmethod
    def row(images: Sequence[Image.Image], *, ground: _Colour = Palette.PAPER) -> Image.Image:
        """One beside the other, their tops in line."""
        turned = [image.transpose(Image.Transpose.TRANSPOSE) for image in images]
        return Sheet.stack(turned, ground=ground).transpose(Image.Transpose.TRANSPOSE)

    @staticmethod
    def compose(blocks: Sequence[Image.Image]) -> Image.Image:
        """One below the other, with the sheet's margin."""
        return ImageOps.expand(Sheet.stack(blocks), Sheet.MARGIN, Palette.PAPER)

    @staticmethod
    def card(content: Image.Image, width: int, height: int, *, padding: int = 12) -> Image.Image:
        """White, with round corners and a thin line, on the sheet's paper."""
        fine = 4  # drawn so many times finer
        image = Image.new("RGB", (width * fine, height * fine), Palette.PAPER)
        edges = (0, 0, image.width - 1, image.height - 1)
        ImageDraw.Draw(image).rounded_rectangle(edges, 12 * fine, Palette.CARD, Palette.LINE, fine)
        image = image.reduce(fine)
        image.paste(content, (padding, padding))
        return image

    @staticmethod
    def enlarge(image: Image.Image, width: int, height: int) -> Image.Image:
        """Fitted into a box, aspect kept; few pixels stay visible as squares."""
        ratio = min(width / image.width, height / image.height)
        size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        method = Image.Resampling.NEAREST if ratio >= 3 else Image.Resampling.LANCZOS
        return image.resize(size, method)

    @staticmethod
    def number_tag(number: int, colour: _Colour, size: int = 20) -> Image.Image:
        """A small plate with a number."""
        text = str(number)
        width = round(Sheet.font(size).getlength(text)) + size // 2
        image = Image.new("RGB", (width, round(size * 1.25)), colour)
        middle = width / 2, image.height / 2
        ImageDraw.Draw(image).text(middle, text, Palette.CARD, Sheet.font(size), anchor="mm")
        return image

    @staticmethod
    def bars(
        values: Sequence[float], names: Sequence[str], colours: Sequence[_Colour], width: int, height: int
    ) -> Image.Image:
        """Shares of 1 as columns with their names below, and the figure above where it counts."""
        image = Image.new("RGB", (width, height), Palette.CARD)
        draw = ImageDraw.Draw(image)
        step, foot, head = width / len(values), 28, 24
        for number, (value, name, colour) in enumerate(zip(values, names, colours, strict=True)):
            middle, base = (number + 0.5) * step, height - foot
            top = base - max(2, round(value * (base - head)))
            reach = step * 0.36
            draw.rectangle((middle - reach, head, middle + reach, base), fill=(241, 240, 236))
            draw.rectangle((middle - reach, top, middle + reach, base), fill=colour)
            draw.text((middle, base + foot / 2 + 2), name, colour, Sheet.font(20), anchor="mm")
            if value >= 0.095:
                text, space = f"{min(100 * value, 99.4):.0f}", 10  # nothing is quite sure
                at = min(max(middle, space), width - space)
                draw.text((at, max(top - 11, 10)), text, colour, Sheet.font(18), anchor="mm")
        return image
