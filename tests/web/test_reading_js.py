"""Pictures read in JavaScript, in a real Chromium: what Python says of them, to the last box."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import Lab, open_lab
from PIL import Image, ImageDraw, ImageFilter
from some_classifiers import classifier_of

from tenfold.export.web import write_web_model
from tenfold.numerics import log_softmax
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import CHARACTERS, OUTPUTS, decode
from tenfold.reader.explain import decisive_pixels
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.reader.reading import middle_of
from tenfold.recipes.load import get_recipe
from tenfold.synthesis.glyphs import DIGITS, load_glyphs
from tenfold.synthesis.scenes import paper_picture

TABLE, PAGES = "marks.jpg", ("sheet", "sudoku-page")  # of which the browser reads lines, not cells
EXAMPLES = [
    path for path in sorted((Path(__file__).parents[2] / "examples").glob("*.*")) if path.name != TABLE
]
SAMPLE = 20  # of real pictures
READ = """const m = await import('/js/reading.js'), { model } = self;
const reading = m.read(a.data, a.width, a.height, model);
const told = (some) => some.map((each) => ({ ...each, image: [...each.image] }));
return { ...reading, digits: told(reading.digits), characters: told(reading.characters),
  maps: reading.characters.map((each) => [...m.explain(each, reading.lines[0]?.strip, model)]) };"""


@pytest.fixture(scope="module")
def reader() -> LineReader:
    return load_reader()


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory, reader: LineReader) -> Iterator[Lab]:
    with open_lab(browser_page, tmp_path_factory.mktemp("reading")) as made:
        write_web_model(reader, made.folder / "model")
        made.run("self.model = await (await import('/js/network.js')).loadModel('model');")
        yield made


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(columns=st.integers(1, 40), sharpness=st.sampled_from([0.3, 1, 3, 9]), seed=st.integers(0, 99))
def test_columns_are_decoded_alike(lab: Lab, columns: int, sharpness: float, seed: int) -> None:
    rng = np.random.default_rng([seed, columns])
    logs = [
        log_softmax((sharpness * rng.normal(0, 1, (columns, OUTPUTS))).astype(np.float32)) for _ in range(6)
    ]
    for rows in logs:
        rows[rng.random(columns) < 0.3] = log_softmax(np.eye(OUTPUTS, dtype=np.float32)[[-1]] * 30)
    code = "const { decode } = await import('/js/decode.js'); const floats = new Float32Array(a.data.buffer);"
    code += f"const row = (_, i) => floats.subarray({OUTPUTS} * i, {OUTPUTS} * (i + 1));"
    code += f"const found = decode(Array.from({{ length: {columns} }}, row), {CHARACTERS!r});"
    code += "return { ...found, shares: Object.fromEntries(found.shares) };"
    found = lab.each(code, [np.ascontiguousarray(rows).view(np.uint8) for rows in logs])
    for rows, answer in zip(logs, found, strict=True):
        wanted = decode(rows)
        assert (answer["text"], tuple(answer["places"])) == (wanted.text, wanted.places)
        assert answer["shares"] == pytest.approx(wanted.shares, abs=1e-9)


def assert_same(lab: Lab, reader: LineReader, images: Sequence[Image.Image]) -> list[str]:
    """The texts read."""
    found = lab.each(READ, [np.asarray(image.convert("RGBA")) for image in images])
    for image, got in zip(images, found, strict=True):
        wanted = reader.read(image)
        told = wanted.to_dict()
        assert (got["text"], got["troubles"]) == (told["text"], told["troubles"])
        assert got["confidence"] == pytest.approx(told["confidence"], abs=1e-4)
        for one, other in zip(got["lines"], told["lines"], strict=True):
            assert one["box"] == other["box"] and one["confidence"] == pytest.approx(
                other["confidence"], abs=1e-4
            )
        for key, seen in (("characters", wanted.characters), ("digits", wanted.digits)):
            assert_same_characters(got[key], told[key], [each.image for each in seen])
    return [got["text"] for got in found]


def assert_same_characters(got: list[dict[str, Any]], wanted: list[dict[str, Any]], images: list) -> None:
    for one, other, image in zip(got, wanted, images, strict=True):
        assert other.keys() <= one.keys()
        assert (one["label"], one["verdict"], one["box"]) == (
            other["label"],
            other["verdict"],
            list(other["box"]),
        )
        assert one["image"] == image.ravel().tolist()
        for key in ("probs", "confidence", "none"):
            assert one[key] == pytest.approx(other[key], abs=1e-4)
        best, names = one["alternatives"], [each["label"] for each in other["alternatives"]]
        assert [each["label"] for each in best][:1] == names[:1] and len(best) == len(names)


def note(text: str = "07", size: tuple[int, int] = (300, 120), paper: int = 255, ink: int = 0) -> Image.Image:
    """Digits as the package draws them, in a row."""
    image = Image.new("RGB", size, (paper,) * 3)
    draw = ImageDraw.Draw(image)
    glyphs = {glyph.label: glyph.strokes for glyph in reversed(load_glyphs())}
    unit = min(size[0] / len(text), size[1])
    for place, label in enumerate(text):
        for stroke in glyphs[label]:
            points = (stroke - stroke.min(axis=0)) / max(1e-6, float(np.ptp(stroke, axis=0).max()))
            corner = (place * size[0] / len(text) + 0.25 * unit, 0.2 * size[1])
            draw.line(
                [tuple(point) for point in (points * 0.55 * unit + corner).tolist()],
                (ink, ink, ink),
                max(1, round(unit / 14)),
            )
    return image


def lit(image: Image.Image) -> Image.Image:
    """The same under a lamp from one side, with grain."""
    rng, pixels = np.random.default_rng(3), np.asarray(image, np.float32)
    light = np.linspace(0.55, 1, pixels.shape[1])[None, :, None]
    return Image.fromarray(np.clip(pixels * light + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8))


def stacked(*images: Image.Image) -> Image.Image:
    return Image.fromarray(np.concatenate([np.asarray(image) for image in images]))


ODD = {
    "one pixel": Image.new("RGB", (1, 1), (7, 8, 9)),
    "one row": Image.new("RGB", (40, 1), (250, 250, 250)),
    "blank": Image.new("RGB", (90, 60), (255, 255, 255)),
    "nothing but transparent": Image.new("RGBA", (30, 30), (9, 9, 9, 0)),
    "light on dark": note(paper=20, ink=235),
    "in three lines": stacked(note("314"), note("159"), note("26")),
    "small": note("31", (30, 14)),
    "high and narrow": note("1", (60, 400)),
    "larger than is worked on": note("46", (2300, 1900)),
    "much wider": note("27182818284", (5200, 300)),
    "blurred": note("82", (300, 160)).filter(ImageFilter.GaussianBlur(12)),
    "faint": note(ink=232),
    "a photo": lit(note("5021", (420, 200))),
    "letters": note("WKR", (360, 120)),
    "a blackboard": lit(note("64", (420, 300), paper=30, ink=220)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures(lab: Lab, reader: LineReader, name: str) -> None:
    assert_same(lab, reader, [ODD[name]])


def test_examples_and_photos(lab: Lab, reader: LineReader) -> None:
    rng = np.random.default_rng(7)
    drawings = [drawing for drawing in load_glyphs() if drawing.label in DIGITS]
    rows = [[drawings[rng.integers(len(drawings))] for _ in range(count)] for count in (1, 3, 5)]
    images = [paper_picture(row, rng)[0] for row in rows] + [Image.open(path) for path in EXAMPLES]
    assert any(assert_same(lab, reader, images))


@pytest.mark.parametrize("seed", range(6))
def test_any_pixels(lab: Lab, reader: LineReader, seed: int) -> None:
    """Noise of few values, dense or sparse, of any small size, with and without transparency."""
    images = []
    for number in range(4):
        rng = np.random.default_rng([seed, number])
        shape = (*rng.integers(1, 25, 2), rng.choice([3, 4]))
        values = rng.choice(np.array([0, 1, 90, 200, 254, 255], np.uint8), rng.integers(2, 7), replace=False)
        pixels = np.full(shape, values[0], np.uint8)
        noisy = rng.random(shape) < rng.choice([0.02, 0.3, 1])
        pixels[noisy] = rng.choice(values, noisy.sum())
        images.append(Image.fromarray(pixels))
    assert_same(lab, reader, images)


def test_real_pictures(lab: Lab, reader: LineReader, real_dev: Path) -> None:
    with (real_dev / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["kind"] not in PAGES]
    paths = [real_dev / row["path"] for row in rows]
    images = [Image.open(path) for path in paths[:: len(paths) // SAMPLE]]
    assert len(set(assert_same(lab, reader, images))) > SAMPLE // 4


def test_what_decides_is_the_servers(lab: Lab, reader: LineReader) -> None:
    """Only what lies near a character is asked for: no score depends on more."""
    image = note("314159265", (900, 120))
    (line,) = reader.read(image).lines
    (got,) = lab.each(READ, [np.asarray(image.convert("RGBA"))])
    shares = decisive_pixels(reader, line, reader.read_strip(line.strip)[1]) / (
        255 * reader.card.recipe.input.std
    )
    assert len(got["maps"]) == len(line.places) > 5
    for place, share, found in zip(line.places, shares, got["maps"], strict=True):
        start = middle_of(place)
        wanted = np.pad(share, ((0, 0), (16, 16)))[:, start : start + Strip.HEIGHT]
        np.testing.assert_allclose(
            np.reshape(found, (Strip.HEIGHT, Strip.HEIGHT)), wanted, rtol=0, atol=1e-4 * np.abs(shares).max()
        )


@pytest.mark.parametrize("rejects", [False, True])
def test_a_classifier_reads_one_digit(lab: Lab, rejects: bool) -> None:
    card = {"least_confidence": 0.3, "most_none": 0.4} if rejects else {}
    classifier = classifier_of(get_recipe("cnn"), background="dark", rejects=rejects, **card)
    write_web_model(classifier, lab.folder / "digits")
    images = [note(digit, (90, 120)) for digit in "0379"] + [Image.new("RGB", (40, 30), (9, 9, 9))]
    code = READ.replace("self;", "{ model: await (await import('/js/network.js')).loadModel('digits') };")
    for image, got in zip(
        images, lab.each(code, [np.asarray(each.convert("RGBA")) for each in images]), strict=True
    ):
        wanted = classifier.classify(image)
        (digit,) = got["characters"]
        assert (digit["label"], digit["verdict"], digit["box"]) == (wanted.label, wanted.verdict, None)
        assert got["text"] == (wanted.label if wanted.verdict == "digit" else "?") and not got["lines"]
        assert digit["probs"] == pytest.approx(wanted.probs, abs=2e-3)
        assert digit["none"] == pytest.approx(wanted.none, abs=2e-3)
        assert len(got["maps"][0]) == 28 * 28
