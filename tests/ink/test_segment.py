"""Parting a picture into digits, judged by a matcher that knows ten shapes and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tenfold.ink.frame import frame_ink
from tenfold.ink.lift import lift_ink
from tenfold.ink.marks import cut_mark, find_rows, join_marks
from tenfold.ink.segment import Segment, segment_digits
from tenfold.ink.strength import Ink

# Strokes in a box of 100 x 160; 5 has a bar that stands off, 1 is a line.
SHAPES = {
    "0": [[(50, 0), (95, 30), (95, 130), (50, 160), (5, 130), (5, 30), (50, 0)]],
    "1": [[(55, 0), (50, 160)]],
    "2": [[(5, 35), (30, 2), (75, 5), (90, 45), (5, 155), (95, 155)]],
    "4": [[(70, 0), (5, 110), (98, 110)], [(72, 60), (72, 160)]],
    "5": [[(15, 22), (12, 70), (60, 65), (92, 105), (60, 155), (8, 145)], [(34, 0), (98, 0)]],
    "7": [[(5, 5), (95, 5), (35, 160)]],
}
NAMES = list(SHAPES)
PEN = 12


def picture(placed: Sequence[tuple[str, int, int, float]], size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3), black on white: (shape, x, y, scale) each."""
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    for name, x, y, scale in placed:
        for stroke in SHAPES[name]:
            points = [(x + px * scale, y + py * scale) for px, py in stroke]
            draw.line(points, 0, max(1, round(PEN * scale)), "curve")
    return np.asarray(image.convert("RGB"))


TEMPLATES = np.stack(
    [frame_ink(lift_ink(picture([(name, 30, 30, 1.0)], (170, 230))).strength) for name in NAMES]
)


def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likelier, the better a shape correlates; none of them where no shape does well."""
    flat = [(a - a.mean()) / (a.std() + 1e-6) for a in images.reshape(len(images), -1).astype(float)]
    known = [(a - a.mean()) / a.std() for a in TEMPLATES.reshape(len(NAMES), -1).astype(float)]
    match = np.array([[float(np.mean(a * b)) for b in known] for a in flat])
    probs = np.exp(30 * match) / np.exp(30 * match).sum(axis=1, keepdims=True)
    return probs, 1 / (1 + np.exp(30 * (match.max(axis=1) - 0.72)))


def read(pixels: np.ndarray) -> list[str]:
    rows: dict[int, str] = {}
    for segment in segment_digits(lift_ink(pixels), judge):
        rows[segment.row] = rows.get(segment.row, "") + NAMES[int(segment.probs.argmax())]
    return list(rows.values())


def row_of(text: str, *, x: int = 30, y: int = 30, pitch: int = 130) -> list[tuple[str, int, int, float]]:
    return [(name, x + pitch * i, y, 1.0) for i, name in enumerate(text)]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.text(NAMES, min_size=1, max_size=7))
def test_a_row_is_read_in_order(text: str) -> None:
    assert read(picture(row_of(text), (130 * len(text) + 60, 220))) == [text]


def test_rows_are_read_from_the_top() -> None:
    placed = row_of("2470") + row_of("51", y=280) + row_of("007", y=530)
    assert read(picture(placed, (620, 760))) == ["2470", "51", "007"]


@pytest.mark.parametrize("text", ["5", "55", "2515"])
def test_a_bar_that_stands_off_belongs_to_its_digit(text: str) -> None:
    segments = segment_digits(lift_ink(picture(row_of(text), (130 * len(text) + 60, 220))), judge)
    assert len(segments) == len(text)


@pytest.mark.parametrize("text", ["202", "727", "020", "2727"])
def test_touching_digits_come_apart(text: str) -> None:
    pixels = picture(row_of(text, pitch=88), (88 * len(text) + 80, 220))
    marks = [mark for row in find_rows(lift_ink(pixels)) for mark in row]
    assert len(marks) < len(text), "they were meant to touch"
    assert read(pixels) == [text]


def test_boxes_hold_the_ink_and_only_it() -> None:
    segments = segment_digits(lift_ink(picture(row_of("27"), (320, 220))), judge)
    for segment, (_, x, y, _) in zip(segments, row_of("27"), strict=True):
        wanted = (x + 5 - PEN / 2, y + 2 - PEN / 2, x + 95 + PEN / 2, y + 160 + PEN / 2)
        assert np.abs(np.subtract(segment.box, wanted)).max() <= 6


def test_specks_are_dropped() -> None:
    pixels = picture(row_of("24"), (340, 230)).copy()
    for x, y in ((10, 10), (300, 215), (160, 120)):
        pixels[y : y + 6, x : x + 7] = 0
    assert read(pixels) == ["24"]


def test_a_blank_has_no_segment() -> None:
    assert segment_digits(lift_ink(np.full((50, 60, 3), 250, np.uint8)), judge) == []


def test_a_lone_mark_that_is_no_digit_is_not_cut_to_pieces() -> None:
    pixels = np.full((220, 240, 3), 255, np.uint8)
    image = Image.fromarray(pixels)
    points = [(30, 190), (60, 30), (115, 150), (170, 30), (200, 190)]
    ImageDraw.Draw(image).line(points, (0, 0, 0), 12, "curve")  # an M
    found: list[Segment] = segment_digits(lift_ink(np.asarray(image)), judge)
    assert len(found) == 1 and found[0].none > 0.5


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_cutting_loses_no_ink(seed: int) -> None:
    rng = np.random.default_rng(seed)
    strength = (rng.random((60, 120)) < 0.2).astype(np.float32)
    rows = find_rows(Ink(strength, 1.0, False, True))
    whole = join_marks([mark for row in rows for mark in row])
    pieces = cut_mark(whole, 60.0)
    assert sum(piece.weight for piece in pieces) == pytest.approx(whole.weight, rel=1e-4)
    if len(pieces) > 1:
        again = join_marks(pieces)
        np.testing.assert_allclose(again.strength.sum(), whole.weight, rtol=1e-4)


@pytest.mark.parametrize("pen", [5, 9, 22])
@pytest.mark.parametrize("rise", [0, 40])
def test_a_line_is_one_mark_however_long(pen: int, rise: int) -> None:
    image = Image.new("L", (640, 400), 255)
    ImageDraw.Draw(image).line([(60, 180), (240, 200 - rise), (420, 190), (600, 180 + rise)], 0, pen, "curve")
    ((mark,),) = find_rows(lift_ink(np.asarray(image.convert("RGB"))))
    assert cut_mark(mark, mark.height) == [mark]
