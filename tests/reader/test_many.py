"""Many pictures on all cores: the same as one after another."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from template_reader import template_reader, write

from tenfold import load_reader, read_picture, read_pictures
from tenfold.errors import DataError, UsageError
from tenfold.reader import many
from tenfold.reader.reading import Transcript


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        write(str(number * 7)).save(folder / f"{number:02}.png")
    (folder / "05.png").write_text("no picture")
    (folder / "03.png").unlink()
    return [folder / f"{number:02}.png" for number in range(12)]


def test_the_same_as_one_after_another(paths: list[Path]) -> None:
    reader = load_reader()
    found = list(read_pictures(reader, paths, workers=3))
    assert len(found) == 12
    for number, (path, one) in enumerate(zip(paths, found, strict=True)):
        if number in (3, 5):
            with pytest.raises(DataError) as raised:
                read_picture(reader, path)
            assert isinstance(one, DataError) and str(one) == str(raised.value)
            assert (one.found, one.expected) == (raised.value.found, raised.value.expected)
            continue
        expected = read_picture(reader, path)
        assert isinstance(one, Transcript) and one.text == expected.text
        assert one.troubles == expected.troubles
        assert [digit.box for digit in one.digits] == [digit.box for digit in expected.digits]
        for ours, theirs in zip(one.digits, expected.digits, strict=True):
            np.testing.assert_allclose(ours.probs, theirs.probs, atol=1e-6)


def test_helpers_that_end_are_no_matter(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    found = list(read_pictures(load_reader(), paths, workers=2))
    assert [isinstance(each, DataError) for each in found] == [n in (3, 5) for n in range(12)]


def test_few_pictures_and_other_engines_stay_in_this_process(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("no process was to be started")

    monkeypatch.setattr(many, "ask_helpers", refuse)
    assert len(list(read_pictures(load_reader(), paths))) == 12
    assert len(list(read_pictures(template_reader(), paths, workers=2))) == 12
    with pytest.raises(AssertionError, match="no process"):
        list(read_pictures(load_reader(), paths, workers=2))


def test_as_many_processes_as_are_worth_it(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def note(_: str, names: list[str], count: int, **__: object) -> list[tuple[str, object]]:
        asked.append(count)
        return [(name, many.NO_ANSWER) for name in names]

    monkeypatch.setattr(many, "ask_helpers", note)
    monkeypatch.setattr(many, "WORTH_A_PROCESS", 4)
    for cores in (1, 2, 16):
        monkeypatch.setattr(many, "count_cores", lambda cores=cores: cores)
        list(read_pictures(load_reader(), paths))
    assert asked == [2, 3]


def test_a_model_that_reads_no_ink(paths: list[Path]) -> None:
    with (
        pytest.raises(UsageError, match="tenfold predict"),
        closing(read_pictures(template_reader(background="light"), paths)) as found,
    ):
        next(found)
