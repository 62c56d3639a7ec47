"""What a terminal is shown and what is given to others: no control characters, HTML or absolute paths."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from cli_chain import NAMES, RECIPE, Command, pictures, write_npz
from PIL import Image

from tenfold.errors import printable
from tenfold.files import shown_path
from tenfold.recipes.load import change_recipe, parse_recipe
from tenfold.show.report import shown_command
from tenfold.show.terminal import stdout

EVIL = "\x1b]0;owned\x07\x9b2J\u202egnp.exe\x7f"
HTML = "<img src=x onerror=alert(1)>"


def clean(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_one_function_spells_out_what_is_not_printable() -> None:
    assert printable("a\x1b[31m\nb\u202e\x9b") == "a\\x1b[31m\\nb\\u202e\\x9b"
    assert printable("7/Ünï 数字.png") == "7/Ünï 数字.png"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_keeps_its_colours_and_no_others(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    monkeypatch.setattr(written, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    console = stdout.console
    console.print(f"[bold]two[/bold]\nlines {EVIL}")
    stdout.table(("class", EVIL), [(EVIL, "a\nb")])
    text = written.getvalue()
    for own in ("\x1b[1m", "\x1b[0m"):
        assert (own in text) == terminal
        text = text.replace(own, "")
    assert clean(text) and "\\x1b]0;owned" in text and "a\\nb" in text


def test_names_from_files_reach_no_terminal(tenfold: Command, place: Path) -> None:
    images, labels = pictures(60)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = place / EVIL / (NAMES[label] + EVIL)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}{EVIL}.png")
    done = tenfold("train", "tiny.toml", "--data", EVIL, "--run-dir", f"run{EVIL}", "--epochs", "1")
    assert done.code == 0 and clean(done.out + done.err)
    for command in (
        ("evaluate", f"run{EVIL}"),
        ("runs", "show", f"run{EVIL}"),
        ("report", EVIL),
        ("data", "show", EVIL),
        ("train", EVIL),
        ("predict", f"{EVIL}.png", "--model", f"run{EVIL}"),
        ("train", "tiny.toml", "--set", f"{EVIL}=1"),
    ):
        done = tenfold(*command)
        assert clean(done.out + done.err) and "owned" in done.out + done.err, command
    recipe = parse_recipe(RECIPE)
    text = change_recipe(recipe, {"title": EVIL}).to_toml()
    assert clean(text) and parse_recipe(text).title == EVIL


def test_html_is_text_and_no_path_is_told(tenfold: Command, place: Path) -> None:
    images, labels = pictures(90)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = place / "data" / f"{NAMES[label]}{HTML}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}{HTML}.png")
    titled = RECIPE.replace('title = "Tiny"', f"title = '{HTML}'\ndescription = '{HTML}'\nsource = '{HTML}'")
    (place / "evil.toml").write_text(titled)
    here = str(place)
    train = ("train", place / "evil.toml", "--data", place / "data", "--run-dir", place / "run")
    assert tenfold(*train, "--quiet").code == 0
    assert tenfold("export", place / "run", "--to", "card", "--out", "card.md").code == 0
    assert tenfold("label-errors", place / "run", "--folds", "2", "--out", "labels.html").code == 0
    for page in ("run/report.html", "card.md", "labels.html"):
        text = (place / page).read_text(encoding="utf-8")
        assert "<img src=x" not in text and here not in text, page
    assert "&lt;img src=x" in (place / "card.md").read_text()
    shutil.copytree(place / "run", place / "model")
    (place / "model" / "environment.json").unlink()
    (place / "model" / "card.md").write_text(f"# Mine {HTML}\n<script>alert(1)</script>\n")
    assert tenfold("export", "model", "--to", "card", "--out", "told.md").code == 0
    text = (place / "told.md").read_text()
    assert "# Mine &lt;img" in text and "<script" not in text and "<img" not in text


def test_paths_that_are_shown(place: Path) -> None:
    assert shown_path("data/x.npz") == "data/x.npz" and shown_path("/home/ann/x.npz") == "x.npz"
    assert shown_path(str(place / "runs" / "one")) == "runs/one" and shown_path("C:\\ann\\x.npz") == "x.npz"
    told = shown_command("tenfold train /home/ann/r.toml --data=/srv/d --set network.start_from=/a/b 'a b'")
    assert told == "tenfold train r.toml --data=d --set network.start_from=b 'a b'"


def test_the_data_of_a_report_stay_readable(tenfold: Command, place: Path) -> None:
    write_npz(place / "data.npz")
    assert tenfold("train", "tiny.toml", "--data", "data.npz", "--run-dir", "run").code == 0
    assert "--data data.npz" in (place / "run" / "report.html").read_text(encoding="utf-8")
