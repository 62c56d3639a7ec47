"""Parts that a user writes in Python: layers, a network, a loss, an augmentation, batches, callbacks."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import tenfold
from tenfold.numpy_engine.losses import Loss
from tenfold.settings import LossSettings

LINES = ["flatten", "linear 12", "own swish 1.5", "linear classes"]
SWISH = """
import numpy as np

class Swish:
    def __init__(self, start=1.0, input_shape=(8,)):
        self.parameters = {"b": np.full(input_shape[-1], float(start))}
        self.gradients = {}

    def forward(self, inputs):
        self.inputs, self.s = inputs, 1 / (1 + np.exp(-self.parameters["b"] * inputs))
        return inputs * self.s

    def backward(self, gradient):
        inner = self.inputs * self.s * (1 - self.s)
        back = gradient * self.inputs * inner
        self.gradients["b"] = back.reshape(-1, back.shape[-1]).sum(axis=0)
        return gradient * (self.s + self.parameters["b"] * inner)

class Wrong(Swish):
    def backward(self, gradient):
        return 1.001 * super().backward(gradient)
"""
my_module = ModuleType("my_module")
exec(SWISH, vars(my_module))  # noqa: S102
Swish, Wrong = my_module.Swish, my_module.Wrong


@pytest.fixture(scope="module")
def data() -> tenfold.ImageDataset:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    images = rng.integers(0, 80, (120, 6, 6)).astype(np.uint8)
    images[np.arange(120), labels] += 150
    return tenfold.ImageDataset(images, labels, ("a", "b", "c"))


@pytest.fixture(scope="module")
def recipe() -> tenfold.Recipe:
    layers = ["flatten", "linear 12", "relu", "linear classes"]
    changes = {"network.layers": layers, "training.epochs": 3, "training.min_steps": 0,
               "training.batch_size": 40, "training.precision": "float64"}  # fmt: skip
    return tenfold.change_recipe("mlp-small", changes)


def weights(result: tenfold.TrainResult) -> dict[str, np.ndarray]:
    return result.classifier.engine.weights()


def assert_equal(one: tenfold.TrainResult, other: tenfold.TrainResult) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_numpy_layer_is_as_its_torch_module(data, recipe, tmp_path) -> None:
    torch = pytest.importorskip("torch")

    class TorchSwish(torch.nn.Module):
        def __init__(self, start: float, input_shape: tuple[int, ...]) -> None:
            super().__init__()
            self.b = torch.nn.Parameter(torch.full(input_shape, float(start)))

        def forward(self, inputs):
            return inputs * torch.sigmoid(self.b * inputs)

    recipe = tenfold.change_recipe(recipe, {"network.layers": LINES})
    ours = tenfold.train(recipe, data, data, layers={"swish": Swish}, run_dir=tmp_path / "run")
    theirs = tenfold.train(recipe, data, data, layers={"swish": TorchSwish})
    assert (ours.classifier.engine.name, theirs.classifier.engine.name) == ("numpy", "torch")
    for name, value in weights(theirs).items():
        np.testing.assert_allclose(weights(ours)[name], value, atol=1e-5)
    assert not np.allclose(weights(ours)["own1.b"], 1.5)
    again = tenfold.Classifier.load(tmp_path / "run", layers={"swish": Swish})
    np.testing.assert_allclose(again.logits(data.images), ours.classifier.logits(data.images), atol=1e-5)
    assert tenfold.Run(tmp_path / "run").environment["own"]["layers.swish"].endswith("Swish")
    with pytest.raises(tenfold.TenfoldError, match="'own swish' is a part written in Python"):
        tenfold.Classifier.load(tmp_path / "run")
    with pytest.raises(tenfold.TenfoldError, match=r"engine numpy .* written for torch"):
        tenfold.train(recipe, data, layers={"swish": TorchSwish}, engine="numpy")


@pytest.mark.parametrize("shape", [(5,), (4, 4, 3)])
def test_check_layer(shape) -> None:
    assert tenfold.check_layer(Swish(input_shape=shape), shape).passed()
    found = tenfold.check_layer(Wrong(input_shape=shape), shape)
    assert [row.name.rpartition(".")[2] for row in found.rows if not row.passed(1e-6)] == ["inputs"]
    with pytest.raises(tenfold.TenfoldError, match="forward and backward"):
        tenfold.check_layer("swish")


def test_gradcheck_command(tmp_path) -> None:
    (tmp_path / "my_module.py").write_text(SWISH, encoding="utf-8")
    codes = {}
    for name in ("Swish", "Wrong", "Missing"):
        command = [sys.executable, "-m", "tenfold", "gradcheck", "--layer", f"my_module:{name}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        codes[name] = done.returncode
    assert codes == {"Swish": 0, "Wrong": 1, "Missing": 2}
    assert "cannot be imported" in done.stderr and "Traceback" not in done.stderr


def test_a_whole_network_is_as_the_recipes_own(data, recipe, tmp_path) -> None:
    nn = pytest.importorskip("torch.nn")
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 3))
    plain = tenfold.train(recipe, data, data, engine="torch")
    named = {"1": "linear1", "3": "linear2"}
    start = recipe.plan((6, 6), 3).initial_weights(recipe.network.initialise, seed=0)
    given = {
        f"{mine}.{kind}": start[f"{ours}.{kind}"]
        for mine, ours in named.items()
        for kind in ("weight", "bias")
    }
    own = tenfold.train(recipe, data, data, network=module, weights=given, run_dir=tmp_path / "run")
    for mine, ours in named.items():
        assert np.array_equal(weights(own)[f"{mine}.weight"], weights(plain)[f"{ours}.weight"])
    again = tenfold.Classifier.load(tmp_path / "run", network=module)
    assert np.array_equal(again.predict(data.images), own.classifier.predict(data.images))
    command = [sys.executable, "-m", "tenfold", "evaluate", str(tmp_path / "run"), "--data", "sample"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "network=my_module" in done.stderr and done.stderr.count("\n") <= 2


def test_dropout_of_a_users_module_follows_the_seed(data, recipe) -> None:
    nn = pytest.importorskip("torch.nn")
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(36, 12), nn.BatchNorm1d(12), nn.Dropout(), nn.Linear(12, 3)
    )
    assert_equal(*(tenfold.train(recipe, data, network=module, seed=4) for _ in range(2)))


def cross_entropy(logits, labels):
    return Loss.of(LossSettings())(logits.astype(np.float64), labels)


def test_a_loss(data, recipe) -> None:
    own = tenfold.train(recipe, data, data, loss=cross_entropy)
    assert_equal(own, tenfold.train(recipe, data, data))
    functional = pytest.importorskip("torch.nn.functional")
    torch_own = tenfold.train(recipe, data, data, loss=functional.cross_entropy, engine="torch")
    assert torch_own.history[-1].val_loss == pytest.approx(own.history[-1].val_loss, rel=1e-4)
    for loss, engine in (
        (cross_entropy, "torch"),
        (functional.cross_entropy, "numpy"),
        (lambda *_: 1, "numpy"),
    ):
        with pytest.raises(tenfold.TenfoldError, match=f"does not fit the engine {engine}"):
            tenfold.train(recipe, data, loss=loss, engine=engine)


def test_an_augmentation_follows_the_seed(data, recipe) -> None:
    def roll(images, rng):
        return np.roll(images, rng.integers(0, 6), axis=2)

    first, second = (tenfold.train(recipe, data, augmentation=roll, seed=seed) for seed in (2, 2))
    assert_equal(first, second)
    assert_equal(
        tenfold.train(recipe, data), tenfold.train(recipe, data, augmentation=lambda images, rng: images)
    )
    assert not np.array_equal(
        weights(first)["linear1.weight"], weights(tenfold.train(recipe, data))["linear1.weight"]
    )
    with pytest.raises(tenfold.TenfoldError, match="augmentation returned"):
        tenfold.train(recipe, data, augmentation=lambda images, rng: images / 255)


def test_batches_are_read_anew_each_epoch(data, recipe) -> None:
    class Batches:
        passes = 0

        def __iter__(self):
            self.passes += 1
            for start in range(0, 120, 40):
                images = data.images[start : start + 40]
                yield images[:, None].astype(np.float32) / 255, data.labels[start : start + 40].tolist()

    batches = Batches()
    plain = tenfold.change_recipe(recipe, {"training.shuffle": False})
    one = tenfold.train(recipe, batches)
    assert batches.passes == 1 + len(one.history)
    assert_equal(one, tenfold.train(plain, data))


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ((each for each in ()), "only once"),
        ([], "a list of 0"),
        ([1], "a list of 1"),
        ([(np.full((2, 6, 6), -1.5), [0, 1])], "leave out Normalize"),
        ([(np.zeros((2, 6, 6), np.uint8), [0.5, 1])], "whole number per image"),
        (3, "train_set is 3"),
    ],
)
def test_wrong_batches(batches, words, recipe) -> None:
    with pytest.raises(tenfold.TenfoldError, match=words):
        tenfold.train(recipe, batches)


class StopAt(tenfold.TrainingObserver):
    def on_step(self, step):
        return "stop" if step == 2 else None


def test_callbacks_stop(data, recipe, tmp_path) -> None:
    result = tenfold.train(recipe, data, data, callbacks=[lambda record: "stop"], run_dir=tmp_path / "a")
    assert (result.status, len(result.history)) == ("stopped early", 1)
    again = tenfold.train(recipe, data, data, resume=True, run_dir=tmp_path / "a")
    assert_equal(again, result)
    result = tenfold.train(recipe, data, data, callbacks=[StopAt()])
    assert (result.status, result.history[-1].steps) == ("stopped early", 2)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"network": 3}, "torch.nn.Module"),
        ({"layers": {"x": int}}, "forward and backward"),
        ({}, "was not given"),
    ],
)
def test_wrong_parts(parts, words, data, recipe) -> None:
    named = tenfold.change_recipe(recipe, {"network.layers": LINES})
    with pytest.raises(tenfold.TenfoldError, match=words):
        tenfold.train(named, data, **parts)
