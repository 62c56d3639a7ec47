"""Ruled lines go, strokes stay: on pictures whose lines and strokes were drawn here."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tenfold.ink.ruling import remove_ruling

SIZE = 400


def drawn(lines: list[tuple[tuple[float, float], tuple[float, float]]], width: int) -> np.ndarray:
    """float32 (SIZE, SIZE), anti-aliased."""
    image = Image.new("L", (SIZE * 4, SIZE * 4), 0)
    for line in lines:
        ImageDraw.Draw(image).line([(x * 4, y * 4) for x, y in line], 255, width * 4)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX), np.float32) / 255


def ruled(degrees: float, width: int = 2, pitch: int = 70) -> np.ndarray:
    fall = np.tan(np.radians(degrees)) * SIZE
    return drawn([((-5, y), (SIZE + 5, y + fall)) for y in range(-SIZE, 2 * SIZE, pitch)], width)


STROKES = drawn(
    [((120, 90), (280, 95)), ((280, 95), (170, 310)), ((140, 200), (270, 190)), ((200, 60), (215, 340))], 9
)


@pytest.mark.parametrize("degrees", [-4, -2, 0, 0.6, 3])
@pytest.mark.parametrize("turned", [False, True], ids=["level", "plumb"])
def test_lines_go_and_strokes_stay(degrees: float, turned: bool) -> None:
    lines = ruled(degrees).T if turned else ruled(degrees)
    cleaned = remove_ruling(np.maximum(lines * 0.8, STROKES), 0.3)
    left = (cleaned > 0.3) & (STROKES < 0.05)
    there = (lines * 0.8 > 0.3) & (STROKES < 0.05)
    assert left.sum() < 0.08 * there.sum()
    lost = (STROKES > 0.5) & (cleaned < 0.3)
    assert lost.sum() < 0.03 * (STROKES > 0.5).sum()


def test_a_grid_goes() -> None:
    grid = np.maximum(ruled(1.5), ruled(1.5, pitch=90).T)
    cleaned = remove_ruling(grid, 0.3)
    assert (cleaned > 0.3).sum() < 0.03 * (grid > 0.3).sum()


@pytest.mark.parametrize(
    "stroke",
    [[((200, 30), (204, 370))], [((60, 200), (345, 210))], [((30, 20), (380, 380))]],
    ids=["a one", "a dash", "a slash"],
)
def test_strokes_that_do_not_cross_the_picture_are_no_lines(stroke: list) -> None:
    ink = drawn(stroke, 6)
    np.testing.assert_array_equal(remove_ruling(ink, 0.3), ink)


def test_thick_bars_are_no_ruling() -> None:
    ink = drawn([((-5, 200), (405, 204))], 26)
    np.testing.assert_array_equal(remove_ruling(ink, 0.3), ink)


def test_nothing_stays_nothing() -> None:
    blank = np.zeros((30, 50), np.float32)
    np.testing.assert_array_equal(remove_ruling(blank, 0.3), blank)
