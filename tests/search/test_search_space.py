"""The table [search] of a recipe: read, written again, and refused in one line where it makes no sense."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import RecipeError
from tenfold.networks.layers import LayerSpec
from tenfold.recipes.load import change_recipe, get_recipe, parse_recipe
from tenfold.recipes.schema import Recipe, SearchRange
from tenfold.training.loop import train
from tenfold.training.search_space import check_space, distribution, own_picks, values_of

HEAD = """name = "mine"
[network]
layers = ["flatten", "linear 8", "dropout 0.1", { residual = ["tanh", "dropout 0.2"] }, "linear classes"]
[search]
"""


def test_it_survives_the_round_trip() -> None:
    recipe = parse_recipe(
        HEAD
        + '"optimiser.learning_rate" = { low = 1e-4, high = 0.1, log = true }\n'
        + '"training.epochs" = { low = 5, high = 30, integer = true }\n'
        + '"network.layers.dropout" = { low = 0, high = 0.5 }\n'
        + '"network.layers" = { choices = [["flatten", "linear classes"], ["linear classes"]] }\n'
        + '"optimiser.name" = { choices = ["sgd", "adam"] }\n'
    )
    text = recipe.to_toml()
    assert parse_recipe(text) == recipe
    assert '"training.epochs" = { low = 5, high = 30, integer = true }' in text
    assert list(recipe.search) == [
        "optimiser.learning_rate", "training.epochs", "network.layers.dropout", "network.layers",
        "optimiser.name",
    ]  # fmt: skip
    assert "[search]" not in get_recipe("cnn").to_toml()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"training.epoch" = { low = 1, high = 2 }', ["unknown key 'training.epoch'", "'training.epochs'"]),
        ('"training.epochs" = { low = 1, hihg = 2 }', ["search.training.epochs.hihg", "mean 'high'"]),
        ('"training.epochs" = { low = 1 }', ["search.training.epochs", "low and high are needed"]),
        ('"training.epochs" = 3', ["search.training.epochs = 3"]),
        ('"training.epochs" = {}', ["low and high are needed"]),
        ('"training.epochs" = { low = 2, high = 1 }', ["low (2) must be less than high (1)"]),
        ('"training.epochs" = { low = 1, high = 2.5, integer = true }', ["whole numbers"]),
        ('"training.epochs" = { low = 0, high = 5, integer = true }', ["'training.epochs' may be 0"]),
        ('"training.epochs" = { low = 1, high = 5 }', ["'training.epochs' may be", "integer"]),
        ('"optimiser.learning_rate" = { low = 0, high = 1, log = true }', ["with log, low (0)"]),
        ('"optimiser.learning_rate" = { low = 1, choices = [1, 2] }', ["choices stand alone"]),
        ('"optimiser.name" = { choices = ["sgd", "adm"] }', ["'optimiser.name' may be \"adm\"", "'adam'"]),
        ("training.epochs = { low = 1, high = 2 }", ["without quotes", '"training.epochs" = ...']),
        ('"network.layers.dropot" = { low = 0, high = 0.5 }', ["no layer 'dropot'", "mean 'dropout'"]),
        ('"network.layers.dropout" = { low = 0, high = 1.5 }', ["may be 1.5", "0 <= P < 1"]),
        ('"network.layers" = { choices = [["linear classes"]] }', ["may be [\"linear classes\"]"]),
        ('"data.validation" = { low = 0.1, high = 0.2 }', ["names 'data.validation'"]),
        ('"name" = { choices = ["a", "b"] }', ["names 'name'"]),
        ("", ["mine does not say what to search for", "[search]"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_table_that_makes_no_sense_is_refused_in_one_line(line: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as error:
        check_space(parse_recipe(HEAD + line), (12, 10), 3)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_numbers_of_layers_by_kind_and_by_name() -> None:
    recipe = parse_recipe(HEAD)
    assert LayerSpec.numbers(recipe.network.layers) == {
        "linear": 8, "linear1": 8, "dropout": 0.1, "dropout1": 0.1, "residual1.dropout1": 0.2,
    }  # fmt: skip
    every = change_recipe(recipe, {"network.layers.dropout": 0.00001})
    assert every.network.layers[2] == "dropout 0.00001"
    assert every.network.layers[3] == {"residual": ["tanh", "dropout 0.00001"]}
    inner = change_recipe(recipe, {"network.layers.residual1.dropout1": 0.3})
    assert inner.network.layers[2:4] == ("dropout 0.1", {"residual": ["tanh", "dropout 0.3"]})
    assert inner.value_at("network.layers.residual1.dropout1") == 0.3
    assert recipe.value_at("training.epochs") == 10
    convolution = ["conv 4 3x3 padding same", "max-pool 2", "conv 8 3x3"]
    assert LayerSpec.change_numbers(convolution, "conv2", 6) == [
        "conv 4 3x3 padding same",
        "max-pool 2",
        "conv 6 3x3",
    ]
    with pytest.raises(RecipeError, match="expected a number"):
        change_recipe(recipe, {"network.layers.linear1": "many"})


def test_picks_become_values_of_three_digits_within_the_range() -> None:
    recipe = parse_recipe(
        HEAD
        + '"optimiser.learning_rate" = { low = 0.0012345, high = 1, log = true }\n'
        + '"optimiser.name" = { choices = ["sgd", "adam"] }\n'
        + '"training.epochs" = { low = 5, high = 30, integer = true }\n'
    )
    picks = {"optimiser.learning_rate": 0.0123456, "optimiser.name": '"adam"', "training.epochs": 7}
    values = values_of(recipe, picks)
    assert values == {"optimiser.learning_rate": 0.0123, "optimiser.name": "adam", "training.epochs": 7}
    assert values_of(recipe, {"optimiser.learning_rate": 0.0012345}) == {"optimiser.learning_rate": 0.0012345}
    assert own_picks(recipe) == {
        "optimiser.learning_rate": 0.1,
        "optimiser.name": '"sgd"',
        "training.epochs": 10,
    }
    assert own_picks(change_recipe(recipe, {"training.epochs": 50})).keys() == {
        "optimiser.learning_rate", "optimiser.name",
    }  # fmt: skip


@given(st.floats(1e-9, 1e3), st.floats(1.001, 1e3), st.booleans(), st.floats(0, 1))
def test_whatever_is_picked_lies_in_the_range(low: float, ratio: float, log: bool, share: float) -> None:
    place: Any = SearchRange(low=low, high=low * ratio, log=log)
    recipe = get_recipe("mlp-small").model_copy(update={"search": {"x": place}})
    found = distribution(place)
    pick = math.exp(math.log(low) + share * math.log(ratio))
    value = values_of(recipe, {"x": min(max(pick, found.low), found.high)})["x"]
    assert low <= value <= low * ratio and value == pytest.approx(pick, rel=6e-3)


def test_the_table_makes_no_difference_to_a_training(blobs: Any, tmp_path: Any) -> None:
    """A run goes on though the table was added, and gets the same weights."""
    plain = parse_recipe(HEAD.replace("[search]", "[training]\nepochs = 2"))
    searched = parse_recipe(
        HEAD.replace("[search]", "[training]\nepochs = 2\n[search]\n") + '"a.b" = { choices = [1] }'
    )
    whole = train(plain, blobs, engine="numpy", run_dir=tmp_path)
    again = train(searched, blobs, engine="numpy", run_dir=tmp_path, resume=True)
    assert len(again.history) == len(whole.history) == 2
    assert "search" in Recipe.NOT_TRAINED
