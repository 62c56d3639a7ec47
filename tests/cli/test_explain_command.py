"""`tenfold explain`: the line reader and runs, pictures and data sets, and what is wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_chain import Command, write_npz
from PIL import Image, ImageDraw

EXAMPLES = Path(__file__).parents[2] / "examples"


def draw_seven(path: str = "seven.png") -> str:
    """A seven on paper."""
    image = Image.new("L", (160, 160), 245)
    ImageDraw.Draw(image).line([(40, 35), (110, 35), (70, 130)], fill=30, width=9, joint="curve")
    image.save(path)
    return path


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


# the line reader


def test_the_built_in_reader_without_any_run(tenfold: Command) -> None:
    done = tenfold("explain", EXAMPLES / "seven.png")
    assert done.code == 0 and done.err == "model: the built-in reader\n"
    first, second = done.out.splitlines()
    assert first.startswith("7  (") and second == "explanation: explain.png"
    assert size_of("explain.png")[0] == 800


def test_the_reader_as_json_and_one_character(tenfold: Command) -> None:
    note = EXAMPLES / "note.jpg"
    document = tenfold("explain", note, "--json", "--out", "whole.png").json
    count = len(document["reading"]["characters"])
    assert document["name"] == "note.jpg" and document["page"] == "whole.png" and count > 3
    assert tenfold("explain", note, "--digit", 2, "--model", "reader", "--out", "two.png", "-q").code == 0
    assert size_of("two.png")[0] == 800 and size_of("two.png")[1] < size_of("whole.png")[1]
    told = tenfold("explain", note, "--digit", 99, "-q").complaint(2, "note.jpg holds")
    assert f"--digit from 1 to {count}" in told


def test_a_blank_holds_nothing(tenfold: Command) -> None:
    Image.new("L", (200, 200), 240).save("blank.png")
    done = tenfold("explain", "blank.png")
    assert done.code == 0 and done.out.startswith("nothing found: the picture is blank\n")


# runs


@pytest.fixture
def here(trained: Path, place: Path) -> Path:
    """The two runs in the working folder."""
    shutil.copytree(trained / "runs", place / "runs")
    return place


def test_the_newest_run_and_what_it_learned_from(tenfold: Command, here: Path) -> None:
    done = tenfold("explain", "--index", 0, "--split", "train", "--json")
    (found,) = done.json["explanations"]
    assert (
        found["truth"] in found["outputs"] and found["neighbours"]["copies"] <= 1 and done.json["notes"] == []
    )
    told = tenfold("explain", "--index", 0, "--split", "train")
    assert told.err == "model: runs/two\n" and "training images" in told.out
    assert "tenfold explain · model two" in Path("explain.html").read_text(encoding="utf-8")


def test_a_picture_by_a_run_named(tenfold: Command, here: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)).save("noise.png")
    done = tenfold("explain", "noise.png", "--model", "runs/one", "--json")
    assert len(done.json["explanations"]) == 1 and done.json["explanations"][0]["neighbours"]["searched"] > 50
    beside = tenfold("explain", "noise.png", "--model", "runs/one/model.safetensors", "--json").json
    assert beside["explanations"][0]["neighbours"] == done.json["explanations"][0]["neighbours"]


def test_other_data_than_the_run_learned_from_are_no_neighbours(tenfold: Command, here: Path) -> None:
    import json

    path = here / "runs" / "one" / "environment.json"
    record = json.loads(path.read_text())
    Image.fromarray(np.zeros((12, 12), np.uint8)).save("blank.png")
    for wrong, words in (({"sha256": "0" * 64}, "is not what"), ({"source": "gone.npz"}, "is not there")):
        path.write_text(json.dumps(record | {"data": record["data"] | wrong}))
        done = tenfold("explain", "blank.png", "--model", "runs/one")
        assert done.code == 0 and "No neighbours: " in done.out and words in done.out
    named = tenfold("explain", "blank.png", "--model", "runs/one", "--data", write_npz(Path("more.npz")))
    assert named.code == 0 and "No neighbours" not in named.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "neither a picture nor an --index"),
        (("a.png", "--index", "3"), 2, "a picture and an --index"),
        (("--index", "3"), 2, "--index with the line reader"),
        (("seven.png", "--data", "data.npz"), 2, "--data with the line reader"),
        (("none.png",), 1, "none.png"),
        (("seven.png", "--out", "page.pdf"), 2, "page.pdf"),
        (("seven.png", "--out", "page.html"), 2, "a name ending in .png for the line reader"),
        (("seven.png", "--model", "nowhere"), 1, "nowhere"),
    ],
)
def test_mistakes_in_one_line(tenfold: Command, arguments: tuple[str, ...], code: int, words: str) -> None:
    draw_seven()
    write_npz(Path("data.npz"))
    tenfold("explain", *arguments, "-q").complaint(code, words)
    assert not Path("explain.html").exists() and not Path("explain.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("seven.png", "--digit", "2"), 2, "--digit from 1 to 1"),
        (("--index", "300"), 2, "--index from 0 to"),
        (("--index", "0", "--data", "other.npz"), 1, "(12, 12)"),
        (("seven.png", "--data", "other.npz"), 1, "(12, 12)"),
    ],
)
def test_mistakes_with_a_run(
    tenfold: Command, here: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    draw_seven()
    images = np.random.default_rng(0).integers(0, 256, (30, 9, 9), dtype=np.uint8)
    np.savez("other.npz", images=images, labels=np.arange(30) % 3)
    tenfold("explain", *arguments, "--model", "runs/one", "-q").complaint(code, words)
    assert not Path("explain.html").exists()


def test_an_index_needs_the_data_that_it_counts_in(tenfold: Command, here: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        Path("mine").mkdir(exist_ok=True)
        shutil.copy(here / "runs" / "one" / name, "mine")
    tenfold("explain", "--index", 3, "--model", "mine", "-q").complaint(2, "--index without --data")
