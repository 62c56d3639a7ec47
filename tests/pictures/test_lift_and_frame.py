"""Lifting and framing, against pictures whose ink is known because it was drawn here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

from tenfold.pictures.normalize import SIDE, STROKE, frame_ink, lift_ink, stroke_width


def drawn(size: int = 200, width: int = 12) -> np.ndarray:
    """float32 (size, size): an open hook like a 2, 1 on the ink."""
    image = Image.new("L", (size * 4, size * 4), 0)
    points = [(0.3, 0.3), (0.5, 0.2), (0.65, 0.35), (0.35, 0.75), (0.7, 0.78)]
    ImageDraw.Draw(image).line([(x * size * 4, y * size * 4) for x, y in points], 255, width * 4, "curve")
    return np.asarray(image.resize((size, size), Image.Resampling.BOX), np.float32) / 255


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of what is more than half ink."""
    one, other = found > 0.5, truth > 0.5
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize(("pen", "paper"), [(20, 240), (230, 15), (90, 170)])
def test_a_drawing_is_lifted_in_either_polarity(pen: int, paper: int) -> None:
    ink = drawn()
    grey = np.rint(paper + ink * (pen - paper)).astype(np.uint8)
    assert agreement(lift_ink(grey), ink) > 0.9


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_blank_is_blank(shade: int) -> None:
    assert not lift_ink(np.full((60, 80), shade, np.uint8)).any()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(length=st.integers(20, 120), width=st.integers(2, 16))
def test_stroke_width_of_a_bar_is_its_width(length: int, width: int) -> None:
    bar = np.zeros((length + 20, 40), np.float32)
    bar[10 : 10 + length, 10 : 10 + width] = 1
    assert stroke_width(bar) == pytest.approx(2 * length * width / (2 * (length + width)), rel=0.02)


def centre(image: np.ndarray) -> np.ndarray:
    return np.array(ndimage.center_of_mass(image.astype(float)))


@pytest.mark.parametrize("size", [28, 64, 200, 700])
@pytest.mark.parametrize("share", [0.03, 0.06, 0.12])
def test_framed_like_mnist(size: int, share: float) -> None:
    """The longer side 20 pixels (strokes swell a little beyond in soft edges), the mass on pixel 14, 14."""
    image = frame_ink(drawn(size, max(1, round(size * share))))
    assert image.shape == (SIDE, SIDE) and image.dtype == np.uint8 and image.max() == 255
    rows, columns = np.nonzero(image > 96)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20, 21)
    assert np.abs(centre(image) - 14).max() < 0.3


@pytest.mark.parametrize("width", [2, 6, 12, 24])
def test_strokes_come_into_one_range(width: int) -> None:
    found = stroke_width(frame_ink(drawn(200, width)) / np.float32(255))
    assert STROKE[0] - 0.35 < found < STROKE[1] + 0.35


def test_the_same_digit_at_any_size_gives_nearly_the_same_frame() -> None:
    frames = [frame_ink(drawn(size, round(size * 0.06))).astype(float) for size in (100, 200, 400, 800)]
    for one in frames[1:]:
        assert np.abs(one - frames[0]).mean() < 6  # of 255


def test_mnist_stays_what_it_is(mnist_like: np.ndarray) -> None:
    """Framing a picture that MNIST's makers framed changes little: no shift, no other size."""
    frames = [frame_ink(image.astype(np.float32) / 255) for image in mnist_like]
    pairs = list(zip(frames, mnist_like, strict=True))
    assert max(np.abs(centre(again) - centre(image)).max() for again, image in pairs) < 0.75
    overlaps = [np.corrcoef(again.ravel(), image.ravel())[0, 1] for again, image in pairs]
    assert np.median(overlaps) > 0.93 and min(overlaps) > 0.8  # lower where a stroke came into range


@pytest.fixture(scope="module")
def mnist_like() -> np.ndarray:
    from tenfold.data.catalogue import load_sample

    return load_sample().images[::250]


def test_nothing_gives_a_black_frame() -> None:
    assert not frame_ink(np.zeros((50, 40), np.float32)).any()
