"""Saliency against slow references; sheets and the folder that keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from template_reader import template_reader, write

from tenfold.arrays import Prediction
from tenfold.errors import UsageError
from tenfold.explain.attributions import saliency_map, winner_of
from tenfold.pictures.drawing import Palette, Sheet
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import BLANK, CHARACTERS
from tenfold.reader.explain import decisive_pixels, explain_reading
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.reader.many import SheetFolder

READER = template_reader()


# saliency


class Linear:
    """Probabilities of two classes and of none, from weighted pixels."""

    def __init__(self) -> None:
        self.weights = np.random.default_rng(0).normal(0, 0.001, (9, 11, 3))
        self.batches: list[int] = []

    def judge(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.batches.append(len(images))
        odds = np.exp(np.einsum("nhw,hwk->nk", images.astype(np.float64), self.weights))
        whole = odds / odds.sum(axis=1, keepdims=True)
        return whole[:, :2] / whole[:, :2].sum(axis=1, keepdims=True), whole[:, 2]


def slow_map(judged: Linear, image: np.ndarray, winner: int, window: int, step: int) -> np.ndarray:
    """Pixel by pixel: over all windows that cover it, the mean of before minus after."""

    def prob(picture: np.ndarray) -> float:
        probs, none = judged.judge(picture[None])
        return float(none[0]) if winner == 2 else float(probs[0, winner] * (1 - none[0]))

    result = np.zeros(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            falls = []
            for top in range(0, image.shape[0] - window + 1, step):
                for left in range(0, image.shape[1] - window + 1, step):
                    if top <= y < top + window and left <= x < left + window:
                        covered = image.copy()
                        covered[top : top + window, left : left + window] = 0
                        falls.append(prob(image) - prob(covered))
            result[y, x] = np.mean(falls) if falls else 0
    return result


@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize(("window", "step"), [(3, 1), (4, 2), (2, 3)])
def test_saliency_equals_the_slow_loop(winner: int, window: int, step: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (9, 11), dtype=np.uint8)
    image[:5, :4] = 0  # places without ink, which are not asked for
    judged = Linear()
    found = saliency_map(judged, image, winner, window=window, step=step)
    assert len(judged.batches) == 1, "one batch"
    assert found.dtype == np.float32 and found.shape == image.shape
    np.testing.assert_allclose(found, slow_map(judged, image, winner, window, step), atol=1e-6)
    assert np.abs(found).max() > 1e-3


def test_saliency_points_at_what_decides() -> None:
    """Only the upper left pixels support class 0, only the lower right contradict it."""
    judged = Linear()
    judged.weights[:] = 0
    judged.weights[:3, :3, 0], judged.weights[-3:, -3:, 0] = 0.002, -0.001
    found = saliency_map(judged, np.full((9, 11), 200, np.uint8), 0, window=3)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    assert np.unravel_index(found.argmin(), found.shape) == (8, 10)
    assert found.min() < 0 and not found[:, 5].any()


def test_saliency_of_nothing_is_nothing() -> None:
    assert not saliency_map(Linear(), np.zeros((9, 11), np.uint8), 1).any()


def test_the_answer_of_a_refused_image_is_none() -> None:
    probs = np.float32([0.1, 0.9])
    digit = Prediction("1", 0.9, probs, ("0", "1"))
    assert winner_of(digit) == 1 and winner_of(replace(digit, verdict="not a digit")) == 2


# what decides in a strip


def test_decisive_pixels_are_slopes_times_the_departure_from_the_paper() -> None:
    """Against differences: a pixel's change of the lead, for small changes of its departure."""
    reader = load_reader()
    reader = LineReader.from_weights(reader.card, reader.engine.weights(), precision="float64")
    (line,) = reader.read(write("4", margin=10)).seen
    logs = reader.read_strip(line.strip)[1]
    shares = decisive_pixels(reader, line, logs)
    assert shares.shape == (len(line.places), *line.strip.shape) and shares.dtype == np.float32
    assert not shares[:, line.strip == Strip.PAPER].any()
    place, answer = line.places[0], CHARACTERS.index(line.characters[0].label)
    others = [logs[place, other] for other in range(BLANK) if other != answer]
    rival = CHARACTERS.index([c for c in CHARACTERS if c != CHARACTERS[answer]][int(np.argmax(others))])

    def lead(pixels: np.ndarray) -> float:
        logits = reader.engine.logits(pixels[None])[0].astype(np.float64)
        return float(logits[place, answer] - logits[place, rival])

    step = shares[0] / (255 * reader.card.recipe.input.std)  # of the input, as the network takes it
    strongest = np.argsort(-np.abs(step), axis=None)[:40]
    change = np.zeros(line.strip.shape)
    change.ravel()[strongest] = 0.003 * (line.strip.ravel()[strongest].astype(float) - Strip.PAPER)
    expected = 0.006 * step.ravel()[strongest].sum()
    assert lead(line.strip + change) - lead(line.strip - change) == pytest.approx(expected, rel=0.05)


# sheets


def sheet_of(text: str, **how: object) -> Image.Image:
    return explain_reading(READER.read(write(text, **how)), READER, name="a.png")  # type: ignore[arg-type]


def has(sheet: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(sheet) == colour).all(axis=2).sum())


def test_a_sheet_shows_verdicts_in_their_colours() -> None:
    sure, refused = sheet_of("7"), sheet_of("7X4")
    assert sure.mode == "RGB" and sure.width == refused.width == Sheet.WIDTH
    assert has(sure, Palette.VERDICTS["digit"]) > 500 and not has(sure, Palette.VERDICTS["not a digit"])
    assert min(has(refused, Palette.VERDICTS[each]) for each in ("not a digit", "digit")) > 500
    unsure = template_reader(least_confidence=1.1)
    assert has(explain_reading(unsure.read(write("7")), unsure), Palette.VERDICTS["unsure"]) > 500


def find(sheet: Image.Image, pixels: np.ndarray) -> int:
    """How often a grey picture (H, W) is in the sheet."""
    rows = np.asarray(sheet)[..., 0]
    height, width = pixels.shape
    corners = np.argwhere(rows[: 1 - height, : 1 - width] == pixels[0, 0])
    return sum(np.array_equal(rows[y : y + height, x : x + width], pixels) for y, x in corners)


def test_what_the_network_saw_is_in_the_sheet() -> None:
    """The strip and the character's window, enlarged; the column's mark covers some of the strip."""
    reading = READER.read(write("4", margin=10))
    sheet = explain_reading(reading, READER)
    (line,) = reading.seen
    four_times = np.repeat(np.repeat(line.strip, 4, axis=0), 4, axis=1)
    middle = round((line.places[0] + 0.5) * 4 * Strip.COLUMN_WIDTH)
    assert find(sheet, four_times[:, : middle - 4]) >= 1 and find(sheet, four_times[:, middle + 4 :]) >= 1
    window = line.characters[0].image
    assert window is not None
    size = (116, 116)
    assert find(sheet, np.asarray(Image.fromarray(window).resize(size, Image.Resampling.NEAREST))) == 1


def test_the_spikes_are_where_characters_were_seen() -> None:
    reading = READER.read(write("14", margin=10))
    (line,) = reading.seen
    best = np.exp(READER.read_strip(line.strip)[1][:, :BLANK].max(axis=1))
    assert sorted(np.flatnonzero(best > 0.5)) == list(line.places) == sorted(line.places)
    without = replace(reading, seen=(replace(line, places=(), characters=()),))
    assert explain_reading(without, READER).height < explain_reading(reading, READER).height


def test_more_characters_make_a_longer_sheet_of_the_same_width() -> None:
    reading = READER.read(write("104927"))
    (line,) = reading.seen

    def height(count: int) -> int:
        kept = replace(
            line, characters=line.characters[:count], places=line.places[:count], text=line.text[:count]
        )
        return explain_reading(replace(reading, seen=(kept,)), READER).height

    assert height(2) < height(3) == height(4) < height(5) == height(6), "two cards per row"
    one = explain_reading(reading, READER, only=3).height
    assert one < explain_reading(reading, READER).height


@pytest.mark.parametrize("name", ["", "x" * 300, "sieben 七 \n.png"])
def test_any_name_and_nothing_found(name: str) -> None:
    reading = READER.read(Image.new("L", (30, 20), 255))
    sheet = explain_reading(reading, READER, name=name)
    assert sheet.width == Sheet.WIDTH and has(sheet, Palette.VERDICTS["unsure"])


def test_signs_that_the_font_lacks_and_a_form_that_nothing_has() -> None:
    reading = READER.read(write("12"))
    (line,) = reading.seen
    signs = tuple(replace(each, label=sign) for each, sign in zip(line.characters, "×÷", strict=True))
    sheet = explain_reading(replace(reading, seen=(replace(line, text="×÷", characters=signs),)), READER)
    unfit = explain_reading(READER.read(write("12"), length=60), READER)
    assert sheet.width == unfit.width == Sheet.WIDTH and has(unfit, Palette.VERDICTS["unsure"])


def test_a_page_full_of_characters_is_cut_short_and_a_large_picture_reduced() -> None:
    reading = READER.read(write("\n".join(["1234567890"] * 6), size=60))
    assert len(reading.characters) == 60

    def height(lines: int) -> int:
        return explain_reading(replace(reading, seen=reading.seen[:lines]), READER).height

    each = height(3) - height(2)  # one line and its ten cards
    assert height(6) - height(4) < each, "lines, and no more cards"
    small, large = sheet_of("7", size=450), sheet_of("7", size=900, margin=60)
    assert abs(small.height - large.height) < 10


def test_bars_are_as_long_as_their_values() -> None:
    red, blue = (200, 0, 0), (0, 0, 200)
    chart = np.asarray(Sheet.bars([0.5, 0.25], ["a", "b"], [red, blue], 200, 252))
    tall = [(chart[:, x] == colour).all(axis=1).sum() for x, colour in ((20, red), (120, blue))]
    assert tall == pytest.approx([100, 50], abs=2), "of 252 pixels 52 are for names and figures"


def test_paragraphs_keep_to_their_width() -> None:
    for text in ("many short words " * 9, "w" * 200, "", " · …"):
        image = Sheet.paragraph(text, 20, 180)
        assert image.width == 180 and image.height % 27 == 0
    shorter, longer = Sheet.paragraph("one", 20, 180), Sheet.paragraph("one two three four five six", 20, 180)
    assert shorter.height < longer.height
    assert Sheet.stack([shorter, longer], gap=5).size == (180, shorter.height + longer.height + 5)
    assert Palette.CARD != Palette.PAPER


# the folder


def test_sheets_never_overwrite_each_other(tmp_path: Path) -> None:
    reading, folder = READER.read(write("7")), SheetFolder(tmp_path / "new" / "sheets")
    names = ["a/7.png", "b/7.jpg", "c/7-2.gif", "d/7.png", "-", "e/stdin.png", "F/X.png", "g/x.png"]
    places = [folder.add(name, reading, READER) for name in names]
    assert [place.name for place in places[:4]] == ["7.png", "7-2.png", "7-2-2.png", "7-3.png"]
    assert len({place.name.casefold() for place in places}) == len(names)
    for place in places:
        with Image.open(place) as sheet:
            assert sheet.width == Sheet.WIDTH
    assert sorted(each.name for each in folder.folder.iterdir()) == sorted(place.name for place in places)


def test_a_later_run_replaces_sheets_but_no_other_file(tmp_path: Path) -> None:
    reading = READER.read(write("7"))
    write("7").save(tmp_path / "7.png")
    (tmp_path / "8.png").write_text("my notes")
    (tmp_path / "9.png").symlink_to(tmp_path / "nowhere")
    for _ in range(2):
        folder = SheetFolder(tmp_path)
        for name, place in (("7.png", "7-2.png"), ("8.png", "8-2.png"), ("9.png", "9-2.png")):
            assert folder.add(str(tmp_path / name), reading, READER).name == place
    with Image.open(tmp_path / "7.png") as mine:
        assert mine.mode == "L"
    assert (tmp_path / "8.png").read_text() == "my notes"
    assert len(list(tmp_path.iterdir())) == 6


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    reading, folder = READER.read(write("7")), SheetFolder(tmp_path)
    for name in ("七" * 80 + ".png", "line\nbreak.png", ".png", "no_suffix", "\udcff.png"):
        assert folder.add(name, reading, READER).is_file()


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for wrong in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(UsageError, match="cannot be a folder of sheets"):
            SheetFolder(wrong)
