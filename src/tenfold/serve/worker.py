"""What a worker does: it holds the model, and answers one question after another.

A process of its own bounds the harm a picture can do: one that takes too long, or kills its decoder, costs
this process only.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pydantic_core import to_json

from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.helpers import Helper
from tenfold.pictures.lines import Strip
from tenfold.pictures.open import open_image, open_picture
from tenfold.reader.constraint import Constraint
from tenfold.reader.line_reader import AnyModel, LineReader, build_model
from tenfold.reader.page import read_picture
from tenfold.reader.reading import Line, Reading
from tenfold.serve import requests
from tenfold.serve.corrections import NOT_A_DIGIT, Corrections
from tenfold.serve.requests import GivenPicture
from tenfold.serve.settings import Refusal, ServeSettings, collect_rarely, to_document

_LISTS: dict[str, Any] = {name: [] for name in ("digits", "characters", "lines", "troubles")}
EMPTY = {"text": "", "confidence": None} | _LISTS | {"table": None, "turned": 0}  # nothing was read

_LARGE = 64 * 2**20  # bytes that decoding takes: larger pictures are read one at a time
_BYTES_A_PIXEL = {"JPEG": 2, "WEBP": 18, "HEIF": 18}  # what decoding takes; JPEG is reduced meanwhile
_OTHERS = 8  # progressive JPEG, too
_FULL = 255  # grey levels
_LONGEST_READ = 200  # characters of what was read instead of a label
_CORRECTION_MARKS = requests.brackets_and_quotes(32, 32)
_LONGEST_ERROR = 4000  # characters of an error in the log

_constraint = lru_cache(maxsize=16)(Constraint.make)  # with the steps that it has worked out


class Answerer:
    """Answers ("name of a method", its arguments)."""

    def __init__(self, model: Any, settings: ServeSettings) -> None:
        self.model, self.settings = model, settings

    def answer(self, question: tuple[Any, ...]) -> Any:
        """A Refusal is an answer, too: nothing that a body does ends the process."""
        name, *given = question
        try:
            return getattr(self, name)(*given)
        except Exception as error:
            return _refuse(error)

    def read(self, picture: GivenPicture, asked: dict[str, Any], large: bool) -> tuple[int, bytes] | None:
        """A status, and the picture's entry in the answer as JSON. None: it is to be read as a `large` one,
        while no other is."""
        try:
            if is_large(picture.data, self.settings.max_pixels) and not large:
                return None
            entry = read_body(self.model, picture.data, picture.name, **asked)
            status = 422 if "error" in entry else 200
        except Exception as error:
            refusal = _refuse(error)
            status, told = refusal.status, {"milliseconds": 0.0, "error": to_document(refusal)}
            entry = {"name": picture.name} | EMPTY | told
        return status, json.dumps(entry).encode()

    def predict(self, bodies: Sequence[tuple[str, bytes]]) -> list[tuple[int, bytes]]:
        """(kind, bytes) each -> (status, JSON) each, in one batch of a classifier. What is wrong with a body
        is its own answer."""
        parsed = [self._parse(*body) for body in bodies]
        good = [images for images in parsed if isinstance(images, np.ndarray)]
        found = iter(self.model.predictions(np.concatenate(good)) if good else ())
        answers = []
        for images in parsed:
            if isinstance(images, Refusal):
                answers.append((images.status, images.to_bytes()))
                continue
            own = [next(found) for _ in images]
            document = {"labels": [each.label for each in own], "verdicts": [each.verdict for each in own]}
            document |= {"probs": [each.probs.tolist() for each in own], "none": [each.none for each in own]}
            answers.append((200, to_json(document)))
        return answers

    def _parse(self, kind: str, body: bytes) -> np.ndarray | Refusal:
        card, most = self.model.card, self.settings.max_images
        try:
            return requests.parse_images(kind, body, card.image_shape, most, card.value_range)
        except Exception as error:  # the other bodies of the batch are answered all the same
            return _refuse(error, 400, "images")

    def split(self, content_type: str, body: bytes) -> list[GivenPicture]:
        """A large body -> the pictures in it."""
        return asyncio.run(requests.split_body(content_type, body, self.settings.max_pictures))

    def keep(self, body: bytes) -> tuple[str, str, bytes]:
        """A body of /v1/corrections -> what `Corrections.add` takes."""
        document = requests.parse_json(body, _CORRECTION_MARKS)
        requests.check_keys(document, required=("label",), optional=("picture", "image", "read"))
        label, read = document["label"], document.get("read", "")
        if ("picture" in document) == ("image" in document):
            raise Refusal(422, "not one picture", expected="either 'picture', a file, or 'image', its pixels")
        if not isinstance(label, str) or not (label == NOT_A_DIGIT or self._is_known(label)):
            shown = requests.as_shown(str(label))[:40]
            raise Refusal(422, f"the label {shown!r}", expected=f"what is written on it, or {NOT_A_DIGIT!r}")
        if not isinstance(read, str) or len(read) > _LONGEST_READ:
            raise Refusal(422, "'read' is not a short text", expected="what was read instead")
        return label, requests.as_shown(read), _png_of(self.model, document, self.settings.max_pixels)

    def _is_known(self, label: str) -> bool:
        if isinstance(self.model, Classifier):
            return label in self.model.class_names
        return Corrections.takes_lines(label)


def _refuse(error: Exception, status: int = 422, expected: str = "pictures or images") -> Refusal:
    """What went wrong with a body, as its own answer; what is not a mistake of it is in the log, too."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DataError):
        return Refusal(422, error.found, expected=error.expected, remedy=error.remedy)
    told = {"error": repr(error)[:_LONGEST_ERROR], "traceback": traceback.format_exc()[-_LONGEST_ERROR:]}
    sys.stderr.write(json.dumps(told) + "\n")
    if isinstance(error, MemoryError):
        return Refusal(413, "it needs more memory than available", remedy="send a smaller picture, or fewer")
    return Refusal(status, f"the body cannot be read ({type(error).__name__})", expected=expected)


# A correction -> the PNG that is kept.


def _png_of(model: AnyModel, document: dict[str, Any], max_pixels: int) -> bytes:
    """Upright, no larger than it is read, without what else a picture's file told. Raises Refusal 422 for the
    pixels of an image that is not a strip, where the model reads lines."""
    if "picture" in document:
        data = requests.decode_base64(document["picture"], "picture")
        is_large(data, max_pixels)
        return to_png(open_picture(data).pixels)
    data, widest = requests.decode_base64(document["image"], "image"), Strip.WIDEST + 2 * Strip.MARGIN
    if isinstance(model, Classifier):
        shape = model.card.image_shape
    elif len(data) % Strip.HEIGHT or not Strip.HEIGHT <= len(data) <= Strip.HEIGHT * widest:
        expected = f"{Strip.HEIGHT} x W bytes, W from 1 to {widest:,}"
        raise Refusal(422, f"an image of {len(data):,} bytes", expected=expected)
    else:
        shape = Strip.HEIGHT, len(data) // Strip.HEIGHT
    return to_png(requests.parse_images("raw", data, shape, 1)[0])


# A picture -> its entry in the answer.


def is_large(data: bytes, max_pixels: int) -> bool:
    """Whether a picture is to be read while no other large one is. Raises Refusal 413 for too large a one.

    From the header alone. It says nothing of what is not a picture: opening it does.
    """
    try:
        with open_image(io.BytesIO(data)) as image:
            (width, height), form = image.size, image.format or ""
            progressive = form == "JPEG" and "progressive" in image.info
    except Exception:  # PIL's readers raise a dozen kinds; opening it says which
        return False
    if width * height > max_pixels:
        found, expected = f"the picture has {width:,} x {height:,} pixels", f"at most {max_pixels:,} in all"
        raise Refusal(413, found, expected=expected, remedy="make it smaller")
    each = _OTHERS if progressive else _BYTES_A_PIXEL.get(form, _OTHERS)
    return width * height * each > _LARGE


def read_body(
    model: AnyModel,
    data: bytes,
    name: str,
    *,
    include: Sequence[str] = (),
    digits: bool = False,
    form: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A picture's bytes -> its entry in the answer; one that cannot be read has an "error".

    include: see `includes_of`. digits: without separators. form: what `Constraint.make` takes. The last
    two are of a line reader.
    """
    started = time.perf_counter()
    try:
        if isinstance(model, Classifier):
            entry = _classify(model, data, include)
        else:
            reading = read_picture(model, data, _constraint(**(form or {})))
            reading = reading.only_digits() if digits else reading
            entry = reading.to_dict()
            if include:
                _add_seen(model, reading, entry, include)
    except DataError as error:
        entry = EMPTY | {"error": to_document(error)}
    return {"name": name} | entry | {"milliseconds": round(1000 * (time.perf_counter() - started), 3)}


def _classify(classifier: Classifier, data: bytes, include: Sequence[str]) -> dict[str, Any]:
    """The whole picture is one digit."""
    digit = classifier.classify(data)
    told = digit.to_dict()
    if digit.image is not None and "image" in include:
        told["image"] = _base64(digit.image.tobytes())
    if digit.image is not None and "saliency" in include:
        from tenfold.explain.attributions import gradient_saliency

        told["saliency"] = _rounded(gradient_saliency(classifier, digit.image))
    text = digit.label if digit.verdict == "digit" else "?"
    return EMPTY | {"text": text, "confidence": digit.confidence, "digits": [told], "characters": [told]}


def _add_seen(reader: LineReader, reading: Reading, entry: dict[str, Any], include: Sequence[str]) -> None:
    """What the network saw: to each line, and to each character under "characters" and "digits"."""
    seen: dict[int, dict[str, Any]] = {}
    for line, told in zip(reading.lines, entry["lines"], strict=True):
        if "strip" in include:
            told["strip"] = _base64(to_png(line.strip))
        maps = _saliency(reader, line) if "saliency" in include else [None] * len(line.characters)
        for character, saliency in zip(line.characters, maps, strict=True):
            seen[id(character)] = {"saliency": saliency} if saliency else {}
            if "image" in include and character.image is not None:
                seen[id(character)]["image"] = _base64(character.image.tobytes())
    for key, found in (("digits", reading.digits), ("characters", reading.characters)):
        for told, character in zip(entry[key], found, strict=True):
            told |= seen[id(character)]


def _saliency(reader: LineReader, line: Line) -> list[list[float]]:
    """Of each character, in the 32 x 32 pixels around its column: what each pixel adds to its lead."""
    from tenfold.reader.explain import decisive_pixels

    _, logs = reader.read_strip(line.strip)
    shares = decisive_pixels(reader, line, logs) / (_FULL * reader.card.recipe.input.std)
    return [_rounded(line.window(each, place)) for each, place in zip(shares, line.places, strict=True)]


def _rounded(shares: np.ndarray) -> list[float]:
    return [round(value, 5) for value in shares.ravel().tolist()]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def to_png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W) or (H, W, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def warming_picture() -> bytes:
    """A seven drawn on flat paper."""
    picture = Image.new("L", (140, 140), 255)
    ImageDraw.Draw(picture).line([(40, 30), (100, 30), (60, 110)], fill=0, width=10)
    return to_png(np.asarray(picture))


# The process.


def _prepare(start: tuple[Any, Any, dict[str, Any], ServeSettings]) -> Callable[[tuple[Any, ...]], Any]:
    """What the first request would else wait for is imported, and run."""
    card, weights, options, settings = start
    for name in ("SIGTERM", "SIGHUP"):  # they reach all; the server decides when we end
        if hasattr(signal, name):  # not on Windows
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answerer = Answerer(build_model(card, weights, **options), settings)
    read_body(answerer.model, warming_picture(), "warm-up", include=requests.includes_of(answerer.model))
    gc.freeze()  # the model, too
    return answerer.answer


if __name__ == "__main__":
    with collect_rarely():
        Helper.serve(_prepare)
