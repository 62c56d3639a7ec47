"""Whatever stands in the files that a command reads: one line with the file, never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_chain import Command

import tenfold.data.batches as summary_module
import tenfold.evaluation.evaluate as evaluate_module
import tenfold.evaluation.label_errors as label_errors_module
import tenfold.evaluation.robustness as robustness_module
from tenfold.data.batches import DataSummary
from tenfold.data.load import DataRequest
from tenfold.errors import TenfoldError
from tenfold.evaluation.evaluate import Evaluation, evaluate
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.evaluation.robustness import Robustness, measure_robustness
from tenfold.runs.folder import Run

DEEP = "[" * 100_000
BYTES = [b"", b"{", b"\xff\xfe\x00", b"[]", b'"text"', b"null", b"NaN", DEEP.encode(), b'{"a":' * 50_000,
         b'{"n": ' + b"9" * 5000 + b"}", b"PK\x03\x04" + bytes(60)]  # fmt: skip
VALUES = [None, "text", -1, 1.5, 10**400, float("nan"), float("inf"), True, [], {}, ["a", 1], [[[]]]]


@pytest.fixture(scope="module")
def whole(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has every file that a run can have."""
    folder = (
        Path(shutil.copytree(trained_once, tmp_path_factory.mktemp("whole") / "trained")) / "runs" / "one"
    )
    run = Run(folder)
    data = run.load_data(DataRequest(split="test"))
    classifier = run.classifier("numpy")
    evaluate(classifier, data).save(folder)
    measure_robustness(classifier, data, n=10).save(folder)
    images = run.load_data(DataRequest())
    found = find_label_errors(classifier.predict_proba(images.images), images.labels)
    found.save(folder, images=images.images)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


LOADERS: dict[str, Callable[[Path], object]] = {
    "environment.json": lambda folder: Run(folder).environment,
    "history.jsonl": lambda folder: Run(folder).history,
    "recipe.toml": lambda folder: Run(folder).recipe,
    "model.json": lambda folder: Run(folder).classifier("numpy"),
    "model.safetensors": lambda folder: Run(folder).classifier("numpy"),
    "evaluation.json": Evaluation.load,
    "evaluation.npz": Evaluation.load,
    "label_errors.json": LabelErrors.load,
    "label_errors.npz": LabelErrors.load,
    "robustness.json": Robustness.load,
    "robustness.npz": Robustness.load,
    "data_summary.json": DataSummary.load,
    "data_summary.npz": DataSummary.load,
}


def refuse(name: str, folder: Path) -> None:
    """It does not load, and one line says which file of which folder it is."""
    with pytest.raises(TenfoldError) as error:
        LOADERS[name](folder)
    line = str(error.value)
    assert "\n" not in line and str(folder / name.rpartition(".")[0]) in line and len(line) < 1000, line
    assert error.value.remedy or error.value.expected or name == "recipe.toml"


@pytest.mark.parametrize("name", LOADERS)
def test_other_bytes(run: Path, name: str) -> None:
    good = (run / name).read_bytes()
    torn = [] if name == "recipe.toml" else [good[: len(good) // 2], good[:-30]]  # half a TOML may be one
    for content in [*BYTES, *torn]:
        if name == "history.jsonl" and content == b"":
            continue  # no epoch yet
        (run / name).write_bytes(content)
        refuse(name, run)


@pytest.mark.parametrize("name", [name for name in LOADERS if name.endswith((".json", ".jsonl"))])
def test_other_values(run: Path, name: str) -> None:
    """Each value in turn is another one: it does not load, or everything that a page shows of it is shown."""
    text = (run / name).read_text()
    document = json.loads(text if name.endswith(".json") else text.splitlines()[0])
    changed = [document | {key: value} for key in document for value in VALUES]
    changed += [{key: value for key, value in document.items() if key != left_out} for left_out in document]
    for each in changed:
        (run / name).write_text(json.dumps(each))
        try:
            LOADERS[name](run)
        except TenfoldError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000


FORMS = {
    "evaluation.npz": evaluate_module._FORMS,
    "label_errors.npz": label_errors_module._FORMS,
    "robustness.npz": robustness_module._FORMS,
    "data_summary.npz": summary_module.FORMS,
}


@pytest.mark.parametrize("name", FORMS)
def test_other_arrays(run: Path, name: str) -> None:
    with np.load(run / name) as file:
        arrays = {key: file[key] for key in file.files}
    for key, form in FORMS[name].items():
        array = arrays[key]
        others = [array[..., None], array.astype("U4"), array.astype(np.complex64), np.zeros((7, 7, 7, 7, 7))]
        if form.startswith("f") and array.size:
            others.append(np.full(array.shape, np.nan))
        if "<" in form and array.size:
            others += [np.full(array.shape, 10**9), np.full(array.shape, -1)]
        for other in others:
            np.savez(run / name, **(arrays | {key: other}))
            refuse(name, run)


def test_arrays_of_gigabytes_are_not_read(run: Path) -> None:
    np.savez_compressed(run / "evaluation.npz", confusion=np.zeros(1))
    data = bytearray((run / "evaluation.npz").read_bytes())
    place = data.find(b"PK\x01\x02")  # the central directory says how large the member is
    data[place + 24 : place + 28] = (0xFFFF0000).to_bytes(4, "little")
    (run / "evaluation.npz").write_bytes(data)
    with pytest.raises(
        TenfoldError, match=r"evaluation.npz would take 4.0 GiB of memory; expected at most 1.0 GiB"
    ):
        Evaluation.load(run)


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("evaluation.npz", [("report", "run"), ("runs", "show", "run"), ("export", "run", "--to", "card")]),
        ("history.jsonl", [("report", "run"), ("runs", "show", "run"), ("compare", "run", "run")]),
        ("environment.json", [("runs", "show", "run"), ("train", "--resume", "run"), ("export", "run")]),
        ("model.json", [("evaluate", "run"), ("report", "run")]),
        ("recipe.toml", [("runs", "show", "run"), ("train", "run/recipe.toml"), ("report", "run")]),
        ("checkpoint/latest.safetensors", [("train", "--resume", "run")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_commands_say_it_in_one_line(
    tenfold: Command, run: Path, name: str, commands: list[tuple[str, ...]]
) -> None:
    for content in (b"{", DEEP.encode(), b"\xff\x00\x1b[2J"):
        (run / name).write_bytes(content)
        for command in commands:
            done = tenfold(*command)
            assert done.code in (1, 2) and done.err.splitlines()[-1].startswith("tenfold: "), command
            assert "Traceback" not in done.err and Path(name).name.partition(".")[0] in done.err
            assert "\x1b" not in done.err + done.out
