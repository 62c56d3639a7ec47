"""Photos of a form are aligned with its example, however they lie, and read; other pictures are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from forms_drawn import PLACES, SIZE, draw_form, photograph, write_toml
from PIL import Image
from typer.testing import CliRunner

from tenfold.cli.app import app
from tenfold.errors import DataError
from tenfold.forms.read import FormReader, read_forms
from tenfold.forms.template import load_form
from tenfold.reader.line_reader import load_reader

VALUES = {"a": "27", "b": "45", "total": "72"}
SUM = '[[check]]\nsum = "total = a + b"'


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toml(tmp_path_factory.mktemp("form"), more=SUM)


@pytest.fixture(scope="module")
def reader(toml: Path) -> FormReader:
    return FormReader(load_reader(), load_form(toml))


@pytest.mark.parametrize("turns", range(4))
def test_a_photo_is_read_however_it_lies(reader: FormReader, turns: int) -> None:
    photo, corners = photograph(draw_form(VALUES), turns)
    found = reader.read(photo)
    assert found.values == VALUES and not found.doubtful and found.score > 0.7
    x0, y0, x1, y1 = PLACES["a"]
    box = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) / np.array(SIZE)
    page = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    rows = []
    for (x, y), (u, v) in zip(page, corners, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    matrix = np.append(np.linalg.solve(np.array(rows), corners.ravel()), 1).reshape(3, 3)
    mapped = np.column_stack([box, np.ones(4)]) @ matrix.T
    np.testing.assert_allclose(found.fields[0].corners, mapped[:, :2] / mapped[:, 2:], atol=5)
    assert found.fields[0].crop.dtype == np.uint8 and found.fields[0].crop.ndim == 2


def test_empty_fields_and_a_filled_example(tmp_path: Path) -> None:
    form = load_form(write_toml(tmp_path, example=draw_form({"a": "38", "b": "8", "total": "46"})))
    found = FormReader(load_reader(), form).read(draw_form({"a": "5"}))
    assert found.values == {"a": "5", "b": "", "total": ""}
    assert [each.reason for each in found.fields] == ["", "empty", "empty"]


def test_a_wrong_sum_is_told(reader: FormReader) -> None:
    found = reader.read(draw_form({**VALUES, "total": "95"}))
    assert found.values["total"] == "95" and set(found.doubtful) == {"a", "b", "total"}
    assert {each.reason for each in found.fields} == {"sum"}


def test_another_picture_is_refused(reader: FormReader) -> None:
    other = draw_form(VALUES, title="List of parcels", boxes=False).crop((0, 0, 250, 460))
    with pytest.raises(DataError, match=r"scan\.png does not look like the form exam; expected"):
        reader.read(other, "scan.png")


def test_the_command_gives_a_row_per_form(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_form(VALUES).save(tmp_path / "one.png")
    (tmp_path / "two.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    form = ["read", "--form", str(toml), "one.png", "two.png", "--quiet"]
    done = CliRunner().invoke(app, [*form, "--csv", "--explain", "sheets"])
    rows = done.stdout.splitlines()
    assert done.exit_code == 1 and rows[:2] == ["path,a,b,total,doubtful,error", "one.png,27,45,72,,"]
    assert rows[2].startswith("two.png,,,,,") and "is not a picture" in rows[2]
    with Image.open("sheets/one.png") as sheet:
        assert sheet.width == 800
    document = json.loads(CliRunner().invoke(app, [*form[:4], "--json", "--quiet"]).stdout)
    assert document[0]["values"] == VALUES and document[0]["error"] is None


def test_a_form_excludes_other_expectations(toml: Path) -> None:
    for more in (["--pattern", "1"], ["--columns", "1"], ["--table"], ["--min", "0"], ["--digits"]):
        done = CliRunner().invoke(app, ["read", "--form", str(toml), "x.png", *more])
        assert done.exit_code and f"--form and {more[0]} exclude each other" in str(done.exception)


def test_helpers_answer_as_this_process_does(reader: FormReader, tmp_path: Path) -> None:
    paths = [tmp_path / "one.png", tmp_path / "none.png"]
    draw_form(VALUES).save(paths[0])
    found = list(read_forms(reader.reader, paths, reader.form, workers=2))
    assert not isinstance(found[0], DataError) and found[0].values == VALUES
    assert isinstance(found[1], DataError) and "is not there" in str(found[1])


def test_a_picture_without_edges_is_refused(reader: FormReader) -> None:
    with pytest.raises(DataError, match="does not look like the form"):
        reader.read(np.full((300, 400), 200, np.uint8))
