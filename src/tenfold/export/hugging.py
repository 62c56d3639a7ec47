"""A classifier as the folder of a Hugging Face model repository: card, config, weights, preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.classifier import Classifier
from tenfold.files import write_text
from tenfold.version import __version__

HUGGING_FILES = {"README.md", "config.json", "model.safetensors", "model.json", "preprocessor_config.json"}


def write_hugging(
    model: Classifier, name: str, data: str, figures: Mapping[str, Any] | None, folder: Path
) -> None:
    """Adds to README.md, which holds the model card, its YAML front matter; writes the other files.

    data: the data set's name, or "". figures: of `Evaluation.to_dict()`.
    """
    card = model.card
    model.save(folder)
    names = dict(enumerate(card.class_names))
    height, width = card.image_shape[:2]
    config = {
        "model_type": "tenfold", "architectures": ["tenfold.Classifier"], "tenfold_version": __version__,
        "id2label": {str(number): label for number, label in names.items()},
        "label2id": {label: number for number, label in names.items()},
        "image_size": [height, width], "num_channels": (*card.image_shape, 1)[2],
        "temperature": card.temperature, "recipe": card.recipe.model_dump(mode="json", exclude_none=True),
    }  # fmt: skip
    steps = {
        "do_resize": True, "size": {"height": height, "width": width}, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [card.mean], "image_std": [card.std],
    }  # fmt: skip
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    write_text(folder / "preprocessor_config.json", json.dumps(steps, indent=2) + "\n")
    text = (folder / "README.md").read_text(encoding="utf-8")
    write_text(folder / "README.md", f"{_front_matter(name, data, figures)}\n{text}")


def _front_matter(name: str, data: str, figures: Mapping[str, Any] | None) -> str:
    """As JSON values, which YAML reads: names may hold anything."""
    task = "image-classification"
    lines = ["library_name: tenfold", f"pipeline_tag: {task}", f"tags: [{task}, tenfold]"]
    if data:
        lines.append(f"datasets: [{json.dumps(data)}]")
    if figures:
        result = {
            "name": name,
            "results": [{
                "task": {"type": "image-classification"},
                "dataset": {"name": figures["dataset"], "type": figures["dataset"]},
                "metrics": [{"type": "accuracy", "value": figures["accuracy"]}],
            }],
        }  # fmt: skip
        lines.append(f"model-index: [{json.dumps(result)}]")
    return "\n".join(["---", *lines, "---", ""])
