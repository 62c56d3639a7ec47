"""Strips changed for learning: of the reader's form, never twice the same, and still the same strip."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from tenfold.pictures.lines import Strip
from tenfold.synthesis.strips import StripMaker


def bar(width: int) -> np.ndarray:
    """A bright upright bar in the middle of paper."""
    strip = np.full((32, width), Strip.PAPER, np.uint8)
    strip[8:24, width // 2 - 2 : width // 2 + 2] = 190
    return strip


def test_strips_of_several_widths_become_one_array() -> None:
    strips = [bar(width) for width in (40, 64, 24)]
    images = StripMaker.vary(strips, np.random.default_rng(0))
    assert images.shape == (3, 32, 72) and images.dtype == np.uint8
    assert np.array_equal(images, StripMaker.vary(strips, np.random.default_rng(0)))
    assert not np.array_equal(images, StripMaker.vary(strips, np.random.default_rng(1)))


def test_strips_are_moved_as_a_whole_and_by_little() -> None:
    rows, inverted = [], 0
    for seed in range(60):
        ink = StripMaker.vary([bar(40)], np.random.default_rng(seed))[0].astype(int) - Strip.PAPER
        inverted += int(ink.sum()) < 0
        ink = np.where(np.abs(ink) > 40, np.abs(ink), 0)
        assert 44 <= np.median(ink[ink > 0]) <= 78  # 62 times 0.75..1.2
        row, column = center_of_mass(ink)
        rows.append(row)
        assert 19 < column < 28  # 19.5 in a frame of 48, of which 8 are spare
    assert max(rows) == pytest.approx(17.5, abs=0.3) and min(rows) == pytest.approx(13.5, abs=0.3)
    assert 0 < inverted < 12


def test_a_strip_is_bent_around_its_middle() -> None:
    widths = set()
    for seed in range(40):
        bent = StripMaker.bend(bar(96), np.random.default_rng(seed))
        assert bent.shape[0] == 32 and bent.shape[1] % 8 == 0 and bent.dtype == np.uint8
        widths.add(bent.shape[1])
        row, column = center_of_mass(bent.astype(float) - Strip.PAPER)
        assert row == pytest.approx(15.5, abs=0.5)
        assert abs(column - bent.shape[1] / 2) < 5
    assert len(widths) > 2 and max(widths) < 120 and min(widths) > 72
