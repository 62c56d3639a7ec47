"""What an epoch of a small network costs: tenfold's engines beside what else trains it on a processor.

    python benchmarks/epoch_speed.py [--quick] [--readme]

784-128-64-10, batches of 128 of the 60,000 images, Adam at 0.001, no augmentation, pixels / 255, float32,
everything in memory, shuffled anew each epoch, everybody in this one process. Each trains one epoch to
warm up, then they take turns, with a rest of 0.1 s before each. Two more tables: a full-batch step of
softmax regression beside plain NumPy, and convolution beside the bare matrix product of the same size; of
these a turn is ten, one after another, as a training does them: after a rest a second core wakes up late.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, machine, markdown_table, publish, rest

from tenfold import ImageDataset, change_recipe, get_recipe, load_dataset, train
from tenfold.arrays import Batch
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.network import build_layer
from tenfold.numpy_engine.runtime.memory import ParameterStore
from tenfold.numpy_engine.runtime.products import own_threads

Epoch = Callable[[], object]
BATCH, RATE = 128, 1e-3
TIMES = 10  # that short tasks are done in a turn
LAYERS = ["flatten", "linear 128", "relu", "linear 64", "relu", "linear classes"]
MEAN, STD = 0.1307, 0.3081  # of MNIST's pixels, as the tutorials have them
CHANGES = {
    "network.layers": LAYERS, "training.batch_size": BATCH, "training.epochs": 1,
    "optimiser.learning_rate": RATE, "schedule.name": "constant",
    "augmentation.rotation": 0, "augmentation.crop_padding": 0, "input.scaling": "unit",
}  # fmt: skip
CONVOLUTIONS = (  # line, channels in, size, images
    ("conv 32 3x3 padding same", 32, 14, 128),
    ("conv 64 3x3 padding same", 64, 14, 128),
    ("conv 32 3x3 padding same", 16, 28, 128),
)


def tenfold_epoch(dataset: ImageDataset, engine: str) -> Epoch:
    recipe = change_recipe(get_recipe("mlp-128-64-augmented"), CHANGES)
    return lambda: train(recipe, dataset, engine=engine)


def sklearn_epoch(dataset: ImageDataset) -> Epoch:
    """partial_fit is exactly one epoch, shuffled."""
    from sklearn.neural_network import MLPClassifier

    inputs, classes = dataset.images.reshape(len(dataset), -1) / np.float32(255), np.arange(10)
    model = MLPClassifier((128, 64), batch_size=BATCH, learning_rate_init=RATE, alpha=0, random_state=0)
    return lambda: model.partial_fit(inputs, dataset.labels, classes=classes)


def torch_module() -> Any:
    from torch import nn

    hidden = (nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))


def torch_tensors(dataset: ImageDataset) -> tuple[Any, Any]:
    import torch

    return torch.tensor(dataset.images).float().div(255).flatten(1), torch.tensor(dataset.labels)


def torch_step(module: Any) -> Callable[[Any, Any], None]:
    import torch

    adam = torch.optim.Adam(module.parameters(), lr=RATE)

    def step(inputs: Any, labels: Any) -> None:
        adam.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), labels).backward()
        adam.step()

    return step


def torch_epoch(dataset: ImageDataset) -> Epoch:
    """The whole set as one tensor, a batch taken by its indices."""
    import torch

    inputs, labels = torch_tensors(dataset)
    step = torch_step(torch_module())

    def epoch() -> None:
        for chosen in torch.randperm(len(inputs)).split(BATCH):
            step(inputs[chosen], labels[chosen])

    return epoch


def skorch_epoch(dataset: ImageDataset) -> Epoch:
    import torch
    from skorch import NeuralNetClassifier

    inputs, labels = (tensor.numpy() for tensor in torch_tensors(dataset))
    net = NeuralNetClassifier(
        torch_module(), criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=RATE,
        batch_size=BATCH, max_epochs=1, iterator_train__shuffle=True, train_split=None, verbose=0,
    )  # fmt: skip
    return lambda: net.partial_fit(inputs, labels)


def lightning_epoch(dataset: ImageDataset) -> Epoch:
    import lightning
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch_module()

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=RATE)

    model = Lit()
    loader = DataLoader(TensorDataset(*torch_tensors(dataset)), batch_size=BATCH, shuffle=True)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options: dict[str, Any] = {"max_epochs": 1, "accelerator": "cpu", "enable_checkpointing": False} | quiet
    return lambda: lightning.Trainer(**options).fit(model, loader)


def tutorial_epoch(dataset: ImageDataset) -> Epoch:
    """The tutorials' DataLoader: each image by itself from PIL to a tensor, then normalised."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    class PerSample(Dataset):
        def __len__(self) -> int:
            return len(dataset)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            picture = Image.fromarray(dataset.images[index], mode="L")
            tensor = torch.from_numpy(np.array(picture)[None]).float().div(255)
            return tensor.sub_(MEAN).div_(STD), int(dataset.labels[index])

    loader = DataLoader(PerSample(), batch_size=BATCH, shuffle=True)
    step = torch_step(torch_module())

    def epoch() -> None:
        for inputs, labels in loader:
            step(inputs, labels)

    return epoch


TRAINERS: dict[str, Callable[[ImageDataset], Epoch]] = {
    "tenfold, NumPy": lambda dataset: tenfold_epoch(dataset, "numpy"),
    "tenfold, PyTorch": lambda dataset: tenfold_epoch(dataset, "torch"),
    "scikit-learn MLPClassifier": sklearn_epoch,
    "PyTorch, whole tensor": torch_epoch,
    "skorch": skorch_epoch,
    "Lightning": lightning_epoch,
    "tutorial DataLoader": tutorial_epoch,
}


def softmax_steps(dataset: ImageDataset) -> dict[str, Epoch]:
    """Full-batch steps on 50,000 images: tenfold's from the bytes, NumPy's from float32."""
    batch = Batch(dataset.images[:50_000], dataset.labels[:50_000])
    network = Network.plan(LayerSpec.parse(["flatten", "linear classes"]), dataset.image_shape, 10)
    engine = NumpyEngine(network, network.initial_weights("xavier", seed=0), EngineOptions())
    inputs = batch.images.reshape(len(batch), -1) / np.float32(255)
    weights, bias = np.zeros((inputs.shape[1], 10), np.float32), np.zeros(10, np.float32)
    rows = np.arange(len(inputs))

    def plain() -> None:
        logits = inputs @ weights + bias
        probs = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
        probs[rows, batch.labels] -= 1
        probs /= np.float32(len(rows))
        np.subtract(weights, 0.5 * (inputs.T @ probs), out=weights)
        np.subtract(bias, 0.5 * probs.sum(axis=0), out=bias)

    def ours() -> None:
        engine.train_step(batch, 0.5)

    return {"tenfold": repeated(ours), "plain NumPy": repeated(plain)}


def repeated(step: Epoch) -> Epoch:
    return lambda: [step() for _ in range(TIMES)]


def convolution(line: str, channels: int, size: int, images: int) -> tuple[dict[str, Epoch], float]:
    """Forward and backward of a layer, a bare product of its size, ten times each; the multiplications and
    additions of the product's."""
    rng = np.random.default_rng(0)
    network = Network.plan(
        LayerSpec.parse([f"conv {channels} 1x1", line, "flatten", "linear classes"]), (size, size), 10
    )
    store = ParameterStore.of(network, network.initial_weights("torch", seed=0))
    layer = build_layer(network.layers[1], store)
    inputs = rng.random((images, size, size, channels), dtype=np.float32)
    gradient = rng.random(layer.forward(inputs, training=True).shape, dtype=np.float32)
    units, numbers = len(layer.values["weight"]), layer.values["weight"][0].size
    rows = gradient.size // units
    left, right = (rng.random(shape, dtype=np.float32) for shape in ((rows, numbers), (numbers, units)))
    product = np.empty((rows, units), np.float32)

    def both() -> None:
        with own_threads():  # as the engine does
            layer.forward(inputs, training=True)
            layer.backward(gradient)

    tasks = {
        "layer": repeated(both),
        "product": repeated(lambda: np.matmul(left, right, out=product)),
    }
    return tasks, 2.0 * rows * numbers * units * TIMES


def take_turns(tasks: dict[str, Epoch], repeats: int) -> dict[str, dict[str, list[float]]]:
    """Wall and CPU seconds of each, in turn, with a rest between; once before that to warm up."""
    times: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": []} for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            rest()
            wall, cpu = time.perf_counter(), time.process_time()
            task()
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            if turn:
                for kind, seconds in spent.items():
                    times[name][kind].append(seconds)
    return times


def middle(values: Sequence[float], scale: float = 1, digits: int = 2) -> str:
    """median (quartile to quartile)."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{scale * median:.{digits}f} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"


def compared(times: dict[str, dict[str, list[float]]], *, scale: float, digits: int) -> list[tuple[str, ...]]:
    """A row each: wall, CPU, and the first one's wall time as a share of this one's."""
    ours = next(iter(times.values()))["wall"]
    return [
        (
            name,
            middle(spent["wall"], scale, digits),
            middle(spent["cpu"], scale, digits),
            middle([a / b for a, b in zip(ours, spent["wall"], strict=True)]),
        )
        for name, spent in times.items()
    ]


def convolution_rows(repeats: int) -> tuple[list[tuple[str, ...]], list[dict[str, Any]]]:
    from threadpoolctl import threadpool_limits

    rows, figures = [], []
    for threads in (1, 2):
        for case in CONVOLUTIONS:
            tasks, work = convolution(*case)
            with threadpool_limits(threads):
                times = take_turns(tasks, repeats)
            rates = {"layer": [3 * work / t / 1e9 for t in times["layer"]["wall"]]}
            rates["product"] = [work / t / 1e9 for t in times["product"]["wall"]]
            shares = [a / b for a, b in zip(rates["layer"], rates["product"], strict=True)]
            line, channels, size, images = case
            name = f"{line}, {images} x {size}x{size}x{channels}"
            rows.append((name, str(threads), *(middle(rates[k], digits=0) for k in rates), middle(shares)))
            figures.append({"case": case, "threads": threads, "gflops": rates, "share": shares})
    return rows, figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="5 turns, and a quarter of the images")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    options = parser.parse_args()
    repeats = 5 if options.quick else max(5, options.repeats)
    warnings.filterwarnings("ignore", module=r"lightning|torch|PIL|sklearn|__main__")
    os.environ.setdefault("LIGHTNING_DISABLE_TIPS", "1")
    whole = load_dataset("mnist", data_dir=options.data_dir)
    dataset = whole.subset(np.arange(15_000)) if options.quick else whole
    epochs = take_turns({name: make(dataset) for name, make in TRAINERS.items()}, repeats)
    steps = take_turns(softmax_steps(whole), repeats)
    rows, convolutions = convolution_rows(2 * repeats)
    tables = [
        markdown_table(
            ("an epoch", "seconds", "CPU seconds", "ours / theirs"), compared(epochs, scale=1, digits=3)
        ),
        markdown_table(
            ("softmax regression, full batch", "ms", "CPU ms", "ours / theirs"),
            compared(steps, scale=1000 / TIMES, digits=1),
        ),
        markdown_table(
            ("convolution", "threads", "forward and backward, GFLOP/s", "bare product, GFLOP/s", "share"),
            rows,
        ),
    ]
    host = machine()
    note = (
        f"Medians (quartiles) of n = {repeats} epochs of {len(dataset):,} images, of {TIMES} steps on "
        f"50,000, and {2 * repeats} of {TIMES} passes, in turn, with rests; float32, in memory, "
        f"shuffling included. {host['processor']}, {host['threads']} threads, NumPy "
        f"{host['numpy']} ({host['blas']}), torch {host['torch']}. "
        "Made by `python benchmarks/epoch_speed.py`."
    )
    document = {
        "n": repeats, "images": len(dataset), "epochs": epochs, "softmax_steps": steps,
        "convolutions": convolutions,
    }  # fmt: skip
    publish("epoch_speed", "\n\n".join(tables), note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
