"""Pictures are turned upright, and reduced where they are large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import encoded
from open_checks import COLOUR, GREY, RED, pixels_of, refusal
from PIL import Image

from tenfold.errors import UsageError
from tenfold.pictures.open import open_grey, open_picture

# Orientation


# EXIF 2.3, tag 0x0112: the sides of the upright picture where stored row 0 and column 0 lie.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    row, column = SIDES[orientation]
    pixels = upright.swapaxes(0, 1) if row in ("left", "right") else upright
    step = {"top": 1, "left": 1, "bottom": -1, "right": -1}
    return np.ascontiguousarray(pixels[:: step[row], :: step[column]])


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(form: str, orientation: int) -> None:
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :48] = (200, 30, 30)  # four flat quarters, which JPEG keeps
    upright[:32, 48:] = (30, 200, 30)
    upright[32:, :48] = (30, 30, 200)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(stored(upright, orientation))
    options = {"WEBP": {"lossless": True}, "JPEG": {"subsampling": 0}}.get(form, {})
    data = encoded(picture, form, exif=exif, **options)
    opened = open_picture(data)
    assert opened.size == (96, 64)
    assert np.abs(opened.pixels.astype(int) - upright).max() <= (12 if form == "JPEG" else 0)
    reduced = open_picture(data, longest=24)
    assert reduced.size == (96, 64) and reduced.scale == 4 and reduced.pixels.shape == (16, 24, 3)
    assert np.abs(reduced.pixels[2:6, 2:10].astype(int) - upright[0, 0]).max() <= 12
    assert open_grey(data).shape == (64, 96)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(COLOUR), "PNG", exif=exif)), COLOUR)


# Size


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "array", "image"])
@pytest.mark.parametrize("size", [(1601, 1203), (401, 2000), (3, 2500)])
def test_large_pictures_are_reduced(form: str, size: tuple[int, int]) -> None:
    """A slope stays a slope, at the middle of the pixels that each pixel stands for."""
    width, height = size
    slope = np.linspace(0, 255, height).round().astype(np.uint8)
    array = np.broadcast_to(slope[:, None, None], (height, width, 3))
    picture: Any = Image.fromarray(np.ascontiguousarray(array))
    if form == "array":
        picture = array
    elif form != "image":
        picture = encoded(picture, form)
    opened = open_picture(picture, longest=400)
    ratio = 400 / max(size)
    assert opened.size == size and opened.scale == pytest.approx(max(size) / 400)
    assert opened.pixels.shape == (max(1, round(height * ratio)), max(1, round(width * ratio)), 3)
    middles = (np.arange(len(opened.pixels)) + 0.5) * height / len(opened.pixels) - 0.5
    expected = np.clip(middles / (height - 1) * 255, 0, 255)
    assert np.abs(opened.pixels.astype(float) - expected[:, None, None]).max() <= 3


def test_thin_strokes_are_averaged_not_skipped() -> None:
    """One black line in eight white ones: an eighth of the ink, wherever the line is."""
    for offset in range(8):
        lines = np.full((1600, 1600), 255, np.uint8)
        lines[offset::8] = 0
        for picture in (lines, encoded(Image.fromarray(lines), "PNG")):
            pixels = open_picture(picture, longest=200).pixels
            assert pixels.mean() == pytest.approx(255 * 7 / 8, abs=1) and pixels.std() < 12


def test_smaller_pictures_keep_their_size_and_longest_is_checked() -> None:
    assert open_picture(COLOUR, longest=23).pixels.shape == COLOUR.shape
    assert open_picture(COLOUR, longest=1).pixels.shape == (1, 1, 3)
    with pytest.raises(UsageError, match="longest=0"):
        open_picture(COLOUR, longest=0)


def test_transparent_ink_keeps_its_colour_when_reduced() -> None:
    """The colour hidden below the nothing must not bleed into the edges."""
    layers = np.full((800, 800, 4), 255, np.uint8)
    layers[..., 3] = 0
    layers[:, 101:300] = (*RED, 255)
    pixels = open_picture(layers, longest=80).pixels.astype(float)
    share = (255 - pixels[..., 2]) / (255 - RED[2])  # of ink, by blue
    assert ((share > 0.05) & (share < 0.95)).any()
    expected = np.array(RED) * share[..., None] + 255 * (1 - share[..., None])
    assert np.abs(pixels - expected).max() <= 2


def test_grey_is_the_luma_of_the_whole_picture() -> None:
    large = np.random.default_rng(4).integers(0, 256, (40, 1700, 3), dtype=np.uint8)
    luma = large @ np.array([0.299, 0.587, 0.114])
    grey = open_grey(encoded(Image.fromarray(large), "PNG"))
    assert grey.dtype == np.uint8 and grey.shape == (40, 1700)
    assert np.abs(grey - luma).max() <= 0.51
    np.testing.assert_array_equal(open_grey(GREY), GREY)


def test_a_pil_image_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (2000, 1000), RED).save(path)
    with Image.open(path) as image:
        assert open_picture(image).pixels.shape == (800, 1600, 3)
        assert image.size == (2000, 1000) and image.mode == "RGB"
    with Image.open(path) as image:
        pass
    assert "the picture" in refusal(image)  # closed before it was read
