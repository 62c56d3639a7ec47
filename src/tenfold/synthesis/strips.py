"""Strips with the text they spell: what the line reader learns from and is checked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold.pictures.lines import Strip, make_strip
from tenfold.synthesis.ink import (
    Pen,
    draw_glyph,
    draw_print,
    draw_scribble,
    draw_text,
    random_pen,
    slope_ink,
    soften_ink,
)
from tenfold.synthesis.paper import draw_rules, make_paper, photograph
from tenfold.synthesis.sources import Hand, RealStrip, Sources, Split, package_sources

__all__ = ["StripMaker"]

_OTHER = "?"
_WIDEST = 480  # pixels: longer strips are drawn anew
_LENGTHS = np.array([0.18, 0.16, 0.18, 0.16, 0.13, 0.10, 0.05, 0.02, 0.01, 0.01])  # of 1, 2, ... 10 digits
_WRITERS = {"mnist": 2.5, "font": 1.6}  # times a hand's weight: MNIST's are hundreds; a font has few glyphs
_LEGIBLE = 1.2  # times the paper's deviation: ink that stands out less is drawn anew
_TRIES = 6
_LONE_SIGNS = (".", ".", ".", "-", "-", "=", "+", ":")
_ENDS = ("-", ".-", "=", ".=", ",-", "--", ".", ",", ".--", "=-", "/")  # marks that close an amount


@dataclass(frozen=True)
class Mixture:
    """Shares of the kinds of strip; the rest is drawn lines of numbers."""

    real: float = 0.25
    real_words: float = 0.03
    blank: float = 0.07
    words: float = 0.08
    plain_digit: float = 0.05  # MNIST's images as they are
    printed: float = 0.12


def random_text(rng: np.random.Generator, digits: str = "0123456789") -> str:
    """A number as people write one: plain, an amount, a decimal, a date, a time or an expression."""
    count = 1 + int(rng.choice(len(_LENGTHS), p=_LENGTHS))
    if count == 1 and "1" in digits and rng.random() < 0.25:
        return "1"  # a lone bar, which is easily taken for a rule
    number = "".join(digits[i] for i in rng.integers(len(digits), size=count))
    if count > 2 and "0" in digits and rng.random() < 0.3:
        zeros = int(rng.integers(1, min(5, count)))
        number = number[:-zeros] + "0" * zeros
    elif count > 1 and rng.random() < 0.15:  # one digit twice, or oftener, in a row
        place, times = int(rng.integers(count - 1)), int(rng.integers(2, 4))
        number = (number[:place] + number[place] * times + number[place + times :])[:count]
    kind = rng.random()
    if kind < 0.62:
        return number
    if kind < 0.82:
        return _amount(number, digits, rng)
    if kind < 0.9 and count > 1:
        place = int(rng.integers(1, count))
        return number[:place] + rng.choice([".", ",", "."]) + number[place:]
    if kind < 0.92 and count > 3:
        sign = str(rng.choice(["/", "-", ".", ":"]))
        return number[:2] + sign + number[2:4] + (sign + number[4:] if count > 5 else "")
    if kind < 0.97 and count > 1:
        return "".join(c + (str(rng.choice(list("+×÷-="))) if rng.random() < 0.5 else "") for c in number)
    return str(rng.choice(["-", "+", "=", "."])) + number


def _amount(number: str, digits: str, rng: np.random.Generator) -> str:
    text = number
    if len(number) > 3 and rng.random() < 0.75:
        groups = [number[::-1][i : i + 3][::-1] for i in range(0, len(number), 3)][::-1]
        text = str(rng.choice([".", ".", ",", "-"])).join(groups)
    if rng.random() < 0.2:
        text += str(rng.choice([",", "."])) + "".join(rng.choice(list(digits), 2))
    return text + (str(rng.choice(_ENDS)) if rng.random() < 0.45 else "")


class StripMaker:
    """Draws strips from its sources. `make` gives uint8 (32, W) and the text; "?" stands for words."""

    def __init__(self, sources: Sources, mixture: Mixture | None = None) -> None:
        self.sources, self.mixture = sources, mixture or Mixture()
        self._numbers = [strip for strip in sources.real if strip.text != _OTHER]
        self._words = [strip for strip in sources.real if strip.text == _OTHER]
        self._plain = next((hand for hand in sources.hands if hand.name == "mnist"), None)
        sizes = np.array([sum(map(len, hand.glyphs.values())) for hand in sources.hands], np.float64)
        writers = np.array([_WRITERS.get(hand.name.split("/")[0], 1.0) for hand in sources.hands])
        weights = np.sqrt(sizes) * writers
        self._weights = weights / weights.sum() if len(sizes) else weights
        self._scripts = [font for font in sources.fonts if not _is_print(font.name)]
        self._prints = [font for font in sources.fonts if _is_print(font.name)]

    @classmethod
    def from_package(cls, split: Split, *, data_dir: str | Path | None = None) -> StripMaker:
        """Of what needs no download: no real strips, and more words. See `package_sources`."""
        return cls(package_sources(split, data_dir=data_dir), Mixture(real=0, real_words=0, words=0.2))

    def make(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        while True:
            picture, text = self._draw(rng)
            strip = make_strip(picture)
            if strip.shape[1] <= _WIDEST:
                return strip, text

    @staticmethod
    def vary(strips: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Strips uint8 (32, W) -> uint8 (N, 32, W): side by side in frames of one width, moved, with another
        contrast and grain."""
        count, widest = len(strips), max(strip.shape[1] for strip in strips) + Strip.MULTIPLE
        images = np.full((count, Strip.HEIGHT, widest), Strip.PAPER, np.float32)
        for image, strip, down in zip(images, strips, rng.integers(-2, 3, count), strict=True):
            left = rng.integers(0, widest - strip.shape[1] + 1)
            target = image[max(0, down) : Strip.HEIGHT + min(0, down), left : left + strip.shape[1]]
            target[:] = strip[max(0, -down) : Strip.HEIGHT - max(0, down)]
        images -= Strip.PAPER
        images *= rng.uniform(0.75, 1.2, (count, 1, 1)).astype(np.float32)
        images[rng.random(count) < 0.05] *= -1
        noisy = np.flatnonzero(rng.random(count) < 0.2)
        images[noisy] += rng.standard_normal(
            (len(noisy), Strip.HEIGHT, widest), dtype=np.float32
        ) * rng.uniform(0, 14)
        return np.clip(np.rint(images) + Strip.PAPER, 0, 255).astype(np.uint8)

    @staticmethod
    def bend(strip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 (32, W) -> uint8 (32, W'): a little wider or narrower, higher or lower, and slanted."""
        stretch, height = np.exp(rng.normal(0, (0.06, 0.04)))
        slant = rng.normal(0, 0.06)
        wide = -(-round(strip.shape[1] * float(stretch)) // Strip.MULTIPLE) * Strip.MULTIPLE
        middle = Strip.HEIGHT / 2
        change = (1 / stretch, slant, -slant * middle, 0, 1 / height, middle - middle / height)
        image = Image.fromarray(strip).transform(
            (wide, Strip.HEIGHT),
            Image.Transform.AFFINE,
            change,
            Image.Resampling.BILINEAR,
            fillcolor=Strip.PAPER,
        )
        return np.asarray(image)

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """uint8 (h, w), of any size, and its text."""
        mixture, kind = self.mixture, rng.random()
        for share, strips in ((mixture.real, self._numbers), (mixture.real_words, self._words)):
            if kind < share and strips:
                strip = strips[rng.integers(len(strips))]
                return vary_real(strip, rng), strip.text
            kind -= share
        if kind < mixture.blank:
            return self._draw_blank(rng), ""
        kind -= mixture.blank
        if kind < mixture.words:
            return self._draw_words(rng)
        kind -= mixture.words
        if kind < mixture.plain_digit and self._plain:
            return self._draw_plain(self._plain, rng)
        return self._draw_number(rng, printed=kind - mixture.plain_digit < mixture.printed)

    def _draw_blank(self, rng: np.random.Generator) -> np.ndarray:
        """Paper; with rules only where it is wide, so that a lone bar is always a one."""
        high = int(rng.integers(24, 64))
        shape = (high, int(high * rng.uniform(0.9, 5)))
        near, wide = rng.random() < 0.5, shape[1] > 1.5 * high
        paper = make_paper(shape, self.sources.papers if wide and not near else (), rng)
        if near:
            return _from_near(photograph(paper, rng), rng)
        return photograph(draw_rules(paper, rng, boxes=0.0) if wide else paper, rng)

    def _draw_plain(self, hand: Hand, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """MNIST's 20x20 box in 28x28, light on dark or the other way round."""
        label = str(rng.integers(10))
        glyph = hand.glyphs[label][rng.integers(len(hand.glyphs[label]))]
        assert isinstance(glyph, np.ndarray)
        image = np.zeros((28, 28), np.uint8)
        free = 28 - np.array(glyph.shape)
        top, left = np.clip(free // 2 + rng.integers(-2, 3, 2), 0, free)
        image[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
        if rng.random() < 0.4:
            image = np.pad(glyph, rng.integers(0, 4, (2, 2)))
        if rng.random() < 0.3:
            ratio = rng.uniform(1.4, 3)
            size = (round(image.shape[1] * ratio), round(image.shape[0] * ratio))
            image = np.asarray(Image.fromarray(image).resize(size, int(rng.integers(4))))
        return image if rng.random() < 0.6 else 255 - image, label

    def _draw_number(self, rng: np.random.Generator, *, printed: bool) -> tuple[np.ndarray, str]:
        height, pen = rng.uniform(14, 46), random_pen(rng)
        if printed and (self._prints or self._scripts):
            fonts = self._scripts if self._scripts and rng.random() < 0.45 else self._prints
            font = fonts[rng.integers(len(fonts))]
            text = random_text(rng)
            if fonts is self._scripts and not set(text) <= set("0123456789.,-:/"):
                text = "".join(c for c in text if c.isdigit())
            layer = draw_print(text, font, height)
        else:
            hand = self._choose_hand(rng)
            digits = "".join(c for c in "0123456789" if c in hand.glyphs)
            text = random_text(rng, digits)
            layer, _ = draw_text(text, hand, height, pen, rng)
        if rng.random() < 0.05 and self.sources.letters:
            word, before = self._draw_word(height, pen, rng), rng.random() < 0.4
            layer = _beside(word, layer, height, rng) if before else _beside(layer, word, height, rng)
            text = _OTHER + text if before else text + _OTHER
        tight = len(text) == 1 and rng.random() < 0.5
        return self._picture(layer, rng, height, pen.slant, tight=tight), text

    def _choose_hand(self, rng: np.random.Generator) -> Hand:
        return self.sources.hands[rng.choice(len(self.sources.hands), p=self._weights)]

    def _draw_words(self, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        """What is not a number: letters, a scribble, or a sign by itself."""
        height, pen, kind = rng.uniform(14, 46), random_pen(rng), rng.random()
        if kind < 0.15 and self.sources.hands:
            sign = str(rng.choice(_LONE_SIGNS))
            layer, _ = draw_text(sign, self._choose_hand(rng), height, pen, rng)
            return self._picture(layer, rng, height, tight=rng.random() < 0.5), sign
        layer = draw_scribble(height, pen, rng) if kind < 0.27 else self._draw_word(height, pen, rng)
        return self._picture(layer, rng, height, pen.slant), _OTHER

    def _draw_word(self, height: float, pen: Pen, rng: np.random.Generator) -> np.ndarray:
        """Letters of no word, or a printed one."""
        fonts = self.sources.fonts
        if fonts and rng.random() < 0.4:
            letters = "acdehkmnprtuvwxyAEFGHKLMNPRTUVWXY&$%#"
            word = "".join(letters[i] for i in rng.integers(len(letters), size=rng.integers(1, 8)))
            return draw_print(word, fonts[rng.integers(len(fonts))], height)
        latin = rng.random() < 0.6
        source = self.sources.letters if latin else self.sources.characters or self.sources.letters
        count = 1 if rng.random() < (0.5 if latin else 0.1) else rng.integers(2, 6)
        chosen = ((source[rng.integers(len(source))], height * rng.uniform(0.6, 1)) for _ in range(count))
        drawn = [draw_glyph(glyph, high, pen, rng) for glyph, high in chosen]
        return reduce(lambda layer, ink: _beside(layer, ink, height * 0.3, rng), drawn)

    def _picture(
        self, layer: np.ndarray, rng: np.random.Generator, height: float, slant: float = 0.0, *,
        tight: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Ink on paper, with what lies around it, as a camera or a scanner sees it: uint8 (H, W)."""
        for _ in range(_TRIES):
            picture, ink = self._draw_picture(layer, rng, height, slant, tight=tight)
            if is_legible(picture, ink):
                break
        return picture

    def _draw_picture(
        self, layer: np.ndarray, rng: np.random.Generator, height: float, slant: float, *, tight: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture, and its ink before anything else: float32 (H, W), 0..1."""
        if rng.random() < 0.5:
            layer = slope_ink(layer, slant, rng.normal(0, 0.02))
        clean = rng.random() < 0.12
        ink = self._around(layer, height, rng, tight=tight)
        written = ink.copy()
        dirt = 0.0 if clean else rng.random()
        if dirt > 0.86:
            self._add_neighbours(ink, height, rng)
        plain = np.full(ink.shape, 1, np.float32)
        paper = plain if clean else make_paper(ink.shape, self.sources.papers, rng)
        if not clean or rng.random() < 0.2:
            paper = draw_rules(paper, rng)
        if dirt > 0.5 and rng.random() < 0.12:
            paper = self._add_print(paper, height, rng)
        return photograph(_ink_on(paper, ink, rng, clean=clean), rng, clean=clean), written

    def _around(
        self, layer: np.ndarray, height: float, rng: np.random.Generator, *, tight: bool
    ) -> np.ndarray:
        """float32 0..1: the ink with margin around it, tight or loose, sometimes cut at an edge."""
        loose = 0.0 if tight else rng.random()
        most = 0.12 if loose < 0.35 else 0.45 if loose < 0.8 else 1.0
        margin = rng.uniform(0, most, 4) * height * np.array([1, 1, 1.4, 1.4])
        if rng.random() < 0.12:
            margin[rng.integers(2)] -= 0.08 * height
        top, bottom, left, right = margin.astype(int)
        ink = soften_ink(np.pad(layer, ((max(2, top), max(2, bottom)), (max(2, left), max(2, right)))), rng)
        return ink[max(0, -top) : ink.shape[0] - max(0, -bottom)]

    def _add_neighbours(self, ink: np.ndarray, height: float, rng: np.random.Generator) -> None:
        """The lower or upper ends of writing in the line above or below."""
        pen, hand = random_pen(rng), self._choose_hand(rng)
        for _ in range(rng.integers(1, 4)):
            char = str(rng.choice(list(hand.glyphs)))
            glyph = draw_glyph(hand.glyphs[char][0], height, pen, rng)
            seen = max(1, int(glyph.shape[0] * rng.uniform(0.05, 0.25)))
            left = int(rng.integers(max(1, ink.shape[1] - glyph.shape[1] // 2)))
            above = rng.random() < 0.5
            piece, rows = (glyph[-seen:], ink[:seen]) if above else (glyph[:seen], ink[-seen:])
            part = rows[:, left : left + piece.shape[1]]
            np.maximum(part, piece[: part.shape[0], : part.shape[1]] / np.float32(255), out=part)

    def _add_print(self, paper: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
        """A faint stamp, or print that shows through from the other side."""
        if not self.sources.fonts:
            return paper
        font = self.sources.fonts[rng.integers(len(self.sources.fonts))]
        word = "".join(chr(rng.integers(97, 123)) for _ in range(12))
        layer = draw_print(word, font, height * rng.uniform(0.4, 1.6))
        image = Image.fromarray(layer).rotate(rng.normal(0, 12), expand=True)
        place = Image.new("L", paper.shape[::-1])
        place.paste(image, (int(rng.integers(-20, 20)), int(rng.integers(-20, 20))))
        return paper * (1 - np.asarray(place, np.float32) * (rng.uniform(0.02, 0.18) / 255))


def is_legible(picture: np.ndarray, ink: np.ndarray) -> bool:
    """Whether the ink, float32 (H, W) 0..1, stands out of the picture uint8 (H, W) all along the line."""
    high, wide = ink.shape
    for start in range(0, wide, high):
        part, seen = ink[:, start : start + high], picture[:, start : start + high]
        dark, paper = seen[part > 0.5], seen[part < 0.1]
        if len(dark) < 12 or len(paper) < 12:
            continue
        middle = float(np.median(paper))
        spread = 1.48 * float(np.median(np.abs(paper - middle)))
        if abs(float(np.median(dark)) - middle) < _LEGIBLE * (spread + 4):
            return False
    return True


def _from_near(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part of a picture, enlarged: grain, and the edges of a cell, as large as writing."""
    high, wide = (max(6, round(size * rng.uniform(0.15, 0.6))) for size in picture.shape)
    top, left = (int(rng.integers(max(1, s - part + 1))) for s, part in zip(picture.shape, (high, wide)))
    part = Image.fromarray(picture[top : top + high, left : left + wide])
    return np.asarray(part.resize((max(12, round(wide * 32 / high)), 32), Image.Resampling.BICUBIC))


def _is_print(name: str) -> bool:
    return name.startswith(("DejaVu", "Liberation", "STIX", "cm"))


def _beside(left: np.ndarray, right: np.ndarray, gap: float, rng: np.random.Generator) -> np.ndarray:
    apart = max(1, int(gap * rng.uniform(0.4, 1.2)))
    high = max(left.shape[0], right.shape[0])
    layer = np.zeros((high, left.shape[1] + apart + right.shape[1]), np.uint8)
    for ink, x in ((left, 0), (right, left.shape[1] + apart)):
        top = int((high - ink.shape[0]) * rng.uniform(0.3, 0.9))
        layer[top : top + ink.shape[0], x : x + ink.shape[1]] = ink
    return layer


def _ink_on(paper: np.ndarray, ink: np.ndarray, rng: np.random.Generator, *, clean: bool) -> np.ndarray:
    if clean:
        return paper * (1 - ink * rng.uniform(0.5, 1))
    dark = paper.mean() * (rng.uniform(0, 0.8) if rng.random() < 0.5 else rng.uniform(0, 0.4))
    strength = ink * rng.uniform(0.6, 1.05)
    if rng.random() < 0.5:
        coarse = rng.standard_normal((ink.shape[0] // 3 + 1, ink.shape[1] // 3 + 1), dtype=np.float32)
        grain = np.asarray(Image.fromarray(coarse).resize(ink.shape[::-1], Image.Resampling.BILINEAR))
        strength = strength * (1 + grain * rng.uniform(0, 0.3))
    strength = np.clip(strength, 0, 1)
    return paper * (1 - strength) + dark * strength


def vary_real(strip: RealStrip, rng: np.random.Generator) -> np.ndarray:
    """A real strip with other margins, slant, stretch, tone, light and grain: uint8 (h, w)."""
    grey = strip.grey
    high, wide = grey.shape
    margin = rng.uniform(-0.35, 0.1, 4) if strip.loose else rng.uniform(-0.1, 0.3, 4)
    margin = np.where(rng.random(4) < 0.3, 0, margin * high * (1, 1, 1.3, 1.3)).astype(int)
    most = (0.24, 0.24, 0.08, 0.08) if strip.loose else (0.04, 0.04, 0.06, 0.06)
    top, bottom, left, right = np.minimum(np.maximum(0, -margin), np.array(most) * high).astype(int)
    grey = grey[top : high - bottom, left : wide - right]
    outer = np.maximum(0, margin).reshape(2, 2)
    image = Image.fromarray(np.pad(grey, outer, mode="edge" if rng.random() < 0.6 else "median"))
    if rng.random() < 0.6:
        stretch, slant, slope = rng.uniform(0.8, 1.2), rng.normal(0, 0.12), rng.normal(0, 0.02)
        size = (max(8, round(image.width * stretch)), image.height)
        middle = (image.width / 2, image.height / 2)
        change = (1 / stretch, slant, -slant * middle[1], slope, 1, -slope * middle[0] * stretch)
        fill, kind = int(np.median(np.asarray(image))), Image.Transform.AFFINE
        image = image.transform(size, kind, change, Image.Resampling.BILINEAR, fillcolor=fill)
    picture = np.asarray(image, np.float32) / 255
    picture = picture ** rng.uniform(0.6, 1.6) * rng.uniform(0.5, 1)
    if rng.random() < 0.35:
        patterned = make_paper(picture.shape, (), rng)
        picture = picture * (patterned / max(0.2, float(patterned.max())))
    if rng.random() < 0.25:
        picture = draw_rules(picture, rng)
    return photograph(picture, rng)
