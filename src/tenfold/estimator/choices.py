"""An estimator's parameters -> the recipe that is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, get_type_hints

from tenfold.arguments import check_argument
from tenfold.recipes.load import change_recipe, list_recipes
from tenfold.recipes.schema import Recipe

__all__ = ["DEFAULT", "LEAST_STEPS", "Choices", "check_parameters", "choose_recipe"]

DEFAULT = "mlp-small"
LEAST_STEPS = 500  # of a recipe made for 60,000 images, where there are few


class Choices(Protocol):
    """What of an estimator decides on its recipe; see DigitClassifier."""

    recipe: str | Path | Recipe | None
    changes: Mapping[str, Any] | None
    epochs: int | None
    learning_rate: float | None
    batch_size: int | None


def check_parameters(estimator: object, signature: Callable[..., None]) -> None:
    """Raises UsageError for a parameter of the wrong type: scikit-learn wants them looked at by `fit`."""
    for name, kind in get_type_hints(signature).items():
        if name != "return":
            check_argument(type(estimator).__name__, name, getattr(estimator, name), kind)


def choose_recipe(choices: Choices) -> Recipe:
    """The recipe with all changes. Raises RecipeError for one that there is not, and for unknown keys."""
    given, changes = choices.recipe, dict(choices.changes or {})
    if given is None:
        given, changes = DEFAULT, {"training.precision": "float64"} | changes
    recipe = change_recipe(given, changes)
    own: dict[str, Any] = {}
    if choices.epochs is not None:
        own |= {"training.epochs": choices.epochs, "training.min_steps": 0, "training.steps": 0}
    elif str(given) in list_recipes() and not changes.keys() & {"training.epochs", "training.min_steps"}:
        own["training.min_steps"] = max(recipe.training.min_steps, LEAST_STEPS)
    if choices.learning_rate is not None:
        own["optimiser.learning_rate"] = choices.learning_rate
    if choices.batch_size is not None:
        own["training.batch_size"] = choices.batch_size
    return change_recipe(recipe, own)
