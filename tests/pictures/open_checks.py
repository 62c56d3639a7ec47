"""What the tests of opening pictures share: two noises, and the checks that hold of every answer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tenfold.errors import DataError
from tenfold.pictures.open import Picture, open_picture

COLOUR = np.random.default_rng(3).integers(0, 256, (23, 17, 3), dtype=np.uint8)
GREY = COLOUR[..., 0].copy()
BLACK, RED, BLUE, PAPER = (0, 0, 0), (220, 20, 10), (0, 40, 250), (240, 230, 210)


def grey_as_colour(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def pixels_of(picture: Any) -> np.ndarray:
    """Also holds what is true of every answer."""
    opened = open_picture(picture)
    assert isinstance(opened, Picture)
    assert opened.pixels.dtype == np.uint8 and opened.pixels.shape == (*opened.size[::-1], 3)
    assert opened.scale == 1
    return opened.pixels


def refusal(picture: Any) -> str:
    """The one line; no other exception, no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as error:
            open_picture(picture)
    line = str(error.value)
    assert line.isprintable() and error.value.expected
    return line
