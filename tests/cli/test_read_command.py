"""`tenfold read`: what a person sees, the JSON document, CSV, streams, and files that cannot be read."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_chain import Command, Done
from PIL import Image, ImageChops

from tenfold.reader import line_reader, many, page
from tenfold.reader.line_reader import LineReader

for package in ("pictures", "reader"):  # their helpers
    sys.path.append(str(Path(__file__).parents[1] / package))

from hostile_files import READABLE, REFUSED, make_hostile_files  # noqa: E402
from tables_drawn import MARKS, draw_table  # noqa: E402
from template_reader import template_reader, write  # noqa: E402


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """In the place of the model that ships: printed digits, known without training."""
    card: dict[str, Any] = {}
    shipped, load_reader = LineReader.FOLDER, line_reader.load_reader
    monkeypatch.setattr(
        line_reader,
        "load_reader",
        lambda path, engine: template_reader(**card) if path == shipped else load_reader(path, engine=engine),
    )
    return card


def save(path: str, text: str, **how: Any) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write(text, **how).save(path)
    return path


def broken(path: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    return path


# the JSON document


def check_document(document: Any) -> None:
    """The schema of the whole document."""
    assert isinstance(document, list)
    lists = ("digits", "characters", "lines", "troubles")
    for picture in document:
        assert set(picture) == {"path", "page", "text", "confidence", "error", "table", "turned", *lists}
        assert picture["page"] is None or picture["page"] > 0
        assert isinstance(picture["path"], str) and isinstance(picture["troubles"], list)
        assert all(isinstance(trouble, str) and trouble for trouble in picture["troubles"])
        if picture["error"] is not None:
            assert picture["error"] and picture["text"] is None and not any(picture[key] for key in lists)
            continue
        assert picture["text"] == "\n".join(line["text"] for line in picture["lines"])
        sure = [line["confidence"] for line in picture["lines"]]
        assert picture["confidence"] == min(sure, default=None) and all(0 <= share <= 1 for share in sure)
        for character in picture["characters"]:
            check_character(character)
        assert len(picture["text"].replace("\n", "")) == len(picture["characters"])
        assert picture["digits"] == [
            each for each in picture["characters"] if each["label"].isdigit() or each["verdict"] != "digit"
        ]


def check_character(character: Any) -> None:
    assert set(character) == {"label", "confidence", "verdict", "alternatives", "box", "probs", "none"}
    assert character["verdict"] in ("digit", "unsure", "not a digit")
    assert len(character["probs"]) == 19
    assert sum(character["probs"]) == pytest.approx(1, abs=1e-5) and 0 <= character["none"] <= 1
    assert character["confidence"] in character["probs"]
    assert all(set(other) == {"label", "confidence"} for other in character["alternatives"])
    assert character["alternatives"][0]["confidence"] == max(character["probs"])
    x0, y0, x1, y1 = character["box"]
    assert 0 <= x0 < x1 and 0 <= y0 < y1 and all(isinstance(edge, int) for edge in character["box"])


def test_one_json_document_in_the_order_given(tenfold: Command) -> None:
    names = [save("b.png", "1.049"), "missing.png", save("a.png", "1X0"), save("c.png", "27\n56")]
    Image.new("L", (30, 30), 255).save("blank.png")
    done = tenfold("read", *names, "blank.png", "--json")
    check_document(done.json)
    assert done.code == 1 and done.err == "tenfold: 1 of 5 pictures could not be read\n"
    assert [picture["path"] for picture in done.json] == [*names, "blank.png"]
    assert [picture["text"] for picture in done.json] == ["1.049", None, "1?0", "27\n56", ""]
    assert [each["label"] for each in done.json[0]["digits"]] == list("1049")
    assert [each["verdict"] for each in done.json[2]["digits"]] == ["digit", "not a digit", "digit"]
    assert "missing.png is not there" in done.json[1]["error"]
    assert done.json[4]["digits"] == [] and done.json[4]["troubles"]


def test_boxes_are_in_the_pixels_of_the_original(tenfold: Command) -> None:
    picture = Image.new("L", (4000, 600), 255)
    picture.paste(write("7", size=400, margin=0), (3000, 100))
    picture.save("one.png")
    left, top, right, bottom = ImageChops.invert(picture).getbbox() or ()
    (digit,) = tenfold("read", "one.png", "--json").json[0]["digits"]
    x0, y0, x1, y1 = digit["box"]
    assert left - 250 < x0 < left + 30 and right - 30 < x1 < right + 250, "reduced to 1600 pixels for reading"
    assert y0 < top + 30 and bottom - 30 < y1


def test_an_element_a_line(tenfold: Command) -> None:
    for number in range(3):
        save(f"{number}.png", str(number))
    lines = tenfold("read", "0.png", "1.png", "2.png", "--json").out.splitlines()
    assert lines[0] == "[" and lines[-1] == "]"
    assert [json.loads(line.rstrip(","))["text"] for line in lines[1:-1]] == ["0", "1", "2"]


# what a person sees


def test_a_sure_answer(tenfold: Command) -> None:
    done = tenfold("read", save("a.png", "1.049"), save("b.png", "27\n56"))
    assert done.code == 0 and not done.err
    first, second = done.out.splitlines()
    assert first == "a.png: 1.049  (over 99.9 %)"
    assert second.startswith("b.png: 27 | 56  (")


def test_where_it_is_doubtful_why(tenfold: Command, reader: dict[str, Any]) -> None:
    picture = save("a.png", "10X9")
    assert tenfold("read", picture).out == "a.png: 10?9  third character: not a digit\n"
    assert tenfold("read", save("rows.png", "27\n5X6")).out == (
        "rows.png: 27 | 5?6  line 2, second character: not a digit\n"
    )
    many = tenfold("read", save("many.png", "1X2X3X4X5X6")).out
    assert "fourth character: not a digit; sixth character: not a digit; 2 more are doubtful\n" in many
    reader |= {"least_confidence": 1.1}  # no line reaches it
    done = tenfold("read", save("seven.png", "7"))
    assert done.code == 0
    assert re.fullmatch(r"seven\.png: \?  7 or . \(\d+ % / \d+ %\)\n", done.out)


def test_why_nothing_was_read(tenfold: Command) -> None:
    Image.new("L", (30, 30), 255).save("blank.png")
    done = tenfold("read", "blank.png", save("word.png", "XKX"), save("faint.png", "7", ink=232))
    assert done.code == 0
    blank, word, faint = done.out.splitlines()
    assert blank == "blank.png: nothing found: the picture is blank"
    assert word == "word.png: no number: text or a drawing"
    assert faint.startswith("faint.png: 7  (") and "faint ink" in faint and "darker pen" in faint


# the form of an answer


def text_of(done: Done) -> str:
    (picture,) = done.json
    check_document(done.json)
    return str(picture["text"])


def test_digits_only(tenfold: Command) -> None:
    picture = save("a.png", "1.049\n2.5")
    assert tenfold("read", picture, "--digits").out.startswith("a.png: 1049 | 25  (")
    assert text_of(tenfold("read", picture, "--digits", "--json")) == "1049\n25"
    assert text_of(tenfold("read", picture, "--json")) == "1.049\n2.5"


@pytest.mark.parametrize(
    ("written", "options", "fits"),
    [
        ("1.049", ["--pattern", r"\d\.\d{3}"], lambda text: text == "1.049"),
        ("1.049", ["--pattern", r"\d{4}"], lambda text: re.fullmatch(r"\d{4}", text)),
        ("104", ["--length", "3"], lambda text: text == "104"),
        ("104", ["--length", "2"], lambda text: sum(c.isdigit() for c in text) == 2),
        ("27", ["--min", "20", "--max", "29.5"], lambda text: text == "27"),
        ("27", ["--max", "20"], lambda text: float(text) <= 20),
    ],
)
def test_no_answer_of_another_form(
    tenfold: Command, reader: dict[str, Any], written: str, options: list[str], fits: Callable[[str], Any]
) -> None:
    reader |= {"least_confidence": 0.0}
    assert fits(text_of(tenfold("read", save("a.png", written), "--json", *options)))


def test_where_no_answer_of_the_form_is_there(tenfold: Command) -> None:
    picture = Image.new("L", (90, 90), 255)  # columns of a strip are too few for so many digits
    picture.paste(write("7", size=70, margin=5))
    picture.save("seven.png")
    told = tenfold("read", "seven.png", "--length", "60")
    assert told.code == 0 and told.out == "seven.png: nothing found that fits the expected form\n"
    assert text_of(tenfold("read", "seven.png", "--length", "60", "--json")) == ""


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=str)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pattern", r"\d{5"], "pattern"),
        (["--pattern", "ab"], "cannot read"),
        (["--length", "0"], "length 0"),
        (["--min", "ten"], "min 'ten'"),
        (["--min", "5", "--max", "4"], "min 5 is above max 4"),
    ],
)
def test_a_wrong_form_is_refused_before_a_picture_is_opened(
    tenfold: Command, monkeypatch: pytest.MonkeyPatch, form: list[str], options: list[str], words: str
) -> None:
    stop_at(monkeypatch, 1, lambda: pytest.fail("a picture was opened"))
    tenfold("read", save("a.png", "7"), *form, *options).complaint(2, words)


# CSV


def rows_of(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.out, newline="")))


def test_csv(tenfold: Command) -> None:
    Image.new("L", (30, 30), 255).save("blank.png")
    names = [save("a.png", "1X0"), save("b, c.png", "27\n5.6"), broken("d.png"), "blank.png"]
    done = tenfold("read", *names, "--csv")
    rows = rows_of(done)
    assert done.code == 1 and list(rows[0]) == ["path", "text", "confidence", "verdicts", "error"]
    assert [row["path"] for row in rows] == names
    assert [row["text"] for row in rows] == ["1?0", "27\n5.6", "", ""]
    assert [row["verdicts"] for row in rows] == ["digit;not a digit;digit", "digit;digit;digit;digit", "", ""]
    assert "damaged" in rows[2]["error"] and not any(row["error"] for row in rows if row is not rows[2])
    (line,) = tenfold("read", "a.png", "--json").json[0]["lines"]
    assert float(rows[0]["confidence"]) == pytest.approx(line["confidence"], abs=5e-5)
    assert rows[3]["confidence"] == ""


# folders and streams


def test_a_folder_stands_for_the_pictures_in_it_and_below(tenfold: Command) -> None:
    for name in ("f/b.png", "f/a/2.PNG", "f/a.jpeg", "f/.hidden.png", "f/.cache/1.png"):
        save(name, "7")
    Path("f/labels.csv").write_text("path,label")
    Path("f/notes.txt").write_text("notes")
    done = tenfold("read", "f", "--json")
    assert done.code == 0
    assert [picture["path"] for picture in done.json] == ["f/a.jpeg", "f/a/2.PNG", "f/b.png"]
    done = tenfold("read", "f", "f/notes.txt", "--json")
    assert done.code == 1 and "is a text file" in done.json[-1]["error"], "named, it is tried"


def test_a_folder_without_pictures_does_not_stop_the_rest(tenfold: Command) -> None:
    Path("empty").mkdir()
    done = tenfold("read", "empty", save("a.png", "7"), "--json")
    check_document(done.json)
    assert done.code == 1 and "holds no picture" in done.json[0]["error"] and done.json[1]["text"] == "7"


def test_a_broken_picture_does_not_stop_the_rest(tenfold: Command) -> None:
    save("f/1.png", "1"), broken("f/2.png"), save("f/3.png", "3")
    done = tenfold("read", "f")
    assert done.code == 1 and [line[:10] for line in done.out.splitlines()] == ["f/1.png: 1", "f/3.png: 3"]
    told, summary = done.err.splitlines()
    assert told.startswith("tenfold: f/2.png is a damaged picture")
    assert summary == "tenfold: 1 of 3 pictures could not be read"
    assert tenfold("read", "f", "--quiet").err.count("\n") == 1


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=str)
def test_answers_come_as_soon_as_they_are_known(
    tenfold: Command, monkeypatch: pytest.MonkeyPatch, capsys: Any, form: list[str]
) -> None:
    """When the second picture is opened, the answer on the first is out."""
    seen, opened = [], page.open_picture

    def watch(picture: Any) -> Any:
        seen.append(capsys.readouterr().out)
        return opened(picture)

    monkeypatch.setattr(page, "open_picture", watch)
    names = [save(f"{digit}.png", digit) for digit in "123"]
    last = tenfold("read", *names, *form).out
    assert len(seen) == 3 and all(name in seen[number + 1] for number, name in enumerate(names[:2]))
    assert names[0] not in seen[0] and names[2] not in "".join(seen)
    if form == ["--json"]:
        assert [picture["text"] for picture in json.loads("".join(seen) + last)] == ["1", "2", "3"]


def stop_at(monkeypatch: pytest.MonkeyPatch, count: int, act: Callable[[], None]) -> None:
    """`act` happens when the picture `count` (from 1) is about to be opened."""
    calls, opened = [0], page.open_picture

    def stop(picture: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            act()
        return opened(picture)

    monkeypatch.setattr(page, "open_picture", stop)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("done_before", [0, 1, 2])
def test_interrupted_what_was_written_is_whole(
    tenfold: Command, monkeypatch: pytest.MonkeyPatch, done_before: int
) -> None:
    names = [save(f"{digit}.png", digit) for digit in "1234"]
    stop_at(monkeypatch, done_before + 1, interrupt)
    done = tenfold("read", *names, "--json")
    assert done.code == 130 and done.err == "tenfold: interrupted\n"
    assert [picture["text"] for picture in done.json] == list("1234")[:done_before]
    stop_at(monkeypatch, done_before + 1, interrupt)
    done = tenfold("read", *names, "--csv")
    assert done.code == 130 and [row["text"] for row in rows_of(done)] == list("1234")[:done_before]


def test_a_pipe_that_is_closed(place: Path, tmp_path: Path) -> None:
    """In a process of its own, whose stdout nobody reads on: 130, and not a word."""
    for number in range(5):
        save(f"f/{number}.png", str(number))
    code = (
        f"import sys; sys.path.append({str(Path(__file__).parents[1] / 'reader')!r})\n"
        "import tenfold.reader.line_reader, template_reader\n"
        "tenfold.reader.line_reader.load_reader = lambda *_, **__: template_reader.template_reader()\n"
        "from tenfold.cli import main\nsys.argv = ['tenfold', 'read', 'f', '--csv']\nmain()\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=place,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (130, "")


class _Stdin:
    def __init__(self, data: bytes, *, terminal: bool = False) -> None:
        self.buffer, self._terminal = io.BytesIO(data), terminal

    def isatty(self) -> bool:
        return self._terminal


def test_standard_input(tenfold: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(save("a.png", "1049")).read_bytes()
    monkeypatch.setattr(sys, "stdin", _Stdin(data))
    assert tenfold("read", "-").out.startswith("-: 1049  (")
    monkeypatch.setattr(sys, "stdin", _Stdin(data))
    done = tenfold("read", "-", "a.png", "--json")
    assert [(each["path"], each["text"]) for each in done.json] == [("-", "1049"), ("a.png", "1049")]
    monkeypatch.setattr(sys, "stdin", _Stdin(b"no picture"))
    tenfold("read", "-").complaint(1, "is a text file")
    monkeypatch.setattr(sys, "stdin", _Stdin(data, terminal=True))
    tenfold("read", "-").complaint(2, "standard input", "terminal")
    Path("-").write_bytes(data)
    assert tenfold("read", "./-").out.startswith("./-: 1049"), "a file of that name"


def test_results_stay_on_stdout_while_the_bar_is_drawn(
    tenfold: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # stderr counts as a terminal, stdout is none
    for number in range(21):
        save(f"f/{number:02}.png", "7")
    done = tenfold("read", "f", "--csv")
    assert len(rows_of(done)) == 21 and "/21" in done.err
    assert not tenfold("read", "f", "--csv", "--quiet").err


# hostile files


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_hostile_files(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_one_line(tenfold: Command, hostile: dict[str, Path], name: str) -> None:
    if name not in hostile:
        pytest.skip("this machine cannot make it")
    tenfold("read", hostile[name]).complaint(1, name)


@pytest.mark.parametrize("name", READABLE)
def test_an_odd_file_is_read(tenfold: Command, hostile: dict[str, Path], name: str) -> None:
    if name not in hostile:
        pytest.skip("this machine cannot make it")
    done = tenfold("read", hostile[name])
    assert done.code == 0 and not done.err and done.out.count("\n") == 1 and "\x1b" not in done.out
    if name not in ("one_pixel.png", "tall_line.png", "broken_exif.jpg"):
        assert ": 7  (" in done.out or "no number" in done.out or "nothing found" in done.out


def test_all_hostile_files_at_once(tenfold: Command, hostile: dict[str, Path]) -> None:
    done = tenfold("read", *hostile.values(), "--json")
    check_document(done.json)
    assert done.code == 1
    refused = {Path(each["path"]).name for each in done.json if each["error"]}
    assert refused == set(REFUSED) & set(hostile)
    rows = rows_of(tenfold("read", *hostile.values(), "--csv"))
    assert [row["path"] for row in rows] == [str(path) for path in hostile.values()]


def test_names_that_are_no_text(tenfold: Command) -> None:
    name = os.fsdecode(b"f/\xff\xfe 7.png")
    try:
        save(name, "7")
    except OSError:
        pytest.skip("this file system takes only text")
    assert tenfold("read", "f").out.startswith("f/\\udcff\\udcfe 7.png: 7  (")
    assert tenfold("read", "f", "--json").json[0]["path"] == name


# sheets, models, usage


def test_explain_writes_a_sheet_for_each_picture(tenfold: Command) -> None:
    names = [save("a/7.png", "7"), broken("b/7.png"), save("c/7.png", "77")]
    done = tenfold("read", *names, "--explain", "new/sheets")
    assert done.code == 1
    assert sorted(path.name for path in Path("new/sheets").iterdir()) == ["7-2.png", "7.png"]
    for path in Path("new/sheets").iterdir():
        with Image.open(path) as sheet:
            assert sheet.width == 800
    tenfold("read", names[0], "--explain", "a/7.png").complaint(2, "a/7.png cannot be a folder of sheets")


def test_usage(tenfold: Command) -> None:
    picture = save("a.png", "7")
    tenfold("read", picture, "--json", "--csv").complaint(2, "--json and --csv exclude each other")
    tenfold("read", picture, "--model", "nowhere").complaint(1, "nowhere", "a line reader's folder")
    tenfold("read").complaint(2, "no pictures are named")
    tenfold("read", "").complaint(1, "'' is an empty name")


def test_models(tenfold: Command, trained: Path) -> None:
    """The built-in one by its name, a saved reader, and a model of single images, which is for predict."""
    picture = save("a.png", "7")
    assert tenfold("read", picture, "--model", "reader").out == tenfold("read", picture).out
    saved = LineReader.load(LineReader.FOLDER)
    saved.save("mine")
    assert tenfold("read", picture, "--model", "mine/model.safetensors").code == 0
    run = trained / "runs" / "one"
    told = tenfold("read", picture, "--model", run).complaint(2, "not a line reader's folder")
    assert f"use `tenfold predict --model {run}`" in told
    tenfold("predict", picture, "--model", "mine").complaint(1, "a line reader", "tenfold read")


# the reader that ships, in a process of its own


def test_the_reader_that_ships_reads_at_once(place: Path) -> None:
    """Without what it does not need: torch, plots, tables on a terminal, SciPy."""
    shutil.copy(Path(__file__).parents[2] / "examples" / "seven.png", "one.png")
    code = (
        "import sys\nfrom tenfold.cli import main\n"
        "sys.argv = ['tenfold', 'read', 'one.png', '--json', '--explain', 'sheets']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = ['torch', 'matplotlib', 'jinja2', 'rich', 'scipy', 'tenfold.training']\n"
        "heavy += ['tenfold.show.components']\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=60, check=True
    )
    document = json.loads(done.stdout)
    check_document(document)
    assert document[0]["text"] == "7" and document[0]["troubles"] == []
    assert (place / "sheets" / "one.png").is_file()


def test_several_processes_answer_in_the_order_of_the_pictures(place: Path) -> None:
    names = [save(f"{number}.png", str(number)) for number in range(12)]
    broken("5.png")
    outcomes = [
        subprocess.run(
            [
                sys.executable,
                "-m",
                "tenfold",
                "read",
                *names,
                "missing.png",
                "-",
                "--csv",
                "--length",
                "1",
                *option,
            ],
            cwd=place,
            input=Path("7.png").read_bytes(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        for option in ([], ["--workers", "2"])
    ]
    alone, together = outcomes
    assert (together.returncode, together.stdout, together.stderr) == (1, alone.stdout, alone.stderr)
    rows = list(csv.DictReader(io.StringIO(together.stdout.decode())))
    assert [row["path"] for row in rows] == [*names, "missing.png", "-"]
    assert rows[-1]["text"] == rows[7]["text"] and rows[5]["error"]
    assert {len(row["text"]) for row in rows if not row["error"]} <= {0, 1}


# tables


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model that comes with the package, instead of the one of printed letters."""
    monkeypatch.setattr(line_reader, "load_reader", lambda path, engine: LineReader.load(path, engine=engine))


@pytest.mark.usefixtures("shipped")
def test_a_table_as_csv_json_and_for_a_person(tenfold: Command) -> None:
    Image.fromarray(draw_table(MARKS)).save("marks.png")
    rows = [["", *row[1:]] for row in MARKS]
    assert list(csv.reader(io.StringIO(tenfold("read", "marks.png", "--table").out))) == rows
    several = tenfold("read", "marks.png", "marks.png", "--table").out
    assert list(csv.reader(io.StringIO(several))) == 2 * [["marks.png", *row] for row in rows]
    document = tenfold("read", "marks.png", "--json").json[0]
    assert [[cell["text"] for cell in row] for row in document["table"]["cells"]] == rows
    told = tenfold("read", "marks.png").out.splitlines()
    assert told[0] == "marks.png: table of 4 rows and 3 columns, 7 numbers"
    assert [line.split() for line in told[1:]] == [
        ["-", "7", "38"], ["-", "4", "265"], [".", ".", "90"], ["-", "5", "16"]
    ]  # fmt: skip
    formed = tenfold("read", "marks.png", "--table", "--columns", "name,points,").out
    assert list(csv.reader(io.StringIO(formed))) == [["", "", row[2]] for row in MARKS]


@pytest.mark.usefixtures("shipped")
def test_what_is_no_table_and_what_excludes_it(tenfold: Command) -> None:
    Image.fromarray(draw_table(MARKS)).save("marks.png")
    name = save("line.png", "1049")
    tenfold("read", name, "--table").complaint(1, "line.png: no ruled table is found")
    done = tenfold("read", name, "marks.png", "--table")
    assert done.code == 1 and len(done.out.splitlines()) == len(MARKS)
    assert "line.png: no ruled table is found" in done.err and "1 of 2 pictures" in done.err
    tenfold("read", name, "--table", "--json").complaint(2, "--json and --table exclude each other")
    tenfold("read", name, "--columns", "a", "--length", "3").complaint(2, "columns and another form")


# documents, words, limits of time


def test_a_document_is_read_page_by_page(tenfold: Command) -> None:
    pytest.importorskip("pypdfium2")
    pages = [write(text).convert("RGB") for text in ("10", "27")]
    Path("f").mkdir()
    pages[0].save("f/a.pdf", save_all=True, append_images=pages[1:])
    save("f/b.png", "5")
    Path("f/broken.PDF").write_bytes(Path("f/a.pdf").read_bytes()[:300])
    done = tenfold("read", "f", "--json")
    assert done.code == 1
    check_document(done.json)
    told = [(each["path"], each["page"], each["text"]) for each in done.json]
    assert told == [
        ("f/a.pdf", 1, "10"),
        ("f/a.pdf", 2, "27"),
        ("f/b.png", None, "5"),
        ("f/broken.PDF", None, None),
    ]
    rows = tenfold("read", "f/a.pdf", "--csv").out.splitlines()
    assert [row.partition(",")[0] for row in rows[1:]] == ["f/a.pdf#page=1", "f/a.pdf#page=2"]
    assert tenfold("read", "f/a.pdf").out.startswith("f/a.pdf#page=1: 10")
    sheets = tenfold("read", "f/a.pdf", "--explain", "sheets")
    assert sheets.code == 0 and len(list(Path("sheets").iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--timeout", "0"], "timeout is 0"),
        (["--timeout", "5", "--explain", "sheets"], "--timeout and --explain exclude each other"),
        (["--timeout", "5"], "expected the NumPy engine"),
    ],
)
def test_a_timeout_that_cannot_be_held(tenfold: Command, options: list[str], words: str) -> None:
    done = tenfold("read", save("a.png", "5"), *options)
    assert done.code == 2 and words in done.err and not done.out


def test_print_is_passed_on(tenfold: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    read = many.read_picture

    def note(*given: Any, printed: bool = False, **form: Any) -> Any:
        asked.append(printed)
        return read(*given, printed=printed, **form)

    monkeypatch.setattr(many, "read_picture", note)
    name = save("a.png", "1049")
    assert tenfold("read", name, "--print").out == tenfold("read", name).out
    assert asked == [True, False]
