"""HEIC photos: upright once, within the limits of all pictures, and one line where they cannot be opened."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_checks import refusal
from PIL import Image

from tenfold.data.folders import read_image_folder
from tenfold.errors import DataError
from tenfold.pictures.formats import is_heic, looks_like_picture
from tenfold.pictures.open import open_grey, open_picture
from tenfold.serve.settings import Refusal
from tenfold.serve.worker import is_large

pytest.importorskip("pillow_heif").register_heif_opener()  # to write them
_Turn = Image.Transpose
AS_STORED = {  # EXIF's orientation -> what makes the stored picture of the upright one
    1: None, 2: _Turn.FLIP_LEFT_RIGHT, 3: _Turn.ROTATE_180, 4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE, 6: _Turn.ROTATE_90, 7: _Turn.TRANSVERSE, 8: _Turn.ROTATE_270,
}  # fmt: skip


def photo(orientation: int = 1, side: int = 64) -> bytes:
    """A dark corner at the top left of a picture that is wider than high, as a phone would store it."""
    grey = np.full((side, 2 * side), 230, np.uint8)
    grey[: side // 4, : side // 2] = 20
    image = Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))
    turn = AS_STORED[orientation]
    stored = image if turn is None else image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.info["exif"] = exif.tobytes()
    file = io.BytesIO()
    stored.save(file, "HEIF", quality=90)
    return file.getvalue()


PHOTO = photo()


@pytest.mark.parametrize("orientation", AS_STORED)
def test_a_photo_is_turned_upright_once(orientation: int) -> None:
    opened = open_picture(photo(orientation))
    assert opened.size == (128, 64) and opened.pixels.shape == (64, 128, 3)
    assert opened.pixels[:12, :28].mean() < 60 and opened.pixels[20:, 36:].mean() > 200


def test_a_photo_is_a_picture_everywhere(tmp_path: Path) -> None:
    for place in ("0/a.heic", "1/no_extension"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_bytes(PHOTO)
        assert looks_like_picture(tmp_path / place)
    images = read_image_folder(tmp_path, cache=tmp_path / "cache", class_names=("0", "1")).images
    np.testing.assert_array_equal(images[0], open_grey(PHOTO))
    is_large(PHOTO, 128 * 64)
    with pytest.raises(Refusal, match="128 x 64 pixels"):
        is_large(PHOTO, 128 * 64 - 1)


def claiming(side: int) -> bytes:
    """The photo, whose boxes say that it is so large."""
    data = bytearray(PHOTO)
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", side, side)
    return bytes(data)


@pytest.mark.parametrize(
    ("side", "words"),
    [(30_000, "30,000 x 30,000 pixels"), (7_000, "does not have the size"), (8, "does not have the size")],
)
def test_a_bomb_is_refused(side: int, words: str) -> None:
    assert words in refusal(claiming(side))


@settings(max_examples=60, deadline=None)
@given(st.integers(12, len(PHOTO) - 1), st.binary(max_size=6), st.booleans())
def test_broken_photos_are_pictures_or_one_line(place: int, noise: bytes, cut: bool) -> None:
    data = PHOTO[:place] if cut else PHOTO[:place] + noise + PHOTO[place + len(noise) :]
    try:
        open_picture(data)
    except DataError as error:
        assert str(error).isprintable() and error.expected


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(PHOTO)
    line = refusal(tmp_path / "a.heic")
    assert "a.heic is a HEIC photo" in line and 'pip install "tenfold[heic]"' in line


def test_avif_is_told_from_heic() -> None:
    def head(brand: bytes, *others: bytes) -> bytes:
        return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + brand + bytes(4) + b"".join(others)

    assert is_heic(head(b"heic")) and is_heic(head(b"mif1", b"heic")) and is_heic(PHOTO)
    assert not any(
        map(is_heic, [head(b"avif"), head(b"mif1", b"miaf", b"avif"), head(b"mp42"), b"", b"ftyp"])
    )
