"""Bodies of /v1/predict -> images, and the answers for them: many requests' images in one batch.

What a body claims is checked, and its parts are counted, before anything is made of it.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from tenfold.classifier import Classifier
from tenfold.data.ranges import FULL
from tenfold.data.tables import to_pixels
from tenfold.errors import DataError, TenfoldError, nearest

__all__ = ["Refusal"]

# Why a request is refused: a status, and a message in three parts (found, expected, remedy).


class Refusal(TenfoldError):
    """An error with its HTTP status, and the headers that belong to it."""

    def __init__(
        self,
        status: int,
        found: str,
        *,
        expected: str = "",
        remedy: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(found, expected=expected, remedy=remedy)
        self.status, self.headers = status, headers or {}

    def to_bytes(self) -> bytes:
        return json.dumps({"error": to_document(self)}).encode()


def to_document(error: TenfoldError) -> dict[str, Any]:
    """The same form everywhere: what was found, what was expected, and the remedy."""
    return {"found": error.found, "expected": error.expected, "remedy": error.remedy}


def busy(found: str) -> Refusal:
    return Refusal(503, found, remedy="try again after a second", headers={"Retry-After": "1"})


def too_much(found: str) -> Refusal:
    """Of one client, where others would still be served."""
    return Refusal(429, found, remedy="send fewer requests at a time", headers={"Retry-After": "1"})


Marks = tuple[tuple[bytes, int, str], ...]
"""Bytes of which a body may hold so many, and what they are called."""

_KEYS = ("images",)
_MOST_QUOTES = 64  # of a body of images: strings are its keys only
_STEP = 2**16  # bytes that are looked through at a time


def answer_images(
    classifier: Classifier, bodies: Sequence[tuple[str, bytes]], max_images: int
) -> list[tuple[int, bytes]]:
    """(kind, bytes) each -> (status, JSON) each, in the same order; one batch is asked of the network.

    Whatever is wrong with a body is its own answer.
    """
    card = classifier.card
    parsed = [_try_parse(kind, body, card.image_shape, max_images, card.value_range) for kind, body in bodies]
    try:
        return _answer(classifier, parsed)
    except Exception as error:
        if len(parsed) == 1:
            return [_as_answer(_refuse(error))]
        return [answer for body in bodies for answer in answer_images(classifier, [body], max_images)]


def _answer(classifier: Classifier, parsed: Sequence[np.ndarray | Refusal]) -> list[tuple[int, bytes]]:
    good = [images for images in parsed if isinstance(images, np.ndarray)]
    found = iter(classifier.predictions(np.concatenate(good)) if good else ())
    answers = []
    for images in parsed:
        if isinstance(images, Refusal):
            answers.append(_as_answer(images))
            continue
        own = [next(found) for _ in images]
        document: dict[str, Any] = {
            "labels": [each.label for each in own],
            "verdicts": [each.verdict for each in own],
            "probs": [each.probs.tolist() for each in own],
            "none": [each.none for each in own],
        }
        answers.append((200, to_json(document)))
    return answers


def _as_answer(refusal: Refusal) -> tuple[int, bytes]:
    return refusal.status, refusal.to_bytes()


def _try_parse(
    kind: str, body: bytes, shape: tuple[int, int], max_images: int, value_range: tuple[float, float]
) -> np.ndarray | Refusal:
    try:
        return parse_images(kind, body, shape, max_images, value_range)
    except Refusal as refusal:
        return refusal
    except Exception as error:  # the other bodies of the batch are answered all the same
        return _refuse(error)


def _refuse(error: Exception) -> Refusal:
    if isinstance(error, MemoryError):
        return Refusal(413, "images that need more memory than available", remedy="send several requests")
    return Refusal(400, f"the body cannot be read ({type(error).__name__})", expected="images")


def parse_images(
    kind: str,
    body: bytes,
    shape: tuple[int, int],
    max_images: int,
    value_range: tuple[float, float] = FULL,
) -> np.ndarray:
    """kind: "json", "npy" or "raw" (N*H*W bytes) -> uint8 (N, H, W), N >= 1. Raises Refusal.

    value_range: the numbers of the data that the model learned from which are black and white. Where they are
    not 0 and 255, the numbers of a body are in the same units.
    """
    if kind == "json":
        check_counts(body, predict_marks(shape, max_images))
        images = _from_json(body, shape, value_range)
    else:
        images = {"npy": _from_npy, "raw": _from_raw}[kind](body, shape)
    if images.shape[1:] != shape or images.ndim != 3 or not len(images):
        raise Refusal(
            422, f"images of shape {_shape(images)}", expected=f"(N, {shape[0]}, {shape[1]}), N at least 1"
        )
    if len(images) > max_images:
        raise Refusal(
            413, f"{len(images):,} images", expected=f"at most {max_images:,}", remedy="send several requests"
        )
    return images if value_range == FULL else _scale(images, value_range)


def _scale(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    try:
        return to_pixels(images, "the body", value_range=value_range)
    except DataError as error:
        low, high = value_range
        raise Refusal(
            422,
            f"numbers from {images.min():g} to {images.max():g}",
            expected=f"{low:g} (black) to {high:g} (white), as in the data that the model learned from",
        ) from error


def _shape(images: np.ndarray) -> str:
    return "(" + ", ".join(map(str, images.shape)) + ")"


def _from_raw(body: bytes, shape: tuple[int, int]) -> np.ndarray:
    if not body or len(body) % math.prod(shape):
        raise Refusal(
            422, f"{len(body):,} bytes", expected=f"{shape[0]} x {shape[1]} = {math.prod(shape)} per image"
        )
    return np.frombuffer(body, np.uint8).reshape(-1, *shape)


def _from_npy(body: bytes, shape: tuple[int, int]) -> np.ndarray:
    """NumPy's own format, read without its loader, which makes what the header claims."""
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0
        }[version]  # fmt: skip
        claimed, fortran, dtype = reader(file)
    except Exception as error:  # its readers raise half a dozen kinds
        raise Refusal(400, "the .npy file's header cannot be read", expected="numpy.save's format") from error
    rest = body[file.tell() :]
    if not all(type(size) is int and 0 <= size <= len(rest) for size in claimed):
        raise Refusal(
            422,
            f"a shape that {len(rest):,} bytes cannot have",
            expected=f"(N, {shape[0]}, {shape[1]}), one byte per pixel",
        )
    if dtype != np.uint8 or fortran:
        order = " in Fortran order" if fortran else ""
        raise Refusal(422, f"an array of {dtype}{order}", expected="uint8 in C order")
    if len(claimed) != 3 or math.prod(claimed) != len(rest):
        raise Refusal(
            422,
            f"an array of shape {claimed} in {len(rest):,} bytes",
            expected=f"(N, {shape[0]}, {shape[1]}), one byte per pixel",
        )
    return np.frombuffer(rest, np.uint8).reshape(claimed)


def _from_json(body: bytes, shape: tuple[int, int], value_range: tuple[float, float]) -> np.ndarray:
    document = parse_json(body)
    if not isinstance(document, dict) or "images" not in document:
        raise Refusal(422, "no images", expected='{"images": [[[0, ...], ...], ...]}')
    for key in document:
        if key not in _KEYS:
            raise Refusal(422, f"unknown key {key[:40]!r}", remedy=nearest(key[:40], _KEYS))
    expected = f"whole numbers 0 to 255, N x {shape[0]} x {shape[1]} of them"
    images = document["images"]
    if not isinstance(images, list):
        raise Refusal(422, "images are not an array", expected=expected)
    if body.count(b'"') > 2:  # texts, of which NumPy would make one array as wide as the longest
        raise Refusal(422, "images that are not numbers", expected=expected)
    has_bools = b"true" in body or b"false" in body  # which Python and NumPy take for numbers
    if not has_bools and (values := _bytes_of(images, shape)) is not None:
        return values
    try:
        values = np.array(images)
    except (ValueError, OverflowError):
        raise Refusal(422, "images with rows of unequal length", expected=expected) from None
    if not values.size:
        return values
    if values.dtype.kind not in "iuf" or has_bools:
        raise Refusal(422, "images that are not numbers", expected=expected)
    if value_range != FULL:
        return values
    if values.min() < 0 or not values.max() <= 255 or (values != np.floor(values)).any():
        raise Refusal(422, f"numbers from {values.min():g} to {values.max():g}", expected=expected)
    return values.astype(np.uint8)


def _bytes_of(images: list[Any], shape: tuple[int, int]) -> np.ndarray | None:
    """Images of whole numbers 0 to 255 and this shape, which nearly all are; None for all else."""
    height, width = shape
    if not images or not all(isinstance(image, list) and len(image) == height for image in images):
        return None
    rows = [row for image in images for row in image]
    if not all(isinstance(row, list) and len(row) == width for row in rows):  # bytes(28) would be 28 zeros
        return None
    try:
        return np.frombuffer(b"".join(map(bytes, rows)), np.uint8).reshape(-1, height, width)
    except (TypeError, ValueError):
        return None


def predict_marks(shape: tuple[int, int], max_images: int) -> Marks:
    """What a JSON body of at most so many images may hold of each mark."""
    return (
        (b'"', _MOST_QUOTES, "quotation marks"),
        (b"[", 2 * (max_images * (shape[0] + 1) + 2), "arrays"),
        (b",", 2 * max_images * math.prod(shape) + 2, "numbers"),
    )


class MarkCounter:
    """Counts the marks of a body while it arrives. Raises Refusal 413 at the first one too many."""

    def __init__(self, marks: Marks) -> None:
        self.marks, self.counts = marks, [0] * len(marks)

    def add(self, piece: bytes) -> None:
        for number, (mark, most, what) in enumerate(self.marks):
            self.counts[number] += piece.count(mark)
            if self.counts[number] > most:
                raise Refusal(
                    413,
                    f"more than {most:,} {what}",
                    expected=f"at most {most:,}",
                    remedy="send several requests",
                    headers={"Connection": "close"},
                )


def check_counts(body: bytes, marks: Marks) -> None:
    """Raises Refusal 413 where a mark stands in the body more often than it may, before it is parsed."""
    counter, view = MarkCounter(marks), memoryview(body)
    for start in range(0, len(body), _STEP):
        counter.add(bytes(view[start : start + _STEP]))


def parse_json(body: bytes) -> Any:
    """Raises Refusal 400 for what is not JSON, NaN and the like included."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON ({str(error)[:100]})", expected="a JSON document") from None
