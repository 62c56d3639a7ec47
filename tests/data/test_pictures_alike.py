"""Each kind of picture gives the same array through a data set, predict, the server and the estimator."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.decode import Pictures
from tenfold.data.load import load_dataset
from tenfold.errors import DataError
from tenfold.estimator.classifier import DigitClassifier
from tenfold.estimator.pixels import flatten_pictures
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.serve.worker import read_body
from tenfold.training.loop import train

SIDE = 28
SCALE = np.random.default_rng(0).integers(0, 16, (SIDE, SIDE)) * 17  # 16 greys, which every depth can hold
SCALE[0, :2] = 0, 255
INK = (SCALE > 200).astype(np.uint8)  # 1 where a pen was


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


def _layers(colour: int) -> Image.Image:
    return Image.fromarray(np.dstack([np.full((SIDE, SIDE, 3), colour, np.uint8), INK * np.uint8(255)]))


def _deep_colours() -> bytes:
    """A 16-bit PNG of colours with 12 bits in use, which Pillow cannot write."""
    values = np.repeat((SCALE // 17 * 273)[..., None], 3, axis=2).astype(">u2")  # 273 = 4095 / 15
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    )


def _twelve_bit_tiff(values: np.ndarray) -> bytes:
    """Two values in three bytes; tags: width, height, bits, compression, photometric, offset, rows, bytes."""
    pairs = values.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    data = packed.astype(np.uint8).tobytes()
    tags = {256: SIDE, 257: SIDE, 258: 12, 259: 1, 262: 1, 273: 8 + 2 + 8 * 12 + 4, 278: SIDE, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


def _upside_down(picture: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.transpose(Image.Transpose.ROTATE_180).save(path, exif=exif)


def make_pictures(folder: Path) -> dict[str, np.ndarray]:
    """File's name -> its pixels as a person sees them."""
    folder.mkdir(parents=True)
    palette = _grey(SCALE // 17).convert("P")
    palette.putpalette([value for level in range(16) for value in (17 * level,) * 3])
    black, white = Image.new("L", (SIDE, SIDE)), _grey(SCALE)
    _grey(SCALE).save(folder / "grey.png")
    _grey(SCALE).save(folder / "grey.bmp")
    _grey(SCALE).save(folder / "png named.jpg", "PNG")
    _grey(SCALE).save(folder / "no suffix", "PNG")
    Image.merge("RGB", [white] * 3).save(folder / "colour.webp", lossless=True)
    _upside_down(white, folder / "turned.png")
    _upside_down(white, folder / "turned.tif")
    Image.fromarray((SCALE * 257).astype(np.uint16)).save(folder / "16 bits.png")
    Image.fromarray((SCALE * 257).astype(np.uint16)).save(folder / "16 bits.tif")
    Image.fromarray((SCALE // 17 * 273).astype(np.uint16)).save(folder / "12 bits.png")
    Image.fromarray((SCALE // 17 * 273).astype(np.uint16)).save(folder / "12 bits in 16.tif")
    (folder / "12 bits.tif").write_bytes(_twelve_bit_tiff(SCALE // 17 * 273))
    (folder / "12 bits, dark.tif").write_bytes(_twelve_bit_tiff(SCALE // 17 * 16))
    (folder / "12 bits, colours.png").write_bytes(_deep_colours())
    palette.save(folder / "palette.png")
    palette.save(folder / "palette.gif")
    white.save(folder / "first of two.gif", save_all=True, append_images=[black])
    Image.merge("RGB", [white] * 3).convert("CMYK").save(folder / "cmyk.tif")
    Image.fromarray(INK.astype(bool)).save(folder / "one bit.png")
    _layers(0).save(folder / "black on nothing.png")
    _layers(255).save(folder / "white on nothing.png")
    seen = dict.fromkeys((path.name for path in folder.iterdir()), SCALE)
    dark = np.rint(SCALE // 17 * 16 * (255 / 4095))
    return seen | {
        "12 bits, dark.tif": dark,
        "one bit.png": 255 * INK,
        "white on nothing.png": 255 * INK,
        "black on nothing.png": 255 - 255 * INK,
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    root = tmp_path_factory.mktemp("alike") / "set"
    pictures = make_pictures(root / "1")
    shutil.copytree(root / "1", root / "2")
    return root, pictures


@pytest.fixture(scope="module")
def model(seen: tuple[Path, dict[str, np.ndarray]]) -> Classifier:
    recipe = change_recipe(get_recipe("softmax-sgd"), {"training.steps": 1, "training.patience": 0})
    return train(recipe, load_dataset(seen[0], split="all")).classifier


def test_all_kinds_are_the_same_everywhere(
    seen: tuple[Path, dict[str, np.ndarray]], model: Classifier
) -> None:
    root, pictures = seen
    dataset = load_dataset(root, split="all")
    by_file = dict(zip(dataset.files, dataset.images, strict=True))
    assert len(by_file) == 2 * len(pictures)
    for name, expected in pictures.items():
        path = root / "1" / name
        served = read_body(model, path.read_bytes(), name, include=("image",))["digits"][0]["image"]
        arrays = {
            "data set": by_file[f"1/{name}"],
            "predict": model.classify(path).image,
            "server": np.frombuffer(base64.b64decode(served), np.uint8).reshape(SIDE, SIDE),
            "estimator": flatten_pictures([path])[0].reshape(SIDE, SIDE),
        }
        for way, array in arrays.items():
            assert array is not None and array.dtype == np.uint8
            np.testing.assert_allclose(array.astype(int), expected, atol=1, err_msg=f"{name}, {way}")
            np.testing.assert_array_equal(array, arrays["data set"], err_msg=f"{name}, {way}")


def test_an_estimator_takes_paths_and_pil_images(seen: tuple[Path, dict[str, np.ndarray]]) -> None:
    root, _ = seen
    dataset = load_dataset(root, split="all")
    paths = [root / file for file in dataset.files]
    fitted = DigitClassifier(epochs=1, random_state=0).fit(dataset.images, dataset.labels)
    expected = fitted.predict_proba(dataset.images)
    np.testing.assert_array_equal(fitted.predict_proba(paths), expected)
    with Image.open(paths[0]) as picture:
        np.testing.assert_array_equal(fitted.predict_proba([picture]), expected[:1])


def test_pictures_of_two_sizes_are_refused_by_the_estimator(tmp_path: Path) -> None:
    for number in (1, 2):
        Image.new("L", (number, 3)).save(tmp_path / f"{number}.png")
    with pytest.raises(ValueError, match=r"1x3.*2x3|one size"):
        flatten_pictures([tmp_path / "1.png", tmp_path / "2.png"])


def test_postscript_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in "12":
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / "x.png").write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
        )
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(DataError, match=r"x\.png is not a picture"):
        load_dataset(tmp_path / "set", split="all")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_sockets_are_passed_over(tmp_path: Path) -> None:
    for label in "12":
        folder = tmp_path / "set" / label
        folder.mkdir(parents=True)
        _grey(SCALE).save(folder / "1.png")
        os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(os.path.relpath(tmp_path / "set" / "1" / "s.png"))
        dataset = load_dataset(tmp_path / "set", split="all")
    assert dataset.files == ("1/1.png", "2/1.png")


@pytest.mark.parametrize("content", [b"", b"text, no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError) as error:
        Pictures.decode([str(tmp_path / "x.png")], ["x.png"])
    assert "x.png" in str(error.value) and "\n" not in str(error.value)


def test_two_folders_alike_in_names_sizes_and_times_are_kept_apart(tmp_path: Path) -> None:
    """As unpacked from archives that set all times alike: uncompressed pictures have one size, too."""
    shades = {}
    for shade in (10, 200):
        for label in "12":
            path = tmp_path / f"set{shade}" / "digits" / label / "1.bmp"
            path.parent.mkdir(parents=True)
            _grey(np.full((4, 4), shade)).save(path)
            os.utime(path, ns=(1, 1))
        found: ImageDataset = load_dataset(path.parents[1], split="all")
        shades[shade] = found.images.max()
    assert shades == {10: 10, 200: 200}
