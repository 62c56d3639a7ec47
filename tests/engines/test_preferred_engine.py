"""Which engine trains where none is asked for."""

from __future__ import annotations

import pytest

from tenfold.engines.create import Engines
from tenfold.recipes.load import change_recipe, get_recipe


@pytest.mark.parametrize(
    ("wanted", "device", "precision", "found"),
    [
        ("auto", "cpu", "auto", "numpy"),
        ("auto", "cpu", "float32", "numpy"),
        ("auto", "cpu", "float64", "numpy"),
        ("auto", "cpu", "bfloat16", "auto"),  # which NumPy has not
        ("auto", "cuda", "auto", "auto"),
        ("torch", "cpu", "auto", "torch"),
        ("numpy", "cuda", "bfloat16", "numpy"),
    ],
)
def test_a_recipe_may_prefer_one(wanted: str, device: str, precision: str, found: str) -> None:
    recipe = change_recipe(
        get_recipe("mlp-small"), {"training.engine": "numpy", "training.precision": precision}
    )
    assert Engines.prefer(wanted, recipe, device) == found


def test_most_prefer_none() -> None:
    assert Engines.prefer("auto", get_recipe("cnn"), "cpu") == "auto"
    assert Engines.prefer("auto", get_recipe("fast"), "cpu") == "numpy"
