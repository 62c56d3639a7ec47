"""One epoch of a small CNN with the whole set in memory: the fastest public recipe that we know.

    python benchmarks/peers/one_epoch_cnn.py DATA_DIR OUT.json

T. Oikarinen, "Training a NN to 99% accuracy on MNIST in 0.76 seconds" (on a GPU),
https://github.com/tuomaso/train_mnist_fast, 8_Final_00s76.ipynb: network, batch of 256, Adam with betas
0.7 and 0.9, one cycle up to 0.01, float32. The source keeps the normalised, once shuffled images as
files of tensors; here they are made from the published files, under the clock.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from stopwatch import Trial, parse_arguments, read_mnist

options = parse_arguments(__doc__, epochs=1)
trial = Trial(options, ["torch", "numpy"])

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn, optim  # noqa: E402
from torch.optim.lr_scheduler import OneCycleLR  # noqa: E402

BATCH, TEST_BATCH, RATE = 256, 2000, 1e-2


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 5, 1)
        self.conv2 = nn.Conv2d(24, 32, 3, 1)
        self.fc1 = nn.Linear(800, 256)
        self.fc2 = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(x), dim=1)


def load(part: str, images: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised inputs (N, 1, 28, 28) and labels (N,), shuffled once."""
    pixels, labels = read_mnist(options.data_dir, part, images)
    order = torch.randperm(len(labels))
    inputs = torch.from_numpy(pixels.copy()).float().div_(255).sub_(0.1307).div_(0.3081)
    return inputs[order, None], torch.from_numpy(labels)[order]


def test(model: nn.Module) -> float:
    data, labels = load("t10k")
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(dim=1) for part in data.split(TEST_BATCH)])
    model.train()
    return int((found == labels).sum()) / len(labels)


def main() -> None:
    torch.manual_seed(options.seed)
    data, labels = load("train", trial.images_of(BATCH))
    model = Net()
    optimiser = optim.Adam(model.parameters(), lr=RATE, betas=(0.7, 0.9))
    batches = (len(data) - 1) // BATCH + 1
    scheduler = OneCycleLR(optimiser, max_lr=RATE, total_steps=batches * options.epochs, cycle_momentum=False)
    trial.begin_training()
    model.train()
    for _ in range(options.epochs):
        for inputs, targets in zip(data.split(BATCH), labels.split(BATCH)):
            optimiser.zero_grad()
            F.nll_loss(model(inputs), targets).backward()
            optimiser.step()
            scheduler.step()
        if trial.end_epoch(lambda path: torch.save(model.state_dict(), path), ".pt", lambda: test(model)):
            break
    trial.finish(threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
