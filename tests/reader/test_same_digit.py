"""One drawing, however it comes: dark or light, transparent, coloured, small, large, turned by EXIF."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tenfold.classifier import Classifier
from tenfold.pens.distort import vary
from tenfold.pens.draw import draw_strokes
from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.pens.strokes import Drawing, normalise
from tenfold.reader.load import load_reader
from tenfold.reader.reading import read_picture

GLYPHS = [drawing for drawing in load_glyphs() if drawing.label in DIGITS]
SIZES = (28, 64, 280, 1000)
# What EXIF says the camera did -> how the stored pixels then lie (Exif 2.3, tag 0x0112).
STORED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def reader() -> Classifier:
    return load_reader()


def coverage(drawing: Drawing, size: int) -> np.ndarray:
    """float32 (size, size): the digit in the middle 60 %, drawn with a pen of a fourteenth."""
    low = np.concatenate(drawing.strokes).min(axis=0)
    span = np.ptp(np.concatenate(drawing.strokes), axis=0)
    corner = (1 - 0.6 * span) / 2
    strokes = [((stroke - low) * 0.6 + corner) * size for stroke in drawing.strokes]
    return draw_strokes(strokes, (size, size), size / 14)


def coloured(ink: np.ndarray, pen: tuple[int, ...], paper: tuple[int, ...]) -> Image.Image:
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


def ways(drawing: Drawing) -> dict[str, object]:
    inks = {size: coverage(drawing, size) for size in SIZES}
    black, white = (0, 0, 0), (255, 255, 255)
    pictures: dict[str, object] = {}
    for size, ink in inks.items():
        pictures[f"black on white, {size}"] = coloured(ink, black, white)
        pictures[f"white on black, {size}"] = coloured(ink, white, black)
        pictures[f"black, transparent, {size}"] = transparent(ink, black)
        pictures[f"white, transparent, {size}"] = transparent(ink, white)
        pictures[f"blue on cream, {size}"] = coloured(ink, (30, 50, 160), (250, 243, 225))
        pictures[f"yellow on green, {size}"] = coloured(ink, (250, 230, 90), (20, 90, 40))
    for orientation in STORED:
        pictures[f"EXIF {orientation}"] = turned(coloured(inks[280], black, white), orientation)
    return pictures


@settings(max_examples=25, deadline=None, derandomize=True)
@given(index=st.integers(0, len(GLYPHS) - 1), seed=st.integers(0, 2**32 - 1))
def test_the_same_digit_whatever_way_it_comes(reader: Classifier, index: int, seed: int) -> None:
    """What the large drawing is read as with confidence, every other way of it is read as too."""
    drawing = normalise(vary(GLYPHS[index], np.random.default_rng(seed), strength=0.3))
    digits = {name: read_picture(reader, picture).digits for name, picture in ways(drawing).items()}
    assert {name: len(found) for name, found in digits.items()} == dict.fromkeys(digits, 1)
    plain = digits["black on white, 280"][0]
    if plain.confidence < 0.99 or plain.verdict != "digit":
        return  # a drawing that is doubtful in itself may go either way
    answers = {name: found[0].label for name, found in digits.items()}
    assert answers == dict.fromkeys(answers, plain.label)


def test_most_glyphs_are_read_as_what_they_are(reader: Classifier) -> None:
    """So that the property above is about digits, not about anything read alike."""
    read = [
        read_picture(reader, coloured(coverage(normalise(g), 200), (0, 0, 0), (255, 255, 255)))
        for g in GLYPHS
    ]
    right = np.mean([reading.text == glyph.label for reading, glyph in zip(read, GLYPHS, strict=True)])
    assert right > 0.9
