"""Public programs for CIFAR-10, from a folder of pictures: Keras' CNN, and ResNet-18 in a plain PyTorch loop.

    python benchmarks/peers/cifar10_peers.py FOLDER OUT.json --program resnet18 [--epochs N] [--minutes M]

FOLDER holds train/CLASS/* and test/CLASS/*. keras: the network of Keras' CIFAR-10 CNN example (two blocks of
two 3x3 convolutions, 32 and 64 channels, dropout, 512 units; RMSprop at 0.0001), on its PyTorch backend.
resnet18: of https://github.com/kuangliu/pytorch-cifar (He et al. 2016), SGD with momentum 0.9
at 0.1, weight decay 0.0005, cosine, random crops and mirror images. Both end after the first epoch that is
over --minutes, since they take hours on a laptop.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stopwatch import Trial, parse_arguments


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--program", choices=("keras", "resnet18"), default="keras")
    parser.add_argument("--minutes", type=float, default=1e9)


options = parse_arguments(__doc__, epochs=25, extend=_more)
trial = Trial(options, ["torch", "numpy"])
os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


def load(part: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 32, 32, 3) and int64 (N,)."""
    folders = sorted(path for path in (options.data_dir / part).iterdir() if path.is_dir())
    files = [(path, label) for label, folder in enumerate(folders) for path in sorted(folder.iterdir())]

    def read(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGB"))

    with ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(read, (path for path, _ in files))))
    return images, np.array([label for _, label in files], np.int64)


def over() -> bool:
    return trial.seconds() > 60 * options.minutes


def train_keras() -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(options.seed)
    (x, y), (x_test, y_test) = load("train"), load("test")
    blocks = []
    for channels in (32, 64):
        blocks += [
            layers.Conv2D(channels, (3, 3), padding="same", activation="relu"),
            layers.Conv2D(channels, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.25),
        ]
    head = [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.5), layers.Dense(10)]
    model = keras.Sequential([keras.Input((32, 32, 3)), *blocks, *head])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.RMSprop(learning_rate=1e-4),
        metrics=["accuracy"],
    )

    def test() -> float:
        parts = [x_test[start : start + 500].astype("float32") / 255 for start in range(0, len(x_test), 500)]
        answers = np.concatenate([np.asarray(model.predict_on_batch(part)).argmax(axis=1) for part in parts])
        return float((answers == y_test).mean())

    class Timed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            trial.end_epoch(self.model.save_weights, ".weights.h5", test)
            self.model.stop_training = over()

    trial.begin_training()
    inputs = x.astype("float32") / 255
    model.fit(inputs, y, batch_size=32, epochs=options.epochs, verbose=0, callbacks=[Timed()])


class Block(nn.Module):
    """Two 3x3 convolutions and the input added (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        same = stride == 1 and inputs == outputs
        way = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.way: nn.Module = nn.Identity() if same else way

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.first(inputs) + self.way(inputs))


def train_resnet() -> None:
    torch.manual_seed(options.seed)
    (x, y), (x_test, y_test) = load("train"), load("test")
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [block for a, b, s in widths for block in (Block(a, b, s), Block(b, b, 1))]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=options.epochs)
    mean, std = x.mean(axis=(0, 1, 2)) / 255, x.std(axis=(0, 1, 2)) / 255

    def inputs_of(images: np.ndarray) -> torch.Tensor:
        scaled = ((images / 255 - mean) / std).astype(np.float32)
        return torch.from_numpy(scaled.transpose(0, 3, 1, 2).copy())

    def test() -> float:
        model.eval()
        with torch.inference_mode():
            parts = [model(inputs_of(x_test[at : at + 500])).argmax(1) for at in range(0, len(x_test), 500)]
        return float((torch.cat(parts).numpy() == y_test).mean())

    trial.begin_training()
    draws = np.random.default_rng(options.seed)
    for _ in range(options.epochs):
        model.train()
        for rows in np.array_split(draws.permutation(len(x)), len(x) // 128):
            batch = functional.pad(inputs_of(x[rows]), (4, 4, 4, 4))
            down, across = draws.integers(0, 9, 2)
            batch = batch[:, :, down : down + 32, across : across + 32]
            mirrored = torch.from_numpy(draws.random(len(rows)) < 0.5)
            batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
            loss = functional.cross_entropy(model(batch), torch.from_numpy(y[rows]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if over():
                break
        schedule.step()
        trial.end_epoch(lambda path: torch.save(model.state_dict(), path), ".pt", test)
        if over():
            break


if __name__ == "__main__":
    {"keras": train_keras, "resnet18": train_resnet}[options.program]()
    trial.finish(threads=torch.get_num_threads())
