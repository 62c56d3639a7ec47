"""Boxes are in the pixels of the upright original, whatever the picture was reduced or turned by."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tenfold.pens.draw import draw_strokes
from tenfold.pens.glyphs import load_glyphs
from tenfold.pens.strokes import normalise
from tenfold.reader.load import load_reader
from tenfold.reader.reading import read_picture

PLACES = ((0.1, 0.2), (0.45, 0.55), (0.7, 0.15))  # of the picture's side: corners of digits a quarter high


def drawn(side: int) -> tuple[Image.Image, np.ndarray]:
    """Three twos, and their boxes (3, 4) by the ink that was drawn."""
    two = normalise(next(glyph for glyph in load_glyphs() if glyph.label == "2"))
    paper, boxes = np.zeros((side, side), np.float32), []
    for x, y in PLACES:
        strokes = [(stroke * 0.25 + (x, y)) * side for stroke in two.strokes]
        ink = draw_strokes(strokes, (side, side), side / 60)
        rows, columns = np.nonzero(ink > 0.5)
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        paper = np.maximum(paper, ink)
    return Image.fromarray(np.rint(255 * (1 - paper)).astype(np.uint8)), np.array(boxes)


@pytest.mark.parametrize("side", [300, 1600, 3100])
def test_boxes_hold_the_ink(side: int) -> None:
    picture, wanted = drawn(side)
    found = read_picture(load_reader(), picture).digits
    boxes = np.array(sorted(digit.box or () for digit in found))
    assert np.abs(boxes - wanted[wanted[:, 0].argsort()]).max() <= max(3, 0.004 * side)


def test_boxes_of_a_picture_that_exif_turns() -> None:
    picture, wanted = drawn(500)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    file = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    found = read_picture(load_reader(), file.getvalue()).digits
    boxes = np.array(sorted(digit.box or () for digit in found))
    assert np.abs(boxes - wanted[wanted[:, 0].argsort()]).max() <= 3


def test_rows_are_numbered_from_the_top() -> None:
    picture, _ = drawn(400)
    digits = read_picture(load_reader(), picture).digits
    assert [digit.row for digit in digits] == sorted(digit.row for digit in digits)
    upper = [digit for digit in digits if digit.box and digit.box[1] < 0.4 * 400]
    assert {digit.row for digit in upper} == {0} and len(digits) == 3
