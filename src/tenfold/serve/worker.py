"""A worker: a process that holds the model and answers one request after another through its pipes.

Reading a picture is mostly short NumPy calls, which hold Python's lock: threads of one process would wait
for each other. A process of its own also bounds the harm a picture can do: one that takes too long, or
kills its decoder, costs this process only.

A frame is two lengths (big-endian uint32), a JSON header and bytes.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import traceback
from typing import Any, BinaryIO

from tenfold.errors import DataError
from tenfold.serve.images import Refusal
from tenfold.serve.settings import collect_rarely

FRAME = struct.Struct(">II")
_LONGEST_ERROR = 4000  # characters of an error in the log


def join_frame(header: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return b"".join((FRAME.pack(len(text), len(data)), text, data))


def main() -> None:
    """Serves standard input until it is closed; whatever libraries print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the server decides when we end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    given = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if not (frame := _read_frame(given)):
        return
    worker, answer = _Worker(*frame), join_frame({"status": 200})
    with collect_rarely():
        while True:
            answers.write(answer)
            answers.flush()
            if not (frame := _read_frame(given)):
                return
            answer = worker.answer(*frame)


def _read_frame(file: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """None at the end of the file."""
    start = file.read(FRAME.size)
    if len(start) < FRAME.size:
        return None
    size, length = FRAME.unpack(start)
    return json.loads(file.read(size)), file.read(length)


class _Worker:
    def __init__(self, header: dict[str, Any], weights: bytes) -> None:
        from safetensors.numpy import load

        from tenfold.reader.line_reader import build_model

        options = {key: header[key] for key in ("engine", "device", "precision")}
        self.model: Any = build_model(header["card"], load(weights), **options)
        self.max_pixels, self.max_images = header["max_pixels"], header["max_images"]
        self.max_pictures = header["max_pictures"]

    def answer(self, header: dict[str, Any], data: bytes) -> bytes:
        """One frame -> one frame, whatever is in it: nothing that a body does ends the process."""
        from tenfold.serve.answer import LargePictureError

        try:
            return getattr(self, f"_{header['do']}")(header, data)
        except LargePictureError:
            return join_frame({"status": 0})
        except Exception as error:
            refusal = _refuse(error)
            return join_frame({"status": refusal.status}, refusal.to_bytes())

    def _read(self, header: dict[str, Any], data: bytes) -> bytes:
        from tenfold.serve.answer import check_size, read_body

        check_size(data, self.max_pixels, large=header["large"])
        entry = read_body(self.model, data, header["name"], **header["asked"])
        return join_frame({"status": 422 if "error" in entry else 200}, json.dumps(entry).encode())

    def _predict(self, header: dict[str, Any], data: bytes) -> bytes:
        """Of a classifier; the server sends a line reader no images."""
        from tenfold.serve.images import answer_images

        view, start, bodies = memoryview(data), 0, []
        for kind, length in header["bodies"]:
            bodies.append((kind, bytes(view[start : start + length])))
            start += length
        answers = answer_images(self.model, bodies, self.max_images)
        told = [(status, len(answer)) for status, answer in answers]
        return join_frame({"status": 200, "answers": told}, b"".join(answer for _, answer in answers))

    def _warm(self, *_: Any) -> bytes:
        """What the first request would else wait for is imported, and run."""
        from tenfold.serve.answer import includes_of, read_body, warming_picture

        read_body(self.model, warming_picture(), "warm-up", include=includes_of(self.model))
        return join_frame({"status": 200})

    def _split(self, header: dict[str, Any], data: bytes) -> bytes:
        """A large body -> the pictures in it."""
        from tenfold.serve.answer import split_body

        pictures = split_body(header["type"], data, self.max_pictures)
        told = [(picture.name, len(picture.data)) for picture in pictures]
        return join_frame({"status": 200, "pictures": told}, b"".join(picture.data for picture in pictures))

    def _keep(self, _: dict[str, Any], data: bytes) -> bytes:
        from tenfold.serve.corrections import read_correction

        correction = read_correction(self.model, data, self.max_pixels)
        return join_frame({"status": 200, "label": correction.label, "read": correction.read}, correction.png)


def _refuse(error: Exception) -> Refusal:
    """What went wrong with a body, as its own answer; what is not a mistake of it is in the log, too."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DataError):
        return Refusal(422, error.found, expected=error.expected, remedy=error.remedy)
    told = {"error": repr(error)[:_LONGEST_ERROR], "traceback": traceback.format_exc()[-_LONGEST_ERROR:]}
    sys.stderr.write(json.dumps(told) + "\n")
    if isinstance(error, MemoryError):
        return Refusal(413, "it needs more memory than available", remedy="send a smaller picture, or fewer")
    return Refusal(422, f"the body cannot be read ({type(error).__name__})", expected="pictures or images")


if __name__ == "__main__":
    main()
