"""Canvases and photographs: the same seed, the same picture; ink that can be seen, inside its box."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PIL import Image

from tenfold.synthesis.glyphs import Drawing
from tenfold.synthesis.scenes import (
    CanvasStyle,
    _ink_on,
    canvas_picture,
    grain,
    lay_page,
    light_on,
    paper_picture,
)

SEVEN = Drawing((np.array([[0, 0], [6, 0], [2, 10]], np.float32),), "7")
FOUR = Drawing((np.array([[3, 0], [0, 6], [6, 6]], np.float32), np.array([[4, 3], [4, 10]], np.float32)), "4")
DASH = Drawing((np.array([[0, 0], [9, 0]], np.float32),), "-")
DOT = Drawing((np.array([[1, 1]], np.float32),), ".")


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), dtype=np.float32)


@pytest.mark.parametrize("style", get_args(CanvasStyle))
def test_a_canvas_shows_the_contrast_its_style_claims(style: CanvasStyle) -> None:
    for seed in range(25):
        image = canvas_picture(SEVEN, np.random.default_rng(seed), style=style)
        if style == "transparent":
            assert image.mode == "RGBA"
            alpha = np.asarray(image)[..., 3]
            assert alpha.min() == 0
            assert alpha.max() > 140
            shown = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        else:
            assert image.mode in ("RGB", "L")
            shown = image
        values = grey(shown)
        paper = np.median(values)
        ink = values[np.unravel_index(np.abs(values - paper).argmax(), values.shape)]
        assert abs(ink - paper) >= 50
        assert (ink < paper) == {"white-on-black": False}.get(
            style, ink < paper if style == "colour" else True
        )


def test_canvases_differ_in_size_and_stay_within_the_limits() -> None:
    rng = np.random.default_rng(0)
    sizes = {canvas_picture(FOUR, rng).size for _ in range(80)}
    assert len(sizes) > 15
    assert min(min(size) for size in sizes) >= 28
    assert max(max(size) for size in sizes) <= 1000


@pytest.mark.parametrize("drawing", [SEVEN, FOUR, DASH, DOT], ids=lambda drawing: drawing.label)
def test_same_seed_same_picture(drawing: Drawing) -> None:
    for seed in range(4):
        one, two = (canvas_picture(drawing, np.random.default_rng(seed)) for _ in range(2))
        assert one.mode == two.mode
        assert one.tobytes() == two.tobytes()
        first, again = (
            paper_picture([drawing], np.random.default_rng(seed), size=(120, 140)) for _ in range(2)
        )
        assert first[0].tobytes() == again[0].tobytes()
        assert first[1] == again[1]


def test_each_box_is_tight_around_its_ink() -> None:
    """Two bars that lie apart: each box is where the summed coverage has rows and columns of ink."""
    bars = [(np.array([[20, 15], [60, 40]], np.float32),), (np.array([[110, 10], [112, 95]], np.float32),)]
    for seed in range(10):
        ink, boxes = _ink_on((100, 160), bars, 7.0, np.random.default_rng(seed))
        left = ink.copy()
        for x0, y0, x1, y1 in boxes:
            assert (ink[y0, x0:x1] > 0).any()
            assert (ink[y1 - 1, x0:x1] > 0).any()
            assert (ink[y0:y1, x0] > 0).any()
            assert (ink[y0:y1, x1 - 1] > 0).any()
            left[y0:y1, x0:x1] = 0
        assert left.max() == 0


def test_ink_outside_the_picture_is_cut_off_and_its_box_too() -> None:
    bars = [(np.array([[-20, 50], [30, 50]], np.float32),), (np.array([[300, 300], [310, 310]], np.float32),)]
    ink, boxes = _ink_on((100, 160), bars, 6.0, np.random.default_rng(3))
    assert ink.shape == (100, 160)
    assert boxes[0][0] == 0
    x0, y0, x1, y1 = boxes[1]
    assert (x1 - x0) * (y1 - y0) == 0


def test_a_row_reads_from_left_to_right_and_stays_in_the_picture() -> None:
    for seed in range(8):
        image, boxes = paper_picture([SEVEN, FOUR, SEVEN], np.random.default_rng(seed), size=(200, 460))
        assert image.mode == "RGB"
        assert image.size == (460, 200)
        assert len(boxes) == 3
        inside = np.zeros((200, 460), dtype=bool)
        for x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= 460
            assert 0 <= y0 < y1 <= 200
            assert (y1 - y0) > 0.4 * (x1 - x0)
            inside[y0:y1, x0:x1] = True
        centres = [(x0 + x1) / 2 for x0, _, x1, _ in boxes]
        assert centres == sorted(centres)
        assert inside.mean() < 0.8


def test_ink_is_darker_than_the_paper_beside_it_in_every_box() -> None:
    for seed in range(20):
        image, boxes = paper_picture([FOUR], np.random.default_rng(seed), size=(240, 240))
        x0, y0, x1, y1 = boxes[0]
        values = grey(image)[y0:y1, x0:x1]
        # 1 in 50 pixels at least is ink; the median is paper, unless the pen is very thick
        assert np.percentile(values, 2) < np.percentile(values, 90) - 20


def test_a_field_is_wide_enough_for_its_row() -> None:
    rng = np.random.default_rng(5)
    for count in (3, 5, 8):
        image, boxes = paper_picture([SEVEN] * count, rng)
        assert len(boxes) == count
        assert image.width > image.height
        assert all(x1 - x0 > 8 and y1 - y0 > 20 for x0, y0, x1, y1 in boxes)
    single, _ = paper_picture([SEVEN], rng)
    assert 300 <= min(single.size) <= max(single.size) <= 900


def test_a_dash_and_a_dot_can_be_photographed() -> None:
    for drawing in (DASH, DOT):
        _, boxes = paper_picture([drawing], np.random.default_rng(0), size=(100, 100))
        x0, y0, x1, y1 = boxes[0]
        assert x1 > x0
        assert y1 > y0


def test_a_page_maps_there_and_back() -> None:
    page = lay_page((90, 160), np.random.default_rng(7))
    x, y = page.from_picture()
    sheet = np.array([[x[20, 30], y[20, 30]], [x[80, 150], y[80, 150]]])
    np.testing.assert_allclose(page.to_picture(sheet), [[30.5, 20.5], [150.5, 80.5]], atol=0.02)


def test_light_and_grain_are_what_they_say() -> None:
    for seed in range(10):
        light = light_on((60, 80), np.random.default_rng(seed))
        assert light.shape == (60, 80)
        assert 0 < light.min() <= light.max() <= 1.25
        noise = grain((200, 200), np.random.default_rng(seed))
        assert noise.mean() == pytest.approx(0, abs=0.05)
        assert noise.std() == pytest.approx(1, abs=0.35)
