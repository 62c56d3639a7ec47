"""Recipes as users write them: read, changed, written, and refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import RecipeError, UsageError
from tenfold.recipes.load import change_recipe, get_recipe, list_recipes, parse_recipe
from tenfold.recipes.schema import Recipe

MINIMAL = 'name = "mine"\n[network]\nlayers = ["flatten", "linear classes"]\n'


def test_the_smallest_recipe_takes_defaults() -> None:
    recipe = parse_recipe(MINIMAL)
    assert recipe.training.epochs == 10 and recipe.optimiser.name == "sgd"
    assert parse_recipe(recipe.to_toml()) == recipe
    with pytest.raises(Exception, match="frozen"):
        recipe.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", ["is not TOML", "end of document"]),
        ("", ["[network]", "missing"]),
        ('[network]\nlayers = ["flatten", "linear classes"]', ["name"]),
        ('name = "mine"\n[network]\n', ["network.layers"]),
        (MINIMAL.replace("mine", "no spaces"), ["name", "no spaces"]),
        (MINIMAL.replace("mine", "../up"), ["name", "../up"]),
        (MINIMAL.replace("linear classes", "linaer classes"), ["linaer classes", "did you mean 'linear'"]),
        (MINIMAL.replace('"flatten"', "5"), ["network.layers"]),
        (MINIMAL.replace('"flatten"', "{ residual = 5 }"), ["residual"]),
        (MINIMAL.replace("layers", "layer"), ["'network.layer'", "did you mean 'layers'"]),
        (MINIMAL + '[optimizer]\nname = "adam"', ["'optimizer'", "did you mean 'optimiser'"]),
        (MINIMAL + "[training]\nepoch = 3", ["'training.epoch'", "did you mean 'epochs'"]),
        (MINIMAL + "[training]\nzzz = 3", ["'training.zzz'", "known: average_decay"]),
        (MINIMAL + "[training]\nepochs = 0", ["training.epochs = 0", "greater than or equal to 1"]),
        (MINIMAL + "[training]\nepochs = 2.5", ["training.epochs = 2.5", "integer"]),
        (MINIMAL + '[training]\nepochs = "many"', ["training.epochs = 'many'"]),
        (MINIMAL + "[training]\nbatch_size = -1", ["training.batch_size = -1"]),
        (MINIMAL + "[training]\naverage_decay = 1", ["average_decay", "less than 1"]),
        (MINIMAL + '[training]\nprecision = "float16"', ["training.precision = 'float16'", "'float32'"]),
        (MINIMAL + "[data]\nvalidation = 1", ["data.validation", "less than 1"]),
        (
            MINIMAL + '[optimiser]\nname = "adm"',
            ["optimiser.name = 'adm'", "'adamw' or 'muon'"],
        ),
        (MINIMAL + "[optimiser]\nlearning_rate = 0", ["optimiser.learning_rate", "greater than 0"]),
        (MINIMAL + "[optimiser]\nlearning_rate = nan", ["optimiser.learning_rate"]),
        (MINIMAL + "[optimiser]\nlearning_rate = inf", ["optimiser.learning_rate", "finite"]),
        (MINIMAL + "[optimiser]\nbetas = [0.9]", ["optimiser.betas"]),
        (
            MINIMAL + '[optimiser]\ngroups = [{ match = "a", factr = 1 }]',
            ["'optimiser.groups.factr'", "did you mean 'factor'"],
        ),
        (MINIMAL + '[optimiser]\ngroups = [{ match = "a", factor = -1 }]', ["optimiser.groups.0.factor"]),
        (MINIMAL + "[schedule]\nrise = 1", ["schedule.rise", "less than 1"]),
        (MINIMAL + "[augmentation]\nrotation = 200", ["augmentation.rotation", "180"]),
        (MINIMAL + "[loss]\nlabel_smoothing = 1.5", ["loss.label_smoothing"]),
        (MINIMAL + "[published]\ntest_accuracy = 98.1", ["published.test_accuracy"]),
        (MINIMAL + "training = 5", ["'network.training'"]),
        ("training = 5\n" + MINIMAL, ["training = 5"]),
        (MINIMAL + "[training]\nepochs = 0x" + "f" * 5000, ["20000 bits", "at most 63"]),
        (MINIMAL.replace("linear classes", "linear " + "9" * 5001), ["linear 99", "below a million"]),
        (MINIMAL.replace("flatten", "max-pool 1000000x1"), ["max-pool 1000000x1", "below a million"]),
    ],
    ids=lambda value: value[-40:] if isinstance(value, str) else None,
)
def test_a_broken_recipe_is_refused_in_one_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        get_recipe(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes('name = "é"'.encode("latin-1"))
    (tmp_path / "folder.toml").mkdir()
    for name in ("latin.toml", "folder.toml", "missing.toml"):
        with pytest.raises(RecipeError, match="cannot be read"):
            get_recipe(tmp_path / name)
    with pytest.raises(RecipeError, match="did you mean 'mlp-120-84'"):
        get_recipe("mlp-120-48")
    with pytest.raises(UsageError, match="known: best, best-ensemble, cnn"):
        get_recipe("qqqqqqq")


def test_a_recipe_by_path_and_by_run_folder(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    assert get_recipe(path) == get_recipe(str(path)) == get_recipe(tmp_path) == parse_recipe(MINIMAL)


def test_changes() -> None:
    recipe = get_recipe("cnn")
    changed = change_recipe(
        recipe,
        {"training.epochs": 77, "optimiser.groups": [{"match": "bias", "factor": 0}], "title": "x"},
    )
    assert changed.training.epochs == 77 and changed.optimiser.groups[0].factor == 0
    assert changed.title == "x" and recipe.training.epochs != 77
    back = {f"training.{key}": getattr(recipe.training, key) for key in ("epochs", "min_steps", "steps")}
    assert change_recipe(changed, back).training == recipe.training


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training.epoch", 3, "did you mean 'training.epochs'"),
        ("epochs", 3, "did you mean 'training.epochs'"),
        ("training", 3, "training = 3"),
        ("training.epochs.more", 3, "unknown key 'training.epochs.more'"),
        ("optimiser.groups.0.factor", 3, "unknown key"),
        ("training.epochs", -1, "training.epochs = -1"),
        ("network.layers", ["relu", "rleu"], "did you mean 'relu'"),
        ("", 1, "unknown key ''"),
    ],
)
def test_changes_that_make_no_sense(key: str, value: Any, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        change_recipe(get_recipe("cnn"), {key: value})
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.epochs=3", ("training.epochs", 3)),
        (" a.b = 1e-3 ", ("a.b", 1e-3)),
        ("a=true", ("a", True)),
        ("a=adam", ("a", "adam")),
        ('a="adam"', ("a", "adam")),
        ("a=[1, 2]", ("a", [1, 2])),
        ("a=x=y", ("a", "x=y")),
        ("a=/some/where else", ("a", "/some/where else")),
        ("a=", ("a", "")),
    ],
)
def test_changes_on_the_command_line(text: str, expected: tuple[str, Any]) -> None:
    assert Recipe.parse_change(text) == expected


@pytest.mark.parametrize("text", ["", "training.epochs", "=3", " = 3"])
def test_changes_without_key_or_value(text: str) -> None:
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        Recipe.parse_change(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_round_trip(text: str) -> None:
    recipe = change_recipe(get_recipe("mlp-small"), {"description": text})
    assert parse_recipe(recipe.to_toml()) == recipe


@given(
    st.sampled_from(list_recipes()),
    st.floats(1e-300, 1e300),
    st.integers(1, 10**12),
    st.lists(st.floats(0, 1e6), max_size=4),
)
def test_any_number_survives_the_round_trip(
    name: str, rate: float, epochs: int, milestones: list[float]
) -> None:
    recipe = change_recipe(
        get_recipe(name),
        {
            "optimiser.learning_rate": rate,
            "training.epochs": epochs,
            "schedule.milestones": milestones,
            "network.layers": ["flatten", {"residual": ["relu", {"residual": ["tanh"]}]}, "linear classes"],
        },
    )
    assert parse_recipe(recipe.to_toml()) == recipe
    assert Recipe.from_dict(recipe.model_dump(mode="json", exclude_none=True)) == recipe
