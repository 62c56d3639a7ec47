"""What tutorials do with one's own digits: the CNN of PyTorch's MNIST example behind grey-invert-resize.

    python benchmarks/naive.py [--model naive.pt] [--epochs 3]

The network, its optimiser and its schedule are those of github.com/pytorch/examples, mnist/main.py
(two convolutions, dropout, Adadelta at 1.0 times 0.7 per epoch, batches of 64), trained in plain PyTorch
on MNIST's 60,000.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from tenfold import load_dataset
from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import cache_folder

__all__ = ["NAIVE_MODEL", "Naive", "load_naive", "naive_image"]

NAIVE_MODEL = cache_folder("benchmarks") / "naive.pt"
_MEAN, _STD = 0.1307, 0.3081
_BATCH, _SEED = 64, 1


class Net(nn.Module):
    """Of the example: float (N, 1, 28, 28) -> log-probabilities (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        x = self.dropout1(functional.max_pool2d(x, 2))
        x = functional.relu(self.fc1(torch.flatten(x, 1)))
        return functional.log_softmax(self.fc2(self.dropout2(x)), dim=1)


@dataclass(frozen=True, eq=False)
class Naive:
    """The trained network and how it was trained."""

    net: Net
    epochs: int
    seconds: float

    def probs(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, 28, 28) -> float32 (N, 10)."""
        with torch.no_grad():
            parts = [self.net(_to_input(images[i : i + 1000])).exp() for i in range(0, len(images), 1000)]
        return torch.cat(parts).numpy()

    def read(self, paths: Sequence[Path]) -> np.ndarray:
        """Pictures -> float32 (N, 10)."""
        return self.probs(np.stack([naive_image(path) for path in paths]))


def naive_image(path: Path) -> np.ndarray:
    """Grey as PIL has it, turned round where it is bright on the whole, squeezed to uint8 (28, 28)."""
    with Image.open(path) as picture:
        grey = picture.convert("L")
    pixels = np.asarray(grey)
    if pixels.mean() > 127:
        grey = Image.fromarray(255 - pixels)
    return np.asarray(grey.resize((28, 28)))


def load_naive(path: Path, data_dir: str | None, *, epochs: int = 3) -> Naive:
    """From `path`; trained and kept there where there is none."""
    if not path.is_file():
        _train(load_dataset("mnist", data_dir=data_dir), path, epochs)
    kept: dict[str, Any] = torch.load(path, weights_only=True)
    net = Net()
    net.load_state_dict(kept["weights"])
    net.eval()
    return Naive(net, kept["epochs"], kept["seconds"])


def _train(dataset: ImageDataset, path: Path, epochs: int) -> None:
    torch.manual_seed(_SEED)
    net = Net()
    optimiser = torch.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, step_size=1, gamma=0.7)
    labels = torch.from_numpy(dataset.labels.copy())
    started = time.perf_counter()
    for epoch in range(1, epochs + 1):
        for chosen in torch.randperm(len(labels)).split(_BATCH):
            optimiser.zero_grad()
            loss = functional.nll_loss(net(_to_input(dataset.images[chosen.numpy()])), labels[chosen])
            loss.backward()
            optimiser.step()
        schedule.step()
        print(f"naive pipeline: epoch {epoch} of {epochs}, {time.perf_counter() - started:.0f} s", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = time.perf_counter() - started
    torch.save({"weights": net.state_dict(), "epochs": epochs, "seconds": seconds}, path)


def _to_input(images: np.ndarray) -> torch.Tensor:
    return ((torch.from_numpy(images.astype(np.float32)) / 255 - _MEAN) / _STD)[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, default=NAIVE_MODEL, help="where it is kept")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--data-dir", default=None)
    options = parser.parse_args()
    naive = load_naive(options.model, options.data_dir, epochs=options.epochs)
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    right = naive.probs(test_set.images).argmax(axis=1) == test_set.labels
    print(f"{naive.epochs} epochs in {naive.seconds:.0f} s: {right.mean():.2%} of MNIST's {len(right)}")


if __name__ == "__main__":
    main()
