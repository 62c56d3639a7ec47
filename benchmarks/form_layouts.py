"""Ten layouts of forms: what is printed on each, and where its fields are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["LAYOUTS", "Blank", "Place"]

Values = Callable[[np.random.Generator], str]


@dataclass(frozen=True)
class Place:
    """A field of a layout. box: pixels. cells: of a comb; 0 for none. height: of its digits, in pixels."""

    name: str
    box: tuple[int, int, int, int]
    pattern: str
    value: Values
    height: float
    cells: int = 0


@dataclass
class Blank:
    """page: grey, what is printed. places, sums: its fields, and "total = a + b"."""

    name: str
    page: Image.Image
    places: list[Place] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = ImageDraw.Draw(self.page)

    def text(self, at: tuple[int, int], text: str, size: int = 26, ink: int = 40) -> None:
        self.draw.text(at, text, fill=ink, font=ImageFont.load_default(size=size))

    def box(self, box: tuple[int, int, int, int], width: int = 3, ink: int = 60) -> None:
        self.draw.rectangle(box, outline=ink, width=width)

    def add(self, box: tuple[int, int, int, int], pattern: str, value: Values, **more: float) -> None:
        high = more.get("height", 0.62 * (box[3] - box[1]))
        self.places.append(
            Place(f"field_{len(self.places) + 1}", box, pattern, value, high, int(more.get("cells", 0)))
        )


def number(low: int, high: int) -> Values:
    return lambda rng: str(rng.integers(low, high + 1))


def digits(count: int) -> Values:
    return lambda rng: "".join(str(rng.integers(10)) for _ in range(count))


def amount(most: int) -> Values:
    return lambda rng: f"{rng.integers(1, most)},{rng.integers(100):02d}"


def _page(name: str, wide: int, high: int) -> Blank:
    return Blank(name, Image.new("L", (wide, high), 255))


def _words(blank: Blank, at: tuple[int, int], lines: int, seed: int, size: int = 22) -> None:
    """Lines of small print."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("aabcdeeefghiiklmnnoprrssttu"))
    for line in range(lines):
        words = ["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(rng.integers(7, 11))]
        blank.text((at[0], at[1] + int(1.5 * size * line)), " ".join(words), size)


def exam() -> Blank:
    """A ruled table of points with their total."""
    blank = _page("exam", 1240, 1754)
    blank.text((120, 110), "Final exam, mathematics II", 52)
    _words(blank, (120, 210), 3, 1)
    top, high = 420, 92
    for row in range(9):
        y = top + row * high
        last = row == 8
        blank.box((120, y, 820, y + high), 2)
        blank.box((820, y, 1100, y + high), 2)
        blank.text(
            (150, y + 28), "Total" if last else f"Task {row + 1}: {('series', 'limits', 'matrices')[row % 3]}"
        )
        blank.add((820, y, 1100, y + high), r"\d{1,3}" if last else r"\d{1,2}", number(0, 20))
    names = [place.name for place in blank.places]
    blank.sums.append(f"{names[-1]} = {' + '.join(names[:-1])}")
    _words(blank, (120, 1350), 4, 2)
    return blank


def comb() -> Blank:
    """Digits in combs of cells."""
    blank = _page("comb", 1240, 1000)
    blank.text((90, 70), "Change of address", 48)
    for row, (label, cells) in enumerate([("Customer", 7), ("Post code", 5), ("House", 3), ("Date", 8)]):
        y = 200 + row * 175
        blank.text((90, y), label)
        for cell in range(cells):
            blank.box((330 + 78 * cell, y - 20, 330 + 78 * (cell + 1), y + 70), 2, 110)
        box = (330, y - 20, 330 + 78 * cells, y + 70)
        blank.add(box, rf"\d{{{cells}}}", digits(cells), cells=cells, height=56)
    return blank


def boxes() -> Blank:
    """Single boxes with labels, in two columns."""
    blank = _page("boxes", 1240, 1754)
    blank.text((100, 90), "Household survey", 50)
    _words(blank, (100, 190), 2, 3)
    for number_, label in enumerate(
        ["persons", "rooms", "floor", "bicycles", "cars", "pets", "windows", "years", "doors"]
    ):
        x, y = 100 + 560 * (number_ % 2), 340 + 240 * (number_ // 2)
        blank.text((x, y), f"{number_ + 1}. {label}")
        blank.box((x + 20, y + 50, x + 320, y + 160), 4)
        blank.add((x + 20, y + 50, x + 320, y + 160), r"\d{1,4}", number(0, 9999), height=66)
    return blank


def underlines() -> Blank:
    """Written on lines."""
    blank = _page("underlines", 1240, 1754)
    blank.text((110, 100), "Meter readings", 50)
    for row, label in enumerate(["Water, cold", "Water, hot", "Power, day", "Power, night", "Gas", "Heat"]):
        y = 330 + 210 * row
        blank.text((110, y - 34), label, 30)
        blank.draw.line([(500, y), (1080, y)], fill=50, width=3)
        blank.add((500, y - 84, 1080, y + 14), r"\d{3,6}", digits(4 + row % 3), height=58)
    return blank


def plain() -> Blank:
    """No rules at all."""
    blank = _page("plain", 1240, 1754)
    blank.text((110, 100), "Laboratory record", 50)
    _words(blank, (110, 200), 3, 4)
    for row, label in enumerate(["Mass / g", "Length / mm", "Width / mm", "Volume / ml", "Sample no."]):
        y = 470 + 190 * row
        blank.text((110, y), f"{label}:", 34)
        blank.add(
            (420, y - 40, 960, y + 80), r"\d{1,4}(,\d\d)?", amount(900) if row < 4 else digits(4), height=62
        )
    _words(blank, (110, 1500), 3, 5)
    return blank


def invoice() -> Blank:
    """A ruled table with amounts, and their total below."""
    blank = _page("invoice", 1754, 1240)
    blank.text((100, 80), "Travel expenses", 48)
    _words(blank, (900, 80), 2, 6)
    for row in range(7):
        y = 250 + 105 * row
        last = row == 6
        blank.box((100, y, 1100, y + 105), 2)
        blank.box((1100, y, 1600, y + 105), 4 if last else 2)
        blank.text((130, y + 34), "Total" if last else f"{row + 1}. {('train', 'hotel', 'meals')[row % 3]}")
        blank.add((1100, y, 1600, y + 105), r"\d{1,4},\d\d", amount(300), height=60)
    names = [place.name for place in blank.places]
    blank.sums.append(f"{names[-1]} = {' + '.join(names[:-1])}")
    return blank


def card() -> Blank:
    """A small card with grey fields."""
    blank = _page("card", 1000, 640)
    blank.text((60, 50), "Membership", 44)
    blank.box((20, 20, 980, 620), 5)
    for row, (label, count) in enumerate([("Number", 6), ("Since", 4), ("Points", 3)]):
        y = 160 + 150 * row
        blank.text((60, y + 30), label, 32)
        blank.draw.rectangle((300, y, 860, y + 100), fill=222)
        blank.add((300, y, 860, y + 100), rf"\d{{{count}}}", digits(count), height=62)
    return blank


def questions() -> Blank:
    """Much print, and a small box at the end of each paragraph."""
    blank = _page("questions", 1240, 1754)
    blank.text((100, 80), "Questionnaire B", 46)
    for row in range(8):
        y = 200 + 185 * row
        _words(blank, (100, y), 3, 20 + row, 20)
        blank.box((960, y, 1140, y + 86), 2, 90)
        blank.add((960, y, 1140, y + 86), r"\d{1,2}", number(1, 99), height=54)
    return blank


def receipt() -> Blank:
    """A narrow slip with dotted lines."""
    blank = _page("receipt", 700, 1600)
    blank.text((150, 70), "Delivery slip", 50)
    for row in range(8):
        y = 300 + 150 * row
        blank.text((60, y - 34), f"Item {row + 1}", 30)
        for x in range(300, 640, 10):
            blank.draw.rectangle((x, y, x + 4, y + 3), fill=70)
        blank.add((290, y - 84, 645, y + 12), r"\d{1,3}", number(1, 400), height=58)
    return blank


def scores() -> Blank:
    """A grid of scores with a sum in each row."""
    blank = _page("scores", 1754, 1240)
    blank.text((90, 60), "Score sheet", 46)
    for column, label in enumerate(["Player", "Round 1", "Round 2", "Round 3", "Sum"]):
        blank.text((110 + 320 * column, 180), label, 30)
    for row in range(6):
        y = 240 + 140 * row
        blank.text((110, y + 50), ("Anna", "Ben", "Cleo", "Dan", "Eva", "Finn")[row], 32)
        for column in range(1, 5):
            x = 90 + 320 * column
            blank.box((x, y, x + 320, y + 140), 2, 80)
            blank.add((x, y, x + 320, y + 140), r"\d{1,3}", number(0, 99), height=72)
        names = [place.name for place in blank.places[-4:]]
        blank.sums.append(f"{names[3]} = {names[0]} + {names[1]} + {names[2]}")
    return blank


LAYOUTS = (exam, comb, boxes, underlines, plain, invoice, card, questions, receipt, scores)
