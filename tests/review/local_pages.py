"""Pages of tenfold.review, running in a thread of this process, and a hand on them."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import axe_core_python
import httpx
import numpy as np
from browser import Page
from page_hand import Hand

from tenfold.reader.constraint import Constraint
from tenfold.review.page import Review, ReviewItem

__all__ = ["Running", "crop", "item", "review", "running", "type_text", "until", "violations"]

_AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_PATIENCE = 60  # seconds, on a busy machine


class Running:
    """A page that is served. address: with its token."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self._told: queue.Queue[str] = queue.Queue()
        self._results: list[Any] = []
        self._thread = threading.Thread(target=lambda: self._results.append(self._run(work)), daemon=True)
        self._thread.start()
        self.address = self._told.get(timeout=_PATIENCE)
        self.client = httpx.Client(timeout=_PATIENCE)

    def _run(self, work: Callable[..., Any]) -> Any:
        return work(announce=self._told.put, open_browser=False)

    def result(self) -> Any:
        """What the call returned; it must end by itself."""
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()
        return self._results[0]

    def post(self, name: str, document: Any, **options: Any) -> httpx.Response:
        return self.client.post(self.address + name, json=document, **options)

    def get(self, name: str = "", **options: Any) -> httpx.Response:
        return self.client.get(self.address + name, **options)


def review(items: list[ReviewItem], *, keep: Path | None = None, **how: Any) -> list[str | None]:
    """The texts that a person gave."""
    return Review(keep).ask(items, **how)[0]


@contextmanager
def running(work: Callable[..., Any], end: tuple[str, Any]) -> Iterator[Running]:
    """end: the request after which the page ends, where it has not yet."""
    page = Running(work)
    try:
        yield page
    finally:
        with suppress(httpx.HTTPError):
            page.post(*end)
        page.client.close()


def crop(number: int = 0) -> np.ndarray:
    """uint8 (60, 160): paper with a stroke."""
    image = np.full((60, 160), 230, np.uint8)
    image[12:48, 30 + 10 * number : 36 + 10 * number] = 40
    return image


def item(text: str, number: int = 0, constraint: Constraint | None = None) -> ReviewItem:
    return ReviewItem("sheets/exam.jpg", f"row {number + 1}, column 2", text, crop(number), constraint)


def until(page: Page, condition: str) -> None:
    """Waits until this holds in the page."""
    page.evaluate(
        f"""new Promise((done, fail) => {{
          const late = Date.now() + 20000;
          (function look() {{
            if ({condition}) done(true);
            else if (Date.now() > late) fail(new Error({json.dumps(condition)} + document.body.innerText));
            else setTimeout(look, 5);
          }})();
        }})"""
    )


def violations(page: Page) -> list[str]:
    """What axe-core finds, with the place."""
    page.call("Runtime.evaluate", expression=_AXE)
    found = page.evaluate("axe.run(document).then((found) => found.violations)")
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


def type_text(hand: Hand, text: str) -> None:
    for character in text:
        hand.key(character)
