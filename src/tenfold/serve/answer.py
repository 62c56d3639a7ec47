"""What a worker does with a body: read a picture, or answer for images. Bytes in, JSON out."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import Prediction
from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.explain.gradient import gradient_saliency
from tenfold.ink.lift import Ink, lift_ink
from tenfold.ink.open import open_picture
from tenfold.reader.reading import Reading, read_picture, to_text
from tenfold.serve.refusal import Refusal, to_document

__all__ = [
    "INCLUDES",
    "LargePictureError",
    "check_size",
    "correction_picture",
    "read_body",
    "warming_pictures",
]

INCLUDES = ("image", "saliency", "ink")
"""What an answer may hold beside the verdicts."""

_LARGE = 64 * 2**20  # bytes that decoding takes: larger pictures are read one at a time
_BYTES_A_PIXEL = {"JPEG": 2, "WEBP": 18}  # what decoding takes; JPEG is reduced meanwhile
_PROGRESSIVE, _OTHERS = 8, 8


class LargePictureError(Exception):
    """A picture that is to be read while no other large one is."""


def check_size(data: bytes, max_pixels: int, *, large: bool) -> None:
    """From the header alone. Raises Refusal 413, and LargePictureError unless `large` are welcome.

    Says nothing of what is no picture: that is for who opens it.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            (width, height), form = image.size, image.format or ""
            progressive = form == "JPEG" and "progressive" in image.info
    except Exception:  # PIL's readers raise a dozen kinds; opening it says which
        return
    if width * height > max_pixels:
        raise Refusal(
            413,
            f"the picture has {width:,} x {height:,} pixels",
            expected=f"at most {max_pixels:,} in all",
            remedy="make it smaller",
        )
    each = _PROGRESSIVE if progressive else _BYTES_A_PIXEL.get(form, _OTHERS)
    if not large and width * height * each > _LARGE:
        raise LargePictureError


def read_body(classifier: Classifier, data: bytes, name: str, include: Sequence[str]) -> dict[str, Any]:
    """A picture's bytes -> its entry in the answer; one that cannot be read has an "error"."""
    started = time.perf_counter()
    try:
        entry = _read(classifier, data, include)
    except DataError as error:
        entry = {"text": "", "digits": [], "troubles": [], "error": to_document(error)}
    return {"name": name} | entry | {"milliseconds": round(1000 * (time.perf_counter() - started), 3)}


def _read(classifier: Classifier, data: bytes, include: Sequence[str]) -> dict[str, Any]:
    if not classifier.card.reads_ink:
        found: tuple[Prediction, ...] = (classifier.classify(data),)
        entry: dict[str, Any] = {"text": to_text(found), "digits": [found[0].to_dict()], "troubles": []}
    else:
        reading: Reading = read_picture(classifier, data)
        found, entry = reading.digits, reading.to_dict()
        if "ink" in include:
            entry["ink"] = _ink(reading.ink, reading.picture.scale)
    for digit, told in zip(found, entry["digits"], strict=True):
        told |= _seen(classifier, digit, include)
    return entry


def _seen(classifier: Classifier, digit: Prediction, include: Sequence[str]) -> dict[str, Any]:
    if digit.image is None:
        return {}
    seen: dict[str, Any] = {}
    if "image" in include:
        seen["image"] = base64.b64encode(digit.image.tobytes()).decode()
    if "saliency" in include:
        shares = gradient_saliency(classifier, digit.image)
        seen["saliency"] = [round(value, 5) for value in shares.ravel().tolist()]
    return seen


def _ink(ink: Ink, scale: float) -> dict[str, Any]:
    grey = Image.fromarray(np.rint(255 * ink.strength).astype(np.uint8))
    return {"png": base64.b64encode(_png(grey)).decode(), "size": list(grey.size), "scale": scale}


def correction_picture(classifier: Classifier, data: bytes, label: str) -> bytes:
    """A picture as it is kept: upright, no larger than it is read, without what else its file told.

    Raises DataError where it cannot be read, or shows another number of digits than its label.
    """
    picture = open_picture(data)
    if label.isdigit() and classifier.card.reads_ink:
        count = len(classifier.read_ink(lift_ink(picture.pixels)))
        if not count or (len(label) > 1 and count != len(label)):
            expected = f"{len(label)}, for its label {label}"
            raise DataError(f"{count} digits found in the picture", expected=expected)
    return _png(Image.fromarray(picture.pixels))


def warming_pictures() -> list[bytes]:
    """A seven drawn on flat paper, and the same on grainy paper: each way that ink is lifted."""
    picture = Image.new("L", (140, 140), 255)
    ImageDraw.Draw(picture).line([(40, 30), (100, 30), (60, 110)], fill=0, width=10)
    grain = np.random.default_rng(0).normal(0, 12, (140, 140))
    grainy = Image.fromarray(np.clip(np.asarray(picture) * 0.7 + 30 + grain, 0, 255).astype(np.uint8))
    return [_png(picture), _png(grainy)]


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
