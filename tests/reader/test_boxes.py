"""Boxes are in the pixels of the upright original, whatever the picture was reduced or turned by."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageChops
from template_reader import template_reader, write

READER = template_reader()


def placed(size: int, text: str = "2468") -> tuple[Image.Image, np.ndarray]:
    """A line of letters so large, off the middle of its picture, and the middles (N, 2) of their ink."""
    line = write(text, size=size, gap=size // 4, margin=size // 10)
    picture = Image.new("L", (line.width + size, line.height + 3 * size), 255)
    picture.paste(line, (size // 4, 2 * size))
    step = round(size * 0.62) + size // 4
    middles = []
    for number in range(len(text)):
        left = size // 4 + size // 10 + number * step
        part = picture.crop((left, 0, left + step, picture.height))
        x0, y0, x1, y1 = ImageChops.invert(part).getbbox() or (0, 0, 0, 0)
        middles.append((left + (x0 + x1) / 2, (y0 + y1) / 2))
    return picture, np.array(middles)


def check(boxes: np.ndarray, middles: np.ndarray, size: int) -> None:
    """Each box holds its letter's middle near its own, beside the others, and is about as high as it."""
    assert len(boxes) == len(middles)
    assert np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - middles).max() < 0.3 * size
    assert (boxes[:-1, 2] <= boxes[1:, 0] + 1).all()
    heights = boxes[:, 3] - boxes[:, 1]
    assert (heights > 0.7 * size).all() and (heights < 1.6 * size).all()


@pytest.mark.parametrize("size", [40, 160, 600])
def test_boxes_hold_the_characters(size: int) -> None:
    """The last picture is reduced before it is read."""
    picture, middles = placed(size)
    (line,) = READER.read(picture).lines
    assert line.text == "2468"
    check(np.array([character.box for character in line.characters]), middles, size)
    x0, y0, x1, y1 = line.box
    assert all(x0 < x < x1 and y0 < y < y1 for x, y in middles) and y1 - y0 < 2 * size
    assert x1 <= picture.width and y1 <= picture.height


def test_boxes_of_a_picture_that_exif_turns() -> None:
    picture, middles = placed(60)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    file = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    (line,) = READER.read(file.getvalue()).lines
    check(np.array([character.box for character in line.characters]), middles, 60)


def test_rows_are_numbered_from_the_top() -> None:
    reading = READER.read(write("24\n68\n1.3", size=80))
    assert [line.text for line in reading.lines] == ["24", "68", "1.3"]
    assert [character.row for character in reading.characters] == [0, 0, 1, 1, 2, 2, 2]
    tops = [line.box[1] for line in reading.lines]
    assert tops == sorted(tops) and len(set(tops)) == 3
