"""The view of what happens inside the network, in a real Chromium: its figures are right, by keyboard too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import numpy as np
import pytest
from browser import Page
from lab import Lab, open_lab
from page_hand import Hand

from tenfold.export.web import write_web_model
from tenfold.reader.line_reader import load_reader
from tenfold.reader.reading import score_strip

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
NOTE = Path(__file__).parents[2] / "examples" / "note.jpg"
SETUP = (
    "const { loadModel } = await import('/js/network.js'), inside = await import('/js/inside.js');"
    "const model = self.model ??= await loadModel('model');"
    "const strip = { data: a.data, width: a.width, height: a.height };"
)


@pytest.fixture
def strip() -> np.ndarray:
    """uint8 (32, W): a line of an example as the network takes it."""
    return np.asarray(load_reader().read(NOTE).lines[0].strip)


@pytest.fixture
def lab(browser_page: Page, tmp_path: Path) -> Iterator[Lab]:
    with open_lab(browser_page, tmp_path) as made:
        write_web_model(load_reader(), tmp_path / "model")
        yield made


def test_a_unit_and_what_it_looks_at(lab: Lab, strip: np.ndarray) -> None:
    """Its gradient by the pixels is that of central differences; layers and scores are the reader's."""
    (found,) = lab.each(
        SETUP
        + """
        const seen = inside.look(strip, model);
        const layer = seen.layers.findIndex(({ kind }) => kind === 'conv');
        const unit = inside.unitOf(strip, model, layer, 5);
        const { slope } = unit;
        const size = (pixel) => Math.abs(slope[pixel]);
        const largest = [...slope.keys()].sort((one, other) => size(other) - size(one)).slice(0, 8);
        const place = unit.row * seen.layers[layer].width + unit.column;
        const at = (pixel, change) => {
          const data = Float32Array.from(strip.data);
          data[pixel] += change;
          return inside.mapsOf({ ...strip, data }, model, layer).maps[5][place];
        };
        const differences = largest.map((pixel) => (at(pixel, 4) - at(pixel, -4)) / 8);
        const scores = inside.scoresAt(strip, model, seen.places[1]);
        const slopes = largest.map((pixel) => slope[pixel]);
        const weights = [unit.weights.height, unit.weights.width];
        return { text: seen.text, places: seen.places, differences, slopes, scores, weights };""",
        [strip],
    )
    np.testing.assert_allclose(found["slopes"], found["differences"], rtol=1e-3, atol=1e-6)
    assert found["text"] == "3141592" and found["weights"] == [12, 12]
    reader = load_reader()
    logs = score_strip(reader, strip)[found["places"][1]]
    best = found["scores"][0]
    assert best["character"] == "1" and abs(np.log(best["probability"]) - logs.max()) < 1e-4
    assert abs(sum(each["probability"] for each in found["scores"]) - 1) < 1e-6


@pytest.mark.parametrize(("number", "wanted"), [(0, "8"), (2, "9"), (6, "7")])
def test_the_ink_is_changed_until_the_reader_reads_otherwise(
    lab: Lab, strip: np.ndarray, number: int, wanted: str
) -> None:
    """The changed strip, rounded to bytes, is read so in Python too; it hardly looks otherwise."""
    code = (
        f"const found = inside.turn(strip, model, {number}, '{wanted}');"
        " return { ...found, data: [...found.data] };"
    )
    (found,) = lab.each(SETUP + code, [strip])
    aim = "3141592"[:number] + wanted + "3141592"[number + 1 :]
    assert found["reached"] and found["text"] == aim
    changed = np.round(found["data"]).astype(np.uint8).reshape(strip.shape)
    assert load_reader().read_strip(changed)[0].text == aim
    assert np.abs(changed.astype(float) - strip).mean() < 6


def until(hand: Hand, condition: str) -> None:
    end = time.monotonic() + 30
    while not hand.page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def test_it_is_opened_and_used_by_keyboard_alone(hand: Hand) -> None:
    hand.open(NOTE)
    hand.page.evaluate("document.querySelector('#inside summary').focus()")
    hand.key("Enter")
    until(hand, "document.querySelectorAll('#maps button').length === 32")
    hand.page.evaluate("document.querySelector('#maps button').focus()")
    hand.key("Tab", 2)
    hand.key("Enter")
    until(hand, "document.querySelector('#unit-told').textContent.startsWith('Channel 3 answers most')")
    assert hand.count("#scores tr") == 8 and hand.text("#scores tr th") == "3"
    hand.page.evaluate("document.querySelector('#wanted').value = '8'")
    hand.page.evaluate("document.querySelector('#turn').focus()")
    hand.key("Enter")
    until(hand, "document.querySelector('#turned-told').textContent.includes('is read 8141592')")
    hand.page.evaluate("document.querySelector('#share').focus()")
    hand.key("ArrowLeft", 10)
    assert (
        hand.page.evaluate("document.querySelector('#turned').ariaLabel")
        == "The line with 90.0\u00a0% of the change"
    )
    hand.page.call("Runtime.evaluate", expression=AXE)
    found = hand.page.evaluate(
        "axe.run(document).then((found) => found.violations.map(({ id, nodes }) => [id, nodes[0].html]))"
    )
    assert found == [], json.dumps(found)
