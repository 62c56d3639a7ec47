"""The page, drawn on and shown pictures in a real browser: with the server behind it, and by itself."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from page_hand import Hand, Pointer, fit, in_a_row
from page_hosts import Served
from PIL import Image

from tenfold.pens.glyphs import load_glyphs
from tenfold.pens.strokes import Drawing, load_strokes
from tenfold.reader.examples import collect_examples, label_pictures
from tenfold.reader.load import load_reader
from tenfold.reader.reading import read_picture

TWO = Path(__file__).parents[2] / "examples" / "two.png"
NOTE = Path(__file__).parents[2] / "examples" / "note.jpg"
GLYPHS = {glyph.label: glyph for glyph in reversed(load_glyphs())}
PNG = {"Content-Type": "image/png"}
PLACE = (0.3, 0.2, 0.4, 0.6)  # of one digit in the drawing area


def recorded() -> list[Drawing]:
    """A drawing of each digit, as people moved the pen; without their recordings those of the package."""
    data = Path(os.environ.get("TENFOLD_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
    path = data / "handwriting-strokes" / "strokes.npz"
    if not path.is_file():
        return [GLYPHS[digit] for digit in "0123456789"]
    drawings = load_strokes(path)
    rng = np.random.default_rng(6)
    return [rng.choice([each for each in drawings if each.label == digit]) for digit in "0123456789"]


def thinned(strokes: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """At most 24 points a stroke: each is an event that the browser is sent."""
    chosen = [np.unique(np.linspace(0, len(stroke) - 1, 24).round().astype(int)) for stroke in strokes]
    return [stroke[rows] for stroke, rows in zip(strokes, chosen, strict=True)]


def write(hand: Hand, text: str, pointer: Pointer = "mouse") -> None:
    drawings = [thinned(GLYPHS[label].strokes) for label in text]
    aspect = hand.aspect()
    strokes = in_a_row(drawings, aspect=aspect) if len(text) > 1 else fit(drawings[0], PLACE, aspect=aspect)
    hand.draw(strokes, pointer)


def text_of(hand: Hand) -> str:
    return hand.page.evaluate(
        "[...document.querySelectorAll('#text > span')].map((part) => part.firstChild.data).join('')"
    )


def bars_of(hand: Hand) -> tuple[str, float]:
    """The longest bar's name, and what all bars sum to."""
    name = hand.text("#bars .best .name")
    shares = hand.page.evaluate(
        "[...document.querySelectorAll('#bars .bar')].map((bar) => +bar.style.getPropertyValue('--share'))"
    )
    return name, sum(shares)


def pixels_of(hand: Hand, selector: str) -> np.ndarray:
    """Of a canvas: uint8 (H, W, 4)."""
    width, height, text = hand.page.evaluate(
        f"{{ const shown = document.querySelector('{selector}'), {{ width, height }} = shown;"
        " const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });"
        " copy.drawImage(shown, 0, 0); const { data } = copy.getImageData(0, 0, width, height);"
        " let text = ''; for (let i = 0; i < data.length; i += 4096)"
        " text += String.fromCharCode(...data.subarray(i, i + 4096));"
        " [width, height, btoa(text)] }"
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def seen_by(hand: Hand) -> np.ndarray:
    """What the network sees as it is shown: uint8 (28, 28, 3)."""
    shown = pixels_of(hand, "#seen")
    step = len(shown) // 28
    return shown[step // 2 :: step, step // 2 :: step, :3]


def pixels_inked(hand: Hand) -> int:
    return int((pixels_of(hand, "#pad")[..., 3] > 127).sum())


def test_ten_recorded_digits_are_read(hand: Hand) -> None:
    right = 0
    pointers: tuple[Pointer, ...] = ("mouse", "pen", "touch")
    for number, drawing in enumerate(recorded()):
        strokes = fit(thinned(drawing.strokes), PLACE, aspect=hand.aspect())
        hand.draw(strokes, pointers[number % 3], force=0.6)
        name, total = bars_of(hand)
        assert total == pytest.approx(1, abs=2e-3)
        read = text_of(hand)
        right += read == drawing.label == name
        assert hand.text("#said").startswith(f"Read: {read}" if read.isdigit() else "Read: ")
        hand.click("#clear")
        assert hand.text("#text") == "nothing yet" and hand.count("#boxes div") == 0
    assert right >= 9


def test_several_digits_have_a_box_each(hand: Hand) -> None:
    write(hand, "3146")
    assert text_of(hand) == "3146" and hand.text("#said").startswith("Read: 3, 1, 4, 6")
    assert hand.count("#boxes div") == hand.count("#marks button") == 4
    lefts = hand.page.evaluate(
        "[...document.querySelectorAll('#boxes div')].map((b) => parseFloat(b.style.left))"
    )
    for number, left in enumerate(lefts):
        assert 5 + 22.5 * number < left < 5 + 22.5 * (number + 1)
    hand.click("#marks button:nth-child(3)")
    assert bars_of(hand)[0] == "4"
    assert hand.page.evaluate("document.querySelector('#boxes div:nth-child(3)').matches('.chosen')")


def test_no_digit_is_called_one(hand: Hand) -> None:
    write(hand, "W")
    assert text_of(hand) == "?" and "not a digit" in hand.text("#said")
    name, total = bars_of(hand)
    assert name == "not a digit" and total == pytest.approx(1, abs=2e-3)
    hand.click("#clear")
    hand.draw(fit(thinned(GLYPHS["scribble"].strokes), PLACE, aspect=hand.aspect()))
    assert "?" in text_of(hand) and not any(sign.isdigit() for sign in text_of(hand))


def test_undo_and_clear(server_hand: Hand) -> None:
    hand = server_hand
    write(hand, "31")
    hand.click("#undo")
    assert text_of(hand) == "3"
    hand.click("#clear")
    assert hand.text("#text") == "nothing yet"
    hand.key("z", ctrl=True)
    hand.wait()
    assert text_of(hand) == "3"
    hand.page.evaluate("document.querySelector('#pad').focus()")
    hand.key("Delete")
    hand.wait()
    assert pixels_inked(hand) == 0 and hand.page.evaluate("document.querySelector('#clear').disabled")
    while not hand.page.evaluate("document.querySelector('#undo').disabled"):
        hand.click("#undo")
    assert pixels_inked(hand) == 0
    assert hand.page.evaluate("document.activeElement.id") == "pad"


def test_what_is_wiped_while_it_is_read_is_not_shown(hand: Hand) -> None:
    strokes = fit(thinned(GLYPHS["8"].strokes), PLACE, aspect=hand.aspect())
    hand.draw(strokes, wait=False)
    hand.click("#clear")
    assert hand.text("#text") == "nothing yet" and hand.count("#boxes div") == 0


def test_pressure_and_the_slider_widen_the_pen(server_hand: Hand) -> None:
    hand = server_hand
    line = [np.array([[0.2, 0.5], [0.5, 0.5], [0.8, 0.5]])]

    def inked(pointer: Pointer, force: float) -> int:
        hand.draw(line, pointer, force=force)
        count = pixels_inked(hand)
        hand.click("#clear")
        return count

    light, firm, mouse = inked("pen", 0.1), inked("pen", 0.9), inked("mouse", 0.9)
    assert light < mouse < firm
    hand.page.evaluate(
        "{ const w = document.querySelector('#width'); w.value = 48; w.dispatchEvent(new Event('input')) }"
    )
    assert inked("mouse", 0.5) == pytest.approx(2 * mouse, rel=0.1)


def test_a_digit_is_written_with_the_keyboard_alone(hand: Hand) -> None:
    while hand.page.evaluate("document.activeElement.id") != "pad":
        hand.key("Tab")
    assert hand.page.evaluate("getComputedStyle(document.querySelector('#pad-help')).position") == "static"
    hand.key(" ")
    for direction, times in (("ArrowDown", 3), ("ArrowRight", 15)):  # the stem and bar of a 4
        hand.key(direction, times, shift=direction == "ArrowDown")
    hand.key(" ")
    hand.key("ArrowLeft", 5)
    hand.key("ArrowUp", 5)
    hand.key(" ")
    hand.key("ArrowDown", 4, shift=True)
    hand.key(" ")
    hand.wait()
    assert text_of(hand) == "4" and hand.text("#said").startswith("Read: 4")


def test_a_picture_is_read_and_its_boxes_lie_on_it(hand: Hand) -> None:
    expected = read_picture(load_reader(), NOTE)
    with Image.open(NOTE) as picture:
        width, height = picture.size
    hand.open(NOTE)
    assert text_of(hand) == expected.text
    shown = hand.page.evaluate(
        "{ const area = document.querySelector('#pad').getBoundingClientRect();"
        " [...document.querySelectorAll('#boxes div')].map((made) => made.getBoundingClientRect()).map((b) =>"
        " [b.left - area.left, b.top - area.top, b.right - area.left, b.bottom - area.top]) }"
    )
    area_width, area_height = hand.page.evaluate("[pad.clientWidth, pad.clientHeight]")
    scale = min(area_width / width, area_height / height)
    corner = np.array([area_width - scale * width, area_height - scale * height] * 2) / 2
    boxes = np.array([digit.box for digit in expected.digits])
    np.testing.assert_allclose(shown, boxes * scale + corner, atol=2)


def test_the_page_shows_what_the_network_saw(hand: Hand) -> None:
    expected = read_picture(load_reader(), TWO).digits[0].image
    assert expected is not None
    hand.open(TWO)
    coloured = seen_by(hand)
    assert (coloured[..., 0] != coloured[..., 2]).any()  # what speaks for the answer, and against
    assert not coloured[expected == 0].any()
    hand.click("#why")
    grey = seen_by(hand)
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0].astype(int) - expected).max() <= 1


def test_the_picture_is_the_servers(server_hand: Hand, served: Served) -> None:
    server_hand.open(TWO)
    server_hand.click("#why")
    answer = httpx.post(f"{served.address}v1/read?include=image", content=TWO.read_bytes(), headers=PNG)
    image = base64.b64decode(answer.json()["pictures"][0]["digits"][0]["image"])
    assert seen_by(server_hand)[..., 0].tobytes() == image


def give(hand: Hand, event: str, data: bytes, kind: str) -> None:
    """A paste or a drop of a file."""
    text = base64.b64encode(data).decode()
    hand.page.evaluate("document.documentElement.dataset.busy = 'opening'")
    hand.page.evaluate(f"""{{
      const bytes = Uint8Array.from(atob("{text}"), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "given", {{ type: {json.dumps(kind)} }}));
      const options = {{ bubbles: true, cancelable: true, clipboardData: data, dataTransfer: data }};
      const made = {json.dumps(event)} === "paste" ? ClipboardEvent : DragEvent;
      document.querySelector("#pad").dispatchEvent(new made({json.dumps(event)}, options));
    }}""")


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_picture_is_pasted_and_dropped(server_hand: Hand, event: str) -> None:
    give(server_hand, event, TWO.read_bytes(), "image/png")
    server_hand.wait()
    assert text_of(server_hand) == "2"


def test_what_is_no_picture_is_said(server_hand: Hand) -> None:
    hand = server_hand
    for kind, words in (
        ("text/plain", "no picture file"),
        ("image/png", "no picture that the browser can open"),
    ):
        give(hand, "drop", b"three years", kind)
        until = time.monotonic() + 20
        while words not in hand.text("#state"):
            assert time.monotonic() < until
        assert hand.text("#said") == hand.text("#state")
    assert hand.text("#text") == "nothing yet"


def test_a_click_on_a_picture_chooses_and_a_drag_writes_anew(server_hand: Hand) -> None:
    hand = server_hand
    hand.open(NOTE)
    x, y, width, height = hand.page.evaluate(
        "{ const b = document.querySelector('#boxes div:nth-child(5)').getBoundingClientRect();"
        " const area = document.querySelector('#pad').getBoundingClientRect();"
        " [b.left + b.width / 2 - area.left, b.top + b.height / 2 - area.top, area.width, area.height] }"
    )
    hand.draw([np.array([[x / width, y / height]])])
    assert hand.page.evaluate("[...document.querySelectorAll('#marks button')]"
                              ".findIndex((b) => b.ariaPressed === 'true')") == 4  # fmt: skip
    write(hand, "7")
    assert text_of(hand) == "7"
    hand.click("#undo")
    assert text_of(hand) == read_picture(load_reader(), NOTE).text


def test_a_correction_is_kept_for_adapting(server_hand: Hand, served: Served) -> None:
    hand = server_hand
    write(hand, "1")
    hand.click("#why")
    seen = seen_by(hand)[..., 0]
    hand.click("#choices button:nth-child(8)")
    until = time.monotonic() + 20
    while not hand.count("#corrections li"):
        assert time.monotonic() < until
    assert hand.text("#corrections li").startswith("read as 1, kept as 7")
    table = served.corrections / "labels.csv"
    *_, row = csv.DictReader(table.read_text().splitlines())
    assert (row["read"], row["label"]) == ("1", "7")
    kept = Image.open(io.BytesIO((served.corrections / row["path"]).read_bytes()))
    np.testing.assert_array_equal(np.asarray(kept), seen)
    examples = collect_examples(load_reader(), label_pictures([], str(table)))
    own = [path.endswith(row["path"]) for path in examples.paths].index(True)
    assert examples.labels[own] == 7
    again = examples.images[own].astype(float)
    assert np.corrcoef(again.ravel(), seen.astype(float).ravel())[0, 1] > 0.95


def test_without_a_folder_nothing_is_corrected(browser_page: Any, bundled: str) -> None:
    browser_page.show(bundled, width=1000)
    hand = Hand(browser_page)
    hand.wait()
    hand.open(TWO)
    assert hand.page.evaluate("document.querySelector('#correct').hidden")
    assert "Nothing that you write or show is kept" in hand.text("#keeps")
