"""`tenfold adapt`: pictures and labels in, a reader and honest figures out."""

from __future__ import annotations

import csv
import errno
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_chain import Command
from PIL import Image

from tenfold.reader import adapt, adaptation
from tenfold.reader.adaptation import Memory
from tenfold.reader.line_reader import load_reader

sys.path.append(str(Path(__file__).parents[1] / "reader"))
from hands import draw_line, small_memory, tiny_reader

LINES = ["1049", "8263", "5717", "0394", "8625", "9160", "7483", "2508", "6391", "4725"]


@pytest.fixture(scope="module")
def few() -> Memory:
    return small_memory(rehearsed=24, held=8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small untrained reader, which learns in no time."""
    folder = tmp_path_factory.mktemp("readers") / "tiny"
    tiny_reader().save(folder)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, few: Memory) -> None:
    monkeypatch.setattr(adaptation, "gather_memory", lambda *, seed, data_dir: few)
    monkeypatch.setattr(adapt, "AdaptSettings", partial(adapt.AdaptSettings, steps=4, batch_size=8, folds=2))


@pytest.fixture
def hand(place: Path) -> Path:
    """hand/ with a line of four digits in each picture, as in a mirror, and its labels.csv."""
    rng = np.random.default_rng(0)
    (place / "hand").mkdir()
    for text in LINES:
        draw_line(text, rng).save(place / "hand" / f"{text}.png")
    write_table(place / "hand" / "labels.csv", [(f"{text}.png", text) for text in LINES])
    return place / "hand"


def write_table(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])


def test_lines_are_learned_and_the_reader_works(
    tenfold: Command, hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "AdaptSettings", partial(adapt.AdaptSettings, steps=20, folds=2))
    done = tenfold("adapt", "--labels", "hand/labels.csv", "--engine", "numpy", "--force")
    assert done.code == 0, done.err
    assert "10 lines with 40 digits from 10 pictures" in done.out
    assert (
        "this hand, held out (2 parts), before" in done.out and "drawn numbers by others, before" in done.out
    )
    assert "words and blanks without an answer" in done.out and "written to my-reader" in done.out
    pictures = [hand / f"{text}.png" for text in LINES]
    after = [answer["text"] for answer in tenfold("read", "--model", "my-reader", "--json", *pictures).json]
    before = [load_reader().read(path).text for path in pictures]

    def places(texts: list[str]) -> int:
        return sum(a == b for text, line in zip(texts, LINES, strict=True) for a, b in zip(text, line))

    assert places(after) >= places(before) + 8


def test_a_list_a_table_and_a_folder_give_the_same(tenfold: Command, hand: Path, tiny: Path) -> None:
    pictures = [f"hand/{text}.png" for text in LINES]
    ways = [
        [*pictures, "--labels", ",".join(LINES)],
        ["--labels", "hand/labels.csv"],
        [*pictures, "--labels", "hand/labels.csv"],
    ]
    options = ["--model", tiny, "--force", "--json", "--engine", "numpy"]
    documents = [
        tenfold("adapt", *way, *options, "--out", f"out{number}").json for number, way in enumerate(ways)
    ]
    for document in documents:
        document.pop("out"), document.pop("seconds")
    assert all(document == documents[0] for document in documents)
    assert documents[0]["examples"] == 10 and documents[0]["counts"] == [4] * 10
    assert documents[0]["before"]["digits"] == 40 and documents[0]["forgetting"]["data"] == "drawn numbers"
    weights = [Path(f"out{number}", "model.safetensors").read_bytes() for number in range(3)]
    assert len(set(weights)) == 1


def test_folders_are_labels_and_names_are_free(tenfold: Command, place: Path, tiny: Path) -> None:
    """hand/0/ ... hand/9/, with a digit in each picture; and one folder of what is not to be read."""
    rng = np.random.default_rng(0)
    for name in (*"0123456789", "not a digit"):
        (place / "hand" / name).mkdir(parents=True)
        draw_line(name[-1] if name in "0123456789" else "88", rng).save(place / "hand" / name / "a.png")
    done = tenfold("adapt", "hand", "--model", tiny, "--engine", "numpy", "--force")
    assert "11 lines with 10 digits from 11 pictures" in done.out and "written to my-reader" in done.out
    again = tenfold("adapt", "hand", "--model", tiny, "--engine", "numpy", "--force", "--quiet")
    assert "written to my-reader-2" in again.out and "11 lines" not in again.out


def test_what_the_labels_do_not_fit_is_left_out(
    tenfold: Command, place: Path, hand: Path, tiny: Path
) -> None:
    rng = np.random.default_rng(0)
    two = np.concatenate(
        [np.pad(draw_line(text, rng), ((40, 40), (0, 0)), "edge") for text in ("1049", "8263")]
    )
    Image.fromarray(two).save(hand / "two.png")
    Image.new("L", (200, 80), 250).save(hand / "blank.png")
    (hand / "notes.png").write_text("no picture")
    rows = [(f"{text}.png", text) for text in LINES]
    odd = [
        ("two.png", "1049"), ("two.png", "1049\n8263"), ("blank.png", "7"), ("notes.png", "7"),
        ("1049.png", "ten"), ("1049.png", ""), ("1049.png", "1" * 33), ("blank.png", "not a digit"),
    ]  # fmt: skip
    write_table(hand / "labels.csv", rows + odd)
    arguments = ["adapt", "--labels", "hand/labels.csv", "--model", tiny, "--engine", "numpy", "--force"]
    document = tenfold(*arguments, "--json").json
    assert document["examples"] == 13 and document["counts"] == [5, 5, 5, 5, 5, 4, 5, 4, 5, 5]
    reasons = [f"{Path(each['path']).name}: {each['reason']}" for each in document["left_out"]]
    assert reasons[0].startswith("two.png: 2 lines found; expected 1, for its label 1049")
    assert reasons[1] == "blank.png: the picture is blank"
    assert reasons[2].startswith("notes.png: ") and reasons[3].startswith("1049.png: label 'ten'")
    assert reasons[4].startswith("1049.png: no label") and reasons[5].startswith("1049.png: label '111")
    assert len(reasons) == 6
    shown = tenfold(*arguments)
    assert "left out: " in shown.out and "  and 1 more" in shown.out
    quiet = tenfold(*arguments, "--quiet")
    assert "left out: " in quiet.err and "  and 1 more" in quiet.err


@pytest.mark.parametrize("fault", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_where_the_machine_fails_nothing_is_learned(
    tenfold: Command, hand: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The picture is not left out as if it were broken."""
    opened = Path.open

    def open_or_fail(path: Path, *given: Any, **named: Any) -> Any:
        if path.name == "1049.png":
            raise fault
        return opened(path, *given, **named)

    monkeypatch.setattr(Path, "open", open_or_fail)
    done = tenfold("adapt", "--labels", "hand/labels.csv", "--model", tiny, "--engine", "numpy", "--force")
    done.complaint(1, "1049.png", "memory" if isinstance(fault, MemoryError) else "Input/output error")
    assert not Path("my-reader").exists()


def test_what_does_not_help_is_not_written(tenfold: Command, hand: Path, tiny: Path) -> None:
    """One step of a reader that knows nothing."""
    arguments = ["adapt", "--labels", "hand/labels.csv", "--model", tiny, "--engine", "numpy"]
    done = tenfold(*arguments)
    assert done.code == 3
    assert done.err.count("\n") == 1
    assert "nothing was written (--force writes it)" in done.err
    assert not Path("my-reader").exists()
    document = tenfold(*arguments, "--json")
    assert document.code == 3 and document.json["out"] is None
    assert done.err.startswith(f"tenfold: {document.json['objection']}; ") and document.json["objection"]
    forced = tenfold(*arguments, "--force")
    assert forced.code == 0 and "written all the same" in forced.err and Path("my-reader").exists()


def test_mistakes(tenfold: Command, place: Path, hand: Path) -> None:
    pictures = [hand / f"{text}.png" for text in LINES]
    complain = partial(tenfold, "adapt")
    complain(*pictures[:2], "--labels", "1049,8263").complaint(1, "8 labelled characters", "at least 10")
    complain().complaint(2, "no pictures")
    complain(*pictures, "--labels", "1,2").complaint(2, "2 labels for 10 pictures")
    complain(*pictures, "--labels", "none.csv").complaint(1, "none.csv is neither labels nor a file")
    complain(pictures[0]).complaint(2, "no picture lies in a folder 0 to 9")
    complain("gone.png", "--labels", "3").complaint(1, "no picture can be learned from (gone.png")
    (place / "empty").mkdir()
    complain("empty").complaint(1, "empty holds no picture")
    (place / "bad.csv").write_text("path,label\njust-a-path\n")
    complain("--labels", "bad.csv").complaint(1, "bad.csv, line 2", "just-a-path")
    write_table(place / "words.csv", [("hand/1049.png", "ten"), ("hand/8263.png", "")])
    complain("--labels", "words.csv").complaint(1, "label 'ten'", "and 1 more")
    (place / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    complain("--labels", "bytes.csv").complaint(1, "bytes.csv cannot be read")
    (place / "mine").mkdir()
    (place / "mine" / "kept.txt").write_text("mine")
    complain(*pictures, "--out", "mine").complaint(2, "mine is there already")
    assert [path.name for path in (place / "mine").iterdir()] == ["kept.txt"]
    complain(*pictures, "--model", "nowhere").complaint(1, "nowhere")
