"""The OpenAPI document: what is asked, what is answered, with an example each.

Bodies are parsed by hand, so that their limits hold while they arrive; what is said here is held
against the running server by tests.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tenfold.classifier import Classifier
from tenfold.data.ranges import PixelRange
from tenfold.pictures.lines import Strip
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import CHARACTERS, OTHER
from tenfold.reader.line_reader import AnyModel, LineReader
from tenfold.serve.corrections import LINE_LENGTH, LINES, NOT_A_DIGIT
from tenfold.serve.requests import includes_of
from tenfold.serve.settings import ServeSettings
from tenfold.serve.worker import warming_picture
from tenfold.version import __version__

DOCS = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
_PNG = base64.b64encode(warming_picture()).decode()


class Trouble(BaseModel):
    """Why something was refused."""

    found: str
    expected: str
    remedy: str


class Failure(BaseModel):
    error: Trouble


class Alternative(BaseModel):
    label: str
    confidence: float


class Character(BaseModel):
    """A digit or a separator. probs: of the classes, in the order of class_names. none: of being none of
    them. box: x0, y0, x1, y1 in the upright picture's pixels. image: base64 of H*W bytes, 32*32 of a line
    reader. saliency: H*W numbers, above 0 where a pixel supports the answer."""

    label: str
    confidence: float = Field(ge=0, le=1)
    verdict: Literal["digit", "unsure", "not a digit"]
    alternatives: list[Alternative]
    probs: list[float]
    none: float = Field(ge=0, le=1)
    box: list[int] | None
    image: str | None = None
    saliency: list[float] | None = None


class Line(BaseModel):
    """confidence: that its digits are right. strip: base64 of a PNG, what the network saw."""

    text: str
    confidence: float = Field(ge=0, le=1)
    box: list[int]
    strip: str | None = None


class Cell(BaseModel):
    """reason: why a program should not use the text: empty, text, doubtful, unfit; else null."""

    text: str
    confidence: float = Field(ge=0, le=1)
    reason: Literal["empty", "text", "doubtful", "unfit"] | None
    box: list[int]


class Table(BaseModel):
    rows: int
    columns: int
    turned: int
    cells: list[list[Cell]]


class ReadPicture(BaseModel):
    """text: its lines, separated by newlines; "?" for each doubtful character. confidence: of the least sure
    line. characters: digits and separators. digits: without separators. error: why it could not be read."""

    name: str
    text: str
    confidence: float | None
    digits: list[Character]
    characters: list[Character]
    lines: list[Line]
    troubles: list[str]
    table: Table | None = None
    turned: int = 0
    milliseconds: float
    error: Trouble | None = None


class ReadAnswer(BaseModel):
    pictures: list[ReadPicture]
    milliseconds: float


class Predicted(BaseModel):
    """An entry per image. probs: of the classes, in the order of class_names. none: of being none of them."""

    labels: list[str]
    verdicts: list[Literal["digit", "unsure", "not a digit"]]
    probs: list[list[float]]
    none: list[float]


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    title: str
    kind: Literal["line reader", "classifier"]
    class_names: list[str]
    collects: bool
    version: str


class Kept(BaseModel):
    """kept: corrections in the folder. before: what was read. after: what is written there."""

    kept: int
    before: str
    after: str


class Health(BaseModel):
    status: Literal["ok", "starting"]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {each: {"model": Failure, "description": DOCS["statuses"][str(each)]} for each in statuses}


def request_docs(route: str, model: AnyModel, max_images: int) -> dict[str, Any]:
    """What openapi.json says of a route: its body and parameters, which FastAPI cannot see."""
    values: dict[str, Any] = {"png": _PNG, "includes": list(includes_of(model)), "max_images": max_images}
    values |= {"example": "7", "label": {"type": "string", "pattern": f"^({LINES}|{NOT_A_DIGIT})$"}}
    values["longest_pattern"] = Constraint.LONGEST_PATTERN
    if isinstance(model, Classifier):
        shape = model.card.image_shape
        values |= {"height": shape[0], "width": shape[1], "blank": np.zeros(shape, int).tolist()}
        values["raw"] = f"N x {' x '.join(map(str, shape))} bytes, or a .npy file"
        values["label"] = {"type": "string", "enum": [*model.class_names, NOT_A_DIGIT]}
        values["example"] = model.class_names[-1]
    docs = _fill(DOCS[route], values)
    if isinstance(model, Classifier) and route == "read":
        del docs["parameters"][1:]  # what a line must look like
    return docs


def _fill(document: Any, values: dict[str, Any]) -> Any:
    """With the value in the place of each text "$name"."""
    if isinstance(document, dict):
        return {key: _fill(value, values) for key, value in document.items()}
    if isinstance(document, list):
        return [_fill(value, values) for value in document]
    return values[document[1:]] if str(document).startswith("$") else document


# What the server says of its model: card, figures, preprocessing, limits.

_ROW = re.compile(r"^\| ([^|]+?) \| ([^|]+?) \|$", re.MULTILINE)
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
            "pattern": Constraint.LONGEST_PATTERN,
            "label": LINE_LENGTH,
        },
        "collects": settings.collect is not None,
        "version": __version__,
    }


def _describe_reader(reader: LineReader) -> dict[str, Any]:
    card, characters = reader.card, CHARACTERS.replace(OTHER, "")
    return {
        "kind": "line reader",
        "class_names": list(characters),
        "characters": characters,
        "rejects": True,
        "preprocessing": {
            "picture": _LINES,
            "image_shape": [Strip.HEIGHT, Strip.HEIGHT],
            "strip": {"height": Strip.HEIGHT, "most_width": Strip.WIDEST + 2 * Strip.MARGIN},
            **_arithmetic(card.recipe.input, card.temperature),
            "least_confidence": card.least_confidence,
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
            "picture": _INK
            if card.reads_ink
            else f"the whole picture, {'in colour' if len(card.image_shape) == 3 else 'grey'}, resized",
            "image_shape": list(card.image_shape),
            "background": card.background,
            **({} if card.value_range == PixelRange() else {"value_range": list(card.value_range)}),
            **_arithmetic(card, card.temperature),
        },
    }


def _arithmetic(scale: Any, temperature: float) -> dict[str, Any]:
    """scale: what has the mean and the std of pixels."""
    told = {"dtype": "uint8", "input": "(pixel / 255 - mean) / std", "mean": scale.mean, "std": scale.std}
    return told | {"probabilities": "softmax(logits / temperature)", "temperature": temperature}


def _figures(folder: Path | None) -> dict[str, Any]:
    """What was measured: of a run on its test set, of the built-in reader as its card says."""
    if folder is None:
        return {}
    figures: dict[str, Any] = {}
    card, evaluation = folder / "card.md", folder / "evaluation.json"
    if card.is_file():
        rows = _ROW.findall(card.read_text(encoding="utf-8").partition("## Figures")[2])
        figures |= {name: value for name, value in rows if name != "figure" and "---" not in name}
    if evaluation.is_file():
        told = json.loads(evaluation.read_text(encoding="utf-8"))
        wanted = ("dataset", "n", "accuracy", "accuracy_interval_95", "misses", "calibration_error", "loss")
        figures |= {key: told[key] for key in wanted if key in told}
    return figures
