"""A hand on the drawing page: strokes by mouse, pen or finger, pictures by file, and what the page says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from browser import Page

__all__ = ["Hand", "Pointer", "fit", "in_a_row"]

Pointer = Literal["mouse", "pen", "touch"]
Strokes = Sequence[np.ndarray]

_STILL = """new Promise((done, fail) => {
  const until = Date.now() + 20000;
  (function look() {
    const { ready, busy } = document.documentElement.dataset;
    if (ready && !busy) done(true);
    else if (Date.now() > until) fail(new Error(document.body.innerText));
    else setTimeout(look, 10);
  })();
})"""


class Hand:
    """Draws on a page that is open. Places are shares of the drawing area: (left, top, width, height)."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def aspect(self) -> float:
        """The drawing area's width / height."""
        pad = "document.querySelector('#pad')"
        return float(self.page.evaluate(f"{pad}.clientWidth / {pad}.clientHeight"))

    def wait(self) -> None:
        """Until the page has answered for all that was drawn or shown."""
        self.page.evaluate(_STILL)

    def draw(
        self, strokes: Strokes, pointer: Pointer = "mouse", *, force: float = 0.5, wait: bool = True
    ) -> None:
        """strokes: (n, 2) each, x and y as shares of the drawing area's width and height."""
        left, top, width, height = self.page.evaluate(
            "{ const box = document.querySelector('#pad').getBoundingClientRect();"
            " [box.left, box.top, box.width, box.height] }"
        )
        for stroke in strokes:
            points = (np.asarray(stroke, float) * (width, height) + (left, top)).round(1).tolist()
            if pointer == "touch":
                self._touch(points)
            else:
                self._move(points, pointer, force)
        if wait:
            self.wait()

    def _move(self, points: list[list[float]], pointer: Pointer, force: float) -> None:
        common = {"button": "left", "clickCount": 1, "pointerType": pointer}
        pressed = common | {"buttons": 1} | ({"force": force} if pointer == "pen" else {})
        call = self.page.call
        call("Input.dispatchMouseEvent", type="mousePressed", x=points[0][0], y=points[0][1], **pressed)
        for x, y in points[1:]:
            call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **pressed)
        call("Input.dispatchMouseEvent", type="mouseReleased", x=points[-1][0], y=points[-1][1], **common)

    def _touch(self, points: list[list[float]]) -> None:
        for number, (x, y) in enumerate(points):
            kind = "touchMove" if number else "touchStart"
            self.page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(
        self, key: str, times: int = 1, *, ctrl: bool = False, shift: bool = False, alt: bool = False
    ) -> None:
        """Presses a key of the keyboard: a character, or a name such as "ArrowLeft"."""
        codes = {" ": 32, "Tab": 9, "Enter": 13, "Delete": 46, "ArrowLeft": 37, "ArrowUp": 38}
        codes |= {"ArrowRight": 39, "ArrowDown": 40, ".": 190, "Escape": 27, "Backspace": 8}
        options: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        options["modifiers"] = alt + 2 * ctrl + 8 * shift
        if (len(key) == 1 and not ctrl) or key == "Enter":
            options["text"] = "\r" if key == "Enter" else key
        for _ in range(times):
            self.page.call("Input.dispatchKeyEvent", type="keyDown", **options)
            self.page.call("Input.dispatchKeyEvent", type="keyUp", **options)

    def open(self, picture: Path) -> None:
        """Gives a file to the page's file button."""
        self.page.evaluate("document.documentElement.dataset.busy = 'opening'")
        root = self.page.call("DOM.getDocument")["root"]["nodeId"]
        button = self.page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self.page.call("DOM.setFileInputFiles", files=[str(picture)], nodeId=button)
        self.wait()

    def click(self, selector: str) -> None:
        self.page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        self.wait()

    def text(self, selector: str) -> str:
        """What stands there, as it is shown."""
        return str(self.page.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def count(self, selector: str) -> int:
        return int(self.page.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length"))


def fit(
    strokes: Strokes, place: tuple[float, float, float, float], *, aspect: float = 1.6
) -> list[np.ndarray]:
    """Strokes of any unit, as large as may be in the middle of a place. aspect: the area's width / height."""
    points = np.concatenate(list(strokes))
    low, high = points.min(axis=0), points.max(axis=0)
    area = np.array([place[2] * aspect, place[3]])
    scale = float((area / np.maximum(high - low, 1e-6)).min())
    corner = np.array([place[0] * aspect, place[1]]) + (area - scale * (high - low)) / 2
    return [((stroke - low) * scale + corner) / (aspect, 1) for stroke in strokes]


def in_a_row(drawings: Iterable[Strokes], *, aspect: float = 1.6) -> list[np.ndarray]:
    """Several digits beside each other, with space between."""
    drawn = list(drawings)
    share = 0.9 / len(drawn)
    height = min(0.6, 1.1 * share * aspect)
    places = [(0.05 + (i + 0.15) * share, (1 - height) / 2, 0.7 * share, height) for i in range(len(drawn))]
    return [
        stroke
        for each, place in zip(drawn, places, strict=True)
        for stroke in fit(each, place, aspect=aspect)
    ]
