"""A page of a real browser that runs the ink code, under a strict policy; and what Python says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from browser import Page
from ink_judge import mean_reader
from PIL import Image
from web_host import host

import tenfold
from tenfold.reader.reading import read_picture

__all__ = ["InkLab", "expected", "open_lab", "pixels_of"]

STATIC = Path(tenfold.__file__).parent / "web" / "static"
HTML = """<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'self'">
<title>ink</title>"""


class InkLab:
    """Runs code of the browser's; `folder` is served at /."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder, self.count = page, folder, 0

    def run(self, code: str, **values: Any) -> Any:
        """The value of `code`, which has `lab` (ink_lab.js) and the values; it may await and import."""
        names = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        start = f"(async () => {{ const lab = await import('/tests/ink_lab.js'); {names}"
        return self.page.evaluate(f"{start} {code} }})()")

    def read(self, image: Image.Image) -> dict[str, Any]:
        """From the pixels that Python decoded."""
        rgba = np.asarray(image.convert("RGBA"))
        address = self._keep(rgba.tobytes())
        return _with_images(
            self.run(
                "return lab.readPixels(address, w, h);", address=address, w=rgba.shape[1], h=rgba.shape[0]
            )
        )

    def read_file(self, path: Path) -> dict[str, Any]:
        """From the file, which the browser decodes."""
        return _with_images(self.run("return lab.readFile(address);", address=self._keep(path.read_bytes())))

    def floats(self, code: str, **values: np.ndarray) -> np.ndarray:
        """The Float32Array that `code` returns; arrays arrive as Float32Arrays."""
        texts = {f"{name}64": _text(np.asarray(value, np.float32)) for name, value in values.items()}
        names = "".join(f"const {name} = lab.toFloats({name}64);" for name in values)
        answer = self.run(f"{names} return lab.toText(await (async () => {{ {code} }})());", **texts)
        return np.frombuffer(base64.b64decode(answer), np.float32)

    def _keep(self, data: bytes) -> str:
        self.count += 1
        (self.folder / f"{self.count}.bin").write_bytes(data)
        return f"/{self.count}.bin"


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _with_images(reading: dict[str, Any]) -> dict[str, Any]:
    for digit in reading["digits"]:
        digit["image"] = pixels_of(base64.b64decode(digit["image"]))
    return reading


def pixels_of(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).reshape(28, 28)


def expected(picture: Any) -> dict[str, Any]:
    """What Python reads: `Reading.to_dict`, each digit with its image."""
    reading = read_picture(mean_reader(), picture)
    told: dict[str, Any] = json.loads(json.dumps(reading.to_dict()))
    for entry, digit in zip(told["digits"], reading.digits, strict=True):
        entry["image"] = digit.image
    return told


@contextmanager
def open_lab(page: Page, folder: Path) -> Iterator[InkLab]:
    reader = mean_reader()
    judge = {"card": reader.card.to_dict(), "means": reader.engine.means.tolist()}
    (folder / "judge.json").write_text(json.dumps(judge))
    (folder / "ink.html").write_text(HTML)
    (folder / "favicon.ico").touch()
    with host({"/js/": STATIC / "js", "/tests/": Path(__file__).parent, "/": folder}) as address:
        page.show(f"{address}/ink.html", width=400)
        yield InkLab(page, folder)
