"""Pen strokes from a file, checked, and brought to one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.errors import DataError, DataNotFoundError
from tenfold.synthesis.glyphs import Drawing, normalise
from tenfold.synthesis.sources import load_strokes

GOOD: dict[str, Any] = {
    "points": np.arange(14, dtype=np.float32).reshape(7, 2),
    "stroke_lengths": np.array([3, 2, 2]),
    "strokes_per_digit": np.array([2, 1]),
    "labels": np.array([7, 1], dtype=np.uint8),
    "writers": np.array(["ann", "bob"]),
}


def save(path: Path, **changes: Any) -> Path:
    np.savez(path, **{**GOOD, **changes})
    return path


def test_drawings_come_back_as_they_were_stored(tmp_path: Path) -> None:
    seven, one = load_strokes(save(tmp_path / "s.npz"))
    assert (seven.label, seven.writer, one.label, one.writer) == ("7", "ann", "1", "bob")
    assert [len(stroke) for stroke in seven.strokes] == [3, 2]
    np.testing.assert_array_equal(one.strokes[0], GOOD["points"][5:])
    assert all(stroke.dtype == np.float32 for stroke in seven.strokes)


def test_an_empty_stroke_is_left_out(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz", stroke_lengths=np.array([3, 2, 0, 2]), strokes_per_digit=np.array([3, 1]))
    assert [len(drawing.strokes) for drawing in load_strokes(path)] == [2, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"points": np.zeros((7, 3), np.float32)},
        {"points": np.full((7, 2), np.nan)},
        {"points": np.full((7, 2), "x")},
        {"points": np.zeros((6, 2), np.float32)},
        {"stroke_lengths": np.array([3, 2, 3])},
        {"stroke_lengths": np.array([3.0, 2.0, 2.0])},
        {"stroke_lengths": np.array([9, -4, 2])},
        {"stroke_lengths": np.array([3, 4, 0])},
        {"strokes_per_digit": np.array([2, 2])},
        {"strokes_per_digit": np.array([3, 0])},
        {"labels": np.array([7, 10])},
        {"labels": np.array([7])},
        {"labels": np.array(["7", "1"])},
        {"writers": np.array(["ann"])},
        {"writers": np.array([None, "bob"], dtype=object)},
    ],
)
def test_a_wrong_file_is_a_data_error_that_names_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"s\.npz"):
        load_strokes(save(tmp_path / "s.npz", **changes))


def test_missing_entries_missing_files_and_rubbish(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", points=GOOD["points"])
    with pytest.raises(DataError, match="stroke_lengths"):
        load_strokes(tmp_path / "few.npz")
    with pytest.raises(DataNotFoundError):
        load_strokes(tmp_path / "none.npz")
    whole = save(tmp_path / "s.npz").read_bytes()
    np.save(tmp_path / "array.npy", GOOD["points"])
    (tmp_path / "array.npz").write_bytes((tmp_path / "array.npy").read_bytes())
    for name, content in [("cut", whole[: len(whole) // 2]), ("text", b"not an npz"), ("empty", b"")]:
        (tmp_path / f"{name}.npz").write_bytes(content)
    for name in ("cut", "text", "empty", "array"):
        with pytest.raises(DataError, match=name):
            load_strokes(tmp_path / f"{name}.npz")


def test_normalise_puts_the_box_at_the_origin_and_keeps_the_aspect() -> None:
    strokes = (np.array([[10, 20], [30, 60]], np.float32), np.array([[50, 100]], np.float32))
    normal = normalise(Drawing(strokes, "4", "me"))
    np.testing.assert_allclose(np.concatenate(normal.strokes), [[0, 0], [0.25, 0.5], [0.5, 1]], atol=1e-6)
    assert (normal.label, normal.writer) == ("4", "me")
    dash = normalise(Drawing((np.array([[5, 5], [25, 7]], np.float32),), "-"))
    np.testing.assert_allclose(dash.strokes[0], [[0, 0], [1, 0.1]], atol=1e-6)


def test_a_dot_stays_a_dot() -> None:
    dot = normalise(Drawing((np.array([[5, 5]], np.float32),), "."))
    np.testing.assert_array_equal(dot.strokes[0], [[0, 0]])


def test_the_recordings_can_be_read(mnist_dir: Path) -> None:
    path = mnist_dir / "handwriting-strokes" / "strokes.npz"
    if not path.is_file():
        pytest.skip("the recorded strokes are not there (set TENFOLD_DATA_DIR)")
    drawings = load_strokes(path)
    assert len(drawings) == 895
    assert {drawing.label for drawing in drawings} == set("0123456789")
