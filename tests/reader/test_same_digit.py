"""One text, however it comes: dark or light, transparent, coloured, small, large, turned by EXIF."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from template_reader import template_reader, write

from tenfold import LineReader, load_reader

READER = template_reader()
EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = (28, 64, 280, 1000)  # pixels of the picture's height
# What EXIF says the camera did -> how the stored pixels then lie (Exif 2.3, tag 0x0112).
STORED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def coloured(ink: np.ndarray, pen: tuple[int, ...], paper: tuple[int, ...]) -> Image.Image:
    """ink: float (H, W), 0 for paper to 1."""
    mixed = np.array(paper) + ink[..., None] * np.subtract(pen, paper)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def transparent(ink: np.ndarray, pen: tuple[int, int, int]) -> Image.Image:
    layers = np.zeros((*ink.shape, 4), np.uint8)
    layers[..., :3] = pen
    layers[..., 3] = np.rint(ink * 255)
    return Image.fromarray(layers)


def turned(picture: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture.transpose(STORED[orientation]).save(file, "PNG", exif=exif)
    return file.getvalue()


def inked(picture: Image.Image, height: int) -> np.ndarray:
    """float (height, W), 0 for white to 1 for black."""
    size = (round(picture.width * height / picture.height), height)
    return 1 - np.asarray(picture.convert("L").resize(size, Image.Resampling.LANCZOS), np.float32) / 255


def ways(picture: Image.Image) -> dict[str, object]:
    black, white = (0, 0, 0), (255, 255, 255)
    pictures: dict[str, object] = {}
    for size in SIZES:
        ink = inked(picture, size)
        pictures[f"black on white, {size}"] = coloured(ink, black, white)
        pictures[f"white on black, {size}"] = coloured(ink, white, black)
        pictures[f"black, transparent, {size}"] = transparent(ink, black)
        pictures[f"white, transparent, {size}"] = transparent(ink, white)
        pictures[f"blue on cream, {size}"] = coloured(ink, (30, 50, 160), (250, 243, 225))
        pictures[f"yellow on green, {size}"] = coloured(ink, (250, 230, 90), (20, 90, 40))
    for orientation in STORED:
        pictures[f"EXIF {orientation}"] = turned(coloured(inked(picture, 280), black, white), orientation)
    return pictures


def check(reader: LineReader, picture: Image.Image, text: str) -> None:
    answers = {name: reader.read(each).text for name, each in ways(picture).items()}
    assert answers == dict.fromkeys(answers, text)


@settings(max_examples=4, deadline=None, derandomize=True)
@given(text=st.text("0123456789", min_size=1, max_size=6))
def test_the_same_text_whatever_way_it_comes(text: str) -> None:
    """Printed digits, with the reader of templates: what is tested is all but the network."""
    check(READER, write(text, size=200, gap=60, margin=30), text)


@pytest.mark.parametrize(("name", "text"), [("seven", "7")])
def test_the_reader_that_ships(name: str, text: str) -> None:
    check(load_reader(), Image.open(EXAMPLES / f"{name}.png"), text)
