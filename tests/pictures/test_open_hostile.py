"""Mistakes and malice: a picture, or one line that says what is wrong; nothing else, whatever the bytes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import READABLE, REFUSED, encoded, make_hostile_files, seven
from hypothesis import given, settings
from hypothesis import strategies as st
from open_checks import COLOUR, refusal
from PIL import Image, PngImagePlugin, TiffImagePlugin

import tenfold.pictures.open as opening
from tenfold.errors import DataError
from tenfold.pictures.open import open_picture


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_hostile_files(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("name", READABLE)
def test_odd_files_are_read(hostile: dict[str, Path], name: str) -> None:
    if name not in hostile:
        pytest.skip("this machine cannot make it")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_picture(hostile[name])
    if name == "one_pixel.png":
        np.testing.assert_array_equal(opened.pixels, np.zeros((1, 1, 3)))
    elif name == "tall_line.png":
        assert opened.size == (1, 5000) and opened.scale == 3.125
        np.testing.assert_array_equal(opened.pixels, np.full((1600, 1, 3), 90))
    else:
        difference = np.abs(opened.pixels.astype(int) - np.asarray(seven())[..., None])
        assert difference.mean() < 3, name


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_files_are_refused_in_one_line(
    hostile: dict[str, Path], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if name not in hostile:
        pytest.skip("this machine cannot make it")
    assert name in refusal(hostile[name])
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="libtiff's symbols may be hidden elsewhere")
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "group4", "jpeg", "packbits"])
def test_a_broken_tiff_prints_nothing_of_its_own(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    picture = seven().convert("1" if compression == "group4" else "RGB")
    whole = encoded(picture, "TIFF", compression=compression)
    for place in range(8, len(whole), max(1, len(whole) // 40)):
        check_any_bytes(whole[:place] + b"\xa5" * 9 + whole[place + 9 :])
        check_any_bytes(whole[:place])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bomb_below_pil_limit.png", "12,000 x 12,000 pixels"),
        ("bomb.webp", "far too many pixels"),
        ("empty.png", "0 bytes"),
        ("text.png", "text file"),
        ("drawing.svg", "export it as PNG"),
        ("phone.heic", "damaged or cut short"),
        ("photo.avif", "save it as JPEG"),
        ("folder.png", "a folder"),
        ("broken_link.png", "link to a file that is not there"),
        ("missing.png", "is not there"),
        ("pipe.png", "a pipe"),
        ("not_finite.tiff", "not finite"),
    ],
)
def test_the_line_says_what_is_wrong(hostile: dict[str, Path], name: str, words: str) -> None:
    assert name not in hostile or words in refusal(hostile[name])


def test_names_are_made_printable(tmp_path: Path) -> None:
    for name in ("no\nsuch \x1b[31mfile", os.fsdecode(b"\xff\xfe.png"), "x" * 5000, "nul\0byte"):
        line = refusal(tmp_path / name)
        line.encode("utf-8")
    assert "no\\nsuch \\x1b[31mfile" in refusal(str(tmp_path / "no\nsuch \x1b[31mfile"))
    assert refusal("")


def test_no_right_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(seven(), "PNG"))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "secret.png may not be read" in refusal(path)


def test_devices_and_files_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/dev/zero").exists():
        assert "device" in refusal("/dev/zero")
    data = encoded(seven(), "PNG")
    monkeypatch.setattr(opening, "_MAX_BYTES", len(data) - 1)
    (tmp_path / "long.png").write_bytes(data)
    for given_as in (tmp_path / "long.png", data, io.BytesIO(data)):
        assert f"{len(data):,} bytes" in refusal(given_as)


def test_a_named_file_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with (tmp_path / "text.png").open("rb") as file:
        assert str(tmp_path / "text.png") in refusal(file)


def test_a_reader_without_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(opening, "_simplify", refuse)
    assert "more memory than available" in refusal(COLOUR)


def test_too_many_pixels_in_memory_and_webp() -> None:
    assert "8,001 x 8,000" in refusal(Image.new("1", (8001, 8000)))
    assert "0 x 5" in refusal(Image.new("L", (0, 5)))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_bombs_below_one_gibibyte(hostile: dict[str, Path]) -> None:
    """In a process of its own that cannot have more: all refused in a line, and a picture is still read."""
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "from tenfold.errors import DataError\n"
        "from tenfold.pictures.open import open_picture\n"
        "for path in sys.argv[2:]:\n"
        "    try:\n        print('read', open_picture(path).size)\n"
        "    except DataError as error:\n        print(error)\n"
        "print(open_picture(sys.argv[1]).size)\n"
        "from pathlib import Path\nstatus = Path('/proc/self/status').read_text()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    bombs = [name for name in REFUSED if "bomb" in name]
    paths = [str(hostile[name]) for name in ("wrong_extension.jpg", *bombs)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *paths],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        timeout=60,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    *lines, size, kibibytes = done.stdout.splitlines()
    assert all(name in line for name, line in zip(bombs, lines, strict=True))
    assert size == "(60, 90)" and int(kibibytes) < 200 * 1024


# Any bytes at all


def _corpus() -> list[bytes]:
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 30, 4), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "seven")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x0112] = 5
    colour, grey = noise.convert("RGB"), noise.convert("L")
    moving = {"save_all": True, "append_images": [grey.rotate(90)]}
    return [
        encoded(noise, "PNG", exif=exif, pnginfo=text),
        encoded(colour.quantize(16), "PNG", transparency=3),
        encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 99), "PNG", transparency=99),
        encoded(colour, "JPEG", exif=exif),
        encoded(colour.convert("CMYK"), "JPEG", progressive=True),
        encoded(grey, "GIF", **moving),
        encoded(noise, "TIFF", tiffinfo=tags),
        encoded(colour, "TIFF", compression="tiff_lzw", exif=exif),
        encoded(grey.convert("1"), "TIFF", compression="group4"),
        encoded(grey.convert("F"), "TIFF", compression="tiff_adobe_deflate"),
        encoded(noise, "WEBP", lossless=True, exif=exif),
        encoded(colour, "WEBP", **moving),
        encoded(colour, "BMP"),
        encoded(grey.convert("P"), "BMP"),
    ]


CORPUS = _corpus()
STARTS = [b"", *(data[:12] for data in CORPUS)]


def check_any_bytes(data: bytes) -> None:
    """A picture or a DataError of one line; never anything else, a warning included."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            opened = open_picture(data, longest=64)
        except DataError as error:
            assert str(error).isprintable()
            return
    assert opened.pixels.dtype == np.uint8 and opened.pixels.ndim == 3 and opened.scale >= 1
    assert 0 < max(opened.pixels.shape) <= 64


@settings(max_examples=200, deadline=None, derandomize=True)
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=400))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    check_any_bytes(start + rest)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_flipped_bits_and_cuts(number: int, data: st.DataObject) -> None:
    """Most flips where they hurt: in the first two hundred bytes."""
    whole = CORPUS[number]
    broken = bytearray(whole)
    places = st.one_of(st.integers(0, min(200, len(whole) - 1)), st.integers(0, len(whole) - 1))
    for place, bit in data.draw(st.lists(st.tuples(places, st.integers(0, 7)), max_size=8)):
        broken[place] ^= 1 << bit
    cut = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    check_any_bytes(bytes(broken[:cut]))
