"""A data set on the terminal and in a pipe: nothing wider than 80 columns, colours only where they are."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looked_at import explorations, letters
from rich.console import Console

from tenfold.explore.look import Record
from tenfold.show.components import half_blocks, shrink
from tenfold.show.data_terminal import bar, number_lines, print_exploration, print_record, skyline


def printed(kind: str, *, colours: bool) -> str:
    file = io.StringIO()
    system = "truecolor" if colours else None
    console = Console(
        file=file, width=80, soft_wrap=True, highlight=False, color_system=system, force_terminal=colours
    )
    print_exploration(explorations()[kind], console)
    return file.getvalue()


@pytest.mark.parametrize("kind", explorations())
def test_it_fits_eighty_columns(kind: str) -> None:
    plain, coloured = printed(kind, colours=False), printed(kind, colours=True)
    assert "\x1b" not in plain and "\x1b[38;2;" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    for text in (plain, bare):
        lines = text.splitlines()
        # What a data set or a class is called is told in full once, and folded by the terminal.
        assert all(len(line) <= 80 or "x" * 100 in line for line in lines)
    for title in ("Classes", "Pixels", "Duplicates", "What they look like"):
        assert title in plain.splitlines()


def test_what_is_told() -> None:
    text = printed("letters", colours=False)
    assert text.startswith("letters: 50 images (40 train, 10 test) of 9 x 7 pixels in 3 classes\n")
    assert re.search(r"^a +28 +25 +3 +56\.00 % █+", text, re.M)
    assert "largest 'a' (28), smallest 'c' (4): 7.00 to 1\n" in text
    assert "  train 5 (a), test 3 (b): equal, across train and test, labelled differently\n" in text
    assert "a note" in printed("an empty class", colours=False)
    assert "with <b>nothing</b> in a class" in printed("an empty class", colours=False)
    assert "the 6 smallest and largest of 100 classes" in printed("hundred classes", colours=False)


def test_half_blocks_of_two_pixels_each() -> None:
    image = np.array([[255, 0, 255, 0], [255, 0, 0, 255], [0, 0, 255, 255]], np.uint8)
    assert [line.plain for line in half_blocks(image, grey=False)] == ["█ ▀▄", "  ▀▀"]
    grey = half_blocks(image, grey=True)
    assert [line.plain for line in grey] == ["▀▀▀▀"] * 2
    assert [str(span.style) for span in grey[0].spans][2] == "rgb(255,255,255) on rgb(0,0,0)"


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_shrunk_pictures_keep_their_shape_and_no_more_pixels(h: int, w: int, side: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (h, w), dtype=np.uint8)
    small = shrink(image, side)
    assert small.dtype == np.uint8 and max(small.shape) == min(side, max(h, w))
    factor = max(1, max(h, w) / side)
    assert small.shape == (max(1, round(h / factor)), max(1, round(w / factor)))
    if max(h, w) <= side:
        np.testing.assert_array_equal(small, image)


def test_shrunk_pixels_are_means() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    means = image.reshape(14, 2, 14, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(image, 14), means, atol=1)  # Pillow rounds after each of its two passes


def test_bars_and_skyline() -> None:
    assert [bar(share, 8) for share in (0, 1e-9, 0.5, 1)] == ["", "▏", "████", "█" * 8]
    assert bar(0.55, 10) == "█████▌"
    assert skyline(np.array([0, 0, 1, 0, 1000, 1000, 0, 0]), 4) == " ▁█ "
    assert skyline(np.zeros(8, int), 2) == "  "


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(8, 200), st.integers(0, 2**32 - 1))
def test_numbers_can_be_read_back(h: int, w: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (h, w), dtype=np.uint8)
    image[image < 60] = 0
    lines = number_lines(image, width)
    assert max(map(len, lines)) <= width
    tables = [[row.split() for row in table.splitlines()] for table in "\n".join(lines).split("\n\n")]
    assert [int(cell) for table in tables for cell in table[0]] == list(range(w))
    assert all([int(row[0]) for row in table[1:]] == list(range(h)) for table in tables)
    cells = [[0 if cell == "·" else int(cell) for cell in row[1:]] for table in tables for row in table[1:]]
    read = np.concatenate([np.array(cells[k : k + h]) for k in range(0, len(cells), h)], axis=1)
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_record_on_a_terminal_and_in_a_pipe(terminal: bool) -> None:
    def show(record: Record) -> list[str]:
        file = io.StringIO()
        print_record(record, Console(file=file, width=40, soft_wrap=True, force_terminal=terminal))
        return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()

    record = Record.find(letters(), 43)
    lines = show(record)
    assert lines[0] == "letters (test), image 3: label b"
    assert f"mean {record.image.mean():.1f}" in lines[1]
    wide = Record("wide", "all", 0, "a", np.full((2, 30), 200, np.uint8))
    tables = sum(line.split()[0] == "0" for line in show(wide)[4:] if line.split() and "200" in line)
    assert tables == (4 if terminal else 1)  # of 9 columns each where the window is 40 wide
