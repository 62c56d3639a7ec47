"""What is asked for runs, or is refused before any data are read; a run's folder says what ran."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tenfold import change_recipe, get_recipe, helpers
from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.cli import main
from tenfold.data.load import DataRequest
from tenfold.engines import create
from tenfold.engines.create import Engines
from tenfold.errors import DataError, MissingDependencyError, ModelError, UsageError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.shapes import Network
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.runs.run import start_run
from tenfold.training.folds import cross_validate
from tenfold.training.loop import train

SMALL = change_recipe(get_recipe("mlp-small"), {"training.epochs": 1})
CARD = ModelCard(SMALL, tuple("0123456789"), (28, 28), 0.5, 0.5)


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """A command line that must end with one line on stderr, and without reading data."""

    def no_data(*_: object, **__: object) -> None:
        raise AssertionError("data were read")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tenfold.data.load.DataRequest._open", no_data)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["tenfold", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, error = capsys.readouterr()
        assert end.value.code in (1, 2) and out == "" and error.count("\n") == 1, (end.value.code, error)
        return error

    return run


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


TRAINING = [["train", "mlp-small"], ["train", "cnn"], ["crossval", "mlp-small"], ["search", "mlp-120-84"]]


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("command", TRAINING, ids=" ".join)
def test_a_device_that_is_not_there(command: list[str], device: str, refused: Callable[..., str]) -> None:
    assert f"'{device}' is not there" in refused(*command, "--data", "sample", "--device", device)
    assert f"the device {device}" in refused(*command, "--device", device, "--engine", "numpy")
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("command", TRAINING, ids=" ".join)
def test_a_precision_that_numpy_has_not(command: list[str], refused: Callable[..., str]) -> None:
    more = ["--set", "training.precision=bfloat16", "--engine", "numpy"]
    assert "bfloat16" in refused(*command, "--data", "sample", *more)


ENGINED = [
    *TRAINING, ["evaluate", "x"], ["robustness", "x"], ["label-errors", "sample"], ["predict", "x"],
    ["explain", "x"], ["doctor", "mlp-small"], ["serve"], ["read", "x"], ["adapt", "x"],
]  # fmt: skip


@pytest.mark.parametrize("command", ENGINED, ids=" ".join)
def test_a_mistyped_engine(
    command: list[str], refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "unknown engine 'numpi'; did you mean 'numpy'?" in refused(*command, "--engine", "numpi")
    monkeypatch.setattr(create, "find_spec", lambda _: None)
    assert "tenfold[torch]" in refused(*command, "--engine", "torch")


@pytest.mark.parametrize("command", TRAINING, ids=" ".join)
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--device", "cdua", "did you mean 'cuda'?"),
        ("--set", "training.precision=bfloat15", "bfloat15"),
        ("--set", "optimiser.name=adma", "adma"),
        ("--set", "training.epoch=3", "did you mean 'training.epochs'?"),
    ],
)
def test_a_mistyped_value(
    command: list[str], option: str, value: str, words: str, refused: Callable[..., str]
) -> None:
    assert words in refused(*command, option, value)


def test_a_mistyped_metric(refused: Callable[..., str]) -> None:
    assert "metric 'acuracy'" in refused("search", "mlp-120-84", "--metric", "acuracy")
    assert "folds" in refused("search", "mlp-120-84", "--folds", "1")


@pytest.mark.usefixtures("no_cuda")
def test_python_refuses_the_same(blobs: ImageDataset) -> None:
    half = change_recipe(SMALL, {"training.precision": "bfloat16"})
    for ask in (train, cross_validate):
        with pytest.raises(UsageError, match="'cuda' is not there"):
            ask(SMALL, blobs, device="cuda")
        with pytest.raises(UsageError, match="the NumPy engine and the device cuda"):
            ask(SMALL, blobs, device="cuda", engine="numpy")
        with pytest.raises(UsageError, match="bfloat16"):
            ask(half, blobs, engine="numpy")
        with pytest.raises(UsageError, match="unknown device 'gpu'"):
            ask(SMALL, blobs, device="gpu")
    weights = Network.initial_weights(SMALL.plan((28, 28), 10), "torch", seed=0)
    with pytest.raises(UsageError, match="'cuda' is not there"):
        Classifier.from_weights(CARD, weights, device="cuda")


def test_auto_takes_what_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    half = change_recipe(SMALL, {"training.precision": "bfloat16"})
    assert Engines.check(SMALL) == "numpy"
    assert Engines.check(half) == Engines._choose_for(SMALL, "auto", "cuda") == "torch"
    monkeypatch.setattr(create, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match="bfloat16"):
        Engines.check(half)


def test_what_ran_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    recipe = change_recipe(SMALL, {"training.precision": "auto"})
    outcome = start_run(
        recipe, data=DataRequest("sample"), device="auto", run_dir=tmp_path / "run", engine="numpy"
    )
    kept = json.loads((outcome.run.folder / "environment.json").read_text())
    found = {key: kept[key] for key in ("engine", "device", "precision", "epochs")}
    assert found == {"engine": "numpy", "device": "cpu", "precision": "float32", "epochs": 1}
    assert kept["threads"] >= 1
    assert outcome.to_dict()["learned"] and outcome.to_dict()["problem"] is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--epochs", "2", "--set", "training.steps=5"], "training.epochs = 2 and training.steps = 5"),
        (["--set", "training.steps=5", "--set", "training.epochs=2"], "training.steps = 5 are both asked"),
        (["--epochs", "2", "--set", "training.epochs=3"], "training.epochs is given twice: 3 and 2"),
        (["--set", "training.epochs=3", "--set", "training.epochs=4"], "given twice: 3 and 4"),
    ],
)
def test_what_excludes_each_other_is_refused(
    asked: list[str], told: str, refused: Callable[..., str]
) -> None:
    assert told in refused("train", "mlp-small", "--data", "sample", *asked)


@pytest.mark.parametrize(("name", "steps"), [("cnn", "min_steps = 600"), ("fast", "steps = 215")])
def test_epochs_asked_for_are_epochs(name: str, steps: str, capsys: pytest.CaptureFixture[str]) -> None:
    from tenfold.cli.options import choose_recipe

    for changes, short in (([], {"training.epochs": 1}), (["training.epochs=1"], {})):
        recipe = choose_recipe(name, changes, short)
        assert recipe.training.plan_steps(640) == (1, 5, 5)
        assert f"1 epochs, as asked for: {steps} of {name} is left out" in capsys.readouterr().err
    kept = change_recipe(get_recipe(name), {"training.epochs": 1, "training.min_steps": 20})
    assert kept.training.plan_steps(640)[0] == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_weights_that_are_no_numbers(value: float, engine: str, tmp_path: Path) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    weights = Network.initial_weights(SMALL.plan((28, 28), 10), "torch", seed=0)
    classifier = Classifier.from_weights(CARD, weights, engine="numpy")
    weights["linear2.weight"][3, 4] = value
    with pytest.raises(ModelError, match=r"'linear2.weight' holds NaN"):
        Classifier.from_weights(CARD, weights, engine=engine)
    classifier.engine.store.values["linear2.weight"][3, 4] = value
    classifier.save(tmp_path)
    with pytest.raises(ModelError, match=r"model.safetensors: 'linear2.weight' holds NaN"):
        Classifier.load(tmp_path, engine=engine)


def test_weights_of_a_reader_that_are_no_numbers(tmp_path: Path) -> None:
    reader = load_reader()
    weights = reader.engine.weights()
    name = next(iter(weights))
    weights[name].flat[0] = np.nan
    with pytest.raises(ModelError, match="holds NaN"):
        reader.with_weights(weights)
    reader.engine.store.values[name].flat[0] = np.nan
    reader.save(tmp_path)
    with pytest.raises(ModelError, match=r"model.safetensors: .* holds NaN"):
        LineReader.load(tmp_path)


def test_finite_weights_without_a_finite_answer() -> None:
    weights = Network.initial_weights(SMALL.plan((28, 28), 10), "torch", seed=0)
    weights = {name: np.full_like(value, 3e38) for name, value in weights.items()}
    classifier = Classifier.from_weights(CARD, weights, engine="numpy")
    with np.errstate(all="ignore"), pytest.raises(DataError, match="no finite answer"):
        classifier.predict_proba(np.full((1, 28, 28), 255, np.uint8))


def test_options_say_what_it_computes_on() -> None:
    network = SMALL.plan((28, 28), 10)
    weights = network.initial_weights("torch", seed=0)
    assert Engines.create("numpy", network, weights, EngineOptions(device="auto")).options.device == "cpu"


@pytest.mark.parametrize(("running", "policy"), [(4, "passive"), (2, None), (0, None)])
def test_threads_of_torch_sleep_on_a_busy_machine(
    running: int, policy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_count_running", lambda: running)
    monkeypatch.setattr(helpers, "count_cores", lambda: 2)
    monkeypatch.setattr(helpers.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(helpers.sys, "modules", {})
    environment: dict[str, str] = {}
    monkeypatch.setattr(helpers.os, "environ", environment)
    helpers.wait_without_spinning()
    assert environment.get("OMP_WAIT_POLICY") == policy
