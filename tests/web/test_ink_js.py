"""The ink code in JavaScript, in a real Chromium: the same 28x28 and the same reading as Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from ink_lab import InkLab, expected, open_lab
from PIL import Image, ImageDraw, ImageFilter

from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.pens.scenes import canvas_picture, paper_picture

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.*"))
DEV_SAMPLE = {"canvas": 14, "photo": 10, "field": 6, "other": 8}


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InkLab]:
    with open_lab(browser_page, tmp_path_factory.mktemp("ink")) as made:
        yield made
        assert not browser_page.complaints()


def assert_same(lab: InkLab, image: Image.Image) -> None:
    got, wanted = lab.read(image), expected(image)
    assert_same_digits(got["digits"], wanted["digits"])
    assert (got["text"], got["troubles"]) == (wanted["text"], wanted["troubles"])


def assert_same_digits(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert [digit["box"] for digit in got] == [digit["box"] for digit in wanted]
    for one, other in zip(got, wanted, strict=True):
        assert one.keys() == other.keys()
        assert np.abs(one["image"].astype(int) - other["image"]).max() <= 1
        assert (one["label"], one["verdict"]) == (other["label"], other["verdict"])
        assert one["probs"] == pytest.approx(other["probs"], abs=1e-3)
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-3)
        names = [[best["label"] for best in digit["alternatives"]] for digit in (one, other)]
        assert names[0] == names[1]


def digits() -> list[Any]:
    return [drawing for drawing in load_glyphs() if drawing.label in DIGITS]


@pytest.mark.parametrize("style", ["black-on-white", "white-on-black", "colour", "transparent"])
def test_drawings(lab: InkLab, style: Any) -> None:
    rng, drawings = np.random.default_rng(5), digits()
    for number in range(8):
        assert_same(lab, canvas_picture(drawings[7 * number % len(drawings)], rng, style=style))


def test_photos_of_one_digit(lab: InkLab) -> None:
    rng, drawings = np.random.default_rng(6), digits()
    for number in range(8):
        assert_same(lab, paper_picture([drawings[5 * number % len(drawings)]], rng)[0])


def test_photos_of_several_digits(lab: InkLab) -> None:
    rng, drawings = np.random.default_rng(7), digits()
    for number in range(5):
        row = [drawings[(11 * number + 3 * place) % len(drawings)] for place in range(3 + number)]
        assert_same(lab, paper_picture(row, rng)[0])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples(lab: InkLab, path: Path) -> None:
    with Image.open(path) as image:
        assert_same(lab, image)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_files_that_the_browser_decodes(lab: InkLab, path: Path) -> None:
    got, wanted = lab.read_file(path), expected(path)
    assert (got["text"], len(got["digits"])) == (wanted["text"], len(wanted["digits"]))
    for one, other in zip(got["digits"], wanted["digits"], strict=True):
        assert np.abs(np.subtract(one["box"], other["box"])).max() <= 2
        assert np.abs(one["image"].astype(int) - other["image"]).mean() <= 2


def plain(size: tuple[int, int], colour: Any, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def page(size: tuple[int, int], *, paper: int = 255, ink: int = 0, width: int = 9) -> Image.Image:
    """A 7 and a 1 that touch, a speck, and a circle that runs out of the picture."""
    image = Image.new("RGB", size, (paper, paper, paper))
    draw, scale = ImageDraw.Draw(image), min(size) / 200
    for points in ([(30, 40), (90, 40), (60, 150)], [(95, 36), (92, 150)], [(84, 92), (96, 94)]):
        draw.line([(x * scale, y * scale) for x, y in points], (ink, ink, ink), round(width * scale) or 1)
    draw.ellipse([140 * scale, 120 * scale, 230 * scale, 190 * scale], outline=(ink, 0, ink), width=4)
    draw.point((20, 20), (ink, ink, ink))
    return image


def lit(image: Image.Image) -> Image.Image:
    """The same under a lamp from one side, with grain."""
    rng, pixels = np.random.default_rng(3), np.asarray(image, np.float32)
    light = (
        np.linspace(0.55, 1, pixels.shape[1])[None, :, None] * np.linspace(0.8, 1, len(pixels))[:, None, None]
    )
    return Image.fromarray(np.clip(pixels * light + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8))


def ruled(image: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for row in range(25, image.height, 40):
        draw.line([(0, row), (image.width, row + image.width // 60)], (150, 170, 220), 2)
    draw.line([(18, 0), (14, image.height)], (200, 120, 120), 2)
    return image


def card() -> Image.Image:
    """Paper cut out, on nothing."""
    image = plain((200, 160), (0, 0, 0, 0), "RGBA")
    image.paste(page((150, 130), paper=230).convert("RGBA"), (20, 10))
    return image


ODD = {
    "one pixel": plain((1, 1), (7, 8, 9)),
    "one row": plain((40, 1), (250, 250, 250)),
    "blank": plain((90, 60), (255, 255, 255)),
    "nothing but transparent": plain((30, 30), (9, 9, 9, 0), "RGBA"),
    "light on dark": page((200, 200), paper=20, ink=235),
    "in two rows": Image.fromarray(np.concatenate([np.asarray(page((240, 200)))] * 2)),
    "small": page((52, 48), width=20),
    "larger than is worked on": page((2300, 1900)),
    "much larger": page((5200, 300), width=14),
    "blurred": page((300, 300)).filter(ImageFilter.GaussianBlur(9)),
    "faint": page((240, 240), ink=225),
    "a photo": lit(page((420, 300))),
    "a photo of a blackboard": lit(page((420, 300), paper=30, ink=220)),
    "a photo larger than is worked on": lit(page((2000, 1500))),
    "ruled": lit(ruled(page((500, 380)))),
    "ruled and empty": lit(ruled(plain((400, 300), (240, 240, 240)))),
    "a sheet that ends": Image.fromarray(
        np.pad(np.asarray(lit(page((400, 300)))), ((0, 0), (14, 0), (0, 0)))
    ),
    "a card cut out": card(),
    "half transparent": Image.merge(
        "RGBA", [*plain((90, 90), (200, 30, 60)).split(), page((90, 90)).split()[0]]
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures(lab: InkLab, name: str) -> None:
    assert_same(lab, ODD[name])


@pytest.mark.parametrize("seed", range(24))
def test_any_pixels(lab: InkLab, seed: int) -> None:
    """Noise of few values, dense or sparse, of any small size, with and without transparency."""
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(1, 25, 2), rng.choice([3, 4]))
    values = rng.choice(np.array([0, 1, 90, 200, 254, 255], np.uint8), rng.integers(2, 7), replace=False)
    pixels = np.full(shape, values[0], np.uint8)
    noisy = rng.random(shape) < rng.choice([0.02, 0.3, 1])
    pixels[noisy] = rng.choice(values, noisy.sum())
    assert_same(lab, Image.fromarray(pixels))


@pytest.mark.parametrize("kind", DEV_SAMPLE)
def test_real_handwriting(lab: InkLab, mnist_dir: Path, kind: str) -> None:
    folder = mnist_dir / "handwriting-dev" / kind
    if not folder.is_dir():
        pytest.skip("handwriting-dev is not there")
    paths = sorted(folder.iterdir())
    for path in paths[:: len(paths) // DEV_SAMPLE[kind]][: DEV_SAMPLE[kind]]:
        with Image.open(path) as image:
            assert_same(lab, image)
