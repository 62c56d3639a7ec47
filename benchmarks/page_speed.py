"""How long one waits for the page: from the pen's lifting to the answer on the screen, in headless Chromium.

    python benchmarks/page_speed.py [--repeats 25] [--readme]

Digits from recorded strokes, else the package's glyphs, are drawn one after another on the page of
`tenfold serve` and on the exported bundle, each on an empty sheet; the page itself notes the times
(performance.measure "answer"). Also the bytes of all that is loaded before the model.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import ROOT, machine, markdown_table, publish

from tenfold import export_web, load_reader
from tenfold.synthesis.glyphs import DIGITS, load_glyphs

sys.path.append(str(ROOT / "scripts"))
if TYPE_CHECKING:
    from browser import Page
    from page_hand import Hand

TIMES = "performance.getEntriesByName('answer').map((entry) => entry.duration)"
BYTES = (
    "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
    ".filter((entry) => !entry.name.includes('/model/') && !entry.name.includes('/v1/'))"
    ".reduce((sum, entry) => sum + entry.decodedBodySize, 0)"
)


@contextmanager
def bundled() -> Iterator[str]:
    """The address of the exported folder on a static host."""
    from web_host import host

    with tempfile.TemporaryDirectory() as folder:
        export_web(load_reader(), Path(folder) / "page")
        with host({"/": Path(folder) / "page"}) as address:
            yield address


def measure(address: str, repeats: int) -> dict[str, Any]:
    """milliseconds: of each drawn digit but the first, which warms up."""
    from browser import open_page
    from page_hand import Hand

    glyphs = [glyph for glyph in load_glyphs() if glyph.label in DIGITS]
    with open_page() as page:
        page.show(address, width=1000, height=800)
        hand = Hand(page)
        hand.wait()
        loaded = int(page.evaluate(BYTES))
        times = [_draw(page, hand, glyphs[(7 * i) % len(glyphs)].strokes) for i in range(repeats + 1)]
    return {"milliseconds": times[1:], "first": times[0], "bytes": loaded}


def _draw(page: Page, hand: Hand, strokes: tuple[np.ndarray, ...]) -> float:
    from page_hand import fit

    page.evaluate("document.querySelector('#clear').click()")
    hand.wait()
    before = len(page.evaluate(TIMES))
    hand.draw(fit(strokes, (0.35, 0.2, 0.3, 0.6), aspect=hand.aspect()))
    until = time.monotonic() + 10
    while len(times := page.evaluate(TIMES)) == before and time.monotonic() < until:
        time.sleep(0.01)
    return float(times[-1])


def row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    times = found["milliseconds"]
    tenth = sorted(times)[-max(1, len(times) // 10)]
    return (
        name,
        str(len(times)),
        f"{statistics.median(times):.0f}",
        f"{min(times):.0f}",
        f"{tenth:.0f}",
        f"{found['first']:.0f}",
        f"{found['bytes'] / 1000:.1f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25, help="digits drawn")
    parser.add_argument("--readme", action="store_true", help="put the table into docs/speed.md")
    options = parser.parse_args()
    from other_ways import serving

    found = {}
    for name, place in (("`tenfold serve`", serving), ("browser bundle", bundled)):
        with place() as address:
            found[name] = measure(f"{address}/", options.repeats)
    columns = ("page of", "n", "median ms", "least", "worst tenth from", "first", "kB before the model")
    table = markdown_table(columns, [row(name, each) for name, each in found.items()])
    host_ = machine()
    note = (
        "From the pen's lifting to the answer shown, headless Chromium on the same cores. "
        f"{host_['processor']}, {host_['cores']} cores. Made by `python benchmarks/page_speed.py`."
    )
    publish("page_speed", table, note, {"pages": found}, readme=options.readme)


if __name__ == "__main__":
    main()
