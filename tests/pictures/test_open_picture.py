"""Any file, bytes, PIL image or array -> RGB. Expectations are made here, without PIL's readers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import encoded, seven
from open_checks import BLACK, BLUE, COLOUR, GREY, PAPER, RED, grey_as_colour, pixels_of, refusal
from PIL import Image

# Formats and modes


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_lossless_formats_give_back_every_pixel(tmp_path: Path, form: str) -> None:
    if form == "GIF":
        pixels, picture = grey_as_colour(GREY), Image.fromarray(GREY)
    else:
        pixels, picture = COLOUR, Image.fromarray(COLOUR)
    data = encoded(picture, form, **({"lossless": True} if form == "WEBP" else {}))
    path = tmp_path / "picture.of.no.type"
    path.write_bytes(data)
    for given_as in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), picture):
        np.testing.assert_array_equal(pixels_of(given_as), pixels)
    with path.open("rb") as file:
        np.testing.assert_array_equal(pixels_of(file), pixels)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_near(mode: str, progressive: bool) -> None:
    """CMYK as Adobe writes it: inverted, with a marker that says so."""
    smooth = np.add.outer(np.arange(0, 90, 2), np.arange(0, 130, 2)).astype(np.uint8)
    colour = np.dstack([smooth, 255 - smooth, smooth // 2])
    pixels = grey_as_colour(smooth) if mode == "L" else colour
    picture = Image.fromarray(smooth if mode == "L" else colour)
    if mode == "CMYK":
        picture = Image.fromarray(np.dstack([255 - colour, np.zeros_like(smooth)]), mode="CMYK")
    data = encoded(picture, "JPEG", quality=98, subsampling=0, progressive=progressive)
    assert (b"Adobe" in data) == (mode == "CMYK")
    assert np.abs(pixels_of(data).astype(int) - pixels).max() <= 6


def test_one_bit_and_palettes() -> None:
    bits = GREY > 127
    expected = grey_as_colour(np.where(bits, 255, 0).astype(np.uint8))
    for form in ("PNG", "BMP", "TIFF", "GIF"):
        np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(bits), form)), expected)
    palette = Image.fromarray(GREY % 4).convert("P")
    palette.putpalette([*BLACK, *RED, *BLUE, *PAPER])
    expected = np.array([BLACK, RED, BLUE, PAPER], dtype=np.uint8)[GREY % 4]
    for form in ("PNG", "BMP", "TIFF", "GIF"):
        np.testing.assert_array_equal(pixels_of(encoded(palette, form)), expected)


@pytest.mark.parametrize(
    "mode", ["YCbCr", "HSV", "LAB", "CMYK", "RGBX", "PA", "La", "RGBa", "I", "F", "I;16"]
)
def test_rare_modes_of_pil_images(mode: str) -> None:
    """Grey and opaque: the same in every mode, but for the rounding of its colours."""
    if mode in ("La", "RGBa"):
        picture = Image.fromarray(GREY).convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    elif mode == "LAB":
        picture = Image.fromarray(np.dstack([GREY, np.zeros((23, 17, 2), np.uint8)]), mode="LAB")
    elif mode == "I;16":
        picture = Image.fromarray(GREY.astype(np.uint16))
    else:
        between = {"I": "L", "F": "L", "PA": "P"}.get(mode, "RGB")
        picture = Image.fromarray(GREY).convert(between).convert(mode)
    pixels = pixels_of(picture).astype(int)
    if mode == "LAB":  # lightness is not linear in grey: order and range
        ranks = pixels[..., 1].ravel()[np.argsort(GREY, axis=None)]
        assert (np.diff(ranks.astype(int)) >= -1).all() and np.ptp(pixels, axis=2).max() <= 3
        assert ranks[0] <= 3 and ranks[-1] >= 252
        return
    assert np.abs(pixels - GREY[..., None]).max() <= (2 if mode == "YCbCr" else 0)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize(("white", "bits"), [(255, 8), (1023, 10), (4095, 12), (16383, 14), (65535, 16)])
def test_deep_greys_use_the_range_that_is_theirs(form: str, white: int, bits: int) -> None:
    """Values of any depth in a 16-bit file: 0 is black, the depth's largest is white."""
    values = np.linspace(0, white, 23 * 17).round().astype(np.uint16).reshape(23, 17)
    expected = grey_as_colour((values * (255 / white)).round().astype(np.uint8))
    pixels = pixels_of(encoded(Image.fromarray(values), form))
    assert np.abs(pixels.astype(int) - expected).max() <= 1
    assert pixels.min() == 0 and pixels.max() == 255
    faint = (values * 0.6).astype(np.uint16)  # the maximum still needs as many bits
    assert pixels_of(encoded(Image.fromarray(faint), form)).max() == pytest.approx(0.6 * 255, abs=1)


def test_deep_tiffs_of_other_types() -> None:
    signed = (GREY.astype(np.int32) - 100) * 1000
    expected = ((signed - signed.min()) * 255 / np.ptp(signed)).round().astype(np.uint8)
    for values in (signed, signed.astype(np.float32)):
        np.testing.assert_array_equal(
            pixels_of(encoded(Image.fromarray(values), "TIFF")), grey_as_colour(expected)
        )
    share = Image.fromarray((GREY / 255).astype(np.float32))
    np.testing.assert_array_equal(pixels_of(encoded(share, "TIFF")), grey_as_colour(GREY))


# Arrays


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", ">u2", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(23, 17), (23, 17, 1), (23, 17, 3)])
def test_arrays_of_any_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    top = 127 if dtype == "int8" else 255
    values = np.random.default_rng(4).integers(0, top + 1, shape).astype(dtype)
    values.flat[0] = top
    expected = np.broadcast_to(values.astype(np.uint8).reshape(23, 17, -1), (23, 17, 3))
    before = values.copy()
    np.testing.assert_array_equal(pixels_of(values), expected)
    np.testing.assert_array_equal(pixels_of(values[::-1, ::-1]), expected[::-1, ::-1])
    np.testing.assert_array_equal(values, before)
    if dtype.startswith("float"):
        assert np.abs(pixels_of(values / values.dtype.type(255)).astype(int) - expected).max() <= 1


def test_arrays_of_bools_shares_and_wide_ranges() -> None:
    mask = GREY > 99
    expected = grey_as_colour(mask.astype(np.uint8) * 255)
    for values in (mask, mask.astype(int), mask.astype(float), mask * 1e308, mask * 2e38 - 1e38):
        np.testing.assert_array_equal(pixels_of(values), expected)
    np.testing.assert_array_equal(pixels_of(np.where(mask, 1e308, -1e308)), expected)
    np.testing.assert_array_equal(pixels_of(np.full((3, 4), -7.5)), 0)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5)),
        np.zeros(5),
        np.zeros((2, 3, 2)),
        np.zeros((1, 28, 28)),
        np.zeros((2, 3, 3, 3)),
        np.array(7),
        np.full((4, 4), np.nan),
        np.array([[0, np.inf]], np.float32),
        np.array([[None, 1]]),
        np.array([["a", "b"]]),
        np.zeros((3, 3), complex),
        np.zeros((3, 3), np.longdouble),
        np.zeros((3, 3), "datetime64[s]"),
        np.broadcast_to(np.uint8(0), (9000, 9000)),
    ],
    ids=lambda array: f"{array.shape}-{array.dtype}",
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    assert "the array" in refusal(array)


@pytest.mark.parametrize(
    "thing", [None, 7, [[1, 2]], object(), {}, io.StringIO("text")], ids=lambda thing: type(thing).__name__
)
def test_things_that_are_no_pictures(thing: Any) -> None:
    line = refusal(thing)
    assert type(thing).__name__ in line and "path, bytes" in line


# Alpha


def letter() -> np.ndarray:
    """uint8 (90, 60), 255 where a seven is."""
    return 255 - np.asarray(seven())


@pytest.mark.parametrize("hidden", [BLACK, (255, 255, 255), RED])
@pytest.mark.parametrize(
    ("ink", "paper"), [(BLACK, 255), (BLUE, 255), ((255, 255, 255), 0), ((250, 240, 90), 0)]
)
def test_ink_on_nothing_shows(ink: tuple[int, ...], paper: int, hidden: tuple[int, ...]) -> None:
    """Whatever colour hides below the nothing; half-transparent edges are mixed with the paper."""
    alpha = letter().copy()
    alpha[alpha > 0] = np.where(np.indices(alpha.shape).sum(axis=0) % 3 == 0, 128, 255)[alpha > 0]
    layers = np.zeros((90, 60, 4), np.uint8)
    layers[..., :3] = np.where(alpha[..., None] > 0, np.array(ink), np.array(hidden))
    layers[..., 3] = alpha
    share = alpha[..., None] / 255
    expected = np.array(ink) * share + paper * (1 - share)
    for picture in (layers, encoded(Image.fromarray(layers), "PNG"), layers / 255):
        assert np.abs(pixels_of(picture) - expected).max() <= 1


def test_alpha_alone_in_every_mode_that_has_one() -> None:
    """The HTML canvas: black everywhere. As LA, RGBA, palette with one or many alphas, GIF, WebP."""
    expected = grey_as_colour(255 - letter())
    empty = Image.new("RGBA", (60, 90), (0, 0, 0, 0))
    empty.putalpha(Image.fromarray(letter()))
    grey_alpha = Image.new("LA", (60, 90), (0, 0))
    grey_alpha.putalpha(Image.fromarray(letter()))
    index = Image.fromarray(letter() // 255).convert("P")
    index.putpalette([0] * 6)
    files = [
        encoded(empty, "PNG"),
        encoded(empty, "TIFF"),
        encoded(empty, "WEBP", lossless=True),
        encoded(grey_alpha, "PNG"),
        encoded(index, "PNG", transparency=0),
        encoded(index, "PNG", transparency=bytes([0, 255])),
        encoded(index, "GIF", transparency=0),
    ]
    for number, data in enumerate(files):
        np.testing.assert_array_equal(pixels_of(data), expected, err_msg=f"file {number}")
    np.testing.assert_array_equal(pixels_of(index), 0)  # without transparency there is no ink


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_one_colour_of_the_file_is_transparent(mode: str) -> None:
    """PNG's tRNS without a palette: black ink, and a grey that means nothing."""
    values = np.where(letter() > 0, 0, 90).astype(np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(grey_as_colour(values) if mode == "RGB" else values)
    data = encoded(picture, "PNG", transparency=(90, 90, 90) if mode == "RGB" else 90)
    np.testing.assert_array_equal(pixels_of(data), grey_as_colour(255 - letter()))


def test_opaque_alpha_changes_nothing_and_nothing_is_blank() -> None:
    opaque = np.dstack([COLOUR, np.full((23, 17), 255, np.uint8)])
    np.testing.assert_array_equal(pixels_of(opaque), COLOUR)
    nothing = np.dstack([COLOUR, np.zeros((23, 17), np.uint8)])
    np.testing.assert_array_equal(pixels_of(nothing), 255)


def test_a_card_with_round_corners_is_laid_on_its_own_paper() -> None:
    """White over black corners would draw a frame of ink around the paper."""
    layers = np.zeros((90, 60, 4), np.uint8)
    layers[..., :3] = np.where(letter()[..., None] > 0, np.array(BLACK), np.array(PAPER))
    layers[..., 3] = 255
    layers[:6, :6, 3] = layers[-6:, -6:, 3] = 0
    layers[:9, :, 3] = 0
    expected = np.where(letter()[..., None] > 0, np.array(BLACK), np.array(PAPER))
    np.testing.assert_array_equal(pixels_of(layers), expected)
