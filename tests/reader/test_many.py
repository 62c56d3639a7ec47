"""Many pictures on all cores: the same as one after another."""

from __future__ import annotations

import pickle
import textwrap
from pathlib import Path

import numpy as np
import pytest
from template_reader import write

import tenfold
from tenfold import LineReader, Reading, load_reader, read_pictures
from tenfold.errors import DataError, UsageError
from tenfold.pictures.formats import find_pages
from tenfold.reader import many, page


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


SLOW_READER = """
    import os, time
    from tenfold.errors import DataError
    from tenfold.helpers import Helper

    def answer(name):
        if "hangs" in name:
            time.sleep(600)
        if "kills" in name:
            os._exit(1)
        return DataError("read")

    Helper.serve(lambda _: answer)
"""


def test_a_picture_that_hangs_or_kills_is_reported_and_the_next_is_read(
    reader: LineReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_reader.py").write_text(textwrap.dedent(SLOW_READER))
    monkeypatch.syspath_prepend(tmp_path)
    ask = many.Helper.ask_many
    monkeypatch.setattr(many.Helper, "ask_many", lambda _, *rest, **named: ask("slow_reader", *rest, **named))
    monkeypatch.setattr(page, "open_picture", refuse)
    names = ["hangs.png", "a.png", "kills.png", "b.png"]
    late, first, killed, second = map(str, read_pictures(reader, names, timeout=2))
    assert late.startswith("hangs.png took longer than 2 s; expected") and "--timeout" in late
    assert killed.startswith("kills.png ended the process that read it; expected")
    assert first == second == "read"


def test_a_timeout_needs_a_process_even_for_one_picture(
    reader: LineReader, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, float]] = []

    def note(
        _: str, names: list[str], count: int, *, timeout: float, **__: object
    ) -> list[tuple[str, object]]:
        asked.append((count, timeout))
        return [(name, many.Helper.NoAnswer.UNASKED) for name in names]

    monkeypatch.setattr(many.Helper, "ask_many", note)
    list(read_pictures(reader, paths[:1], timeout=7.5))
    list(read_pictures(reader, [paths[0].read_bytes()], timeout=1))
    list(read_pictures(reader, paths, workers=2))
    assert asked == [(1, 7.5), (1, 1), (2, many.TIMEOUT)]


@pytest.mark.parametrize("timeout", [0, -1, 1e9, float("inf")])
def test_a_timeout_that_makes_no_sense(reader: LineReader, timeout: float) -> None:
    with pytest.raises(UsageError, match="timeout is"):
        read_pictures(reader, [], timeout=timeout)


def test_pages_of_a_document_are_pictures(reader: LineReader, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    pages = [write(text).convert("RGB") for text in ("42", "17")]
    pages[0].save(tmp_path / "a.pdf", save_all=True, append_images=pages[1:])
    found = list(read_pictures(reader, find_pages(tmp_path / "a.pdf")))
    assert [each.text for each in found if isinstance(each, Reading)] == ["42", "17"]


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("no process and no picture was wanted")


def test_few_pictures_and_other_engines_stay_in_this_process(
    reader: LineReader, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many.Helper, "ask_many", refuse)
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
        return [(name, many.Helper.NoAnswer.UNASKED) for name in names]

    monkeypatch.setattr(many.Helper, "ask_many", note)
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
    monkeypatch.setattr(page, "open_picture", refuse)
    with pytest.raises(UsageError, match=words):
        read_pictures(reader, paths, **form)  # type: ignore[arg-type]


def test_rows_for_other_engines(reader: LineReader, paths: list[Path]) -> None:
    read_many = pickle.loads(pickle.dumps(tenfold.read_many))  # noqa: S301
    given = np.array(list(map(str, paths)))  # as Ray Data and pandas have a column
    rows = read_many(given, length=2)
    for path, row, found in zip(paths, rows, read_pictures(reader, iter(paths), length=2), strict=True):
        assert list(row) == ["path", "page", "text", "confidence", "verdicts", "error"]
        assert row["path"] == str(path) and row["page"] is None
        if isinstance(found, Reading):
            assert (row["text"], row["confidence"], row["error"]) == (found.text, found.confidence, None)
            assert row["verdicts"] == ";".join(digit.verdict for digit in found.digits)
        else:
            assert (row["text"], row["confidence"], row["error"]) == (None, None, str(found))
    with pytest.raises(UsageError, match="a list of paths"):
        read_many("seven.png")
    with pytest.raises(UsageError, match="pattern"):
        read_many([], pattern="(12")
