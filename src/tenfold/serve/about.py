"""What the server says of its model: card, figures, preprocessing, limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tenfold.classifier import Classifier
from tenfold.data.ranges import FULL
from tenfold.ink.strip import HEIGHT, MARGIN, WIDEST
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.constraint import LONGEST_PATTERN
from tenfold.reader.line_reader import LineReader
from tenfold.reader.load import AnyModel
from tenfold.serve.corrections import LINE_LENGTH
from tenfold.serve.settings import ServeSettings
from tenfold.version import __version__

__all__ = ["describe_model"]

_ROW = re.compile(r"^\| (?P<name>[^|]+?) \| (?P<value>[^|]+?) \|$", re.MULTILINE)
_INK = "ink lifted from its paper and framed in 28x28 like MNIST's: light on black"
_LINES = "grey; lines are found, and each is a strip of one height and contrast, its paper at 128"


def describe_model(model: AnyModel, settings: ServeSettings) -> dict[str, Any]:
    """Everything that a client must know, as JSON takes it. It holds no path of this machine."""
    own = _describe_reader(model) if isinstance(model, LineReader) else _describe_classifier(model)
    return {
        "name": model.card.recipe.name,
        "title": model.card.recipe.title,
        **own,
        "parameters": model.network.parameter_count,
        "card": model.card.to_dict(),
        "figures": _figures(settings.about),
        "limits": {
            "body_bytes": settings.max_body,
            "pixels": settings.max_pixels,
            "pictures": settings.max_pictures,
            "images": settings.max_images,
            "seconds": settings.timeout,
            "pattern": LONGEST_PATTERN,
            "label": LINE_LENGTH,
        },
        "collects": settings.collect is not None,
        "version": __version__,
    }


def _describe_reader(reader: LineReader) -> dict[str, Any]:
    characters = CHARACTERS.replace(OTHER, "")
    return {
        "kind": "line reader",
        "class_names": list(characters),
        "characters": characters,
        "rejects": True,
        "preprocessing": {
            "picture": _LINES,
            "image_shape": [HEIGHT, HEIGHT],
            "strip": {"height": HEIGHT, "most_width": WIDEST + 2 * MARGIN},
            **_arithmetic(
                reader.card.recipe.input.mean, reader.card.recipe.input.std, reader.card.temperature
            ),
            "least_confidence": reader.card.least_confidence,
        },
    }


def _describe_classifier(classifier: Classifier) -> dict[str, Any]:
    card = classifier.card
    return {
        "kind": "classifier",
        "class_names": list(card.class_names),
        "reads_ink": card.reads_ink,
        "rejects": card.rejects,
        "preprocessing": {
            "picture": _INK if card.reads_ink else "the whole picture, grey, resized",
            "image_shape": list(card.image_shape),
            "background": card.background,
            **({} if card.value_range == FULL else {"value_range": list(card.value_range)}),
            **_arithmetic(card.mean, card.std, card.temperature),
        },
    }


def _arithmetic(mean: float, std: float, temperature: float) -> dict[str, Any]:
    return {
        "dtype": "uint8",
        "input": "(pixel / 255 - mean) / std",
        "mean": mean,
        "std": std,
        "probabilities": "softmax(logits / temperature)",
        "temperature": temperature,
    }


def _figures(folder: Path | None) -> dict[str, Any]:
    """What was measured: of a run on its test set, of the built-in reader as its card says."""
    if folder is None:
        return {}
    figures: dict[str, Any] = {}
    card, evaluation = folder / "card.md", folder / "evaluation.json"
    if card.is_file():
        rows = _ROW.findall(card.read_text(encoding="utf-8").partition("## Figures")[2])
        figures |= {name: value for name, value in rows if name != "figure" and "-" * 3 not in name}
    if evaluation.is_file():
        told = json.loads(evaluation.read_text(encoding="utf-8"))
        wanted = ("dataset", "n", "accuracy", "accuracy_interval_95", "misses", "calibration_error", "loss")
        figures |= {key: told[key] for key in wanted if key in told}
    return figures
