"""Two commands that would write to one place: the second is refused, or says that it keeps nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_chain import RECIPE, Command, write_npz

from tenfold.errors import UsageError
from tenfold.files import Claim, fill_folder, replace_together

SEARCH = '\n[search]\n"optimiser.learning_rate" = { low = 0.01, high = 0.5 }\n[data]\nvalidation = 0.2\n'


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """As another process would hold it: flock does not ask which process opened the file."""
    number = os.open(lock, os.O_CREAT | os.O_RDWR)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(number)


@pytest.fixture
def run(trained: Path, place: Path) -> Path:
    return Path(shutil.copytree(trained / "runs" / "one", place / "run"))


def test_what_is_kept_in_a_run_is_refused_while_another_writes_there(tenfold: Command, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with held(run / Claim.LOCK):
        for command in (
            ("label-errors", "run", "--folds", "2"),
            ("robustness", "run"),
            ("train", "--resume", "run"),
        ):
            tenfold(*command).complaint(2, "another process writes into run")
        done = tenfold("evaluate", "run", "--quiet")
        assert done.code == 0 and "accuracy" in done.out and "not kept: another process writes" in done.err
        done = tenfold("report", "run", "--out", "report.html")
        assert done.code == 0 and "nothing more is measured: another process writes" in done.err
    after = {
        path.name: path.read_bytes() for path in run.iterdir() if path.name != Claim.LOCK and path.is_file()
    }
    assert before == after


def test_two_searches_into_one_folder(tenfold: Command, place: Path) -> None:
    (place / "wide.toml").write_text(RECIPE + SEARCH)
    write_npz(place / "data.npz")
    search = ("search", "wide.toml", "--data", "data.npz", "--trials", "1", "--engine", "numpy", "--quiet")
    (place / "found").mkdir()
    with held(place / "found" / Claim.LOCK):
        tenfold(*search, "--out", "found").complaint(2, "another process writes into found")
    assert tenfold(*search, "--out", "found").code == 0 and not (place / "found" / Claim.LOCK).exists()


@pytest.mark.parametrize("form", ["safetensors", "web", "card"])
def test_two_exports_to_one_place(tenfold: Command, run: Path, place: Path, form: str) -> None:
    model = "reader" if form == "web" else "run"
    with held(Claim.hidden_beside(place / "out", Claim.LOCK)):
        tenfold("export", model, "--to", form, "--out", "out").complaint(2, "another process writes into out")
    assert not (place / "out").exists()
    assert tenfold("export", model, "--to", form, "--out", "out").code == 0
    assert not [path for path in place.iterdir() if path.name.startswith(".")]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "bare").mkdir()
    return tmp_path / "bare"


def test_the_first_free_name(bare: Path) -> None:
    names = Claim.free_names(bare / "a")
    assert [next(names).name for _ in range(3)] == ["a", "a-2", "a-3"]
    (bare / "a").write_text("taken")
    (bare / "a-2").mkdir()
    with held(bare / "a-2" / Claim.LOCK), Claim.free(bare / "a") as one, Claim.free(bare / "a") as two:
        assert (one.name, two.name) == ("a-3", "a-4")
        (one / "kept").touch()
    assert sorted(path.name for path in bare.iterdir()) == ["a", "a-2", "a-3"]


def test_what_a_killed_process_left_is_not_taken(bare: Path) -> None:
    (bare / ".x.0123456789abcdef.part").touch()
    (bare / "own").touch()
    assert Claim.is_taken(bare, ("own",))  # nobody had claimed it
    (bare / Claim.LOCK).touch()
    assert not Claim.is_taken(bare, ("own",)) and Claim.is_taken(bare)


def test_a_place_is_cleaned_of_its_own_left_overs_alone(bare: Path) -> None:
    ours, theirs = (bare / f".{name}.0123456789abcdef.part" for name in ("out", "out.2"))
    ours.mkdir()
    (ours / "half").touch()
    theirs.touch()
    (bare / ".out.notes.part").touch()
    with Claim.place(bare / "out"), pytest.raises(UsageError), held_twice(bare / "out"):
        pass
    assert sorted(path.name for path in bare.iterdir()) == [
        ".out.2.0123456789abcdef.part",
        ".out.notes.part",
    ]


@contextmanager
def held_twice(path: Path) -> Iterator[None]:
    """A second claim of a folder that another holds."""
    path.mkdir()
    try:
        with held(path / Claim.LOCK), Claim.folder(path):
            yield
    finally:
        shutil.rmtree(path)


def test_a_folder_is_whole_or_not_there(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = bare / ("ü" * 120)  # 240 bytes, of 255 that a name may have
    with pytest.raises(ZeroDivisionError), fill_folder(place) as beside:
        (beside / "first").touch()
        _ = 1 / 0
    assert not list(bare.iterdir())
    with fill_folder(place) as beside:
        (beside / "first").touch()
        assert not place.exists()
    assert (place / "first").exists() and len(list(bare.iterdir())) == 1
    with pytest.raises(OSError, match="not empty"), fill_folder(place) as beside:
        (beside / "second").touch()
    (bare / "here").mkdir()
    monkeypatch.chdir(bare / "here")
    with fill_folder(Path()) as beside:
        (beside / "first").touch()
    assert (bare / "here" / "first").exists()


def test_two_files_belong_together(bare: Path) -> None:
    first, last = bare / "a", bare / "b"
    replace_together((first, b"1"), (last, b"1"))
    replace_together((first, b"2"), (last, b"2"))
    assert (first.read_bytes(), last.read_bytes()) == (b"2", b"2") and len(list(bare.iterdir())) == 2
