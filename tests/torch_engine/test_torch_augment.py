"""Batched augmentation against SciPy, image by image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from tenfold.augmentation import AugmentationDraws
from tenfold.settings import AugmentationSettings
from tenfold.torch_engine.augment import augment

SHAPE = (20, 27)
CROSS = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]


def _images(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def _morph(image: np.ndarray, pick: type | object, outside: float) -> np.ndarray:
    """The extreme of each pixel's cross, by the definition; `outside` never wins."""
    padded = np.pad(image, 1, constant_values=outside)
    height, width = image.shape
    shifted = [padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in CROSS]
    return pick(shifted, axis=0)  # type: ignore[operator]


def _stroke(image: np.ndarray, amount: float) -> np.ndarray:
    grow = (np.max, -np.inf) if amount > 0 else (np.min, np.inf)
    size = abs(amount)
    if size > 1:
        image, size = _morph(image, *grow), size - 1
    return (1 - size) * image + size * _morph(image, *grow)


def _resample(image: np.ndarray, affine: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    height, width = image.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    cy, cx = (height - 1) / 2, (width - 1) / 2
    places = np.stack([x - cx, y - cy, np.ones_like(x)])
    moved = np.einsum("ij,jyx->iyx", affine.astype(np.float64), places)
    source = moved[0] + cx + displacement[0], moved[1] + cy + displacement[1]
    return map_coordinates(image, source[::-1], order=1, mode="grid-constant", cval=0)


def _reference(image: np.ndarray, draws: AugmentationDraws, n: int) -> np.ndarray:
    image = image.astype(np.float64)
    height, width = image.shape
    if draws.stroke is not None:
        image = _stroke(image, float(draws.stroke[n]))
    if draws.affine is not None or draws.displacement is not None:
        affine = np.eye(2, 3) if draws.affine is None else draws.affine[n]
        displacement = np.zeros((2, *SHAPE)) if draws.displacement is None else draws.displacement[n]
        image = _resample(image, affine, displacement)
    if draws.crop is not None:
        (dy, dx), far = draws.crop[n], int(np.abs(draws.crop).max())
        padded = np.pad(image, far)
        image = padded[far + dy : far + dy + height, far + dx : far + dx + width]
    if draws.erase is not None:
        y0, x0, y1, x1 = draws.erase[n]
        image = image.copy()
        image[y0:y1, x0:x1] = 0
    return image


ALL = {
    "rotation": 25, "shear": 15, "shift": 2.5, "scale": 0.2, "crop_padding": 3, "elastic": 1.5,
    "stroke_width": 1.8, "erasing": 0.6,
}  # fmt: skip
CASES = {name: {name: value} for name, value in ALL.items()} | {
    "thin": {"stroke_width": 0.7},
    "together": ALL,
}


@pytest.mark.parametrize("case", CASES)
def test_equals_scipy_image_by_image(case: str) -> None:
    rng = np.random.default_rng(7)
    images = _images(16, rng)
    draws = AugmentationDraws.draw(AugmentationSettings(**CASES[case]), 16, SHAPE, rng)
    assert draws is not None
    result = augment(torch.tensor(images), draws)
    assert result.dtype == torch.float32
    expected = np.stack([_reference(image, draws, n) for n, image in enumerate(images)])
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-2)
    assert not np.allclose(expected, images)


def test_untouched_images_stay_as_they_are_in_both_engines() -> None:
    rng = np.random.default_rng(5)
    images = _images(12, rng)
    draws = AugmentationDraws.draw(AugmentationSettings(**ALL, untouched=1), 12, SHAPE, rng)
    assert draws is not None
    np.testing.assert_allclose(augment(torch.tensor(images), draws).numpy(), images, atol=1e-2)
    other = pytest.importorskip("tenfold.numpy_engine.runtime.batches")
    np.testing.assert_allclose(other.augment(images, draws), images, atol=1e-2)


def test_erasing_may_leave_an_image_whole() -> None:
    images = torch.full((2, *SHAPE), 9, dtype=torch.uint8)
    draws = AugmentationDraws(erase=np.array([[3, 4, 3, 9], [0, 0, 20, 27]]))
    result = augment(images, draws)
    assert (result[0] == 9).all()
    assert (result[1] == 0).all()


def test_numpy_engines_augmentation_is_the_same() -> None:
    other = pytest.importorskip("tenfold.numpy_engine.runtime.batches")
    rng = np.random.default_rng(11)
    images = _images(32, rng)
    draws = AugmentationDraws.draw(AugmentationSettings(**ALL), 32, SHAPE, rng)
    assert draws is not None
    ours = augment(torch.tensor(images), draws).numpy()
    np.testing.assert_allclose(ours, other.augment(images, draws), atol=1e-2)


def test_a_large_batch_goes_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    images = torch.tensor(_images(33, rng))
    draws = AugmentationDraws.draw(AugmentationSettings(**ALL), 33, SHAPE, rng)
    assert draws is not None
    whole = augment(images, draws)
    monkeypatch.setattr("tenfold.torch_engine.augment.PIECE_PIXELS", 10 * SHAPE[0] * SHAPE[1])
    np.testing.assert_allclose(augment(images, draws).numpy(), whole.numpy(), atol=1e-3)
    one = augment(images[32:], draws.part(slice(32, 33)))
    np.testing.assert_allclose(one.numpy(), whole[32:].numpy(), atol=1e-3)
