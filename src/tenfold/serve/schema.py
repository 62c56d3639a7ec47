"""The OpenAPI document: what is asked, what is answered, with an example each.

Bodies are parsed by hand, so that their limits hold while they arrive; what is said here is held
against the running server by tests.
"""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tenfold.serve.answer import INCLUDES, warming_pictures

__all__ = ["DESCRIPTION", "Health", "Kept", "Model", "Predicted", "ReadAnswer", "predict_docs", "read_docs"]
__all__ += ["errors", "keep_docs", "metrics_docs"]

DESCRIPTION = "Reads handwritten digits in pictures, and classifies small images. No picture is stored."
_PNG = base64.b64encode(warming_pictures()[0]).decode()


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


class Digit(BaseModel):
    """probs: of the classes, in the order of class_names. none: of being none of them. box: x0, y0, x1, y1
    in the upright picture's pixels. image: base64 of H*W bytes. saliency: H*W numbers, above 0 where ink
    speaks for the answer."""

    label: str
    confidence: float = Field(ge=0, le=1)
    verdict: Literal["digit", "unsure", "not a digit"]
    alternatives: list[Alternative]
    probs: list[float]
    none: float = Field(ge=0, le=1)
    box: list[int] | None
    image: str | None = None
    saliency: list[float] | None = None


class InkPicture(BaseModel):
    """png: base64 of a grey picture, white where there is ink. scale: picture pixels per pixel of it."""

    png: str
    size: list[int]
    scale: float


class ReadPicture(BaseModel):
    """text: "?" for what is no sure digit, rows parted by newlines. error: why it could not be read."""

    name: str
    text: str
    digits: list[Digit]
    troubles: list[str]
    milliseconds: float
    ink: InkPicture | None = None
    error: Trouble | None = None


class ReadAnswer(BaseModel):
    pictures: list[ReadPicture]
    milliseconds: float


class Predicted(BaseModel):
    """An entry an image. probs: of the classes, in the order of class_names. none: of being none of them."""

    labels: list[str]
    verdicts: list[Literal["digit", "unsure", "not a digit"]]
    probs: list[list[float]]
    none: list[float]


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    title: str
    class_names: list[str]
    reads_ink: bool
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
    408: "The body did not arrive in time.",
    413: "The body, a picture, or their number is too large.",
    415: "A body of another type.",
    422: "Values that make no sense, or no picture.",
    503: "Too much is asked at this moment: see Retry-After.",
    504: "It took too long.",
    507: "No more corrections are kept.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failure, "description": _WHY[status]} for status in statuses}


def read_docs() -> dict[str, Any]:
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
    include = {
        "name": "include",
        "in": "query",
        "required": False,
        "description": "What else to say: the 28x28 image of each digit, which ink decided, all ink.",
        "schema": {"type": "array", "items": {"type": "string", "enum": list(INCLUDES)}},
        "style": "form",
        "explode": False,
        "example": ["image"],
    }
    return {"requestBody": {"required": True, "content": content}, "parameters": [include]}


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


def keep_docs() -> dict[str, Any]:
    """The body of /v1/corrections."""
    label = {"type": "string", "pattern": "^([0-9]{1,32}|not a digit)$"}
    read = {"type": "string", "maxLength": 200}
    each = [
        _object(("read",), label=label, picture=_base64(), read=read),
        _object(
            ("read",),
            label={"type": "string", "pattern": "^([0-9]|not a digit)$"},
            image=_base64(),
            read=read,
        ),
    ]
    example = {"picture": _PNG, "label": "7", "read": "1"}
    content = {"application/json": {"schema": {"oneOf": each}, "example": example}}
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
