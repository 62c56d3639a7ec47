"""What is drawn for the augmentation: bounds, meaning, determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from tenfold.augmentation import AugmentationDraws
from tenfold.settings import AugmentationSettings

COUNT, SHAPE = 4000, (28, 20)


def draw(count: int = COUNT, seed: int = 0, **settings: Any) -> Any:
    return AugmentationDraws.draw(AugmentationSettings(**settings), count, SHAPE, np.random.default_rng(seed))


def test_nothing_on_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    assert AugmentationDraws.draw(AugmentationSettings(elastic_smoothness=7), 5, SHAPE, rng) is None
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ({"rotation": 5}, "affine"),
        ({"elastic": 1}, "displacement"),
        ({"stroke_width": 1}, "stroke"),
        ({"crop_padding": 2}, "crop"),
        ({"erasing": 0.5}, "erase"),
    ],
)
def test_only_what_is_on_is_drawn(setting: dict[str, float], field: str) -> None:
    draws = draw(10, **setting)
    fields = ("affine", "displacement", "stroke", "crop", "erase")
    assert [name for name in fields if getattr(draws, name) is not None] == [field]


def test_untouched_images_get_draws_that_change_nothing() -> None:
    everything = {"rotation": 10, "crop_padding": 2, "elastic": 1, "stroke_width": 0.5, "erasing": 1}
    draws = draw(untouched=0.3, **everything)
    same = (draws.affine == np.eye(2, 3)).all(axis=(1, 2))
    assert 0.27 < same.mean() < 0.33  # 4,000 draws: 0.3 +- four standard deviations
    assert not draws.displacement[same].any() and not draws.stroke[same].any() and not draws.crop[same].any()
    assert (draws.erase[same, 0] == draws.erase[same, 2]).all()
    assert draws.stroke[~same].all() and (draws.erase[~same, 0] < draws.erase[~same, 2]).all()


def test_untouched_alone_is_no_augmentation_and_off_by_default_draws_nothing_more() -> None:
    assert not AugmentationSettings(untouched=0.5).active
    rngs = np.random.default_rng(3), np.random.default_rng(3)
    for rng, untouched in zip(rngs, (0.0, 0.5), strict=True):
        AugmentationDraws.draw(AugmentationSettings(rotation=3, untouched=untouched), 7, SHAPE, rng)
    assert rngs[0].random() != rngs[1].random()


def test_same_seed_same_draws() -> None:
    everything = {
        "rotation": 10, "shear": 5, "shift": 2, "scale": 0.1, "crop_padding": 2, "elastic": 1,
        "stroke_width": 0.5, "erasing": 0.3,
    }  # fmt: skip
    one, two, three = draw(50, **everything), draw(50, **everything), draw(50, seed=1, **everything)
    for name in ("affine", "displacement", "stroke", "crop", "erase"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        assert not np.array_equal(getattr(one, name), getattr(three, name))


def test_rotation() -> None:
    """A rotation's inverse is its transpose; the angles fill +-value evenly."""
    matrices = draw(rotation=30).affine
    turn, offset = matrices[:, :, :2].astype(float), matrices[:, :, 2]
    np.testing.assert_allclose(
        turn @ turn.transpose(0, 2, 1), np.broadcast_to(np.eye(2), turn.shape), atol=1e-6
    )
    np.testing.assert_array_equal(offset, 0)
    degrees = np.rad2deg(np.arctan2(turn[:, 1, 0], turn[:, 0, 0]))
    assert 29 < np.abs(degrees).max() <= 30 + 1e-4
    assert degrees.std() == pytest.approx(30 / np.sqrt(3), rel=0.03)


def test_shift_and_scale() -> None:
    shifts = draw(shift=3).affine[:, :, 2]
    assert 2.95 < np.abs(shifts).max() <= 3
    scales = 1 / draw(scale=0.2).affine[:, 0, 0]
    assert 0.8 - 1e-6 <= scales.min() < 0.805 and 1.195 < scales.max() <= 1.2 + 1e-6


def test_shear_keeps_areas() -> None:
    matrices = draw(shear=20).affine[:, :, :2].astype(float)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-5)
    assert np.abs(matrices[:, 0, 1]).max() == pytest.approx(np.tan(np.deg2rad(20)), rel=0.01)
    np.testing.assert_array_equal(matrices[:, 1, 0], 0)


def test_affine_is_the_inverse_of_turning_shearing_scaling_and_moving() -> None:
    """Composed by hand from one set of numbers, drawn in the same order."""
    settings = {"rotation": 20.0, "shear": 10.0, "shift": 2.0, "scale": 0.2}
    matrix = draw(1, **settings).affine[0].astype(float)
    rng = np.random.default_rng(0)
    angle, shear, scale = (
        rng.uniform(-settings[key], settings[key]) for key in ("rotation", "shear", "scale")
    )
    move = rng.uniform(-2, 2, 2)
    c, s, t = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), np.tan(np.deg2rad(shear))
    forward = np.array([[c, -s], [s, c]]) @ np.array([[1, t], [0, 1]]) * (1 + scale)
    for point in ([0.0, 0.0], [3.0, -5.0], [-7.5, 2.0]):
        seen_at = forward @ point + move
        np.testing.assert_allclose(matrix[:, :2] @ seen_at + matrix[:, 2], point, atol=1e-4)


def test_elastic_has_the_deviation_asked_for() -> None:
    displacement = draw(300, elastic=1.5, elastic_smoothness=3).displacement
    assert displacement.shape == (300, 2, *SHAPE) and displacement.dtype == np.float32
    assert displacement.std() == pytest.approx(1.5, rel=0.05)
    along = displacement[..., 1:] - displacement[..., :-1]
    assert along.std() < 0.5 * displacement.std()  # smooth


def test_stroke_and_crop() -> None:
    stroke = draw(stroke_width=0.7).stroke
    assert 0.69 < np.abs(stroke).max() <= 0.7 and stroke.dtype == np.float32
    crop = draw(crop_padding=3).crop
    assert set(np.unique(crop)) == set(range(-3, 4)) and crop.shape == (COUNT, 2)


def test_erasing() -> None:
    boxes = draw(erasing=0.4).erase
    top, left, bottom, right = boxes.T
    assert (top >= 0).all() and (left >= 0).all() and (bottom <= 28).all() and (right <= 20).all()
    on = bottom > top
    assert on.mean() == pytest.approx(0.4, abs=0.03)
    np.testing.assert_array_equal(on, right > left)
    heights, widths = (bottom - top)[on], (right - left)[on]
    assert heights.min() >= 3 and heights.max() <= 10  # 1/8 and 1/3 of 28, rounded
    assert widths.min() >= 2 and widths.max() <= 7  # of 20
    assert draw(5, erasing=1.0).erase.shape == (5, 4)


@pytest.mark.parametrize("smoothness", [0.7, 2.0, 4.0])
def test_displacement_is_white_noise_under_a_gaussian(smoothness: float) -> None:
    """Covariance of neighbours along each axis: that of SciPy's smoothing of white noise on a ring."""
    fields = draw(elastic=1.5, elastic_smoothness=smoothness).displacement.reshape(-1, *SHAPE)
    assert fields.dtype == np.float32
    for axis, size in enumerate(SHAPE):
        smoothing = gaussian_filter1d(np.eye(size), smoothness, mode="wrap", truncate=8)
        expected = smoothing @ smoothing.T
        expected *= 1.5**2 / expected[0, 0]
        lines = np.moveaxis(fields, axis + 1, 0).reshape(size, -1)
        # 8,000 fields, each of a few independent lines: 0.1 is more than four standard errors of 2.25
        np.testing.assert_allclose(lines @ lines.T / lines.shape[1], expected, atol=0.1)


def test_displacement_has_the_asked_deviation_in_each_pixel() -> None:
    fields = draw(elastic=0.8, elastic_smoothness=9).displacement.reshape(-1, *SHAPE)
    np.testing.assert_allclose(fields.std(axis=0), 0.8, rtol=0.04)  # five standard errors of 8,000
    np.testing.assert_allclose(fields.mean(axis=0), 0, atol=0.045)
