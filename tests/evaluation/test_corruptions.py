"""Fifteen corruptions: what each of them does to a picture, told by something else than their own code."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from tenfold.errors import UsageError
from tenfold.evaluation.robustness import CORRUPTIONS, SEVERITIES, corrupt

NAMES = list(CORRUPTIONS)


@pytest.fixture(scope="module")
def strokes() -> np.ndarray:
    """uint8 (60, 28, 28): light crooked strokes on black, four pixels of black around them."""
    rng = np.random.default_rng(0)
    images = np.zeros((60, 28, 28), np.float32)
    for image in images:
        points = rng.uniform(6, 22, (4, 2))
        for start, end in pairwise(points):
            for share in np.linspace(0, 1, 40):
                y, x = np.rint(start + share * (end - start)).astype(int)
                image[y, x] = 255
    grown = ndimage.grey_dilation(images, (1, 2, 2))
    return np.asarray(ndimage.gaussian_filter(grown, (0, 0.4, 0.4))).astype(np.uint8)


def test_there_are_fifteen_of_five() -> None:
    assert len(NAMES) == 15 and SEVERITIES == 5
    assert all(len(amounts) == 5 for _, *amounts in CORRUPTIONS.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_one(name: str, strokes: np.ndarray) -> None:
    """uint8 in and out, the given array untouched, the same for a seed, and worse with severity."""
    before = strokes.copy()
    changed = [corrupt(strokes, name, severity, seed=3) for severity in range(1, 6)]
    np.testing.assert_array_equal(strokes, before)
    assert all(image.dtype == np.uint8 and image.shape == strokes.shape for image in changed)
    np.testing.assert_array_equal(corrupt(strokes, name, 2, seed=3), changed[1])
    distances = [np.abs(image.astype(float) - strokes).mean() for image in changed]
    assert distances[0] > 0 and all(np.diff(distances) > 0), distances


@pytest.mark.parametrize("name", NAMES)
def test_dark_ink_on_light_paper_is_the_negative(name: str, strokes: np.ndarray) -> None:
    np.testing.assert_array_equal(corrupt(255 - strokes, name, 4), 255 - corrupt(strokes, name, 4))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(8, 8), (12, 10), (64, 40)])
def test_other_sizes(name: str, shape: tuple[int, int]) -> None:
    images = np.zeros((3, *shape), np.uint8)
    images[:, shape[0] // 4 : -shape[0] // 4, shape[1] // 3 : -shape[1] // 3] = 230
    changed = corrupt(images, name, 5)
    assert changed.shape == images.shape and changed.any()


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The centre (N, 2) and the spread (N,) of the ink in pixels, and its sum (N,)."""
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    total = images.sum(axis=(1, 2), dtype=float)
    centre = np.stack([(images * y).sum((1, 2)), (images * x).sum((1, 2))], axis=1) / total[:, None]
    apart = (y - centre[:, 0, None, None]) ** 2 + (x - centre[:, 1, None, None]) ** 2
    return centre, np.sqrt((images * apart).sum((1, 2)) / total), total


def test_shift_moves_by_its_distance_in_every_direction(strokes: np.ndarray) -> None:
    moved = moments(corrupt(strokes, "shift", 3))[0] - moments(strokes)[0]
    np.testing.assert_allclose(np.hypot(*moved.T), 3.5, atol=0.1)
    assert (moved > 1).any(axis=0).all() and (moved < -1).any(axis=0).all()


def test_scale_shrinks_and_grows(strokes: np.ndarray) -> None:
    ratio = moments(corrupt(strokes, "scale", 2))[1] / moments(strokes)[1]
    shrunk = ratio < 1
    assert 10 < shrunk.sum() < 50
    np.testing.assert_allclose(ratio[shrunk], 1 / 1.3, rtol=0.04)
    np.testing.assert_allclose(ratio[~shrunk], 1.15, rtol=0.04)


def test_rotation_is_scipys(strokes: np.ndarray) -> None:
    turned, sides = corrupt(strokes, "rotation", 2).astype(float), []
    for image, result in zip(strokes, turned, strict=True):
        both = [ndimage.rotate(image.astype(float), angle, reshape=False, order=1) for angle in (15, -15)]
        errors = [np.abs(result - expected).max() for expected in both]
        assert min(errors) < 1
        sides.append(int(np.argmin(errors)))
    assert 10 < sum(sides) < 50


def test_shear_keeps_rows_and_ink(strokes: np.ndarray) -> None:
    sheared = corrupt(strokes, "shear", 2)
    kept = np.abs(sheared.sum(axis=2, dtype=float) - strokes.sum(axis=2)) <= 14  # half a grey value per pixel
    assert kept.mean() > 0.99


def test_blur_is_scipys(strokes: np.ndarray) -> None:
    for image, result in zip(strokes[:5], corrupt(strokes, "blur", 3), strict=False):
        expected = ndimage.gaussian_filter(image.astype(float), 1.2, mode="nearest")
        assert np.abs(result - expected).max() <= 1


def test_motion_blur_spreads_along_one_line() -> None:
    """A dot becomes a line of the length, and keeps its centre and its light."""
    dots = np.zeros((40, 29, 29), np.uint8)
    dots[:, 14, 14] = 255
    blurred = corrupt(dots, "motion blur", 5)
    centre, spread, total = moments(blurred)
    np.testing.assert_allclose(centre, 14, atol=0.15)
    np.testing.assert_allclose(total, 255, rtol=0.06)
    length = 6.5 * 29 / 28
    # of seven to nine places evenly over a line, each smeared over a pixel
    assert (spread > 0.9 * length / np.sqrt(12)).all() and (spread < 1.35 * length / np.sqrt(12)).all()


def test_pixelate_averages_blocks() -> None:
    """Of 26 pixels, 2.15 of 28 are two."""
    images = np.random.default_rng(1).integers(0, 256, (4, 26, 26), dtype=np.uint8)
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0  # dark ground
    blocks = images.reshape(4, 13, 2, 13, 2).mean(axis=(2, 4))
    expected = blocks.repeat(2, axis=1).repeat(2, axis=2)
    assert np.abs(corrupt(images, "pixelate", 3) - expected).max() <= 0.5 + 1e-3


def test_noise_has_its_deviation() -> None:
    grey = np.full((50, 28, 28), 120, np.uint8)  # far from black and white
    assert corrupt(grey, "noise", 1).astype(float).std() == pytest.approx(0.12 * 255, rel=0.02)


def test_salt_and_pepper_come_in_equal_shares() -> None:
    noisy = corrupt(np.full((100, 28, 28), 100, np.uint8), "salt and pepper", 5)
    assert np.isin(noisy, [0, 100, 255]).all()
    assert (noisy == 0).mean() == pytest.approx(0.1, rel=0.05)
    assert (noisy == 255).mean() == pytest.approx(0.1, rel=0.05)


def test_strokes_grow_and_shrink(strokes: np.ndarray) -> None:
    thicker, thinner = corrupt(strokes, "thicker", 3), corrupt(strokes, "thinner", 3)
    assert (thicker >= strokes).all() and (thinner <= strokes).all()
    cross = ndimage.generate_binary_structure(2, 1)[None]
    whole = ndimage.grey_dilation(strokes, footprint=cross)
    assert (thicker >= whole).all()  # 1.3 pixels are more than one


def test_occlusion_lays_a_grey_square_upon_it(strokes: np.ndarray) -> None:
    changed = corrupt(strokes, "occlusion", 3)
    touched = changed != strokes
    assert (changed[touched] == 128).all()
    grey = (changed == 128).sum(axis=(1, 2))
    assert ((grey >= 49) & (grey <= 90)).all()  # eight pixels per side


def test_contrast_keeps_the_mean(strokes: np.ndarray) -> None:
    changed = corrupt(strokes, "contrast", 3)
    np.testing.assert_allclose(changed.mean((1, 2)), strokes.mean((1, 2)), atol=0.6)
    np.testing.assert_allclose(changed.std((1, 2)), 0.3 * strokes.std((1, 2)), atol=0.6)


def test_fog_is_light_and_hides(strokes: np.ndarray) -> None:
    ink, ground = strokes > 200, strokes == 0
    fog = corrupt(strokes, "fog", 3).astype(float)
    assert fog[ground].mean() == pytest.approx(0.45 * 127.5, rel=0.1)
    assert fog[ink].mean() - fog[ground].mean() < 0.65 * 255


def test_refuses() -> None:
    images = np.zeros((1, 28, 28), np.uint8)
    with pytest.raises(UsageError, match="did you mean 'contrast'"):
        corrupt(images, "contrasts", 1)
    for severity in (0, 6):
        with pytest.raises(UsageError, match="1 to 5"):
            corrupt(images, "noise", severity)
