"""The parts of the ink code in JavaScript, in a real Chromium, against SciPy, Pillow and NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from browser import Page
from ink_lab import InkLab, open_lab
from PIL import Image
from scipy import ndimage

SHAPES = [(1, 1), (3, 40), (37, 52), (90, 7)]


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InkLab]:
    with open_lab(browser_page, tmp_path_factory.mktemp("parts")) as made:
        yield made


def floats(lab: InkLab, module: str, code: str, **values: np.ndarray) -> np.ndarray:
    """What `code`, which has the module's names in `m` and planes named as the arrays, returns."""
    planes = "".join(
        f"const {name} = {{ data: {name}_, width: {value.shape[1]}, height: {value.shape[0]}, channels: 1 }};"
        for name, value in values.items()
    )
    arrays = {f"{name}_": value for name, value in values.items()}
    return lab.floats(f"const m = await import('/js/ink/{module}.js'); {planes} return {code};", **arrays)


def plane(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(shape[0]).uniform(0, 255, shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.4, 1.5])
def test_gaussian(lab: InkLab, shape: tuple[int, int], sigma: float) -> None:
    made = floats(lab, "filters", f"m.gaussian(a, {sigma}).data", a=plane(shape))
    assert made == pytest.approx(ndimage.gaussian_filter(plane(shape), sigma).ravel(), rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 5, 23])
def test_uniform_and_closing(lab: InkLab, shape: tuple[int, int], size: int) -> None:
    mean = floats(lab, "filters", f"m.uniform(a, {size}).data", a=plane(shape))
    assert mean == pytest.approx(ndimage.uniform_filter(plane(shape), size, mode="nearest").ravel(), rel=1e-6)
    closed = floats(lab, "filters", f"m.closing(a, {size}).data", a=plane(shape))
    assert closed.tolist() == ndimage.grey_closing(plane(shape), size=size, mode="nearest").ravel().tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(1, 1), (20, 20), (64, 33)])
@pytest.mark.parametrize("method", ["BOX", "BILINEAR", "BICUBIC"])
def test_resize(lab: InkLab, shape: tuple[int, int], size: tuple[int, int], method: str) -> None:
    made = floats(lab, "resize", f"m.resize(a, {size[0]}, {size[1]}, m.{method}).data", a=plane(shape))
    wanted = Image.fromarray(plane(shape)).resize(size, Image.Resampling[method])
    # Pillow goes down before across where a picture is tall: the last bit of a float may differ.
    assert made == pytest.approx(np.asarray(wanted).ravel(), abs=1e-4)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_reduce(lab: InkLab, factor: int) -> None:
    pixels = plane((37, 52)).astype(np.uint8)
    code = f"Float32Array.from(m.reduceBytes({{ ...a, data: Uint8Array.from(a.data) }}, {factor}).data)"
    made = floats(lab, "resize", code, a=pixels)
    assert made.tolist() == np.asarray(Image.fromarray(pixels).reduce(factor)).ravel().tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("corners", [True, False])
def test_regions(lab: InkLab, shape: tuple[int, int], corners: bool) -> None:
    code = f"Float32Array.from(m.labelRegions(a, 150, {str(corners).lower()}).labels)"
    made = floats(lab, "regions", code, a=plane(shape))
    structure = ndimage.generate_binary_structure(2, 2 if corners else 1)
    assert made.tolist() == ndimage.label(plane(shape) > 150, structure)[0].ravel().tolist()


def test_distance(lab: InkLab) -> None:
    mask = np.pad(ndimage.gaussian_filter(plane((37, 52)), 3) > 125, 1)
    made = floats(lab, "regions", "m.distanceToOutside(a.data, a.width, a.height)", a=mask)
    assert made == pytest.approx(ndimage.distance_transform_edt(mask).ravel(), rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 999, 30_000, 30_001])
def test_median_and_order(lab: InkLab, count: int) -> None:
    values = np.random.default_rng(count).normal(0, 1, (1, count)).astype(np.float32)
    place = count // 3
    found = floats(lab, "numbers", f"Float32Array.of(m.median(a.data), m.valueAt(a.data, {place}))", a=values)
    assert found.tolist() == [np.median(values), np.sort(values.ravel())[place]]


def test_sums_in_single_precision_are_numpys(lab: InkLab) -> None:
    for count in (1, 7, 8, 100, 129, 5000):
        values = np.random.default_rng(count).normal(0, 1, (1, count)).astype(np.float32)
        assert floats(lab, "numbers", "Float32Array.of(m.sum32(a.data))", a=values)[0] == values[0].sum()


def test_halves_are_rounded_to_even(lab: InkLab) -> None:
    values = np.array([[-2.5, -1.5, -0.5, 0.49, 0.5, 1.5, 2.5, 2.51]])
    assert floats(lab, "numbers", "a.data.map(m.roundEven)", a=values).tolist() == np.rint(values[0]).tolist()
