"""A page of a real browser that runs the page's modules, under a strict policy, on arrays from here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from browser import Page
from web_host import host

import tenfold

__all__ = ["Lab", "open_lab"]

STATIC = Path(tenfold.__file__).parent / "web" / "static"
HTML = """<!doctype html><meta http-equiv="Content-Security-Policy"
content="default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"><title>lab</title>"""
_EACH = """(async () => {
  const all = new Uint8Array(await (await fetch('/arrays.bin')).arrayBuffer());
  const run = async (a) => { %s };
  const answers = [];
  let at = 0;
  for (const [height, width, channels] of %s) {
    const data = all.slice(at, at += height * width * channels);
    answers.push(await run({ data, height, width, channels }));
  }
  return answers;
})()"""


class Lab:
    """`folder` is served at /, the page's modules at /js/."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder

    def run(self, code: str) -> Any:
        """The value of `code`, which may await and import."""
        return self.page.evaluate(f"(async () => {{ {code} }})()")

    def each(self, code: str, arrays: Sequence[np.ndarray]) -> list[Any]:
        """The value of `code` for each uint8 (H, W) or (H, W, C): `a` is {data, height, width, channels}."""
        (self.folder / "arrays.bin").write_bytes(b"".join(array.tobytes() for array in arrays))
        shapes = [(*array.shape, 1)[:3] for array in arrays]
        return self.page.evaluate(_EACH % (code, json.dumps(shapes)))


@contextmanager
def open_lab(page: Page, folder: Path, more: dict[str, Path] | None = None) -> Iterator[Lab]:
    """more: further folders, by the address that they are served at."""
    (folder / "lab.html").write_text(HTML)
    (folder / "favicon.ico").touch()
    page.events.clear()
    with host({"/": folder, "/js/": STATIC / "js"} | (more or {})) as address:
        page.show(f"{address}/lab.html", width=400)
        yield Lab(page, folder)
        assert page.complaints() == []
