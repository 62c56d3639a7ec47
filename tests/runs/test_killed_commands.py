"""Commands killed at their file operations: what they leave is as before, complete, or gone on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from killing import Ended, Killer

from tenfold.training.search_storage import _FIRST

RECIPE = """name = "tiny"
[network]
layers = ["flatten", "linear 8", "tanh", "linear classes"]
[optimiser]
learning_rate = 0.5
[training]
epochs = 1
batch_size = 20
[data]
validation = 0.2
[search]
"optimiser.learning_rate" = { low = 0.01, high = 0.5, log = true }
"""
WITH = ("tiny.toml", "--data", "data.npz", "--engine", "numpy", "--quiet")
TRAIN = ("train", *WITH, "--run-dir", "run", "--no-report")
SEARCH = ("search", *WITH, "--trials", "2")
ENSEMBLE = ("--set", "ensemble.members=2")


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer("tenfold.training.search_study", "tenfold.show.pages", "tenfold.export.forms") as killer:
        yield killer


@pytest.fixture(scope="module")
def made(killer: Killer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, data, and a run that was never killed."""
    folder = tmp_path_factory.mktemp("made")
    rng, labels = np.random.default_rng(0), np.arange(90) % 3
    images = rng.integers(0, 60, (90, 12, 12), dtype=np.uint8)
    for label in range(3):
        images[labels == label, 4 * label : 4 * label + 4] += 150
    np.savez(folder / "data.npz", images=images, labels=labels)
    (folder / "tiny.toml").write_text(RECIPE)
    assert killer.run(*TRAIN, cwd=folder).code == 0
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A folder of its own with recipe and data."""
    for name in ("data.npz", "tiny.toml"):
        shutil.copy(made / name, tmp_path)
    return tmp_path


def left(folder: Path) -> list[str]:
    """What a killed process left: hidden files and folders."""
    return [path.name for path in folder.rglob(".*")]


def bytes_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def numbers_of(whole: Ended, *words: str) -> list[int]:
    """The numbers of the operations that begin with these words; a part's random name does not count."""
    told = [operation.partition(".part")[0] for operation in whole.operations]
    return [number for word in words for number, text in enumerate(told, 1) if text.startswith(word)]


@pytest.mark.parametrize("word", ["open run/.recipe", "os.rename run/data_summary.npz", "os.rename run/env"])
def test_a_training_that_was_killed_before_it_began_is_begun_anew(
    killer: Killer, made: Path, place: Path, word: str
) -> None:
    whole = killer.run(*TRAIN, cwd=place)
    shutil.rmtree(place / "run")
    assert killer.run(*TRAIN, cwd=place, at=numbers_of(whole, word)[0]).code == -9
    assert left(place / "run")
    again = killer.run(*TRAIN, cwd=place)
    assert again.code == 0, again.err
    assert not left(place)
    weights = "run/model.safetensors"
    assert (place / weights).read_bytes() == (made / weights).read_bytes()


@pytest.mark.parametrize("options", [(), ENSEMBLE], ids=["one network", "an ensemble"])
def test_a_training_that_was_killed_later_is_resumed(
    killer: Killer, place: Path, options: tuple[str, ...]
) -> None:
    whole = killer.run(*TRAIN, *options, cwd=place)
    (place / "run").rename(place / "whole")
    words = ("os.rename run/model.json", "os.rename run/model.safe", "os.rename run/evaluation.json")
    for number in numbers_of(whole, "os.rename run/history", *words):
        assert killer.run(*TRAIN, *options, cwd=place, at=number).code == -9
        again = killer.run("train", "--resume", "run", "--quiet", "--no-report", cwd=place)
        assert again.code == 0, (whole.operations[number - 1], again.err)
        for name in ("model.safetensors", "model.json"):
            assert (place / "run" / name).read_bytes() == (place / "whole" / name).read_bytes()
        assert not left(place)
        shutil.rmtree(place / "run")


def test_a_folder_with_files_of_its_own_is_never_taken_for_a_killed_one(killer: Killer, place: Path) -> None:
    (place / "run").mkdir()
    (place / "run" / "recipe.toml").write_text("mine")
    done = killer.run(*TRAIN, cwd=place)
    assert done.code == 2 and "run holds something already" in done.err and "--resume" not in done.err
    assert (place / "run" / "recipe.toml").read_text() == "mine"


def test_a_full_disk_before_the_record_leaves_nothing(killer: Killer, place: Path) -> None:
    whole = killer.run(*TRAIN, cwd=place)
    shutil.rmtree(place / "run")
    full = killer.run(*TRAIN, cwd=place, at=numbers_of(whole, "os.rename run/data_summary.json")[0], error=28)
    assert full.code == 1 and "No space left" in full.err and full.err.count("\n") == 1
    assert sorted(path.name for path in place.iterdir()) == ["data.npz", "tiny.toml"]


@pytest.mark.parametrize("form", ["safetensors", "web"])
def test_an_export_that_was_killed_is_made_anew(
    killer: Killer, made: Path, tmp_path: Path, form: str
) -> None:
    model = made / "run" if form == "safetensors" else "reader"
    export = ("export", model, "--to", form, "--out", "out", "--json")
    fresh = killer.run(*export, cwd=tmp_path)
    over = killer.run(*export, cwd=tmp_path)
    whole = bytes_below(tmp_path / "out")
    for ended, keep in ((fresh, False), (over, True)):
        for number in range(2, len(ended.operations) + 1, 4 if form == "safetensors" else 24):
            if not keep:
                shutil.rmtree(tmp_path / "out", ignore_errors=True)
            assert killer.run(*export, cwd=tmp_path, at=number).code == -9
            assert keep or bytes_below(tmp_path / "out") in ({}, whole)  # never half of one
            again = killer.run(*export, cwd=tmp_path)
            assert again.code == 0, (ended.operations[number - 1], again.err)
            assert bytes_below(tmp_path / "out") == whole
            assert not left(tmp_path)


def test_weights_never_stand_beside_another_card(killer: Killer, made: Path, tmp_path: Path) -> None:
    """Whatever the moment, a model that loads is one of the two that were saved."""
    program = (
        "from tenfold import Classifier\n"
        f"one = Classifier.load({str(made / 'run')!r}, engine='numpy')\n"
        "two = one.with_weights({k: 2 * v for k, v in one.engine.weights().items()}).with_temperature(3.0)\n"
        "WHICH.save('model')\n"
    )
    assert killer.run("-c", program.replace("WHICH", "one"), cwd=tmp_path).code == 0
    first = (tmp_path / "model" / "model.safetensors").read_bytes()
    whole = killer.run("-c", program.replace("WHICH", "two"), cwd=tmp_path)
    for number in range(1, len(whole.operations) + 1):
        shutil.rmtree(tmp_path / "model")
        killer.run("-c", program.replace("WHICH", "one"), cwd=tmp_path)
        assert killer.run("-c", program.replace("WHICH", "two"), cwd=tmp_path, at=number).code == -9
        weights = tmp_path / "model" / "model.safetensors"
        if weights.is_file():
            card = json.loads((tmp_path / "model" / "model.json").read_text())
            assert (card["temperature"] == 3.0) == (weights.read_bytes() != first)


def test_a_search_that_was_killed_goes_on(killer: Killer, place: Path) -> None:
    whole = killer.run(*SEARCH, cwd=place)
    assert whole.code == 0, whole.err
    shutil.rmtree(place / "searches")
    for number in range(4, len(whole.operations) + 1, 7):
        assert killer.run(*SEARCH, cwd=place, at=number).code == -9
        again = killer.run(*SEARCH, cwd=place, seconds=20)
        assert again.code == 0, (whole.operations[number - 1], again.err)
        assert not left(place)
        shutil.rmtree(place / "searches")


def test_a_journal_whose_last_line_is_torn_is_gone_on_with(killer: Killer, place: Path) -> None:
    killer.run(*SEARCH, cwd=place)
    journal = place / "searches" / "tiny" / "study.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-7])
    again = killer.run(*SEARCH[:-1], "3", cwd=place)
    assert again.code == 0, again.err
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())
    assert journal.read_bytes().startswith(whole[: whole.rstrip().rfind(b"\n")]) and whole.startswith(_FIRST)


@pytest.mark.parametrize("content", ["thesis", "thesis\n", '{"a": 1}\n'])
def test_a_file_that_is_no_journal_is_left_alone(killer: Killer, place: Path, content: str) -> None:
    (place / "notes.txt").write_text(content)
    done = killer.run(*SEARCH, "--storage", "notes.txt", cwd=place)
    assert done.code == 1 and "notes.txt cannot be read" in done.err and done.err.count("\n") == 1
    assert (place / "notes.txt").read_text() == content


@pytest.mark.parametrize("command", ["label-errors", "robustness", "evaluate"])
def test_a_measurement_that_was_killed_is_measured_anew(
    killer: Killer, made: Path, place: Path, command: str
) -> None:
    shutil.copytree(made / "run", place / "run")
    options = (command, "run", *(("--folds", "2") if command == "label-errors" else ()), "--quiet")
    whole = killer.run(*options, cwd=place)
    for number in range(2, len(whole.operations) + 1, 3):
        assert killer.run(*options, cwd=place, at=number).code == -9
        told = killer.run("report", "run", "--no-measure", cwd=place)  # of what is whole
        assert told.code == 0, (whole.operations[number - 1], told.err)
        assert killer.run(*options, cwd=place).code == 0
