"""Where each pixel of an augmented picture comes from, against the definition of the draws."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.augmentation import AugmentationDraws
from tenfold.settings import AugmentationSettings

SHAPE = (7, 9, 6)  # N, H, W


def positions(draws: AugmentationDraws) -> np.ndarray:
    sources = draws.find_sources(SHAPE)
    assert sources is not None
    places = (sources.rows @ sources.grid).reshape(2, *SHAPE)
    return places if sources.displacement is None else places + sources.displacement


def defined(draws: AugmentationDraws, image: int, y: int, x: int) -> tuple[float, float] | None:
    """x and y in the picture, or None where the crop reaches beyond it: one pixel by the book."""
    _, height, width = SHAPE
    if draws.crop is not None:
        y, x = y + int(draws.crop[image, 0]), x + int(draws.crop[image, 1])
    if not (0 <= y < height and 0 <= x < width):
        return None
    place = np.array([x, y], float)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    if draws.affine is not None:
        place = draws.affine[image].astype(float) @ [*(place - middle), 1] + middle
    if draws.displacement is not None:
        place = place + draws.displacement[image, :, y, x]
    return place[0], place[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation": 40, "shift": 2, "scale": 0.3, "shear": 20},
        {"crop_padding": 2},
        {"crop_padding": 8},  # beyond the width
        {"rotation": 40, "crop_padding": 3},
        {"elastic": 1, "crop_padding": 3},
        {"elastic": 1, "crop_padding": 20},
        {"rotation": 40, "shift": 2, "elastic": 1, "crop_padding": 8},
    ],
    ids=repr,
)
def test_positions_are_those_of_the_definition(settings: dict[str, float]) -> None:
    draws = AugmentationDraws.draw(AugmentationSettings(**settings), 7, SHAPE[1:], np.random.default_rng(1))
    assert draws is not None
    found = positions(draws)
    for image, y, x in np.ndindex(SHAPE):
        expected = defined(draws, image, y, x)
        if expected is None:
            assert np.abs(found[:, image, y, x]).max() > 1000
        else:
            np.testing.assert_allclose(found[:, image, y, x], expected, atol=1e-4)


def test_nothing_moves_without_a_map() -> None:
    assert AugmentationDraws(stroke=np.ones(7, np.float32)).find_sources(SHAPE) is None


def test_draws_and_shared_grid_stay_as_they_are() -> None:
    settings = AugmentationSettings(rotation=40, crop_padding=2, elastic=1)
    draws, again = (
        AugmentationDraws.draw(settings, 7, SHAPE[1:], np.random.default_rng(1)) for _ in range(2)
    )
    assert draws is not None and again is not None
    first, second = positions(draws), positions(draws)
    np.testing.assert_array_equal(first, second)
    for name in ("affine", "displacement", "crop"):
        np.testing.assert_array_equal(getattr(draws, name), getattr(again, name))
