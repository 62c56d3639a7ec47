"""Each trouble with a picture that has it and one that has not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter
from template_reader import template_reader, write

from tenfold.arrays import Prediction
from tenfold.errors import DataError
from tenfold.pictures.open import open_picture
from tenfold.reader.reading import Line, Reading, find_troubles, percent

READER = template_reader()


def read(picture: Image.Image | np.ndarray) -> Reading:
    return READER.read(picture)


def troubles_of(picture: Image.Image, *lines: Line, held: bool = False) -> tuple[str, ...]:
    opened = open_picture(picture)
    return find_troubles(opened.grey, opened, lines, held=held)


def line_at(box: tuple[int, int, int, int], *, written: bool = True, unfit: bool = False) -> Line:
    characters = (prediction("digit", 1.0),) * written
    return Line("0" * written, 1.0, box, characters, np.zeros((32, 8), np.uint8), (0,) * written, unfit=unfit)


# no trouble


@pytest.mark.parametrize("text", ["7", "1049", "27\n56"])
@pytest.mark.parametrize(
    ("size", "ink", "paper"), [(24, 0, 255), (60, 255, 0), (60, 110, 250), (200, 20, 90)]
)
def test_good_drawings_have_none(text: str, size: int, ink: int, paper: int) -> None:
    reading = read(write(text, size=size, ink=ink, paper=paper))
    assert reading.lines and reading.troubles == ()


# nothing found


def test_blank() -> None:
    for picture in (Image.new("L", (50, 40), 255), Image.new("RGB", (50, 40), (9, 80, 20))):
        assert read(picture).troubles == ("nothing found: the picture is blank",)


def test_paper_that_is_not_of_one_colour() -> None:
    shaded = Image.fromarray(np.tile(np.linspace(180, 230, 200, dtype=np.uint8), (80, 1)))
    told = troubles_of(shaded, line_at((0, 0, 200, 80), written=False))
    assert told == ("nothing found: no number stands here, or its ink is too pale",)


def test_words_are_no_number() -> None:
    reading = read(write("XAX"))
    assert reading.text == "" and reading.lines == () and len(reading.seen) == 1
    assert reading.troubles == ("no number: text or a drawing",)


def test_nothing_of_the_expected_form() -> None:
    """The strip of one digit has too few columns for sixty."""
    reading = READER.read(write("7"), length=60)
    assert reading.text == "" and reading.troubles == ("nothing found that fits the expected form",)


def test_a_line_that_does_not_fit_beside_one_that_does() -> None:
    picture = write("56")
    good, unfit = line_at((20, 20, 100, 100)), line_at((20, 20, 100, 100), written=False, unfit=True)
    assert troubles_of(picture, good, unfit, held=True) == ("a line does not fit the expected form",)
    assert troubles_of(picture, unfit, held=True) == ("nothing found that fits the expected form",)


# found, but


def told_of(reading: Reading, words: str) -> bool:
    return any(words in trouble for trouble in reading.troubles)


@pytest.mark.parametrize(("ink", "faint"), [(236, True), (228, True), (215, False), (120, False)])
def test_faint(ink: int, faint: bool) -> None:
    """Contrast is (255 - ink) / 255: 0.07, 0.11, 0.16, 0.53; a third of a grey pencil's is 0.13."""
    assert told_of(read(write("1049", ink=ink)), "faint ink") is faint


@pytest.mark.parametrize(("size", "small"), [(8, True), (9, True), (10, False), (40, False)])
def test_small_is_the_highest_line_in_the_original(size: int, small: bool) -> None:
    picture = write("56", margin=60)
    told = troubles_of(picture, line_at((60, 60, 120, 60 + size)), line_at((60, 60, 120, 67)))
    assert any(f"very small writing ({size} pixels tall)" in each for each in told) is small


def test_small_in_a_large_picture_that_was_reduced() -> None:
    wide = Image.new("L", (3200, 500), 255)
    wide.paste(write("4", size=40), (900, 200))
    reading = read(wide)
    assert reading.picture is not None and reading.picture.scale == 2 and not told_of(reading, "very small")


@pytest.mark.parametrize(("sigma", "blurred"), [(0, False), (5, False), (9, False), (11, True), (15, True)])
@pytest.mark.parametrize("contrast", [255, 60])
def test_blurred(sigma: float, blurred: bool, contrast: int) -> None:
    """An edge that a Gaussian blurs is sqrt(2 pi) sigma wide at its steepest: 0.25 of 100 pixels at 9.97."""
    step = np.full((100, 300), 255, np.uint8)
    step[:, 150:] -= contrast
    told = troubles_of(
        Image.fromarray(step).filter(ImageFilter.GaussianBlur(sigma)), line_at((0, 0, 300, 100))
    )
    assert [each.partition(":")[0] for each in told] == ["blurred"] * blurred


# in words


def prediction(verdict: str, *probs: float, row: int = 0) -> Prediction:
    values = np.array(probs, np.float32)
    best = int(values.argmax())
    return Prediction(str(best), float(values[best]), values, tuple("0123"), row=row, verdict=verdict)  # type: ignore[arg-type]


def test_verdicts_in_words() -> None:
    assert prediction("digit", 0.9, 0.1, 0, 0).explain_verdict() == ""
    assert prediction("not a digit", 0.9, 0.1, 0, 0).explain_verdict() == "not a digit"
    assert prediction("unsure", 0.02, 0.47, 0, 0.51).explain_verdict() == "3 or 1 (51 % / 47 %)"
    assert (percent(0.98749), percent(0.99949), percent(1.0)) == ("98.7 %", "99.9 %", "over 99.9 %")


def test_reading_as_a_document() -> None:
    reading = read(write("1X.0"))
    document = reading.to_dict()
    assert document["text"] == reading.text == "1?.0" and document["troubles"] == []
    assert [each["verdict"] for each in document["digits"]] == ["digit", "not a digit", "digit"]
    assert [each["label"] for each in document["characters"]][2] == "."
    assert (
        reading.confidence == document["confidence"] == min(line["confidence"] for line in document["lines"])
    )
    digits = reading.only_digits()
    assert digits.text == "1?0" and len(digits.characters) == len(digits.seen[0].places) == 3


def test_what_cannot_be_read() -> None:
    with pytest.raises(DataError, match="is a text file"):
        READER.read(b"seven")
