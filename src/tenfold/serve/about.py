"""What the server says of its model: card, figures, preprocessing, limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tenfold.classifier import Classifier
from tenfold.serve.settings import ServeSettings
from tenfold.version import __version__

__all__ = ["describe_model"]

_ROW = re.compile(r"^\| (?P<name>[^|]+?) \| (?P<value>[^|]+?) \|$", re.MULTILINE)
_INK = "ink lifted from its paper, parted into digits, each framed in 28x28 like MNIST's: light on black"


def describe_model(classifier: Classifier, settings: ServeSettings) -> dict[str, Any]:
    """Everything that a client must know, as JSON takes it. It holds no path of this machine."""
    card = classifier.card
    return {
        "name": card.recipe.name,
        "title": card.recipe.title,
        "class_names": list(card.class_names),
        "reads_ink": card.reads_ink,
        "rejects": card.rejects,
        "parameters": classifier.network.parameter_count,
        "card": card.to_dict(),
        "figures": _figures(settings.about),
        "preprocessing": {
            "picture": _INK if card.reads_ink else "the whole picture, grey, resized",
            "image_shape": list(card.image_shape),
            "dtype": "uint8",
            "background": card.background,
            "input": "(pixel / 255 - mean) / std",
            "mean": card.mean,
            "std": card.std,
            "probabilities": "softmax(logits / temperature)",
            "temperature": card.temperature,
        },
        "limits": {
            "body_bytes": settings.max_body,
            "pixels": settings.max_pixels,
            "pictures": settings.max_pictures,
            "images": settings.max_images,
            "seconds": settings.timeout,
        },
        "collects": settings.collect is not None,
        "version": __version__,
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
