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

from pydantic import BaseModel, ConfigDict, Field

from tenfold.classifier import Classifier
from tenfold.data.ranges import FULL
from tenfold.pictures.lines import HEIGHT, MARGIN, WIDEST
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.constraint import LONGEST_PATTERN
from tenfold.reader.line_reader import AnyModel, LineReader
from tenfold.serve.answer import includes_of, warming_picture
from tenfold.serve.corrections import LINE_LENGTH, LINES, NOT_A_DIGIT
from tenfold.serve.settings import ServeSettings
from tenfold.version import __version__

DESCRIPTION = (
    "Reads numbers in pictures, or classifies small images. No picture is stored unless it is a correction."
)
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


_WHY = {
    400: "The body is malformed.",
    403: "It came from a page of another site.",
    408: "The body did not arrive in time.",
    413: "The body, a picture, or their number is too large.",
    415: "A body of another type.",
    422: "Values that make no sense, or no picture.",
    429: "Your address has too much under way: see Retry-After.",
    503: "The server is overloaded: see Retry-After.",
    504: "It took too long.",
    507: "No more corrections are kept.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failure, "description": _WHY[status]} for status in statuses}


def read_docs(model: AnyModel) -> dict[str, Any]:
    """The parts of /v1/read that FastAPI cannot see."""
    binary = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "properties": {"pictures": {"type": "array", "items": binary, "minItems": 1}},
        "required": ["pictures"],
    }
    document = _object(pictures={"type": "array", "minItems": 1, "items": _base64()})
    content = {
        "image/png": {"schema": binary},
        "image/jpeg": {"schema": binary},
        "multipart/form-data": {"schema": form},
        "application/json": {"schema": document, "example": {"pictures": [_PNG]}},
    }
    return {"requestBody": {"required": True, "content": content}, "parameters": _read_parameters(model)}


def _read_parameters(model: AnyModel) -> list[dict[str, Any]]:
    names = {"type": "array", "items": {"type": "string", "enum": list(includes_of(model))}}
    said = "What else to say: the image of each character, which pixels decided, the strip of each line."
    include = _parameter("include", said, names, ["image"]) | {"style": "form", "explode": False}
    if isinstance(model, Classifier):
        return [include]
    number = {"type": "number", "minimum": 0, "exclusiveMaximum": 1e18}
    pattern = {"type": "string", "maxLength": LONGEST_PATTERN}
    return [
        include,
        _parameter("digits", "Leave out the separators.", {"type": "boolean"}, False),
        _parameter("pattern", "A regular expression for each line; + is %2B.", pattern, r"\d{1,9}"),
        _parameter(
            "length", "How many digits each line has.", {"type": "integer", "minimum": 1, "maximum": 64}, 1
        ),
        _parameter("min", "The least number that a line may be.", number, 0),
        _parameter("max", "The largest number that a line may be.", number, 1000),
    ]


def _parameter(name: str, description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
        "example": example,
    }


def predict_docs(shape: tuple[int, int], max_images: int) -> dict[str, Any]:
    """The body of /v1/predict, for images of this shape."""
    height, width = shape
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    row = {"type": "array", "items": pixel, "minItems": width, "maxItems": width}
    image = {"type": "array", "items": row, "minItems": height, "maxItems": height}
    images = {"type": "array", "items": image, "minItems": 1, "maxItems": max_images}
    blank = [[0] * width for _ in range(height)]
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {
        "application/json": {"schema": _object(images=images), "example": {"images": [blank]}},
        "application/octet-stream": binary | {"description": f"N x {height} x {width} bytes, or a .npy file"},
        "application/x-npy": binary,
    }
    return {"requestBody": {"required": True, "content": content}}


def keep_docs(model: AnyModel) -> dict[str, Any]:
    """The body of /v1/corrections."""
    if isinstance(model, Classifier):
        label: dict[str, Any] = {"type": "string", "enum": [*model.class_names, NOT_A_DIGIT]}
        example = model.class_names[-1]
    else:
        label, example = {"type": "string", "pattern": f"^({LINES}|{NOT_A_DIGIT})$"}, "7"
    read = {"type": "string", "maxLength": 200}
    each = [_object(("read",), label=label, read=read, **{key: _base64()}) for key in ("picture", "image")]
    content = {
        "application/json": {
            "schema": {"oneOf": each},
            "example": {"picture": _PNG, "label": example, "read": "1"},
        }
    }
    return {"requestBody": {"required": True, "content": content}}


def metrics_docs() -> dict[str, Any]:
    """/metrics is text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {"responses": {"200": {"description": "Prometheus's text.", "content": content}}}


def _object(optional: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _base64() -> dict[str, Any]:
    return {"type": "string", "format": "byte"}


# What the server says of its model: card, figures, preprocessing, limits.

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
