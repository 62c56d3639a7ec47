"""The lab's engine, in a real Chromium: the steps of the NumPy engine, and the tutorials' curves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browser import Page
from lab import STATIC, Lab, open_lab

from tenfold.arrays import Batch, ImageDataset
from tenfold.data.load import load_dataset
from tenfold.engines.create import Engines
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.runs.training import train
from tenfold.settings import LossSettings, OptimiserSettings

STEPS, RATE, TOLERANCE = 4, 0.01, 1e-5
CASES: dict[str, tuple[list[str], dict[str, Any], dict[str, Any]]] = {
    "perceptron, label smoothing, Adam": (
        ["flatten", "linear 20", "relu", "linear 12", "sigmoid", "linear classes"],
        {"label_smoothing": 0.1}, {"name": "adam", "weight_decay": 0.01},
    ),
    "sigmoid loss, Nesterov": (
        ["flatten", "linear 16", "tanh", "linear classes"],
        {"name": "sigmoid-distance"}, {"momentum": 0.9, "nesterov": True},
    ),
    "convolutions, batch norm, AdamW": (
        ["conv 6 5x5 no-bias", "max-pool 2", "batch-norm", "relu", "conv 8 3x3 padding same no-bias",
         "batch-norm", "relu", "flatten", "linear classes"],
        {}, {"name": "adamw", "weight_decay": 0.05, "betas": (0.7, 0.9)},
    ),
    "squared error of the sum": (
        ["pixel-unshuffle 2", "conv 8 3x3 padding same", "relu", "flatten", "linear classes"],
        {"name": "mean-squared-error", "reduction": "sum"}, {"name": "sgd"},
    ),
    "as published: sum, floor, shifted labels, slow biases": (
        ["flatten", "linear classes"],
        {"reduction": "sum", "probability_floor": 1e-9, "label_shift": -1},
        {"groups": [{"match": "bias", "factor": 0.1}]},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sample() -> ImageDataset:
    return load_dataset("sample")


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(browser_page, tmp_path_factory.mktemp("lab"), {"/lab/": STATIC / "lab"}) as made:
        yield made


def own_steps(case: str) -> dict[str, Any]:
    """What the NumPy engine does in float64: losses, and the weights after the steps."""
    layers, loss, optimiser = CASES[case]
    rng = np.random.default_rng(0)
    network = Network.plan(LayerSpec.parse(layers), (28, 28), 10)
    weights = network.initial_weights("torch", seed=1)
    options = EngineOptions(
        mean=0.1307, std=0.3081, loss=LossSettings(**loss), optimiser=OptimiserSettings(**optimiser),
        seed=0, precision="float64",
    )  # fmt: skip
    engine = Engines.create("numpy", network, weights, options)
    images, labels = rng.integers(0, 256, (32, 28, 28), dtype=np.uint8), rng.integers(0, 10, 32)
    losses = [float(engine.train_step(Batch(images, labels), RATE).loss) for _ in range(STEPS)]
    names = [parameter.name for parameter in network.parameters()]
    after = engine.weights()
    return {
        "layers": layers, "names": names, "weights": [weights[name].ravel().tolist() for name in names],
        "loss": options.loss.model_dump(mode="json"), "optimiser": options.optimiser.model_dump(mode="json"),
        "images": images.ravel().tolist(), "labels": labels.tolist(), "losses": losses,
        "after": [np.asarray(after[name], float).ravel() for name in names],
    }  # fmt: skip


@pytest.mark.parametrize("plain", [False, True], ids=["simd", "plain"])
@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_numpy_engine(lab: Lab, case: str, plain: bool) -> None:
    own = own_steps(case)
    losses, after = own.pop("losses"), own.pop("after")
    (lab.folder / "case.json").write_text(json.dumps(own))
    found = lab.run(
        f"""const given = await (await fetch('/case.json')).json();
        const {{ Network }} = await import('/lab/training.js');
        const options = {{ plain: {str(plain).lower()} }};
        const network = await Network.make(given.layers, [28, 28], 10, 32, options);
        network.parameters.forEach((parameter, i) => parameter.fromTorch(given.weights[i]));
        const inputs = Float32Array.from(given.images, (pixel) => (pixel / 255 - 0.1307) / 0.3081);
        const losses = [];
        for (let i = 0; i < {STEPS}; i++) losses.push(network.step(inputs, given.labels, {RATE}, given).loss);
        return {{ losses, names: network.parameters.map(({{ name }}) => name), engine: network.heap.name,
          after: network.parameters.map((parameter) => Array.from(parameter.toTorch())) }};"""
    )
    assert found["engine"] == ("JavaScript" if plain else "WebAssembly SIMD")
    assert found["names"] == own["names"]
    np.testing.assert_allclose(found["losses"], losses, rtol=TOLERANCE, atol=TOLERANCE)
    for name, values, expected in zip(own["names"], found["after"], after, strict=True):
        np.testing.assert_allclose(values, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("plain", [False, True], ids=["simd", "plain"])
def test_gradients_are_central_differences(lab: Lab, plain: bool) -> None:
    """Of a network without kinks; in float32, so of a large step and with tolerance."""
    worst = lab.run(
        f"""const {{ Network, measureLoss }} = await import('/lab/training.js');
        const layers = ["conv 4 3x3", "tanh", "conv 3 3x3 padding same", "sigmoid", "flatten",
          "linear 8", "tanh", "linear classes"];
        const options = {{ plain: {str(plain).lower()}, seed: 3 }}, labels = [0, 1, 2, 0, 1, 2];
        const network = await Network.make(layers, [10, 10], 3, 6, options);
        const inputs = Float32Array.from({{ length: 600 }}, (_, i) => Math.sin(i * i));
        const lossNow = () => measureLoss(network.forward(inputs, 6), labels, 3, {{}}, network.gradient);
        lossNow();
        network.backward(6);
        const gradients = network.parameters.map(({{ gradient }}) => gradient.slice());
        let worst = 0;
        network.parameters.forEach(({{ values }}, p) => {{
          for (let i = 0; i < values.length; i += 3) {{
            const before = values[i];
            values[i] = before + 1e-2; const above = lossNow();
            values[i] = before - 1e-2; const below = lossNow();
            values[i] = before;
            worst = Math.max(worst, Math.abs((above - below) / 2e-2 - gradients[p][i]));
          }}
        }});
        return worst;"""
    )
    assert worst < 2e-4


def digits(sample: ImageDataset) -> ImageDataset:
    """1,500 images, with the same share of each class."""
    return sample.subset(np.arange(0, len(sample), len(sample) // 1500)[:1500])


def give(lab: Lab, data: ImageDataset) -> None:
    head = np.array(data.images.shape, "<u4").tobytes()
    labels = data.labels.astype(np.uint8).tobytes()
    (lab.folder / "sample.bin.gz").write_bytes(gzip.compress(head + data.images.tobytes() + labels))


def train_in_page(
    lab: Lab, recipe: Any, train_places: np.ndarray, test_places: np.ndarray, seed: int
) -> list[dict[str, float]]:
    """The epochs: loss and accuracy, of training and of held-out images."""
    (lab.folder / "recipe.json").write_text(recipe.model_dump_json())
    split = {"train": train_places.tolist(), "test": test_places.tolist()}
    return lab.run(
        f"""const {{ Trainer }} = await import('/lab/trainer.js');
        const {{ loadSample }} = await import('/lab/data.js');
        const recipe = await (await fetch('/recipe.json')).json(), data = await loadSample('/sample.bin.gz');
        const trainer = await Trainer.make(recipe, data, {{ seed: {seed}, split: {json.dumps(split)} }});
        while (!trainer.finished) trainer.trainStep();
        return trainer.epochs;"""
    )


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("softmax-sgd", {"training.epochs": 5}),
        ("sigmoid-30-published", {"training.epochs": 10, "training.batch_size": 100}),
        ("mlp-120-84", {"training.epochs": 4, "training.precision": "float32"}),
    ],
)
def test_curves_lie_within_the_spread_of_the_engine(
    lab: Lab, sample: ImageDataset, name: str, changes: dict[str, Any]
) -> None:
    """Three seeds of the NumPy engine, two of the page: weights and order differ by chance alone."""
    data, recipe = digits(sample), change_recipe(get_recipe(name), changes)
    places = np.arange(len(data))
    held = places % 5 == 0
    one, other = data.subset(places[~held]), data.subset(places[held])
    own = [train(recipe, one, other, engine="numpy", seed=seed).history for seed in range(3)]
    accuracies = np.array([[record.val_accuracy for record in history] for history in own], float)
    give(lab, data)
    for seed in (1, 2):
        epochs = train_in_page(lab, recipe, places[~held], places[held], seed)
        found = np.array([epoch["testAccuracy"] for epoch in epochs])
        spread = accuracies.max(axis=0) - accuracies.min(axis=0)
        middle = accuracies.mean(axis=0)
        assert len(found) == accuracies.shape[1]
        assert (np.abs(found - middle) <= 2 * spread + 0.03).all(), (found, accuracies)


def test_the_stall_of_the_sigmoid_loss_is_noticed_and_its_fix_learns(lab: Lab, sample: ImageDataset) -> None:
    data = digits(sample)
    give(lab, data)
    places = np.arange(len(data))
    held = places % 5 == 0
    published = change_recipe(get_recipe("sigmoid-30-published"), {"training.epochs": 12})
    stalled = train_in_page(lab, published, places[~held], places[held], 1)
    findings = lab.run(
        """const { Trainer } = await import('/lab/trainer.js'), { loadSample } = await import('/lab/data.js');
        const recipe = await (await fetch('/recipe.json')).json(), data = await loadSample('/sample.bin.gz');
        const trainer = await Trainer.make(recipe, data, { seed: 1 });
        while (!trainer.finished) trainer.trainStep();
        return trainer.findings();"""
    )
    fixed = change_recipe(
        published, {"loss.name": "cross-entropy", "network.initialise": "kaiming",
                    "optimiser.learning_rate": 0.5, "training.batch_size": 100},
    )  # fmt: skip
    learned = train_in_page(lab, fixed, places[~held], places[held], 1)
    assert stalled[-1]["testAccuracy"] < 0.4
    assert any("sigmoid outputs are near 0 or 1" in sentence for sentence in findings)
    assert learned[-1]["testAccuracy"] > 0.85
