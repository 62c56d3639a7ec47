"""What the pen covers, against areas known from geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tenfold.synthesis.glyphs import draw_strokes, resample


def line(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=np.float32)


@pytest.mark.parametrize("width", [0.7, 1.0, 2.5, 8.0, 30.0])
@pytest.mark.parametrize("end", [(150.0, 60.0), (60.0, 150.0), (150.3, 121.7)])
def test_a_straight_line_covers_a_capsules_area(width: float, end: tuple[float, float]) -> None:
    start = (60.0, 60.0)
    length = math.dist(start, end)
    area = width * length + math.pi * width**2 / 4
    drawn = draw_strokes([line(start, end)], (220, 220), width)
    assert drawn.sum() == pytest.approx(area, rel=0.02)
    assert drawn.shape == (220, 220)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_a_dot_is_a_disc() -> None:
    drawn = draw_strokes([line((20.0, 20.0))], (40, 40), 12)
    assert drawn.sum() == pytest.approx(math.pi * 36, rel=0.01)
    np.testing.assert_allclose(drawn, drawn[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(drawn, drawn.T, atol=1e-6)


def test_a_polygon_is_the_outline_of_a_square() -> None:
    """Between a square of side 50 + 4 with rounded corners and one of side 50 - 4 with sharp ones."""
    square = line((20, 20), (70, 20), (70, 70), (20, 70), (20, 20))
    drawn = draw_strokes([square], (90, 90), 4)
    outline = 54**2 - (4 - math.pi) * 4 - 46**2
    assert drawn.sum() == pytest.approx(outline, rel=0.01)
    assert drawn[45, 45] == 0
    assert drawn[45, 20] == pytest.approx(1)


def test_an_axis_aligned_line_covers_exactly_the_pixels_it_lies_on() -> None:
    drawn = draw_strokes([line((-5, 3.25), (30, 3.25))], (6, 20), 1.5)
    np.testing.assert_allclose(drawn[:, 10], [0, 0, 0.5, 1.0, 0, 0], atol=1e-6)
    thin = draw_strokes([line((-5, 3.5), (30, 3.5))], (6, 20), 0.4)
    np.testing.assert_allclose(thin[:, 10], [0, 0, 0, 0.4, 0, 0], atol=1e-6)


def test_points_cut_from_a_line_change_nothing() -> None:
    whole = draw_strokes([line((12.3, 30.1), (170.2, 95.5))], (120, 200), 5)
    share = np.linspace(0, 1, 300, dtype=np.float32)[:, None]
    dense = line((12.3, 30.1)) + share * (line((170.2, 95.5)) - line((12.3, 30.1)))
    np.testing.assert_allclose(draw_strokes([dense], (120, 200), 5), whole, atol=2e-3)


def test_what_lies_outside_the_canvas_is_cut_off() -> None:
    big = draw_strokes([line((-20, 15), (40, 15))], (30, 30), 6)
    assert big[15].min() == 1
    assert draw_strokes([line((100, 100), (200, 200))], (30, 30), 6).max() == 0
    assert draw_strokes([], (4, 5), 6).shape == (4, 5)


def test_a_live_pen_keeps_to_its_line_and_its_seed() -> None:
    strokes = [line((30, 30), (90, 40), (60, 100))]
    plain = draw_strokes(strokes, (130, 130), 8)
    live = [
        draw_strokes(strokes, (130, 130), 8, np.random.default_rng(seed), pressure=True, wobble=0.08)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(live[0], live[1])
    assert not np.array_equal(live[0], live[2])
    assert not np.array_equal(live[0], plain)
    assert 0.5 * plain.sum() < live[0].sum() < 1.6 * plain.sum()
    wide = draw_strokes(strokes, (130, 130), 8 * 2.1)
    assert live[0][wide == 0].max() == 0
    steady = draw_strokes(strokes, (130, 130), 8, np.random.default_rng(1))
    np.testing.assert_array_equal(steady, plain)


def test_resample_spaces_evenly_and_keeps_both_ends() -> None:
    corner = line((0, 0), (3, 0), (3, 4))
    points = resample(corner, 0.5)
    np.testing.assert_allclose(points[[0, 6, -1]], corner, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*np.diff(points, axis=0).T), 0.5, atol=1e-6)
    np.testing.assert_array_equal(resample(line((2, 3)), 0.5), [[2, 3], [2, 3]])
