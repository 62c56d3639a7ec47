"""Lifting and framing, against pictures whose ink is known because it was drawn here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

from tenfold.ink.frame import SIDE, STROKE, frame_ink, stroke_width
from tenfold.ink.lift import lift_ink


def drawn(size: int = 200, width: int = 12) -> np.ndarray:
    """float32 (size, size): an open hook like a 2, 1 on the ink."""
    image = Image.new("L", (size * 4, size * 4), 0)
    points = [(0.3, 0.3), (0.5, 0.2), (0.65, 0.35), (0.35, 0.75), (0.7, 0.78)]
    ImageDraw.Draw(image).line([(x * size * 4, y * size * 4) for x, y in points], 255, width * 4, "curve")
    return np.asarray(image.resize((size, size), Image.Resampling.BOX), np.float32) / 255


def laid_on(ink: np.ndarray, pen: tuple[int, int, int], paper: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): the ink in one colour on paper (H, W, 3)."""
    mixed = paper + ink[..., None] * (np.array(pen) / 255 * paper.mean(axis=(0, 1)) - paper)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def flat_paper(colour: tuple[int, int, int], size: int = 200) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.float32), (size, size, 3))


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of what is more than half ink."""
    one, other = found > 0.5, truth > 0.5
    return float((one & other).sum() / (one | other).sum())


COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pen=COLOURS, paper=COLOURS)
def test_a_drawing_is_lifted_whatever_its_colours(pen: tuple[int, ...], paper: tuple[int, ...]) -> None:
    difference = np.abs(np.subtract(pen, paper))
    if difference.max() < 40:
        return
    truth = drawn()
    pixels = np.rint(np.array(paper) + truth[..., None] * np.subtract(pen, paper)).astype(np.uint8)
    ink = lift_ink(pixels)
    assert ink.flat
    assert agreement(ink.strength, truth) > 0.97
    assert ink.strength[truth == 0].max() == 0


def lamp(size: int, slope: float) -> np.ndarray:
    """(size, size): light that falls off across the sheet."""
    across = np.linspace(1, 1 - slope, size)
    return np.outer(np.linspace(1, 1 - slope / 2, size), across)


@pytest.mark.parametrize("light", [False, True], ids=["pen on paper", "chalk on a board"])
@pytest.mark.parametrize("shadow", [1.0, 0.6], ids=["no shadow", "hard shadow"])
@pytest.mark.parametrize("lines", [0.0, 0.12], ids=["plain", "ruled"])
def test_a_photo_is_lifted_under_uneven_light(light: bool, shadow: float, lines: float) -> None:
    rng = np.random.default_rng(3)
    truth = drawn(400, 14)
    reflected = np.where(truth[..., None] > 0, 0.0, 0.0) + (1 - truth[..., None] * 0.7)
    if light:
        reflected = 0.25 + truth[..., None] * 0.6
    ruled = np.zeros((400, 400, 1))
    ruled[40::60] = ruled[41::60] = lines
    glow = lamp(400, 0.5)[..., None]
    glow[:, 250:] *= shadow
    sheet = (reflected - np.where(truth[..., None] > 0.5, 0, ruled) * (0.3 if light else 1)) * glow
    pixels = np.clip(235 * sheet + rng.normal(0, 3, sheet.shape), 0, 255) * np.ones(3)
    ink = lift_ink(np.rint(pixels).astype(np.uint8))
    assert not ink.flat and ink.light == light
    assert agreement(ink.strength, truth) > 0.85
    far = ndimage.distance_transform_edt(truth == 0) > 8
    assert (ink.strength[far] > 0.35).mean() < 1e-3


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_blank_is_blank(shade: int) -> None:
    assert lift_ink(np.full((90, 120, 3), shade, np.uint8)).blank
    grainy = np.clip(np.random.default_rng(0).normal(shade, 4, (200, 300, 3)), 0, 255).astype(np.uint8)
    assert lift_ink(grainy).blank


def test_paper_with_a_shadow_alone_is_blank() -> None:
    rng = np.random.default_rng(1)
    sheet = 220 * lamp(300, 0.6)[..., None] * np.ones(3) + rng.normal(0, 3, (300, 300, 3))
    assert lift_ink(np.clip(sheet, 0, 255).astype(np.uint8)).blank


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
    from tenfold.data.sample import load_sample

    return load_sample().images[::250]


def test_nothing_gives_a_black_frame() -> None:
    assert not frame_ink(np.zeros((50, 40), np.float32)).any()
