"""`tenfold adapt`: pictures and labels in, a reader and honest figures out."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cli_chain import Command
from PIL import Image

from tenfold.pens.draw import draw_strokes
from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.reader import adapt, memory
from tenfold.reader.lessons import draw_lessons
from tenfold.reader.load import load_reader
from tenfold.reader.memory import Memory

MIRROR = np.array([[-1, 0], [0, 1]], np.float32)


@pytest.fixture(scope="module")
def few() -> Memory:
    """A few old digits and letters, to rehearse and to measure alike."""
    rng = np.random.default_rng(0)
    glyphs = load_glyphs()
    digits = draw_lessons([next(g for g in glyphs if g.label == d) for d in DIGITS], 2, rng)
    letters = draw_lessons([g for g in glyphs if g.label not in DIGITS][:10], 1, rng)
    labels = np.repeat(np.arange(10), 2)
    rehearsed = np.concatenate([digits, letters]), np.concatenate([labels, np.full(10, 10)])
    return Memory(*rehearsed, digits, labels, letters, "old digits")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, few: Memory) -> None:
    monkeypatch.setattr(memory, "gather_memory", lambda *, seed, data_dir: few)
    monkeypatch.setattr(
        adapt, "AdaptSettings", partial(adapt.AdaptSettings, steps=30, folds=2, learning_rate=4e-3)
    )


def draw(path: Path, digits: str, *, style: int = 0, mirrored: bool = True) -> Path:
    """Digits beside each other, black on white, written to `path`."""
    canvas = np.zeros((100, 90 * len(digits) + 10), np.float32)
    for place, digit in enumerate(digits):
        glyph = [glyph for glyph in load_glyphs() if glyph.label == digit][style]
        centre = np.array([50 + 90 * place, 50], np.float32)
        strokes = [
            (stroke - 0.5) @ (MIRROR if mirrored else np.eye(2)) * 60 + centre for stroke in glyph.strokes
        ]
        canvas = np.maximum(canvas, draw_strokes(strokes, (100, canvas.shape[1]), 5 + style))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 * (1 - canvas)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def hand(place: Path) -> Path:
    """hand/0/ ... hand/9/, each with two pictures of this digit as in a mirror."""
    for digit in DIGITS:
        for style in (0, 1):
            draw(place / "hand" / digit / f"{style}.png", digit, style=style)
    return place / "hand"


def test_folders_are_labels_and_the_reader_works(tenfold: Command, hand: Path) -> None:
    done = tenfold("adapt", hand, "--engine", "numpy", "--force")
    assert done.code == 0, done.err
    assert "20 digits from 20 pictures" in done.out
    assert "this hand, held out (2 parts), before" in done.out and "old digits, before" in done.out
    assert "written to my-reader" in done.out
    pictures = sorted(hand.rglob("*.png"))
    answers = tenfold("read", "--model", "my-reader", "--json", *pictures).json
    plain = [load_reader().read(path)[0].label for path in pictures]
    right = [answer["text"] == path.parent.name for answer, path in zip(answers, pictures, strict=True)]
    before = [label == path.parent.name for label, path in zip(plain, pictures, strict=True)]
    assert sum(right) > sum(before)
    again = tenfold("adapt", hand, "--engine", "numpy", "--force", "--quiet")
    assert "written to my-reader-2" in again.out and "20 digits" not in again.out


def test_a_list_a_table_and_folders_give_the_same(tenfold: Command, place: Path, hand: Path) -> None:
    pictures = sorted(path.relative_to(place) for path in hand.rglob("*.png"))
    labels = ",".join(path.parent.name for path in pictures)
    with (place / "labels.csv").open("w", newline="") as file:
        rows = [(path.parent.name, str(path)) for path in pictures]
        csv.writer(file).writerows([("label", "path"), *rows])
    ways = [
        ["hand"],
        [*pictures, "--labels", labels],
        ["--labels", "labels.csv"],
        ["hand", "--labels", "labels.csv"],
    ]
    documents = []
    for number, way in enumerate(ways):
        options = ["--force", "--json", "--engine", "numpy", "--out", f"out{number}"]
        documents.append(tenfold("adapt", *way, *options).json)
    for document in documents:
        document.pop("out"), document.pop("seconds")
    assert all(document == documents[0] for document in documents)
    assert documents[0]["examples"] == 20 and documents[0]["counts"] == [2] * 10
    assert documents[0]["forgetting"]["data"] == "old digits"
    weights = [(place / f"out{number}" / "model.safetensors").read_bytes() for number in range(4)]
    assert len(set(weights)) == 1


def test_pictures_of_several_digits(tenfold: Command, place: Path) -> None:
    """As many examples as digits, where as many are found; else the picture is left out and said so."""
    paths = [draw(place / f"{k}.png", text, mirrored=False) for k, text in enumerate(["01234", "56789"] * 2)]
    (place / "notes.png").write_text("no picture")
    labels = "01234,56789,01234,567890,1"
    document = tenfold("adapt", *paths, "notes.png", "--labels", labels, "--force", "--json").json
    assert document["examples"] == 15 and document["counts"] == [2] * 5 + [1] * 5
    reasons = {Path(left["path"]).name: left["reason"] for left in document["left_out"]}
    assert set(reasons) == {"3.png", "notes.png"}
    assert reasons["3.png"] == "5 digits found; expected 6, for its label 567890"
    shown = tenfold("adapt", *paths, "notes.png", "--labels", labels, "--force")
    assert "left out: " in shown.out and "only one example of 5, 6, 7, 8, 9" in shown.out


def test_what_does_not_help_is_not_written(tenfold: Command, place: Path) -> None:
    """Digits that the reader knows already."""
    for digit in DIGITS:
        for number in range(2):
            draw(place / "known" / digit / f"{number}.png", digit, mirrored=False)
    done = tenfold("adapt", "known", "--engine", "numpy")
    assert done.code == 3
    assert done.err.startswith("tenfold: learning this hand ") and done.err.count("\n") == 1
    assert "nothing was written (--force writes it)" in done.err
    assert not (place / "my-reader").exists()
    forced = tenfold("adapt", "known", "--engine", "numpy", "--force")
    assert forced.code == 0 and "written all the same" in forced.err and (place / "my-reader").exists()
    document = tenfold("adapt", "known", "--engine", "numpy", "--json")
    assert document.code == 3 and document.json["out"] is None and document.json["objection"]


def test_mistakes(tenfold: Command, place: Path, hand: Path) -> None:
    nine = sorted(hand.rglob("*.png"))[:9]
    complain = partial(tenfold, "adapt")
    complain(*nine).complaint(1, "9 labelled digits", "expected at least 10")
    complain().complaint(2, "no pictures")
    complain(*nine, "--labels", "1,2").complaint(2, "2 labels for 9 pictures")
    complain(*nine, "--labels", "none.csv").complaint(1, "none.csv is neither digits nor a file")
    complain(hand / "3", "--labels", "3").complaint(2, "1 labels for 2 pictures")
    flat = draw(place / "flat.png", "3")
    complain(flat).complaint(2, "no picture lies in a folder 0 to 9")
    complain("gone.png", "--labels", "3").complaint(1, "0 labelled digits", "1 left out (gone.png")
    (place / "empty").mkdir()
    complain("empty").complaint(1, "empty holds no picture")
    (place / "bad.csv").write_text("path,label\njust-a-path\n")
    complain("--labels", "bad.csv").complaint(1, "bad.csv, line 2", "just-a-path")
    (place / "words.csv").write_text("flat.png,three\n")
    complain("--labels", "words.csv").complaint(1, "label 'three'")
    (place / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    complain("--labels", "bytes.csv").complaint(1, "bytes.csv cannot be read")
    (place / "mine").mkdir()
    (place / "mine" / "kept.txt").write_text("mine")
    complain(hand, "--out", "mine").complaint(2, "mine is there already")
    assert [path.name for path in (place / "mine").iterdir()] == ["kept.txt"]
    complain(hand, "--model", "nowhere").complaint(1, "nowhere")
