"""The page's ink code in a real Chromium: the same strips, boxes of lines and 28x28 as Python's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from browser import Page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import Lab, open_lab
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from tenfold.pictures.lines import find_lines, make_strip
from tenfold.pictures.normalize import fit_picture, lift_ink
from tenfold.pictures.open import open_picture
from tenfold.synthesis.glyphs import DIGITS, load_glyphs
from tenfold.synthesis.scenes import canvas_picture, paper_picture

SHAPES = [(1, 1), (3, 40), (37, 52), (90, 7)]
IMPORT = "const m = await import('/js/ink/{}.js'); "


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(browser_page, tmp_path_factory.mktemp("ink")) as made:
        yield made


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(0, 256, shape, dtype=np.uint8)


def written(size: tuple[int, int], seed: int) -> np.ndarray:
    """Lines of strokes, specks, a rule and grain, dark on light or light on dark."""
    rng = np.random.default_rng([seed, *size])
    paper, ink = rng.permutation([int(rng.integers(0, 100)), int(rng.integers(150, 256))]).tolist()
    image = Image.new("L", size, paper)
    draw = ImageDraw.Draw(image)
    step = max(8, size[1] // int(rng.integers(1, 6)))
    for top in range(0, size[1], step):
        for _ in range(int(rng.integers(0, 9))):
            x, y = rng.integers(0, size[0]), top + rng.integers(0, step // 2)
            ends = [(x + a * step // 9, y + b * step // 9) for a, b in rng.integers(-3, 5, (3, 2)).tolist()]
            draw.line([(x, y), *ends], ink, int(rng.integers(1, 2 + step // 8)))
    if rng.random() < 0.5:
        draw.line([(0, size[1] // 2), (size[0], size[1] // 2 + 3)], ink, 1 + size[1] // 60)
    grain = rng.normal(0, rng.choice([0, 4]), (size[1], size[0]))
    return np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)


def drawn(seed: int) -> list[Image.Image]:
    """Drawings of each style and photographs, of one digit."""
    rng = np.random.default_rng(seed)
    glyphs = [drawing for drawing in load_glyphs() if drawing.label in DIGITS]
    pictures = [
        canvas_picture(glyphs[rng.integers(len(glyphs))], rng, style=style)
        for style in ("black-on-white", "white-on-black", "colour", "transparent")
    ]
    return [*pictures, *(paper_picture([glyphs[rng.integers(len(glyphs))]], rng)[0] for _ in range(3))]


SETTINGS = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIZES = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 150)), min_size=1, max_size=8)


@SETTINGS
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_strips_are_the_same_to_the_last_bit(lab: Lab, sizes: list, seed: int) -> None:
    greys = [written(size, seed) for size in sizes] + [noise(size, seed) for size in sizes]
    found = lab.each(IMPORT.format("strip") + "const s = m.makeStrip(a); return [s.width, ...s.data];", greys)
    for grey, (width, *values) in zip(greys, found, strict=True):
        assert np.array_equal(np.reshape(values, (32, width)), make_strip(grey)), grey.shape


def test_strips_of_extreme_shapes(lab: Lab) -> None:
    greys = [noise(shape) for shape in ((1, 1), (900, 2), (3, 1900), (2000, 90), (32, 16), (700, 700))]
    found = lab.each(IMPORT.format("strip") + "return [...m.makeStrip(a).data];", greys)
    assert [list(make_strip(grey).ravel()) for grey in greys] == found


@SETTINGS
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_lines_have_the_same_boxes(lab: Lab, sizes: list, seed: int) -> None:
    greys = [written(size, seed) for size in sizes]
    found = lab.each(IMPORT.format("lines") + "return m.findLines(a);", greys)
    assert found == [[list(box) for box in find_lines(grey)] for grey in greys]


def test_lines_of_large_pictures(lab: Lab) -> None:
    greys = [
        written(size, seed) for seed, size in enumerate([(1600, 1100), (801, 40), (90, 1200), (640, 400)])
    ]
    greys.append(np.asarray(Image.fromarray(greys[0]).filter(ImageFilter.GaussianBlur(4))))
    found = lab.each(IMPORT.format("lines") + "return m.findLines(a);", greys)
    assert found == [[list(box) for box in find_lines(grey)] for grey in greys]
    assert sum(map(len, found)) > 5


def test_one_digit_is_lifted_and_framed_alike(lab: Lab) -> None:
    greys = [np.asarray(picture.convert("L")) for seed in (0, 1) for picture in drawn(seed)]
    greys += [written((60, 50), 3), np.full((40, 30), 200, np.uint8)]
    lifted = lab.each(IMPORT.format("lift") + "return [...m.liftInk(a).data];", greys[:4])
    for grey, values in zip(greys, lifted, strict=False):
        np.testing.assert_array_equal(np.array(values, np.float32), lift_ink(grey).ravel())
    framed = lab.each(IMPORT.format("lift") + "return [...m.normalizeInk(a)];", greys)
    for grey, values in zip(greys, framed, strict=True):
        wanted = fit_picture(grey, (28, 28), background="dark").astype(int)
        assert np.abs(np.reshape(values, (28, 28)) - wanted).max() <= 1


@pytest.mark.parametrize("paper", [0, 255])
def test_an_image_of_28_pixels_is_only_turned_round(lab: Lab, paper: int) -> None:
    image = noise((28, 28))
    image[[0, -1]], image[:, [0, -1]] = paper, paper
    (found,) = lab.each(IMPORT.format("lift") + "return [...m.normalizeInk(a)];", [image])
    assert found == fit_picture(image, (28, 28), background="dark").ravel().tolist()


def test_pictures_are_opened_alike(lab: Lab) -> None:
    """Transparent ink, cards cut out, nothing at all, and what is larger than is worked on."""
    card = Image.new("RGBA", (200, 160), (0, 0, 0, 0))
    card.paste(Image.fromarray(written((150, 130), 1)).convert("RGBA"), (20, 10))
    half = Image.merge("RGBA", [Image.fromarray(noise((90, 90), i)) for i in range(4)])
    large = Image.fromarray(written((2300, 1900), 2)).convert("RGBA")
    images = [image.convert("RGBA") for image in drawn(2)[:5]]
    images += [card, half, large, Image.new("RGBA", (30, 30), (9, 9, 9, 0))]
    code = (
        "const p = m.openPicture(a.data, a.width, a.height); return [p.width, p.height, p.scale, ...p.size, "
    )
    checks = "p.data.reduce((sum, value, i) => (i % 4 < 3 ? (sum * 31 + value) % 1000003 : sum), 7)];"
    found = lab.each(IMPORT.format("open") + code + checks, [np.asarray(image) for image in images])
    for image, (width, height, scale, *rest) in zip(images, found, strict=True):
        wanted = open_picture(image)
        assert (height, width) == wanted.pixels.shape[:2] and scale == wanted.scale
        total = 7
        for value in wanted.pixels.ravel().tolist():
            total = (total * 31 + value) % 1000003
        assert rest == [*wanted.size, total]


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (64, 33)])
@pytest.mark.parametrize("method", ["BOX", "BILINEAR", "BICUBIC"])
def test_resize(lab: Lab, size: tuple[int, int], method: str) -> None:
    """Of floats: Pillow goes down before across where a picture is tall, and the last bit may differ."""
    code = "const floats = { ...a, data: new Float32Array(a.data) };"
    code += f"return [...m.resize(floats, {size[0]}, {size[1]}, m.{method}).data];"
    planes = [noise(shape) for shape in SHAPES]
    for plane, made in zip(planes, lab.each(IMPORT.format("resize") + code, planes), strict=True):
        wanted = Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling[method])
        assert made == pytest.approx(np.asarray(wanted).ravel(), abs=1e-4)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_reduce(lab: Lab, factor: int) -> None:
    code = f"return [...m.reduceBytes(a, {factor}).data];"
    (made,) = lab.each(IMPORT.format("resize") + code, [noise((37, 52))])
    assert made == np.asarray(Image.fromarray(noise((37, 52))).reduce(factor)).ravel().tolist()


def test_regions(lab: Lab) -> None:
    planes = [noise(shape) for shape in SHAPES]
    found = lab.each(
        IMPORT.format("regions") + "return [...m.labelRegions(a.data, a.width, a.height, 150).labels];",
        planes,
    )
    for plane, labels in zip(planes, found, strict=True):
        assert labels == ndimage.label(plane > 150, np.ones((3, 3)))[0].ravel().tolist()


def test_distance(lab: Lab) -> None:
    mask = np.pad(ndimage.gaussian_filter(noise((37, 52)).astype(float), 3) > 125, 1).astype(np.uint8)
    (made,) = lab.each(
        IMPORT.format("regions") + "return [...m.distanceToOutside(a.data, a.width, a.height)];", [mask]
    )
    assert made == pytest.approx(ndimage.distance_transform_edt(mask).ravel(), rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 129, 5000])
def test_ranks_and_sums(lab: Lab, count: int) -> None:
    values = noise((1, count))
    code = "const s = m.countValues(a.data), f = new Float32Array(a.data).map((v) => v / 7);"
    code += "return [m.median(a.data), m.valueAt(s, a.width >> 1), m.sum32(f)];"
    ((median, middle, total),) = lab.each(IMPORT.format("numbers") + code, [values])
    assert (median, middle) == (np.median(values), np.sort(values[0])[count // 2])
    assert total == (values[0].astype(np.float32) / np.float32(7)).sum()


def test_halves_are_rounded_to_even(lab: Lab) -> None:
    values = [-2.5, -1.5, -0.5, 0.49, 0.5, 1.5, 2.5, 2.51]
    found = lab.run(IMPORT.format("numbers") + f"return {values}.map(m.roundEven);")
    assert found == [round(value) for value in values]
