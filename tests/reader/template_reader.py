"""A reader that needs no training: it compares framed ink with printed digits. And digits to read."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tenfold.classifier import Classifier, ModelCard
from tenfold.ink.frame import frame_ink
from tenfold.recipes.load import get_recipe

__all__ = ["template_reader", "write"]

NAMES = tuple("0123456789")


def write(
    text: str,
    *,
    size: int = 60,
    ink: int = 0,
    paper: int = 255,
    gap: int = 12,
    margin: int = 30,
) -> Image.Image:
    """Printed letters with room between them, rows parted by newlines; mode L."""
    font, rows = ImageFont.load_default(size=size), text.split("\n")
    step = round(size * 0.62) + gap
    width = max(len(row) for row in rows) * step - gap + 2 * margin
    picture = Image.new("L", (width, len(rows) * size + (len(rows) - 1) * size // 2 + 2 * margin), paper)
    draw = ImageDraw.Draw(picture)
    for number, row in enumerate(rows):
        for place, letter in enumerate(row):
            draw.text((margin + place * step, margin + number * size * 1.5), letter, ink, font)
    return picture


class _Templates:
    """An engine: a logit a class that grows with the likeness to its template; the last is constant."""

    name = "templates"

    def __init__(self) -> None:
        pictures = [write(name, size=120) for name in NAMES]
        framed = [frame_ink(1 - np.asarray(picture, np.float32) / 255) for picture in pictures]
        self.templates = _directions(np.stack(framed))
        self.judged = 0

    def logits(self, images: np.ndarray) -> np.ndarray:
        self.judged += len(images)
        likeness = _directions(images) @ self.templates.T
        none = np.full((len(images), 1), 0.85)
        return (60 * np.concatenate([likeness, none], axis=1)).astype(np.float32)


def _directions(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def template_reader(**card: Any) -> Classifier:
    """Knows printed digits, refuses what is unlike them; card: fields to change."""
    values: dict[str, Any] = {
        "recipe": get_recipe("cnn"), "class_names": NAMES, "image_shape": (28, 28), "mean": 0.0, "std": 1.0,
        "background": "dark", "rejects": True, "least_confidence": 0.7, "most_none": 0.5,
    }  # fmt: skip
    return Classifier(_Templates(), ModelCard(**values | card))  # type: ignore[arg-type]
