"""Any picture -> the grey image a network was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import center_of_mass

from tenfold.errors import DataError
from tenfold.pictures.normalize import find_background, fit_picture, normalize_ink
from tenfold.pictures.open import open_grey


def seven(side: int = 120, width: int = 12, left: int = 20, top: int = 30, height: int = 60) -> np.ndarray:
    """Light ink on black: a seven somewhere in the picture."""
    picture = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(picture)
    right = left + height // 2
    pen.line([(left, top), (right, top), (left + 4, top + height)], fill=255, width=width)
    return np.asarray(picture)


def check_mnist_box(image: np.ndarray) -> None:
    """28x28, ink within 20 pixels (and a half, anti-aliased), centred by its mass."""
    assert image.shape == (28, 28) and image.dtype == np.uint8 and image.max() == 255
    rows, columns = np.nonzero(image > 50)
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    assert center_of_mass(image.astype(float)) == pytest.approx((14, 14), abs=0.5)  # as MNIST's are


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"side": 40, "width": 4, "left": 3, "top": 4, "height": 30}, {"left": 70, "top": 50}, {"side": 900}],
    ids=str,
)
def test_any_size_place_and_polarity(options: dict[str, int], negative: bool) -> None:
    picture = seven(**options)
    image = normalize_ink(255 - picture if negative else picture)
    check_mnist_box(image)
    difference = np.abs(image.astype(int) - normalize_ink(picture))
    assert difference.max() <= 2


def test_faint_ink_on_grey_paper_is_the_same_digit() -> None:
    faint = (180 - 0.3 * seven()).astype(np.uint8)
    difference = np.abs(normalize_ink(faint).astype(int) - normalize_ink(seven()).astype(int))
    assert difference.mean() <= 2 and difference.max() <= 48  # 54 levels of contrast, rounded


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_picture_is_black(value: int) -> None:
    image = normalize_ink(np.full((50, 40), value, np.uint8))
    assert image.shape == (28, 28) and image.max() == 0


def test_one_pixel_and_lines() -> None:
    for shape in ((1, 1), (1, 30), (30, 1)):
        assert normalize_ink(np.zeros(shape, np.uint8)).shape == (28, 28)
    dot = np.zeros((50, 50), np.uint8)
    dot[7, 40] = 255
    assert normalize_ink(dot).max() == 255


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F"])
def test_every_mode_reads_the_same(tmp_path: Path, mode: str) -> None:
    grey = seven(width=10)
    grey = np.where(grey > 127, 255, 0).astype(np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode in ("I", "F"):
        picture = Image.fromarray(grey).convert(mode)
    else:
        picture = Image.fromarray(grey).convert("RGB").convert(mode)
    np.testing.assert_array_equal(open_grey(picture), grey)
    if mode in ("L", "RGB", "RGBA", "LA", "P", "1", "I;16"):
        picture.save(tmp_path / "picture.png")
        np.testing.assert_array_equal(open_grey(tmp_path / "picture.png"), grey)
        np.testing.assert_array_equal(normalize_ink(str(tmp_path / "picture.png")), normalize_ink(grey))


def test_sixteen_bit_uses_its_whole_range() -> None:
    ramp = np.linspace(0, 65535, 256).reshape(16, 16)
    np.testing.assert_array_equal(open_grey(ramp.astype(np.uint16)), np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_paper_takes_the_polarity_that_shows_the_ink(ink: int) -> None:
    """Black or white ink on nothing, whatever colour lies hidden below the nothing."""
    alpha = seven()
    for hidden in (0, 255):
        layers = np.full((*alpha.shape, 4), hidden, np.uint8)
        layers[alpha > 0, :3] = ink
        layers[..., 3] = alpha
        grey = open_grey(layers)
        assert grey[0, 0] == 255 - ink
        np.testing.assert_array_equal(normalize_ink(layers), normalize_ink(alpha))


def test_exif_orientation(tmp_path: Path) -> None:
    grey = seven()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(grey)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(open_grey(tmp_path / "turned.png"), grey)


@pytest.mark.parametrize("scale", [np.float32(1 / 255), np.float64(1), np.float32(257)])
def test_float_arrays_of_any_range(scale: Any) -> None:
    grey = seven()
    np.testing.assert_array_equal(open_grey(grey * scale), grey)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 5), np.uint8), np.zeros(5, np.uint8), np.zeros((2, 3, 3, 3)), np.full((4, 4), np.nan)],
    ids=lambda array: str(array.shape),
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    with pytest.raises(DataError, match="finite picture"):
        open_grey(array)


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(
        tmp_path / "whole.png"
    )
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("text.png", "half.png", "empty.png", "missing.png", "."):
        with pytest.raises(DataError) as error:
            open_grey(tmp_path / name)
        assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_a_picture_of_the_training_images_own_size_stays_as_it_is() -> None:
    """An image as MNIST has them is not drawn anew; only its polarity is turned where it must be."""
    image = np.zeros((28, 28), np.uint8)
    image[5:24, 9:20] = np.random.default_rng(1).integers(0, 256, (19, 11))
    np.testing.assert_array_equal(fit_picture(image, (28, 28), background="dark"), image)
    np.testing.assert_array_equal(fit_picture(255 - image, (28, 28), background="dark"), image)
    np.testing.assert_array_equal(fit_picture(255 - image, (28, 28), background="any"), 255 - image)
    np.testing.assert_array_equal(fit_picture(image, (28, 28), background="light"), 255 - image)


def test_other_sizes_are_resized_or_normalised() -> None:
    check_mnist_box(fit_picture(255 - seven(), (28, 28), background="dark"))
    flat = fit_picture(np.full((30, 60), 77, np.uint8), (12, 10), background="any")
    assert flat.shape == (12, 10) and set(flat.reshape(-1)) == {77}


def test_background_of_a_data_set() -> None:
    digits = np.stack([seven()] * 10)
    assert find_background(digits) == "dark" and find_background(255 - digits) == "light"
    assert find_background(np.concatenate([digits, 255 - digits])) == "any"
    mixed = digits.copy()
    mixed[0] = 255 - mixed[0]
    assert find_background(mixed) == "any"  # a tenth was trained on as it is: it is not turned round later
    assert find_background(np.concatenate([digits] * 19 + [mixed])) == "dark"
