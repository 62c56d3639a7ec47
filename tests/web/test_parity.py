"""One picture, one answer: through Python, the command, HTTP, ONNX Runtime, and the bundle in Chromium."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from browser_reading import open_bundle
from other_ways import OnnxReader, serving
from PIL import Image

from tenfold.export.onnx_file import export_onnx
from tenfold.export.web import export_web
from tenfold.reader.line_reader import load_reader

EXAMPLES = Path(__file__).parents[2] / "examples"
TOLERANCE = 1e-3  # of a probability
Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, and what else a picture may be: dark, transparent, turned, grey, blank, of three rows."""
    folder = tmp_path_factory.mktemp("pictures")
    for path in EXAMPLES.glob("[!m]*.*"):  # not marks.jpg, a table, of which the browser reads no cells
        (folder / path.name).write_bytes(path.read_bytes())
    five = Image.open(EXAMPLES / "five.png").convert("L")
    note = Image.open(EXAMPLES / "note.jpg").reduce(2)
    Image.eval(five, lambda value: 255 - value).save(folder / "dark.png")
    clear = Image.new("RGBA", five.size, (20, 40, 160, 0))
    clear.putalpha(Image.eval(five, lambda value: 255 - value))
    clear.save(folder / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    note.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=turned, quality=90)
    five.save(folder / "grey.jpg", quality=60)
    Image.new("RGB", (120, 90), (250, 250, 246)).save(folder / "blank.png")
    rows = Image.new("L", (2 * five.width, 3 * five.height), 255)
    rows.paste(five, (0, 0))
    rows.paste(Image.open(EXAMPLES / "seven.png").convert("L").resize(five.size), (five.width, 0))
    for row in (1, 2):
        rows.paste(five, (row * five.width // 2, row * five.height))
    rows.save(folder / "rows.png")
    return folder


@pytest.fixture(scope="module")
def expected(pictures: Path) -> Answers:
    reader = load_reader()
    return {path.name: reader.read(path).to_dict() for path in sorted(pictures.iterdir())}


def assert_same(found: Answers, expected: Answers) -> None:
    assert set(found) == set(expected)
    for name, answer in expected.items():
        assert found[name]["text"] == answer["text"], name
        assert found[name]["troubles"] == answer["troubles"], name
        assert [list(line["box"]) for line in found[name]["lines"]] == [
            line["box"] for line in answer["lines"]
        ], name
        for mine, own in zip(found[name]["characters"], answer["characters"], strict=True):
            assert (mine["label"], mine["verdict"]) == (own["label"], own["verdict"]), name
            assert list(mine["box"]) == list(own["box"]), name
            np.testing.assert_allclose(mine["probs"], own["probs"], rtol=0, atol=TOLERANCE, err_msg=name)


def test_the_pictures_hold_something_of_everything(expected: Answers) -> None:
    texts = [answer["text"] for answer in expected.values()]
    assert "" in texts and any("\n" in text for text in texts) and any(len(text) > 2 for text in texts)
    assert expected["turned.jpg"]["text"] == expected["note.jpg"]["text"]


def test_the_command(pictures: Path, expected: Answers) -> None:
    command = [sys.executable, "-m", "tenfold", "read", "--json", str(pictures)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert_same({Path(answer["path"]).name: answer for answer in json.loads(done.stdout)}, expected)


def test_http(pictures: Path, expected: Answers) -> None:
    pytest.importorskip("uvicorn")
    found = {}
    with serving("--workers", "1") as address:
        for name in expected:
            body, headers = (pictures / name).read_bytes(), {"Content-Type": "application/octet-stream"}
            request = urllib.request.Request(f"{address}/v1/read", body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                (found[name],) = json.load(answer)["pictures"]
    assert_same(found, expected)


def test_onnx_runtime(pictures: Path, expected: Answers, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    reader = OnnxReader(export_onnx(load_reader(), tmp_path / "reader.onnx"))
    assert_same({name: reader.read(pictures / name).to_dict() for name in expected}, expected)


def test_the_bundle_in_chromium(
    pictures: Path, expected: Answers, browser_page: Page, tmp_path: Path
) -> None:
    site = export_web(load_reader(), tmp_path / "site")
    with open_bundle(browser_page, site, pictures) as bundle:
        found = {name: bundle.read(name) for name in expected}
    assert_same(found, expected)
    for name in expected:
        seen = load_reader().read(pictures / name).characters
        for mine, own in zip(found[name]["characters"], seen, strict=True):
            assert np.abs(np.reshape(mine["image"], (32, 32)) - own.image.astype(int)).max() <= 1, name
