"""Ruled tables are found where they are, however the page lies; and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tenfold.pictures.grid import Grid
from tenfold.pictures.rules import find_pieces, fit_flattening

PAPER = 215


def ruled(
    rows: Sequence[float],
    columns: Sequence[float],
    *,
    size: tuple[int, int] = (900, 700),
    dark: int = 90,
    width: int = 2,
    open_sides: bool = False,
) -> Image.Image:
    """A page with rules at these places; open_sides: without the first and last of each direction."""
    page = Image.new("L", size, PAPER)
    draw = ImageDraw.Draw(page)
    shown = slice(1, -1) if open_sides else slice(None)
    for y in rows[shown]:
        draw.line([(columns[0], y), (columns[-1], y)], fill=dark, width=width)
    for x in columns[shown]:
        draw.line([(x, rows[0]), (x, rows[-1])], fill=dark, width=width)
    return page


def grainy(page: Image.Image, seed: int = 0) -> np.ndarray:
    """Uneven light from the left to the right, and grain."""
    values = np.asarray(page).astype(np.float32)
    light = np.linspace(0.75, 1.05, values.shape[1], dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 3, values.shape)
    return np.clip(values * light + noise, 0, 255).astype(np.uint8)


def middles(grid: Grid) -> np.ndarray:
    """float (R, C, 2): x and y of each cell's middle, in the picture."""
    x, y = ((lines[:-1] + lines[1:]) / 2 for lines in (grid.columns, grid.rows))
    points = np.stack(np.meshgrid(x, y), axis=-1)
    return grid.to_picture(points.reshape(-1, 2)).reshape(points.shape)


def expected(rows: Sequence[float], columns: Sequence[float]) -> np.ndarray:
    x, y = ((np.array(lines[:-1]) + lines[1:]) / 2 for lines in (columns, rows))
    return np.stack(np.meshgrid(x, y), axis=-1)


EVEN = list(range(60, 60 + 61 * 10, 61))[:10]
TABLES = {
    "sudoku": (EVEN, [x + 90 for x in EVEN]),
    "uneven columns": ([80, 140, 200, 260, 320], [50, 300, 380, 460, 700, 850]),
    "two by two": ([100, 300, 500], [100, 400, 700]),
    "small cells": (list(range(40, 640, 30)), list(range(60, 860, 40))),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("dark", [60, 190])
def test_rules_are_found(name: str, dark: int) -> None:
    rows, columns = TABLES[name]
    grid = Grid.find(grainy(ruled(rows, columns, dark=dark)))
    assert grid is not None and grid.shape == (len(rows) - 1, len(columns) - 1)
    np.testing.assert_allclose(middles(grid), expected(rows, columns), atol=2)


def perspective(corners: Sequence[tuple[float, float]], size: tuple[int, int]) -> list[float]:
    """The eight numbers with which Pillow draws a page of this size onto these corners, from the upper left
    clockwise."""
    wide, high = size
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (wide, 0), (wide, high), (0, high)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows, float), np.array(values, float)).tolist()


def test_a_page_from_the_side() -> None:
    """The homography is known: so is the place of each cell in the photo."""
    rows, columns = TABLES["sudoku"]
    size = (900, 700)
    numbers = perspective([(80, 30), (830, 90), (880, 690), (20, 620)], size)
    photo = ruled(rows, columns).transform(
        size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BICUBIC, fillcolor=60
    )
    grid = Grid.find(grainy(photo))
    assert grid is not None and grid.shape == (9, 9)
    a, b, c, d, e, f, g, h = numbers
    found = middles(grid).reshape(-1, 2)
    x, y = found.T
    w = g * x + h * y + 1
    on_page = np.stack([(a * x + b * y + c) / w, (d * x + e * y + f) / w], axis=1)
    np.testing.assert_allclose(on_page, expected(rows, columns).reshape(-1, 2), atol=4)


@pytest.mark.parametrize("angle", [-8, 5])
def test_a_page_that_is_askew_and_bends(angle: int) -> None:
    rows, columns = TABLES["sudoku"]
    page = np.asarray(ruled(rows, columns).rotate(angle, Image.Resampling.BICUBIC, fillcolor=PAPER))
    shift = (12 * np.sin(np.linspace(0, np.pi, page.shape[1]))).astype(int)  # as over the back of a book
    bent = np.stack([np.roll(column, -k) for column, k in zip(page.T, shift, strict=True)], axis=1)
    grid = Grid.find(grainy(Image.fromarray(bent)))
    assert grid is not None and grid.shape == (9, 9)


@pytest.mark.parametrize("angle", [-11, -3, 3, 7, 12])
def test_strokes_of_numbers_do_not_outweigh_the_rules(angle: int) -> None:
    """Printed numbers have as many level strokes as the rules have pieces, and stand in rows like rules."""
    rows, columns = list(range(70, 631, 56)), list(range(100, 801, 100))
    page, font = ruled(rows, columns), ImageFont.load_default(size=34)
    for y in rows[:-1]:
        for x in columns[:-1]:
            ImageDraw.Draw(page).text((x + 50, y + 28), f"{x + y}", fill=60, font=font, anchor="mm")
    grid = Grid.find(grainy(page.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=PAPER)))
    assert grid is not None and grid.shape == (len(rows) - 1, len(columns) - 1)


def test_open_sides_end_where_the_rules_end() -> None:
    rows, columns = [60, 160, 260, 360, 460, 560], [100, 220, 340, 460, 580, 700]
    grid = Grid.find(grainy(ruled(rows, columns, open_sides=True)))
    assert grid is not None and grid.shape == (5, 5)
    np.testing.assert_allclose(middles(grid), expected(rows, columns), atol=8)


def test_quarter_turns_give_the_same_rules() -> None:
    rows, columns = TABLES["uneven columns"]
    grey = grainy(ruled(rows, columns))
    upright, turned = Grid.find(grey), Grid.find(np.ascontiguousarray(np.rot90(grey)))
    assert upright is not None and turned is not None and turned.shape == upright.shape[::-1]


def only_rows() -> np.ndarray:
    page = Image.new("L", (900, 700), PAPER)
    for y in range(50, 700, 50):
        ImageDraw.Draw(page).line([(0, y), (900, y)], fill=120, width=2)
    return grainy(page)


def large_digits() -> np.ndarray:
    page = Image.new("L", (900, 700), PAPER)
    draw = ImageDraw.Draw(page)
    for k in range(4):
        draw.ellipse([80 + 200 * k, 200, 200 + 200 * k, 420], outline=30, width=14)
        draw.line([(140 + 200 * k, 450), (140 + 200 * k, 640)], fill=30, width=14)
    return grainy(page)


NOTHING = {
    "blank": lambda: np.full((300, 400), 200, np.uint8),
    "black": lambda: np.zeros((300, 400), np.uint8),
    "grain": lambda: np.random.default_rng(0).integers(0, 256, (500, 600), dtype=np.uint8),
    "ruled paper": only_rows,
    "digits": large_digits,
    "tiny": lambda: np.full((3, 2), 9, np.uint8),
    "one cell": lambda: grainy(ruled([100, 600], [100, 800])),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_no_table(name: str) -> None:
    with np.errstate(all="raise"):
        assert Grid.find(NOTHING[name]()) is None


def test_slopes_of_pieces_and_what_tells_of_no_page() -> None:
    mask = np.zeros((100, 200), bool)
    for x in range(20, 180):
        mask[round(30 + 0.1 * x), x] = True
    pieces = find_pieces(mask, 1, 20)
    np.testing.assert_allclose(pieces[:, 2], 0.1, atol=0.03)
    np.testing.assert_allclose(pieces[:, 1], 30 + 0.1 * pieces[:, 0], atol=1)
    turned = find_pieces(np.ascontiguousarray(mask.T), 0, 20)
    np.testing.assert_allclose(turned, pieces[:, [1, 0, 2, 3]])
    assert fit_flattening(pieces, turned[:3], mask.shape) is None
    wild = np.random.default_rng(0).uniform(-5, 5, (40, 4))
    wild[:, 3] = 20
    assert fit_flattening(wild, wild, mask.shape) is None
