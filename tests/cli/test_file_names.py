"""Pictures of a folder are named by their files, everywhere; images without files by their place."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from cli_chain import Command, write_folder, write_npz

MISPLACED = "middle/scan 'é' <b>12.png"
QUICK = ("--recipe", "tiny.toml", "--set", "training.epochs=40", "--engine", "numpy", "--folds", "3")


@pytest.fixture
def folder(place: Path) -> Path:
    """150 pictures in three classes; one that shows a left band lies among those of the middle."""
    write_folder(place / "bands")
    (place / "bands" / "left" / "012.png").rename(place / "bands" / MISPLACED)
    return place / "bands"


def shown(page: str) -> str:
    """The page with its markup taken for markup, and what stands in it for what is read."""
    text = Path(page).read_text(encoding="utf-8")
    assert "<b>12" not in text
    return unescape(re.sub(r"<[^>]*>", "", text))


def test_label_errors_name_the_file(tenfold: Command, folder: Path) -> None:
    arguments = ("label-errors", folder, "--split", "all", *QUICK)
    lines = tenfold(*arguments, "--out", "found.html").out.splitlines()
    assert lines[2].split() == ["file", "given", "suggested", "quality"]
    assert lines[3].startswith(f"{MISPLACED} ") and lines[3].split()[-3:-1] == ["middle", "left"]
    assert MISPLACED in shown("found.html") and "index" not in shown("found.html")
    first = tenfold(*arguments, "--json", "--out", "found.csv").json["suspects"][0]
    assert first["file"] == MISPLACED and first["given"] == "middle" and first["suggested"] == "left"
    with Path("found.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert list(row) == ["index", "file", "given", "suggested", "quality"] and row["file"] == MISPLACED
    tenfold(*arguments, "--out", "found.json")
    assert json.loads(Path("found.json").read_text())["suspects"][0] == first


def test_a_part_is_named_where_both_are_searched(tenfold: Command, folder: Path, place: Path) -> None:
    shutil.copytree(folder, place / "both" / "test")
    write_folder(place / "both" / "train", 60)
    rows = tenfold("label-errors", place / "both", "--split", "all", *QUICK, "--json").json["suspects"]
    assert rows[0]["file"] == f"test/{MISPLACED}"
    rows = tenfold("label-errors", place / "both", "--split", "test", *QUICK, "--json").json["suspects"]
    assert rows[0]["file"] == MISPLACED


def test_a_run_names_files(tenfold: Command, folder: Path, place: Path) -> None:
    shutil.copytree(folder, place / "both" / "test")
    shutil.copytree(folder, place / "both" / "train")
    (place / "both" / "train" / MISPLACED).unlink()
    tenfold("train", "tiny.toml", "--data", "both", "--run-dir", "run", "--set", "training.epochs=20",
            "--engine", "numpy")  # fmt: skip
    document = tenfold("evaluate", "run", "--engine", "numpy", "--json").json
    assert [row["file"] for row in document["most_confident_misses"]] == [MISPLACED]
    lines = tenfold("evaluate", "run", "--engine", "numpy").out.splitlines()
    assert lines[-2].split() == ["file", "is", "read", "as", "confidence"]
    assert lines[-1].startswith(MISPLACED)
    tenfold("label-errors", "run", *QUICK)
    text = shown("run/report.html")
    assert text.count(MISPLACED) >= 4  # miss, table of misses, cell of the matrix, suspect
    assert not re.search(r"index\s\d", text) and "The first misses by file" in text
    explained = tenfold("explain", "--index", "0", "--data", "both", "--model", "run", "--out", "why.html")
    assert explained.code == 0 and "both (test), left/000.png" in shown("why.html")


def test_data_show_names_files(tenfold: Command, folder: Path) -> None:
    shutil.copy(folder / MISPLACED, folder / "right" / "copy.png")
    told = f"{MISPLACED} (middle), right/copy.png (right): equal, labelled differently"
    assert told in tenfold("data", "show", folder).out
    (group,) = tenfold("data", "show", folder, "--json").json["duplicates"]["exact"]
    assert [image["file"] for image in group["images"]] == [MISPLACED, "right/copy.png"]
    assert tenfold("data", "show", folder, "--record", "1").out.startswith(
        "bands (all), left/003.png: label left"
    )
    assert tenfold("data", "show", folder, "--record", "1", "--json").json["file"] == "left/003.png"
    tenfold("data", "show", folder, "--html", "page.html")
    assert MISPLACED in shown("page.html")


def test_images_without_files_keep_their_index(tenfold: Command) -> None:
    write_npz(Path("data.npz"))
    document = tenfold("label-errors", "data.npz", *QUICK, "--json").json
    assert all("file" not in row for row in document["suspects"])
    assert "file" not in tenfold("data", "show", "data.npz", "--record", "1", "--json").json
    assert tenfold("data", "show", "data.npz", "--record", "1").out.startswith("data.npz (all), image 1: ")
    look = tenfold("data", "show", "data.npz", "--json").json
    assert look["classes"][0]["typical"][0].keys() == {"split", "index"}
