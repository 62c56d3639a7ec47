"""`tenfold read --review`: what is doubtful is asked, and the output comes once, after the answers."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_chain import Command
from PIL import Image

from tenfold.reader import line_reader
from tenfold.reader.adapt import collect_examples, label_pictures

sys.path.append(str(Path(__file__).parents[1] / "reader"))  # its helpers

from tables_drawn import draw_table
from template_reader import template_reader, write

Asked = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the model that ships: printed digits, known without training."""
    monkeypatch.setattr(line_reader, "load_reader", lambda path, engine: template_reader())


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """Sits at the browser that is opened, and answers what is asked."""

    def sit(texts: dict[str, str], *, until: int = 1000) -> Asked:
        """texts: for what was read; others are called unreadable. until: how many, before the early end."""
        asked: Asked = []

        def open_browser(address: str) -> None:
            with httpx.Client(base_url=address, timeout=60) as client:
                items = client.get("items").json()["items"]
                asked.extend(items)
                for number, item in list(enumerate(items))[:until]:
                    text = texts.get(item["text"])
                    given = {"item": number, "text": text or "", "unread": text is None}
                    assert client.post("answer", json=given).json()["taken"]
                if until < len(items):
                    client.post("finish", json={})

        monkeypatch.setattr("webbrowser.open", open_browser)
        monkeypatch.setenv("DISPLAY", ":0")
        return asked

    return sit


def save(path: str, text: str) -> str:
    write(text).save(path)
    return path


def test_lines_are_corrected_and_kept(tenfold: Command, person: Callable[..., Asked]) -> None:
    names = [save("a.png", "1X9"), save("b.png", "27"), save("c.png", "5X\n68"), "missing.png"]
    asked = person({"1?9": "149", "5": "53", "5?": "53"})
    done = tenfold("read", *names, "--json", "--review", "--collect", "kept")
    assert (asked[0]["source"], asked[0]["name"]) == ("a.png", "")
    first, second, third, missing = done.json
    assert (first["text"], second["text"]) == ("149", "27") and missing["error"]
    assert first["lines"][0]["reviewed"] is True and "reviewed" not in second["lines"][0]
    assert [each["label"] for each in first["digits"]] == list("149")
    assert {each["verdict"] for each in first["characters"]} == {"digit"} and first["confidence"] == 1.0
    assert third["text"].endswith("68")
    assert (
        done.code == 1
        and f"{len(asked)} of {len(asked)} doubtful readings reviewed, kept in kept" in done.err
    )
    labelled = label_pictures((), "kept/labels.csv")
    assert labelled[0].label == "149"
    examples, left_out = collect_examples(labelled)
    assert len(examples) == len(asked) and not left_out


def test_csv_and_text_come_once_and_after_the_review(tenfold: Command, person: Callable[..., Asked]) -> None:
    save("a.png", "1X9")
    person({"1?9": "149"})
    rows = list(csv.reader(io.StringIO(tenfold("read", "a.png", "--csv", "--review").out)))
    assert rows == [
        ["path", "text", "confidence", "verdicts", "error"],
        ["a.png", "149", "1.0000", "digit;digit;digit", ""],
    ]
    assert tenfold("read", "a.png", "--review").out == "a.png: 149  (over 99.9 %)\n"


def test_nothing_doubtful_opens_no_page(tenfold: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("a page"))
    done = tenfold("read", save("a.png", "149"), "--review", "--csv")
    assert done.err == "tenfold: nothing is doubtful, so there is nothing to review\n"
    assert done.code in (0, None) and done.out.count("149") == 1


def test_what_cannot_be_read_and_an_early_end(tenfold: Command, person: Callable[..., Asked]) -> None:
    save("a.png", "1X9")
    save("b.png", "2X8")
    person({}, until=1)
    first, second = tenfold("read", "a.png", "b.png", "--json", "--review").json
    assert first["text"] == "" and first["troubles"] == ["nothing that can be read, as its reviewer said"]
    assert second["text"] == "2?8" and "reviewed" not in second["lines"][0]


def test_ctrl_c_in_the_review_keeps_what_was_answered(
    tenfold: Command, person: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tenfold.review.page import LocalPage

    names = [save("a.png", "1X9"), save("b.png", "2X8")]
    run = LocalPage.run
    monkeypatch.setattr(LocalPage, "run", lambda self, **how: run(self, **how) and False)
    person({"1?9": "149"}, until=1)
    done = tenfold("read", *names, "--review", "--csv")
    assert done.code == 130 and done.err.endswith("1 of 2 doubtful readings reviewed\ntenfold: interrupted\n")
    assert [row[1] for row in csv.reader(io.StringIO(done.out))] == ["text", "149", "2?8"]


def test_digits_only_are_shown_and_taken_with_their_separators(
    tenfold: Command, person: Callable[..., Asked]
) -> None:
    save("a.png", "1X.9")
    asked = person({"1?.9": "14.9"})
    assert tenfold("read", "a.png", "--digits", "--review").out.startswith("a.png: 149 ")
    assert asked[0]["text"] == "1?.9"


TABLE = (("7", "38"), ("4", "2X5"), ("XX", "90"), ("5", "16"))


def test_cells_of_a_table(tenfold: Command, person: Callable[..., Asked]) -> None:
    Image.fromarray(draw_table(TABLE)).save("t.png")
    asked = person({"2?5": "265"})
    done = tenfold("read", "t.png", "--table", "--review", "--collect", "kept")
    assert [(each["source"], each["name"]) for each in asked] == [("t.png", "row 2, column 2")]
    assert list(csv.reader(io.StringIO(done.out))) == [["7", "38"], ["4", "265"], ["", "90"], ["5", "16"]]
    examples, left_out = collect_examples(label_pictures((), "kept/labels.csv"))
    assert [each.text for each in examples] == ["265"] and not left_out, "the crop is one line, without rules"
    read = tenfold("read", "t.png", "--json", "--review").json[0]
    cell = read["table"]["cells"][1][1]
    assert (cell["text"], cell["reason"], cell["reviewed"]) == ("265", None, True)
    (line,) = (line for line in read["lines"] if line["text"] == "265")
    assert line["reviewed"] is True and "4 265" in read["text"]


def test_cells_that_do_not_fit(tenfold: Command, person: Callable[..., Asked]) -> None:
    Image.fromarray(draw_table(TABLE)).save("t.png")
    asked = person({})
    done = tenfold("read", "t.png", "--json", "--review", "--columns", r"\d,\d{5}")
    assert [(each["text"], each["form"]) for each in asked] == [("", r"the form \d{5}")] * 4
    cells = [row[1] for row in done.json[0]["table"]["cells"]]
    assert {(cell["text"], cell["reason"], cell["reviewed"]) for cell in cells} == {("", "unread", True)}
    assert not any("expected form" in trouble for trouble in done.json[0]["troubles"])


def test_a_page_on_its_side(tenfold: Command, person: Callable[..., Asked]) -> None:
    """Crops are upright, and kept so."""
    write("27\n4X8\n56\n912\n38").rotate(90, expand=True, fillcolor=255).save("side.png")
    person({"4?8": "438"})
    read = tenfold("read", "side.png", "--json", "--review", "--collect", "kept").json[0]
    assert read["turned"] == 270 and read["text"] == "27\n438\n56\n912\n38"
    (picture,) = Path("kept/pictures").iterdir()
    with Image.open(picture) as kept:
        assert kept.width > kept.height


def test_a_picture_from_stdin(
    tenfold: Command, person: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    write("1X9").save(file, "PNG")

    class Piped:
        buffer = io.BytesIO(file.getvalue())

        @staticmethod
        def isatty() -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Piped)
    person({"1?9": "149"})
    assert tenfold("read", "-", "--review").out.startswith("-: 149 ")


def test_mistakes_are_told_before_anything_is_read(tenfold: Command) -> None:
    save("a.png", "1X9")
    tenfold("read", "a.png", "--collect", "kept").complaint(2, "--collect", "--review")
    Path("file").write_text("")
    tenfold("read", "a.png", "--review", "--collect", "file").complaint(1, "file cannot be written")


def test_ctrl_c_while_reading_tells_what_was_read(tenfold: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenfold.reader import many

    def stopped(_reader: object, paths: Any, **_: object) -> Any:
        next(paths)
        yield template_reader().read(Image.open("a.png"))
        raise KeyboardInterrupt

    save("a.png", "1X9")
    monkeypatch.setattr(many, "read_pictures", stopped)
    done = tenfold("read", "a.png", "a.png", "--review", "--csv")
    assert done.code == 130 and "1?9" in done.out and done.out.startswith("path,text")
