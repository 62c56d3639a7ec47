"""Letters, symbols and digits as pen strokes: the data of the package, the curve, and the format."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import DataError
from tenfold.synthesis.glyphs import DIGITS, LETTERS, load_glyphs, parse_glyphs

MISTAKEN = "oOlsSIJzZ"  # taken for a digit in most hands
ALL = load_glyphs(ambiguous=True)
SURE = load_glyphs()


def stroke_of(points: str) -> np.ndarray:
    (glyph,) = parse_glyphs(f"x style: {points}")
    return glyph.strokes[0]


def test_every_letter_and_digit_has_its_variants() -> None:
    every, sure = Counter(glyph.label for glyph in ALL), Counter(glyph.label for glyph in SURE)
    assert min(every[letter] for letter in LETTERS) >= 4
    assert min(sure[letter] for letter in LETTERS if letter not in MISTAKEN + "bgqB") >= 5
    assert min(sure[digit] for digit in DIGITS) >= 8


def test_how_many_there_are() -> None:
    letters = sum(glyph.label in LETTERS for glyph in SURE)
    digits = sum(glyph.label in DIGITS for glyph in SURE)
    assert letters >= 330 and digits >= 80
    assert len(SURE) - letters - digits >= 175


def test_what_is_taken_for_a_digit_comes_only_when_asked_for() -> None:
    styles = {(glyph.label, glyph.writer) for glyph in SURE}
    assert styles < {(glyph.label, glyph.writer) for glyph in ALL}
    for label, style in [
        ("l", "plain"),
        ("o", "round"),
        ("S", "print"),
        ("circle", "plain"),
        ("i", "undotted"),
    ]:
        assert (label, style) not in styles
    assert not {"o", "O", "l", "S"} & {label for label, _ in styles}


@pytest.mark.parametrize("label", sorted({glyph.label for glyph in ALL}))
def test_strokes_are_whole_and_in_the_box(label: str) -> None:
    for glyph in (glyph for glyph in ALL if glyph.label == label):
        for stroke in glyph.strokes:
            assert stroke.dtype == np.float32 and stroke.ndim == 2 and stroke.shape[1] == 2
            assert 2 <= len(stroke) <= 72
            assert stroke.min() >= -0.15 and stroke.max() <= 1.15  # the pen swings a little past its points
            steps = np.linalg.norm(np.diff(stroke, axis=0), axis=1)
            assert steps.min() > 0 and steps.max() < 0.2
        ink = np.concatenate(glyph.strokes)
        assert np.ptp(ink, axis=0).max() > 0.3


def test_no_two_glyphs_are_the_same() -> None:
    inks = [np.concatenate(glyph.strokes).tobytes() for glyph in ALL if glyph.label in LETTERS + DIGITS]
    same = Counter(inks)
    plain = {"1", "l", "I"}  # one upright stroke, whatever it is called
    for glyph in ALL:
        if glyph.label in LETTERS + DIGITS and glyph.label not in plain:
            assert same[np.concatenate(glyph.strokes).tobytes()] == 1, (glyph.label, glyph.writer)


def test_four_points_of_a_circle_make_a_circle() -> None:
    stroke = stroke_of("50,0 0,50 50,100 100,50 50,0")
    radii = np.hypot(*(stroke - 0.5).T)
    np.testing.assert_allclose(radii, 0.5, rtol=0.005)
    np.testing.assert_array_equal(stroke[0], stroke[-1])


def test_corners_are_sharp_and_other_points_are_passed_smoothly() -> None:
    def sharpest(stroke: np.ndarray) -> float:
        ways = np.diff(stroke, axis=0)
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        return float(min((a * b).sum() for a, b in pairwise(ways)))

    sharp, smooth = stroke_of("0,0 50,100! 100,0"), stroke_of("0,0 50,100 100,0")
    assert sharpest(sharp) == pytest.approx(np.cos(np.arctan2(1, 0.5) * 2), abs=1e-3)
    assert sharpest(smooth) > 0.3
    # between corners a line is straight: on the first side x is half of y
    first = sharp[: len(sharp) // 2]
    np.testing.assert_allclose(first[:, 0], first[:, 1] / 2, atol=1e-6)


@given(
    st.lists(st.tuples(st.integers(-10, 110), st.integers(-10, 110), st.booleans()), min_size=1, max_size=12)
)
def test_the_curve_goes_through_all_its_points(points: list[tuple[int, int, bool]]) -> None:
    points = [p for i, p in enumerate(points) if i == 0 or p[:2] != points[i - 1][:2]]
    stroke = stroke_of(" ".join(f"{x},{y}{'!' * corner}" for x, y, corner in points))
    assert np.isfinite(stroke).all() and len(stroke) >= 2
    if len(points) > 1:
        for x, y, _ in points:
            assert np.abs(stroke - np.array([x, y]) / 100).max(axis=1).min() < 1e-5


def test_a_line_is_label_style_flag_and_strokes() -> None:
    text = "; a comment\n\n# straight-one ?: 10,20 30,40 | 50,60\n: two-dots: 50,20 | 50,80\n"
    hash_sign, colon = parse_glyphs(text)
    assert (hash_sign.label, hash_sign.writer, hash_sign.ambiguous) == (
        "#",
        "straight-one",
        True,
    )
    np.testing.assert_allclose(hash_sign.strokes[0][[0, -1]], [[0.1, 0.2], [0.3, 0.4]], atol=1e-6)
    assert (colon.label, colon.ambiguous, len(colon.strokes)) == (":", False, 2)
    dot = colon.strokes[0]
    np.testing.assert_allclose(dot.mean(axis=0), [0.5, 0.2], atol=1e-6)
    assert np.ptp(dot, axis=0).max() < 0.03


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a", "'a'"),
        ("a print", "'a print'"),
        ("a print:", "'a print:'"),
        ("a Print: 1,2 3,4", "'a Print: 1,2 3,4'"),
        ("a print: 1,2 3", "point '3'"),
        ("a print: 1,2 x,4", "point 'x,4'"),
        ("a print: 1.5,2 3,4", "point '1.5,2'"),
        ("a print: 1,2? 3,4", "point '1,2?'"),
        ("a print: 1,2 3,4 |", "a stroke without points"),
        ("a print: | 1,2 3,4", "a stroke without points"),
        ("a print: 1,2 3,111", "point '3,111'"),
        ("a print: -11,2 3,11", "point '-11,2'"),
        ("a print: 1,2 1,2 3,4", "twice in a row"),
        ("b print: 1,2 3,4", "a second glyph 'b print'"),
    ],
)
def test_a_bad_line_is_named_in_one_line(line: str, found: str) -> None:
    text = f"; two good lines\nb print: 1,2 3,4\n{line}\n"
    with pytest.raises(DataError) as caught:
        parse_glyphs(text, name="mine.txt")
    message = str(caught.value)
    assert message.startswith("mine.txt, line 3: ") and found in message and "\n" not in message


@given(st.text(alphabet="a 0123456789,|!?:-;#\t\r\x0b", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        glyphs = parse_glyphs(text)
    except DataError as error:
        assert "\n" not in str(error) and "line " in str(error)
    else:
        assert all(len(stroke) >= 2 for glyph in glyphs for stroke in glyph.strokes)
