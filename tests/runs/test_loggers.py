"""What TensorBoard and MLflow get of a training, read back with the real libraries."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

import tenfold
from tenfold.training.loggers import Loggers


@pytest.fixture(scope="module")
def data() -> tenfold.ImageDataset:
    rng = np.random.default_rng(0)
    return tenfold.ImageDataset(rng.integers(0, 256, (60, 6, 6), np.uint8), np.arange(60) % 3, tuple("abc"))


def train(data, logger, folder) -> tenfold.TrainResult:
    changes = {"network.layers": ["flatten", "linear classes"], "training.epochs": 2, "training.min_steps": 0}
    recipe = tenfold.change_recipe("mlp-small", changes)
    return tenfold.train(recipe, data, data, run_dir=folder, callbacks=[logger])


def test_tensorboard(data, tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("tensorboard.summary", reason="tensorboard is not installed")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        history = train(data, tenfold.TensorBoardLogger(), tmp_path / "run").history
        events = EventAccumulator(str(tmp_path / "run"))
        events.Reload()
        found = [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors("loss/validation")]
    assert found == [(record.epoch, pytest.approx(record.val_loss)) for record in history]
    assert {"accuracy/train", "learning_rate"} <= set(events.Tags()["tensors"])
    with pytest.raises(tenfold.TenfoldError, match="nowhere to write"):
        train(data, tenfold.TensorBoardLogger(), None)


def test_mlflow(data, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
        place = (tmp_path / "mlruns").as_uri()
        logger = tenfold.MLflowLogger(place, "digits")
        history = train(data, logger, tmp_path / "run").history
        client = mlflow.MlflowClient(place)
        run = client.get_run(logger.run_id)
        found = client.get_metric_history(logger.run_id, "loss/validation")
    assert [(each.step, each.value) for each in found] == [
        (r.epoch, pytest.approx(r.val_loss)) for r in history
    ]
    assert (run.info.status, run.data.tags["tenfold.status"]) == ("FINISHED", "finished")
    assert run.data.params["recipe"] == "mlp-small" and run.info.run_name == "run"


@pytest.mark.parametrize("name", Loggers.KNOWN)
def test_without_the_library(name, monkeypatch) -> None:
    for module in ("tensorboard.summary", "mlflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(tenfold.TenfoldError, match=f"tenfold.{name}."):
        Loggers.make(name)


def test_unknown_name() -> None:
    with pytest.raises(tenfold.TenfoldError, match="tensorboard or mlflow"):
        Loggers.make("tensorbord")
