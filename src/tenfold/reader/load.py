"""Models: the one that comes with the package, and saved ones of either kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.classifier import Classifier, ModelCard
from tenfold.reader.line_reader import LineReader, ReaderCard
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe

__all__ = [
    "READER_FOLDER",
    "AnyModel",
    "build_model",
    "is_line_reader",
    "load_model",
    "load_reader",
    "read_recipe",
]

READER_FOLDER = Path(__file__).parent / "model"

AnyModel = LineReader | Classifier
"""What reads lines in pictures, or classifies single images; "kind" in `model.json` says which."""


def load_reader(path: str | Path | None = None, *, engine: str = "numpy") -> LineReader:
    """The line reader that comes with the package, or one that was adapted and saved in the folder `path`.

    It needs neither a network connection nor torch. Raises ModelError.
    """
    return LineReader.load(READER_FOLDER if path is None else path, engine=engine)


def load_model(path: str | Path | None = None, *, engine: str = "numpy") -> AnyModel:
    """A line reader or a classifier: a folder, or a model.safetensors with its model.json beside it.

    None: the line reader that comes with the package. Raises ModelError.
    """
    if path is None or is_line_reader(path):
        return load_reader(path, engine=engine)
    return Classifier.load(path, engine=engine)


def is_line_reader(path: str | Path) -> bool:
    """Whether it is a line reader that is saved there; False where its card cannot be read."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(card, dict) and "kind" in card


def build_model(
    card: Mapping[str, Any], weights: dict[str, np.ndarray], *, engine: str, device: str, precision: str
) -> AnyModel:
    """A model from what `card.to_dict()` and `engine.weights()` gave. Raises ModelError."""
    options = {"engine": engine, "device": device, "precision": precision}
    if "kind" in card:
        return LineReader.from_weights(ReaderCard.from_dict(card, "the model"), weights, **options)
    return Classifier.from_weights(ModelCard.from_dict(card, "the model"), weights, **options)


def read_recipe() -> Recipe:
    """The network of the line reader and how it is trained."""
    return get_recipe(Path(__file__).with_name("recipe.toml"))
