"""The table [search] of a recipe: where its values may lie, checked before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tenfold.errors import RecipeError
from tenfold.recipes.load import change_recipe, toml_value, value_at
from tenfold.recipes.schema import NOT_TRAINED, Recipe, SearchRange

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Pick", "check_space", "distribution", "own_picks", "values_of"]

Pick = str | int | float
# Of these nothing can be found out on validation images: they make no difference, or choose the images.
_NOT_SEARCHED = NOT_TRAINED | {"name", "data"}
_DIGITS = 3  # significant ones of a value: a recipe is read by people


def check_space(recipe: Recipe, image_shape: tuple[int, int], classes: int) -> None:
    """Builds the recipe with the ends of every range and with every choice. Raises RecipeError, one line."""
    if not recipe.search:
        raise RecipeError(
            f"{recipe.name} does not say what to search for",
            expected='a table [search] with lines such as "training.epochs" = { low = 5, high = 30, '
            "integer = true }",
        )
    for key, place in recipe.search.items():
        if key.partition(".")[0] in _NOT_SEARCHED:
            raise RecipeError(f"{recipe.name}: [search] names {key!r}", expected="what a training depends on")
        value_at(recipe, key)
        for value in place.choices or _probes(place):
            try:
                change_recipe(recipe, {key: value}).plan(image_shape, classes)
            except RecipeError as error:
                raise RecipeError(
                    f"{recipe.name}: [search] {key!r} may be {toml_value(value)}: {error}"
                ) from error


def _probes(place: SearchRange) -> list[float]:
    """Both ends; and where it is not for whole numbers only, a fraction."""
    low, high = _ends(place)
    return [int(low), int(high)] if place.integer else [low, low + (high - low) / math.e, high]


def distribution(place: SearchRange) -> BaseDistribution:
    """The range as Optuna knows it; a choice is its TOML text, which Optuna can keep whatever it is."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if place.choices:
        return CategoricalDistribution([toml_value(choice) for choice in place.choices])
    low, high = _ends(place)
    if place.integer:
        return IntDistribution(int(low), int(high), log=place.log)
    return FloatDistribution(low, high, log=place.log)


def _value_of(place: SearchRange, pick: Pick) -> Any:
    """What Optuna picked, as the recipe takes it: a fraction with three digits, within the range."""
    if place.choices:
        return next(choice for choice in place.choices if toml_value(choice) == pick)
    low, high = _ends(place)
    if place.integer:
        return int(pick)
    return min(max(float(f"{float(pick):.{_DIGITS}g}"), low), high)


def own_picks(recipe: Recipe) -> dict[str, Pick]:
    """The recipe's own values as Optuna would have picked them, of the keys whose range holds them."""
    own: dict[str, Pick] = {}
    for key, place in recipe.search.items():
        value = value_at(recipe, key)
        if place.choices:
            text = toml_value(value)
            if text in {toml_value(choice) for choice in place.choices}:
                own[key] = text
        elif isinstance(value, int | float) and _ends(place)[0] <= value <= _ends(place)[1]:
            own[key] = value
    return own


def _ends(place: SearchRange) -> tuple[float, float]:
    if place.low is None or place.high is None:
        raise ValueError("choices have no ends")
    return float(place.low), float(place.high)


def values_of(recipe: Recipe, picks: Mapping[str, Pick]) -> dict[str, Any]:
    """Dotted key -> value, in the recipe's order."""
    return {key: _value_of(place, picks[key]) for key, place in recipe.search.items() if key in picks}
