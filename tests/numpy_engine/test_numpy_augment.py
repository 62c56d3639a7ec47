"""Augmentation against the plain meaning of the draws: SciPy, torch.grid_sample, and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from tenfold.augmentation import AugmentationDraws
from tenfold.numpy_engine.runtime.batches import augment
from tenfold.settings import AugmentationSettings


def pictures(count: int = 9, height: int = 12, width: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width), dtype=np.uint8)


def draws_of(images: np.ndarray, seed: int = 1, **settings: float) -> AugmentationDraws:
    rng = np.random.default_rng(seed)
    return AugmentationDraws.draw(AugmentationSettings(**settings), len(images), images.shape[1:], rng)


def sampled(images: np.ndarray, draws: AugmentationDraws) -> np.ndarray:
    """By torch.grid_sample in float64."""
    _, height, width = images.shape
    y, x = np.mgrid[:height, :width].astype(float)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    places = np.broadcast_to(np.stack([x, y]), (len(images), 2, height, width))
    if draws.affine is not None:
        from_middle = np.stack([x - cx, y - cy, np.ones_like(x)])
        places = np.einsum("nij,jhw->nihw", draws.affine.astype(float), from_middle)
        places = places + np.array([cx, cy])[:, None, None]
    if draws.displacement is not None:
        places = places + draws.displacement
    grid = np.stack([places[:, 0] / cx - 1, places[:, 1] / cy - 1], axis=-1)
    inputs = torch.tensor(images).double().unsqueeze(1)
    moved = F.grid_sample(inputs, torch.tensor(grid), align_corners=True, padding_mode="zeros")
    return moved.squeeze(1).numpy()


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation": 10},
        {"rotation": 180, "scale": 0.5, "shear": 40},
        {"shift": 2.5},
        {"shift": 40},
        {"elastic": 1.5},
        {"rotation": 30, "shift": 3, "elastic": 2, "elastic_smoothness": 2},
    ],
    ids=repr,
)
def test_resampling_equals_grid_sample(settings: dict) -> None:
    images = pictures()
    draws = draws_of(images, **settings)
    result = augment(images, draws)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, sampled(images, draws), atol=1e-2)


def test_whole_shifts_are_exact() -> None:
    images = pictures(1)
    affine = np.array([[[1, 0, 2], [0, 1, -3]]], np.float32)
    expected = np.zeros(images.shape)
    expected[0, 3:, :-2] = images[0, :-3, 2:]
    np.testing.assert_array_equal(augment(images, AugmentationDraws(affine=affine)), expected)


def test_crop_equals_a_loop() -> None:
    images = pictures()
    draws = draws_of(images, crop_padding=3)
    expected = [np.pad(one, 3)[3 + dy :, 3 + dx :][:12, :10] for one, (dy, dx) in zip(images, draws.crop)]
    np.testing.assert_array_equal(augment(images, draws), expected)


def test_a_crop_beyond_the_picture_is_black() -> None:
    images = np.full((2, 4, 4), 9, np.uint8)
    crop = np.array([[50, 0], [0, -3]])
    expected = np.zeros((2, 4, 4))
    expected[1, :, 3] = 9
    np.testing.assert_array_equal(augment(images, AugmentationDraws(crop=crop)), expected)


def test_erasing_equals_a_loop() -> None:
    images = pictures() | 1
    draws = draws_of(images, erasing=0.6)
    expected = images.copy()
    for one, (y0, x0, y1, x1) in zip(expected, draws.erase):
        one[y0:y1, x0:x1] = 0
    assert (expected == 0).any()
    np.testing.assert_array_equal(augment(images, draws), expected)


@pytest.mark.parametrize("width", [-2.0, -1.5, -1.0, -0.3, 0.0, 0.4, 1.0, 1.7, 2.0])
def test_stroke_width_equals_scipys_morphology(width: float) -> None:
    images = pictures(3)
    cross = ndimage.generate_binary_structure(2, 1)
    change, worst = (ndimage.grey_dilation, 0) if width > 0 else (ndimage.grey_erosion, 255)
    stages = [images.astype(float)]
    for _ in range(2):
        steps = [change(one, footprint=cross, mode="constant", cval=worst) for one in stages[-1]]
        stages.append(np.stack(steps))
    whole, part = divmod(abs(width), 1)
    following = stages[min(int(whole) + 1, 2)]
    expected = (1 - part) * stages[int(whole)] + part * following
    draws = AugmentationDraws(stroke=np.full(3, width, np.float32))
    np.testing.assert_allclose(augment(images, draws), expected, atol=1e-3)


def test_all_together_in_the_documented_order_and_by_pieces() -> None:
    """A whole batch, cut into pieces on two threads, equals each step alone, image by image."""
    images = pictures(1100, 28, 28)
    settings = {
        "rotation": 15,
        "shift": 2,
        "elastic": 1,
        "stroke_width": 2,
        "crop_padding": 2,
        "erasing": 0.5,
    }
    draws = draws_of(images, **settings)
    result = augment(images, draws)
    for index in (0, 1, 255, 256, 600, 1099):
        pick = slice(index, index + 1)
        d = {k: getattr(draws, k)[pick] for k in ("affine", "displacement", "stroke", "crop", "erase")}
        one = augment(images[pick], AugmentationDraws(stroke=d["stroke"]))
        one = sampled(one, AugmentationDraws(affine=d["affine"], displacement=d["displacement"]))
        dy, dx = d["crop"][0]
        one = np.pad(one[0], 2)[2 + dy :, 2 + dx :][:28, :28].copy()
        y0, x0, y1, x1 = d["erase"][0]
        one[y0:y1, x0:x1] = 0
        np.testing.assert_allclose(result[index], one, atol=1e-2)
