import numpy as np
import pytest
from PIL import Image

from tenfold.data.pictures import read_grey
from tenfold.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (6, 5), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def luma(colour):
    """ITU-R 601 by its own coefficients."""
    return colour.astype(float) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp"])
def test_grey_stays_as_it_is(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(GREY).save(path, lossless=True)
    read = read_grey(path)
    assert read.dtype == np.uint8
    np.testing.assert_allclose(read.astype(int), GREY, atol=1 if suffix == "webp" else 0)


def test_jpeg(tmp_path):
    smooth = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (16, 1))
    Image.fromarray(smooth).save(tmp_path / "x.jpg", quality=100)
    np.testing.assert_allclose(read_grey(tmp_path / "x.jpg").astype(int), smooth, atol=3)


def test_colours_become_luma(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "x.png")
    np.testing.assert_allclose(read_grey(tmp_path / "x.png"), luma(COLOUR), atol=1)


def test_palette(tmp_path):
    picture = Image.fromarray(COLOUR).quantize(30)
    picture.save(tmp_path / "x.png")
    expected = luma(np.asarray(picture.convert("RGB")))
    np.testing.assert_allclose(read_grey(tmp_path / "x.png"), expected, atol=1)


def test_palette_with_a_transparent_colour(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 255, 255, 200, 200, 200])
    picture.putdata([0, 1])
    picture.save(tmp_path / "x.png", transparency=bytes([0, 255]))
    assert read_grey(tmp_path / "x.png").tolist() == [[0, 200]]


def test_what_is_transparent_lies_over_black(tmp_path):
    alpha = np.linspace(0, 255, 30).round().astype(np.uint8).reshape(6, 5)
    Image.fromarray(np.dstack([GREY, GREY, GREY, alpha])).save(tmp_path / "x.png")
    np.testing.assert_allclose(read_grey(tmp_path / "x.png"), GREY * (alpha / 255), atol=1)
    Image.fromarray(np.dstack([GREY, alpha])).save(tmp_path / "y.png")
    np.testing.assert_allclose(read_grey(tmp_path / "y.png"), GREY * (alpha / 255), atol=1)


def test_a_grey_that_means_transparent(tmp_path):
    Image.fromarray(np.array([[7, 90]], np.uint8)).save(tmp_path / "x.png", transparency=90)
    assert read_grey(tmp_path / "x.png").tolist() == [[7, 0]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled(tmp_path, suffix):
    wide = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    Image.fromarray(wide).save(tmp_path / f"x.{suffix}")
    assert read_grey(tmp_path / f"x.{suffix}").tolist() == [[0, 1, 128, 255]]


def test_one_bit(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "x.png")
    assert read_grey(tmp_path / "x.png").tolist() == [[255, 0]]


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((3, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert (read_grey(tmp_path / "x.gif") == 10).all()


@pytest.mark.parametrize("content", [b"", b"text, no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_no_picture(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_grey(tmp_path / "x.png")
    assert "x.png" in str(error.value) and "\n" not in str(error.value) and "delete" in str(error.value)


def test_cut_short_and_fractions(tmp_path):
    Image.fromarray(COLOUR).resize((64, 64)).save(tmp_path / "x.png")
    whole = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"x\.png"):
        read_grey(tmp_path / "x.png")
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(DataError, match="8 bits"):
        read_grey(tmp_path / "f.tif")
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save(tmp_path / "w.tif")
    with pytest.raises(DataError, match="16 bits"):
        read_grey(tmp_path / "w.tif")
