"""The drawing page as a browser shows it: empty, with a number, a photo, a table; wide and narrow.

    python scripts/page_screenshots.py OUT_DIR

A server of the built-in reader is started for it. Written are
{empty,number,photo,table}-{1280,390}-{light,dark}.png.
Whatever the browser complains of is printed and fails.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from browser import Page, open_page
from page_hand import Hand, in_a_row

from tenfold.synthesis.glyphs import load_glyphs

__all__ = ["prepare_page", "serve", "take_page_screenshots"]

ROOT = Path(__file__).parents[1]
PHOTOS = {"photo": "note.jpg", "table": "marks.jpg"}
NUMBER = "3146"


@contextmanager
def serve(*options: str) -> Iterator[str]:
    """A `tenfold serve` on a free port of this machine, when it is ready; yields its address."""
    port = _free_port()
    command = [sys.executable, "-m", "tenfold", "serve", "--port", str(port), "--workers", "1", *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while not _ready(address):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with status {process.returncode}")
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz") as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def take_page_screenshots(address: str, folder: Path) -> list[str]:
    """Writes the pictures; what the browser complained of."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_page() as page:
        for width in (1280, 390):
            for dark in (False, True):
                page.show(address, width=width, dark=dark, height=600)
                for state in ("empty", "number", "photo", "table"):
                    prepare_page(page, state)
                    path = folder / f"{state}-{width}-{'dark' if dark else 'light'}.png"
                    path.write_bytes(page.screenshot())
                    print(path)
        return page.complaints()


def prepare_page(page: Page, state: str) -> None:
    """state: "empty", "number" (written by hand), "photo" or "table" (opened)."""
    hand = Hand(page)
    hand.wait()
    if state == "number":
        hand.draw(in_a_row(_digits(NUMBER), aspect=hand.aspect()))
    elif state in PHOTOS:
        hand.click("#clear")
        hand.open(ROOT / "examples" / PHOTOS[state])
    page.evaluate("document.activeElement.blur(); new Promise((done) => setTimeout(done, 250))")  # bars glide


def _digits(text: str) -> list[tuple[np.ndarray, ...]]:
    glyphs = {glyph.label: glyph.strokes for glyph in reversed(load_glyphs())}
    return [glyphs[digit] for digit in text]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    with serve() as address:
        wrong = take_page_screenshots(address, Path(arguments[0]))
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
