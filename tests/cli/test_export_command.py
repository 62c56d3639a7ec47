"""`tenfold export`: what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_chain import Command
from PIL import Image

from tenfold.classifier import Classifier
from tenfold.reader.line_reader import LineReader, load_reader

onnxruntime = pytest.importorskip("onnxruntime")

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_run_as_onnx_is_checked_on_its_test_set(tenfold: Command, trained: Path) -> None:
    done = tenfold("export", trained / "runs" / "one")
    assert done.code == 0, done.err
    first, second = done.out.splitlines()
    assert first.startswith("onnx: one.onnx (")
    assert "test images of data" in second and "the same answers" in second
    session = onnxruntime.InferenceSession("one.onnx")
    height, width = session.get_inputs()[0].shape[1:]
    images = np.random.default_rng(0).integers(0, 256, (5, height, width), dtype=np.uint8)
    (probs,) = session.run(["probabilities"], {"images": images})
    expected = Classifier.load(trained / "runs" / "one").predict_proba(images)
    np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-5)


def test_without_a_name_the_newest_run(
    tenfold: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    done = tenfold("export", "--to", "card", "--out", "cards/two.md")
    assert done.code == 0 and "model: runs/two" in done.err
    text = Path("cards/two.md").read_text()
    evaluation = json.loads((trained / "runs" / "two" / "evaluation.json").read_text())
    assert f"{100 * evaluation['accuracy']:.2f} %" in text and "# two" in text


@pytest.mark.parametrize("form", ["onnx", "safetensors", "web", "card"])
def test_the_built_in_reader(tenfold: Command, form: str) -> None:
    document = tenfold("export", "reader", "--to", form, "--json").json
    assert document["to"] == form and document["path"].startswith("reader")
    written = Path(document["path"])
    assert sum(document["files"].values()) == sum(
        path.stat().st_size for path in [written, *written.rglob("*")] if path.is_file()
    )
    checked = document["check"]
    assert (checked is None) == (form in ("web", "card"))
    if checked:
        assert (checked["images"], checked["differing"]) == (32, 0) and checked["difference"] < 1e-4


def test_the_reader_copied_answers_alike(tenfold: Command) -> None:
    tenfold("export", "reader", "--to", "safetensors", "--out", "copy")
    found = load_reader("copy").read(EXAMPLES / "note.jpg")
    assert found.to_dict() == load_reader().read(EXAMPLES / "note.jpg").to_dict()
    told = tenfold("export", "copy/model.safetensors")
    assert told.code == 0 and "checked on 32 made-up strips: the same answers" in told.out
    assert tenfold("export", "copy", "--to", "card").code == 0
    assert "No figures came with it" in Path("copy.md").read_text()


def test_the_readers_card_is_its_own(tenfold: Command) -> None:
    tenfold("export", "reader", "--to", "card")
    own = (LineReader.FOLDER / "card.md").read_text().rstrip()
    assert Path("reader.md").read_text().startswith(own + "\n\n## How to load it\n")


def test_complaints_are_one_line(tenfold: Command, trained: Path) -> None:
    run = trained / "runs" / "one"
    tenfold("export", run, "--to", "onx").complaint(2, "unknown form", "did you mean 'onnx'?")
    tenfold("export", "nowhere").complaint(1, "nowhere", "model.safetensors")
    tenfold("export").complaint(1, "no model was named and runs/ holds none")
    tenfold("export", run, "--to", "web").complaint(2, "expected one that reads handwriting", "--to onnx")
    tenfold("export", run, "--to", "safetensors", "--out", run).complaint(2, "is there already", "--out")
    Image.new("L", (4, 4)).save("picture.png")
    tenfold("export", run, "--out", "picture.png").complaint(2, "picture.png is there already")
