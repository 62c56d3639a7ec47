"""The reader's one preprocessing: sizes, contrast, and independence of light and polarity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tenfold.pictures.lines import Strip, make_strip


def drawn(paper: int, ink: int, size: tuple[int, int] = (160, 64)) -> np.ndarray:
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).line([(30, 10), (60, 50), (110, 12)], fill=ink, width=6)
    return np.asarray(image)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(high=st.integers(1, 200), wide=st.integers(1, 400), seed=st.integers(0, 99))
def test_a_strip_is_32_high_and_a_multiple_of_8_wide(high: int, wide: int, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (high, wide), dtype=np.uint8)
    strip = make_strip(grey)
    assert strip.dtype == np.uint8 and strip.shape[0] == Strip.HEIGHT
    assert strip.shape[1] % Strip.MULTIPLE == 0
    kept = min(Strip.WIDEST, max(8, wide * Strip.HEIGHT / high))
    assert 2 * Strip.MARGIN - 1 <= strip.shape[1] - kept <= 2 * Strip.MARGIN + Strip.MULTIPLE
    assert (strip[:, : Strip.MARGIN] == Strip.PAPER).all() and (
        strip[:, -Strip.MARGIN :] == Strip.PAPER
    ).all()


def test_paper_is_128_and_ink_departs_fully_whatever_the_light() -> None:
    strips = [make_strip(drawn(paper, ink)) for paper, ink in ((250, 10), (200, 90), (120, 80))]
    for strip in strips:
        assert np.median(strip) == 128
        assert strip.min() <= 128 - 50
    assert np.abs(strips[0].astype(int) - strips[1]).max() <= 3


def test_the_negative_is_the_mirrored_strip() -> None:
    light, dark = make_strip(drawn(240, 30)), make_strip(drawn(15, 225))
    assert np.abs((light.astype(int) - 128) + (dark.astype(int) - 128)).max() <= 1


def test_grain_is_not_raised_to_full_contrast() -> None:
    grey = np.full((40, 120), 180, np.uint8)
    grey[::2, ::3] += 1
    assert np.abs(make_strip(grey).astype(int) - 128).max() <= 12


def test_wide_lines_are_squeezed() -> None:
    assert make_strip(np.zeros((10, 2000), np.uint8)).shape == (Strip.HEIGHT, Strip.WIDEST + 2 * Strip.MARGIN)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_is_paper(level: int) -> None:
    assert (make_strip(np.full((20, 50), level, np.uint8)) == 128).all()
