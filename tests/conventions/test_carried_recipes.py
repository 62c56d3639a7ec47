"""Every recipe that tenfold carries: one contract."""

from __future__ import annotations

from pathlib import Path

import pytest

import tenfold.recipes
from tenfold.errors import RecipeError
from tenfold.recipes.load import get_recipe, list_recipes, parse_recipe

FOLDER = Path(tenfold.recipes.__file__).parent
# Batch norm's many layers of 2x2 windows do not fit into every small picture.
NEEDS_EVEN_SIDES = {"fast"}


def test_those_that_the_issue_and_tutorials_name_are_there() -> None:
    wanted = {
        "softmax-gd-published", "softmax-gd", "softmax-sgd", "mlp-120-84", "mlp-small",
        "sigmoid-500-published", "sigmoid-500", "mlp-128-64-augmented", "cnn", "fast", "best",
        "best-ensemble",
    }  # fmt: skip
    assert wanted <= set(list_recipes()) == {path.stem for path in FOLDER.glob("*.toml")}


@pytest.mark.parametrize("name", list_recipes())
def test_contract(name: str) -> None:
    recipe = get_recipe(name)
    assert recipe.name == name
    assert recipe.title and recipe.source and recipe.description
    assert parse_recipe(recipe.to_toml()) == recipe
    assert recipe == get_recipe(FOLDER / f"{name}.toml")
    network = recipe.plan((28, 28), 10)
    if recipe.published.parameters is not None:
        assert recipe.published.parameters == network.parameter_count
    weights = network.initial_weights(recipe.network.initialise, seed=1)
    assert {key: value.shape for key, value in weights.items()} == {
        parameter.name: parameter.shape for parameter in network.parameters()
    }
    rates = [recipe.schedule.learning_rate_at(step, 50, recipe.optimiser.learning_rate) for step in range(50)]
    assert all(rate >= 0 for rate in rates) and max(rates) <= recipe.optimiser.learning_rate * (1 + 1e-12)


@pytest.mark.parametrize("name", list_recipes())
def test_sized_from_the_data(name: str) -> None:
    """Twelve by ten pixels in three classes; the windows of some need more, and say so."""
    recipe = get_recipe(name)
    if name in NEEDS_EVEN_SIDES:
        with pytest.raises(RecipeError, match="does not fit"):
            recipe.plan((4, 6), 3)
        recipe = recipe.model_copy()
        assert recipe.plan((32, 20), 47).classes == 47
        return
    network = recipe.plan((12, 10), 3)
    assert network.layers[-1].output_shape == (3,)
    assert network.layers[0].input_shape == (1, 12, 10)
