"""`tenfold form --draw`: the command around the page."""

from __future__ import annotations

import tomllib
from pathlib import Path

import httpx
import pytest
from cli_chain import Command
from PIL import Image

from tenfold.review.page import LocalPage

FIELDS = [{"name": "total", "box": [0.1, 0.2, 0.3, 0.4], "pattern": ""}]


@pytest.fixture(autouse=True)
def picture() -> None:
    Image.new("L", (300, 200), 255).save("exam.png")


def test_the_form_is_written_and_named(tenfold: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def person(address: str) -> None:
        assert httpx.post(f"{address}save", json={"fields": FIELDS}, timeout=60).json()["saved"]

    monkeypatch.setattr("webbrowser.open", person)
    monkeypatch.setenv("DISPLAY", ":0")
    done = tenfold("form", "exam.png", "--draw", "--output", "forms/exam.toml")
    assert (done.code or 0, done.out) == (0, "forms/exam.toml\n")
    assert "draw the fields on http://127.0.0.1:" in done.err
    form = tomllib.loads(Path("forms/exam.toml").read_text(encoding="utf-8"))
    assert form["picture"] == "exam.png" and Path("forms/exam.png").is_file()
    tenfold("form", "exam.png", "--draw", "-o", "forms/exam.toml").complaint(2, "is there already", "--force")
    tenfold("form", "exam.png", "--force").complaint(2, "--draw")


def test_ctrl_c_saves_nothing(tenfold: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalPage, "run", lambda self, **_: False)
    done = tenfold("form", "exam.png", "--draw")
    done.complaint(130, "nothing is saved")
    assert not Path("exam.toml").exists()


def test_mistakes_are_told_in_a_line(tenfold: Command) -> None:
    tenfold("form", "no.png", "--draw").complaint(1, "no.png is not there")
    tenfold("form", "exam.png", "--draw", "-o", ".").complaint(2, "is a folder")
