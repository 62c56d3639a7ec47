"""Each trouble with a picture that has it and one that has not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter
from template_reader import template_reader, write

from tenfold.arrays import Prediction
from tenfold.errors import DataError, UsageError
from tenfold.reader.reading import Reading, read_picture, to_text
from tenfold.reader.troubles import explain_verdict, find_notes, mark_troubles, percent

READER = template_reader()


def read(picture: Image.Image | np.ndarray) -> Reading:
    return read_picture(READER, picture)


def photo(picture: Image.Image, *, grain: float = 2.5) -> Image.Image:
    """The same on uneven paper under a lamp."""
    rng = np.random.default_rng(5)
    values = np.asarray(picture, np.float32) * np.linspace(0.95, 0.65, picture.width)
    noisy = values + rng.normal(0, grain, values.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def cut(picture: Image.Image, side: str, share: float) -> Image.Image:
    """Without this share of the ink's box at that side, and without the room beyond."""
    x0, y0, x1, y1 = ImageChops.invert(picture).getbbox()
    across, down = round(share * (x1 - x0)), round(share * (y1 - y0))
    width, height = picture.size
    boxes = {
        "left": (x0 + across, 0, width, height),
        "right": (0, 0, x1 - across, height),
        "top": (0, y0 + down, width, height),
        "bottom": (0, 0, width, y1 - down),
    }
    return picture.crop(boxes[side])


# no trouble


@pytest.mark.parametrize("text", ["7", "1049", "27\n56"])
@pytest.mark.parametrize(
    ("size", "ink", "paper"), [(24, 0, 255), (60, 255, 0), (60, 110, 250), (200, 20, 90)]
)
def test_good_drawings_have_none(text: str, size: int, ink: int, paper: int) -> None:
    reading = read(write(text, size=size, ink=ink, paper=paper))
    assert reading.text == text and reading.troubles == ()


@pytest.mark.parametrize("text", ["5", "1049"])
def test_good_photos_have_none(text: str) -> None:
    reading = read(photo(write(text, size=90, ink=70, paper=235)))
    assert reading.text == text and reading.troubles == ()


# nothing found


def test_blank() -> None:
    for picture in (Image.new("L", (50, 40), 255), Image.new("RGB", (50, 40), (9, 80, 20))):
        assert read(picture).troubles == ("nothing found: the picture is blank",)


def test_blank_paper_in_a_photo() -> None:
    reading = read(photo(Image.new("L", (200, 160), 235)))
    assert reading.text == "" and reading.digits == () and reading.confidence is None
    (told,) = reading.troubles
    assert told.startswith("nothing found: the paper is blank or its ink too pale")


def test_only_a_line() -> None:
    picture = np.asarray(photo(Image.new("L", (200, 160), 235))).copy()
    picture[70:74, :150] = 30
    reading = read(picture)
    assert not reading.ink.blank and not reading.digits
    assert reading.troubles[0].startswith("nothing found: only lines or edges")


def test_ruled_paper_is_blank() -> None:
    picture = np.asarray(photo(Image.new("L", (200, 160), 235))).copy()
    picture[40::30] = picture[41::30] = 60
    reading = read(picture)
    assert reading.ink.blank and reading.troubles[0].startswith("nothing found: the paper is blank")


# found, but


def told_of(reading: Reading, words: str) -> bool:
    return any(words in trouble for trouble in reading.troubles)


@pytest.mark.parametrize(("ink", "faint"), [(236, True), (228, True), (215, False), (120, False)])
def test_faint(ink: int, faint: bool) -> None:
    """Contrast is (255 - ink) / 255: 0.07, 0.11, 0.16, 0.53."""
    reading = read(write("1049", ink=ink))
    assert told_of(reading, "faint ink") is faint
    assert all(("faint" in mark_troubles(reading.picture, reading.ink, d)) is faint for d in reading.digits)


@pytest.mark.parametrize(("tall", "small"), [(8, True), (11, True), (14, False), (30, False)])
def test_small_is_measured_in_the_original(tall: int, small: bool) -> None:
    bar = np.full((60, 60), 255, np.uint8)
    bar[20 : 20 + tall - 2, 30:32] = 0  # the box is a pixel larger on each side
    assert told_of(read(bar), f"very small writing ({tall} pixels tall)") is small


def test_small_in_a_large_picture_that_was_reduced() -> None:
    wide = Image.new("L", (3200, 500), 255)
    wide.paste(write("4", size=40), (900, 200))
    reading = read(wide)
    assert reading.picture.scale == 2 and not told_of(reading, "very small")


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("colours", [(0, 255), (255, 0)], ids=["dark", "light"])
def test_cut_off(side: str, colours: tuple[int, int]) -> None:
    whole = write("8", size=120)
    part = cut(whole, side, 0.2)
    if colours == (255, 0):
        part = ImageChops.invert(part)
    reading = read(part)
    assert told_of(reading, f"runs into the {side} edge")
    assert any(
        f"the {side} edge" in each for each in mark_troubles(reading.picture, reading.ink, reading.digits[0])
    )
    assert not told_of(read(whole), "edge")


@pytest.mark.parametrize("text", ["0", "1049"])
def test_trimmed_to_the_ink_is_not_cut_off(text: str) -> None:
    whole = write(text, size=120)
    reading = read(whole.crop(ImageChops.invert(whole).getbbox()))
    assert reading.text == text and not reading.troubles
    assert not told_of(read(cut(whole, "left", -0.05)), "edge")


@pytest.mark.parametrize(("share", "blurred"), [(0.0, False), (0.02, False), (0.1, True)])
@pytest.mark.parametrize("kind", ["drawing", "photo"])
def test_blurred(share: float, blurred: bool, kind: str) -> None:
    """share: the blur's standard deviation by the digit's height of about 0.72 letters."""
    picture = write("58", size=140, margin=60).filter(ImageFilter.GaussianBlur(share * 100))
    reading = read(picture if kind == "drawing" else photo(picture))
    assert reading.digits and told_of(reading, "blurred") is blurred
    assert ("blurred" in mark_troubles(reading.picture, reading.ink, reading.digits[0])) is blurred


@pytest.mark.parametrize(("text", "words"), [("XKA4", "3 of 4 marks are no digits"), ("104X", ""), ("X", "")])
def test_many_refused(text: str, words: str) -> None:
    reading = read(write(text, gap=25))
    assert reading.text == "".join(letter if letter.isdigit() else "?" for letter in text)
    assert told_of(reading, "no digits") is bool(words) and told_of(reading, words) is bool(words)


# what is said besides


def test_notes() -> None:
    dark, light, none = read(write("104")), read(write("7\n2", ink=255, paper=0)), read(np.zeros((9, 9)))
    assert find_notes(dark.ink, dark.digits) == ("3 marks found",)
    assert find_notes(light.ink, light.digits) == ("2 marks found in 2 rows", "light ink on dark ground")
    assert find_notes(none.ink, none.digits) == ()


def prediction(verdict: str, *probs: float, row: int = 0) -> Prediction:
    values = np.array(probs, np.float32)
    best = int(values.argmax())
    return Prediction(str(best), float(values[best]), values, tuple("0123"), row=row, verdict=verdict)  # type: ignore[arg-type]


def test_verdicts_in_words() -> None:
    assert explain_verdict(prediction("digit", 0.9, 0.1, 0, 0)) == ""
    assert explain_verdict(prediction("not a digit", 0.9, 0.1, 0, 0)) == "not a digit"
    assert explain_verdict(prediction("unsure", 0.02, 0.47, 0, 0.51)) == "3 or 1 (51 % / 47 %)"
    assert (percent(0.98749), percent(0.99949), percent(1.0)) == ("98.7 %", "99.9 %", "over 99.9 %")


def test_text() -> None:
    digits = [
        prediction("digit", 0, 1, 0, 0),
        prediction("unsure", 0, 1, 0, 0),
        prediction("digit", 1, 0, 0, 0, row=1),
    ]
    assert to_text(digits) == "1?\n0" and to_text([]) == ""


def test_reading_as_a_document() -> None:
    reading = read(write("10X"))
    document = reading.to_dict()
    assert document["text"] == "10?" and document["troubles"] == []
    assert [digit["verdict"] for digit in document["digits"]] == ["digit", "digit", "not a digit"]
    assert reading.confidence == min(digit["confidence"] for digit in document["digits"])


def test_what_cannot_be_read() -> None:
    with pytest.raises(DataError, match="is a text file"):
        read_picture(READER, b"seven")
    other = template_reader(background="light")
    with pytest.raises(UsageError, match=r"28x28 on light ground.*tenfold predict"):
        read_picture(other, write("7"))
