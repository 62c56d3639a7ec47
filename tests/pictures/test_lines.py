"""Boxes of lines: where drawn numbers stand, on paper of either polarity, with rules and shadows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from tenfold.pictures.lines import find_lines, measure_departure


def font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def page(
    lines: dict[int, str], *, size: tuple[int, int] = (300, 200), paper: int = 230, ink: int = 40
) -> Image.Image:
    """Text at x = 60, each line at its y, 30 pixels high."""
    image = Image.new("L", size, paper)
    for y, text in lines.items():
        ImageDraw.Draw(image).text((60, y), text, fill=ink, font=font(30))
    return image


def overlap(box: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Intersection over union."""
    wide = min(box[2], other[2]) - max(box[0], other[0])
    high = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(0, wide) * max(0, high)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return shared / (sum(areas) - shared)


def ink_box(image: Image.Image, paper: int = 230) -> tuple[int, ...]:
    found = Image.fromarray((np.abs(np.asarray(image).astype(int) - paper) > 60).astype(np.uint8)).getbbox()
    assert found
    return found


def test_one_line_with_a_margin() -> None:
    image = page({80: "31415"})
    (line,) = find_lines(np.asarray(image))
    x0, y0, x1, y1 = ink_box(image)
    assert line[0] <= x0 and line[1] <= y0 and line[2] >= x1 and line[3] >= y1
    assert line[3] - line[1] < 2.2 * (y1 - y0)


def test_lines_from_the_top() -> None:
    lines = find_lines(np.asarray(page({20: "12", 80: "345", 140: "67"})))
    assert len(lines) == 3 and [line[1] for line in lines] == sorted(line[1] for line in lines)


@pytest.mark.parametrize(("paper", "ink"), [(20, 230), (120, 200), (250, 200)])
def test_the_same_boxes_in_any_polarity(paper: int, ink: int) -> None:
    plain = find_lines(np.asarray(page({80: "2718"})))
    other = find_lines(np.asarray(page({80: "2718"}, paper=paper, ink=ink)))
    assert len(other) == 1 and overlap(plain[0], other[0]) > 0.85


def test_a_rule_and_a_shadow_are_not_lines() -> None:
    image = page({80: "555"})
    ImageDraw.Draw(image).line([(0, 160), (300, 160)], fill=90, width=2)
    grey = np.asarray(image).astype(float)
    grey *= np.linspace(1, 0.6, 300)
    (line,) = find_lines(grey.astype(np.uint8))
    assert overlap(line, find_lines(np.asarray(page({80: "555"})))[0]) > 0.8


def test_a_blank_picture_has_none() -> None:
    grey = np.random.default_rng(0).normal(200, 2, (120, 160)).astype(np.uint8)
    assert find_lines(grey) == []
    assert find_lines(np.full((5, 5), 9, np.uint8)) == []


def test_large_pictures_give_the_same_place() -> None:
    image = page({80: "8086"})
    large = image.resize((2400, 1600), Image.Resampling.BICUBIC)
    (line,) = find_lines(np.asarray(large))
    (small,) = find_lines(np.asarray(image))
    assert overlap(tuple(edge / 8 for edge in line), small) > 0.8  # type: ignore[arg-type]


def test_the_paper_is_scipys_grey_closing() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (40, 56), dtype=np.uint8)
    found = measure_departure(grey)
    dark = 255 - grey if found.light else grey
    window = max(5, (40 + 56) // 2 // 4) | 1
    low = ndimage.grey_dilation(dark.astype(int), size=(window, window), mode="constant", cval=-1)
    closed = ndimage.grey_erosion(low, size=(window, window), mode="constant", cval=999)
    np.testing.assert_array_equal(found.levels, closed - dark)


@pytest.mark.parametrize("radius", [3, 8, 25])
def test_dots_alone_are_no_lines(radius: int) -> None:
    """Two discs, dark or light; a ring of the same size is writing."""
    discs, ring = Image.new("L", (400, 200), 230), Image.new("L", (400, 200), 230)
    middle = [(120, 100), (280, 100)]
    for x, y in middle:
        box = [x - radius, y - radius, x + radius, y + radius]
        ImageDraw.Draw(discs).ellipse(box, fill=20)
        ImageDraw.Draw(ring).ellipse(box, outline=20, width=max(1, radius // 4))
    for picture in (np.asarray(discs), 255 - np.asarray(discs)):
        assert find_lines(picture) is None
    if radius > 3:
        assert len(find_lines(np.asarray(ring)) or []) == 1
