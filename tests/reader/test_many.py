"""Many pictures on all cores: the same as one after another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from template_reader import write

from tenfold import LineReader, Reading, load_reader, read_pictures
from tenfold.errors import DataError, UsageError
from tenfold.reader import many


@pytest.fixture(scope="module")
def reader() -> LineReader:
    return load_reader()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        write(str(number * 7)).save(folder / f"{number:02}.png")
    (folder / "05.png").write_text("no picture")
    (folder / "03.png").unlink()
    return [folder / f"{number:02}.png" for number in range(12)]


@pytest.mark.parametrize(
    "form", [{}, {"length": 2}, {"pattern": r"\d\d", "least": "20", "most": 60}], ids=str
)
def test_the_same_as_one_after_another(
    reader: LineReader, paths: list[Path], form: dict[str, object]
) -> None:
    found = list(read_pictures(reader, paths, workers=2, **form))  # type: ignore[arg-type]
    assert len(found) == 12
    for number, (path, one) in enumerate(zip(paths, found, strict=True)):
        if number in (3, 5):
            with pytest.raises(DataError) as raised:
                reader.read(path)
            assert isinstance(one, DataError) and str(one) == str(raised.value)
            assert (one.found, one.expected) == (raised.value.found, raised.value.expected)
            continue
        expected = reader.read(path, **form)  # type: ignore[arg-type]
        assert isinstance(one, Reading) and one.picture is None and one.text == expected.text
        assert one.troubles == expected.troubles
        assert [each.box for each in one.characters] == [each.box for each in expected.characters]
        for ours, theirs in zip(one.characters, expected.characters, strict=True):
            np.testing.assert_allclose(ours.probs, theirs.probs, atol=1e-6)


def test_helpers_that_end_are_no_matter(
    reader: LineReader, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    found = list(read_pictures(reader, paths, workers=2))
    assert [isinstance(each, DataError) for each in found] == [n in (3, 5) for n in range(12)]


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("no process and no picture was wanted")


def test_few_pictures_and_other_engines_stay_in_this_process(
    reader: LineReader, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "ask_helpers", refuse)
    assert len(list(read_pictures(reader, paths))) == 12
    with pytest.raises(AssertionError, match="no process"):
        list(read_pictures(reader, paths, workers=2))
    monkeypatch.setattr(reader.engine, "name", "torch")
    assert len(list(read_pictures(reader, paths, workers=2))) == 12


def test_as_many_processes_as_are_worth_it(
    reader: LineReader, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note(_: str, names: list[str], count: int, **__: object) -> list[tuple[str, object]]:
        asked.append(count)
        return [(name, many.NO_ANSWER) for name in names]

    monkeypatch.setattr(many, "ask_helpers", note)
    monkeypatch.setattr(many, "WORTH_A_PROCESS", 4)
    for cores in (1, 2, 16):
        monkeypatch.setattr(many, "count_cores", lambda cores=cores: cores)
        list(read_pictures(reader, paths))
    assert asked == [2, 3]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"pattern": "(12"}, "pattern"),
        ({"length": 0}, "length 0"),
        ({"least": 5, "most": 4}, "min 5 is above"),
    ],
)
def test_a_wrong_form_is_refused_before_a_picture_is_opened(
    reader: LineReader,
    paths: list[Path],
    form: dict[str, object],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(many, "open_picture", refuse)
    with pytest.raises(UsageError, match=words):
        read_pictures(reader, paths, **form)  # type: ignore[arg-type]
