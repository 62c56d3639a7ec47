"""A judge that remembers, in a real Chromium: the same answers, and nothing judged twice."""

from __future__ import annotations

from pathlib import Path

from browser import Page
from web_host import host

import tenfold

STATIC = Path(tenfold.__file__).parent / "web" / "static"
CODE = """(async () => {
  const { remembering } = await import('/js/memory.js');
  const asked = [];
  const judge = (images, n) => {  // two classes and none: simply the three bytes of an image
    asked.push(n);
    const at = (offset) => Float32Array.from({ length: n }, (_, i) => images[3 * i + offset]);
    const probs = new Float32Array(2 * n);
    at(0).forEach((value, i) => { probs[2 * i] = value; });
    at(1).forEach((value, i) => { probs[2 * i + 1] = value; });
    return { probs, none: at(2) };
  };
  const remembered = remembering(judge, 3);
  const told = (...bytes) => {
    const { probs, none } = remembered(Uint8Array.from(bytes), bytes.length / 3);
    return [[...probs], [...none]];
  };
  const answers = [told(1, 2, 3, 4, 5, 6, 1, 2, 3), told(4, 5, 6), told(7, 8, 9, 1, 2, 3), told()];
  return { asked, answers };
})()"""


def test_answers_are_the_judges_own_and_each_image_is_judged_once(browser_page: Page, tmp_path: Path) -> None:
    (tmp_path / "blank.html").write_text("<!doctype html><title>blank</title>")
    with host({"/": tmp_path, "/js/": STATIC / "js"}) as address:
        browser_page.show(f"{address}/blank.html", width=400)
        found = browser_page.evaluate(CODE)
    assert found["asked"] == [2, 1]
    assert found["answers"] == [
        [[1, 2, 4, 5, 1, 2], [3, 6, 3]],
        [[4, 5], [6]],
        [[7, 8, 1, 2], [9, 3]],
        [[], []],
    ]
