"""The page, drawn on and shown pictures in a real browser: with the server behind it, and by itself."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from page_hand import Hand, Pointer, fit, in_a_row
from page_hosts import Served
from PIL import Image

from tenfold.pictures.lines import Strip
from tenfold.reader.line_reader import load_reader
from tenfold.synthesis.glyphs import Drawing, load_glyphs
from tenfold.synthesis.sources import load_strokes

TWO = Path(__file__).parents[2] / "examples" / "two.png"
MARKS = Path(__file__).parents[2] / "examples" / "marks.jpg"
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
    """At most 24 points per stroke: each is an event that the browser is sent."""
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


def bars_of(hand: Hand) -> tuple[str, list[float]]:
    """The name at the longest bar, and the lengths of all, of 1."""
    name = hand.text("#bars .best .name")
    shares = hand.page.evaluate(
        "[...document.querySelectorAll('#bars .bar')].map((bar) => +bar.style.getPropertyValue('--share'))"
    )
    return name, shares


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
    """What the network sees around a character as it is shown: uint8 (32, 32, 3)."""
    shown = pixels_of(hand, "#seen")
    step = len(shown) // 32
    return shown[step // 2 :: step, step // 2 :: step, :3]


def pixels_inked(hand: Hand) -> int:
    return int((pixels_of(hand, "#pad")[..., 3] > 127).sum())


def test_ten_recorded_digits_are_read(hand: Hand) -> None:
    right = 0
    pointers: tuple[Pointer, ...] = ("mouse", "pen", "touch")
    for number, drawing in enumerate(recorded()):
        strokes = fit(thinned(drawing.strokes), PLACE, aspect=hand.aspect())
        hand.draw(strokes, pointers[number % 3], force=0.6)
        read = text_of(hand)
        if read:
            name, shares = bars_of(hand)
            assert shares == sorted(shares, reverse=True) and 0.5 < sum(shares) <= 1.001
            right += read == drawing.label == name
        assert hand.text("#said").startswith(
            f"Read: {read}" if read.isdigit() else ("Read: ", "Nothing found")
        )
        hand.click("#clear")
        assert hand.text("#text") == "nothing yet" and hand.count("#boxes div") == 0
    assert right >= 8


def test_each_character_has_a_box(hand: Hand) -> None:
    write(hand, "3146")
    assert text_of(hand) == "3146" and hand.text("#said").startswith("Read: 3, 1, 4, 6")
    assert re.fullmatch(r"\d+\.\d % sure that its digits are right|> 99.9 % .*", plain(hand.text("#sure")))
    assert hand.count("#boxes div") == hand.count("#marks button") == 4
    lefts = hand.page.evaluate(
        "[...document.querySelectorAll('#boxes div')].map((b) => parseFloat(b.style.left))"
    )
    assert lefts == sorted(lefts) and lefts[-1] - lefts[0] > 50
    hand.click("#marks button:nth-child(3)")
    assert bars_of(hand)[0] == "4"
    assert hand.page.evaluate("document.querySelector('#boxes div:nth-child(3)').matches('.chosen')")


def plain(text: str) -> str:
    """With usual spaces."""
    return re.sub(r"\s", " ", text)


def test_the_strip_of_the_line_is_shown(hand: Hand) -> None:
    hand.open(NOTE)
    (line,) = load_reader().read(NOTE).lines
    shown = pixels_of(hand, "#strip")
    assert shown.shape[:2] == line.strip.shape
    assert np.abs(shown[..., 0].astype(int) - line.strip).max() <= 1  # as the browser decodes the JPEG


def test_a_scribble_gets_no_digit_but_one_word_why(hand: Hand) -> None:
    hand.draw(fit(thinned(GLYPHS["scribble"].strokes), PLACE, aspect=hand.aspect()))
    assert not any(sign.isdigit() for sign in text_of(hand))
    assert hand.count("#troubles li") == 1 or "?" in text_of(hand)
    hand.click("#clear")
    hand.draw([np.array([[0.5, 0.5]])])
    assert not any(sign.isdigit() for sign in text_of(hand)) and hand.count("#troubles li") == 1


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


def test_redo_brings_back_what_was_undone(hand: Hand) -> None:
    write(hand, "31")
    hand.click("#undo")
    hand.click("#redo")
    assert text_of(hand) == "31"
    assert hand.page.evaluate("document.querySelector('#redo').disabled")
    hand.key("z", ctrl=True)
    hand.wait()
    assert text_of(hand) == "3"
    hand.key("z", ctrl=True, shift=True)
    hand.wait()
    assert text_of(hand) == "31"
    hand.click("#undo")
    hand.draw([np.array([[0.9, 0.2], [0.9, 0.8]])])
    assert hand.page.evaluate("document.querySelector('#redo').disabled")  # something new was drawn


def test_a_page_that_is_selected_can_still_be_drawn_on(hand: Hand) -> None:
    """After Ctrl+A a press would drag the selection as a whole, and a stroke end at its first point."""
    hand.page.evaluate("document.execCommand('selectAll')")
    write(hand, "7")
    assert text_of(hand) == "7"
    hand.page.call("Input.dispatchMouseEvent", type="mousePressed", x=200, y=20, button="left", clickCount=1)
    hand.page.call("Input.dispatchMouseEvent", type="mouseMoved", x=300, y=400, button="left", buttons=1)
    hand.page.call(
        "Input.dispatchMouseEvent", type="mouseReleased", x=300, y=400, button="left", clickCount=1
    )
    hand.click("#clear")
    write(hand, "4")
    assert text_of(hand) == "4"


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
    expected = load_reader().read(NOTE)
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
    boxes = np.array([character.box for character in expected.characters])
    np.testing.assert_allclose(shown, boxes * scale + corner, atol=2)


def test_a_table_is_shown_as_rows_and_saved_as_csv(server_hand: Hand) -> None:
    expected = load_reader().read(MARKS).table
    assert expected is not None
    server_hand.open(MARKS)
    page = server_hand.page
    shown = page.evaluate("[...document.querySelectorAll('#rows tr')].map((row) => row.children.length)")
    assert shown == [expected.shape[1]] * expected.shape[0]
    texts = page.evaluate("[...document.querySelectorAll('#rows td button')].map((each) => each.textContent)")
    assert texts == [cell.text for row in expected.rows for cell in row if cell.text]
    assert page.evaluate("[text.hidden, marks.hidden, document.querySelector('#table').hidden]") == [
        True, True, False
    ]  # fmt: skip
    page.evaluate("document.querySelectorAll('#rows td button')[3].click()")
    assert page.evaluate(
        "[...document.querySelectorAll('#rows td button')].map((each) => each.ariaPressed === 'true')"
    ) == [number == 3 for number in range(len(texts))]
    page.evaluate(
        "{ const make = URL.createObjectURL; URL.createObjectURL = (blob) => {"
        " blob.text().then((text) => { window.saved = text; }); return make(blob); };"
        " document.querySelector('#save').click(); }"
    )
    deadline = time.monotonic() + 20
    while not (saved := page.evaluate("window.saved ?? ''")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(csv.reader(io.StringIO(saved))) == expected.values
    server_hand.click("#clear")
    assert page.evaluate("[text.hidden, document.querySelector('#table').hidden]") == [False, True]


def test_the_page_by_itself_says_that_it_reads_no_tables(hand: Hand) -> None:
    served = hand.page.evaluate("!document.querySelector('#asking').hidden")
    assert hand.page.evaluate("document.querySelector('#tables').hidden") == served


def test_the_page_shows_what_the_network_saw(hand: Hand) -> None:
    expected = load_reader().read(TWO).digits[0].image
    assert expected is not None
    hand.open(TWO)
    coloured = seen_by(hand)
    assert (coloured[..., 0] != coloured[..., 2]).any()  # what supports the answer, and what contradicts it
    assert (coloured[expected == Strip.PAPER] == Strip.PAPER).all()
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


def test_what_is_not_a_picture_is_said(server_hand: Hand) -> None:
    hand = server_hand
    for kind, words in (
        ("text/plain", "not a picture file"),
        ("image/png", "not a picture that the browser can open"),
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
    assert text_of(hand) == load_reader().read(NOTE).text


def correct(hand: Hand, text: str) -> str:
    """Types what is written, and gives what the page says of it."""
    before = hand.count("#corrections li")
    hand.page.evaluate("document.querySelector('#right').focus()")
    for letter in text:
        hand.key(letter)
    hand.key("Enter")
    until = time.monotonic() + 20
    while hand.count("#corrections li") == before:
        assert time.monotonic() < until
    return hand.text("#corrections li")


def last_kept(served: Served) -> tuple[dict[str, str], Image.Image]:
    *_, row = csv.DictReader((served.corrections / "labels.csv").read_text().splitlines())
    return row, Image.open(io.BytesIO((served.corrections / row["path"]).read_bytes()))


def test_a_line_is_corrected_as_a_whole(server_hand: Hand, served: Served) -> None:
    hand = server_hand
    write(hand, "31")
    read = load_reader().read(drawn_by(hand)).text
    assert correct(hand, "10.49").startswith(f"read as {read}, kept as 10.49; ")
    row, kept = last_kept(served)
    assert (row["read"], row["label"]) == (read, "10.49")
    assert np.array_equal(np.asarray(kept.convert("L")), drawn_by(hand))
    assert pixels_inked(hand)  # keys in the field do not reach the drawing
    hand.click("#none")
    until = time.monotonic() + 20
    while hand.count("#corrections li") < 2:
        assert time.monotonic() < until
    assert last_kept(served)[0]["label"] == "not a digit"


def drawn_by(hand: Hand) -> np.ndarray:
    """What the page gives to be read: uint8 (H, W)."""
    text = hand.page.evaluate(
        "import('/js/page.js').then(({ pad }) => pad.source().canvas.toDataURL().split(',')[1])"
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"))


def test_of_several_lines_the_chosen_one_is_corrected(
    server_hand: Hand, served: Served, tmp_path: Path
) -> None:
    hand = server_hand
    two = np.asarray(Image.open(TWO).convert("L"))
    Image.fromarray(np.vstack([two, two, two])).save(tmp_path / "lines.png")
    hand.open(tmp_path / "lines.png")
    lines = load_reader().read(tmp_path / "lines.png").lines
    assert len(lines) > 1 and "Line 1: " in hand.text("#sure")
    hand.click(f"#marks button:nth-child({len(lines[0].text) + 1})")
    correct(hand, "2")
    row, kept = last_kept(served)
    x0, y0, x1, y1 = lines[1].box
    assert (row["read"], kept.size) == (lines[1].text, (x1 - x0, y1 - y0))


def test_what_cannot_be_a_correction_is_said(server_hand: Hand) -> None:
    hand = server_hand
    write(hand, "3")
    hand.page.evaluate("document.querySelector('#right').value = 'three'")
    hand.click("#keep")
    assert "1 to 32 of the characters" in hand.text("#state") and hand.count("#corrections li") == 0


def test_without_a_folder_nothing_is_corrected(browser_page: Any, bundled: str) -> None:
    browser_page.show(bundled, width=1000)
    hand = Hand(browser_page)
    hand.wait()
    hand.open(TWO)
    assert hand.page.evaluate("document.querySelector('#correct').hidden")
    assert "Nothing that you write or show is stored" in hand.text("#keeps")
