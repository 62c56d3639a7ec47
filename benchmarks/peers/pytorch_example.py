"""PyTorch's own MNIST example: two convolutions, two dropouts, Adadelta, a DataLoader.

    python benchmarks/peers/pytorch_example.py DATA_DIR OUT.json [--epochs 4]

https://github.com/pytorch/examples/blob/main/mnist/main.py with its defaults on a CPU: batch 64 (1000 to
test), learning rate 1.0 times 0.7 per epoch, 14 epochs, seed 1, no shuffling (it shuffles with an
accelerator only). `Digits` does per image what torchvision's MNIST, ToTensor and Normalize do.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from stopwatch import Trial, parse_arguments, read_mnist

options = parse_arguments(__doc__, epochs=14)
trial = Trial(options, ["torch", "numpy", "pillow"])

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn, optim  # noqa: E402
from torch.optim.lr_scheduler import StepLR  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

BATCH, TEST_BATCH, RATE, GAMMA, LOG_INTERVAL = 64, 1000, 1.0, 0.7, 10


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        x = self.fc2(self.dropout2(x))
        return F.log_softmax(x, dim=1)


class Digits(Dataset):
    """Picture by picture: array -> PIL image -> tensor 0..1 of (1, 28, 28) -> normalised."""

    def __init__(self, part: str, images: int | None = None) -> None:
        pixels, labels = read_mnist(options.data_dir, part, images)
        self.data, self.targets = torch.from_numpy(pixels.copy()), torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.data[index].numpy())
        tensor = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(28, 28, 1)
        tensor = tensor.permute((2, 0, 1)).contiguous().to(torch.float32).div(255)
        mean, std = (torch.as_tensor(value).view(-1, 1, 1) for value in ((0.1307,), (0.3081,)))
        return tensor.clone().sub_(mean).div_(std), int(self.targets[index])


def train(model: nn.Module, loader: DataLoader, optimiser: optim.Optimizer, epoch: int) -> None:
    model.train()
    for number, (data, target) in enumerate(loader):
        optimiser.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimiser.step()
        if number % LOG_INTERVAL == 0:
            print(f"epoch {epoch}, batch {number} of {len(loader)}: loss {loss.item():.6f}")


def test(model: nn.Module) -> float:
    model.eval()
    digits, right = Digits("t10k"), 0
    with torch.no_grad():
        for data, target in DataLoader(digits, batch_size=TEST_BATCH):
            right += int((model(data).argmax(dim=1) == target).sum())
    return right / len(digits)


def main() -> None:
    torch.manual_seed(options.seed)
    loader = DataLoader(Digits("train", trial.images_of(BATCH)), batch_size=BATCH)
    model = Net()
    optimiser = optim.Adadelta(model.parameters(), lr=RATE)
    scheduler = StepLR(optimiser, step_size=1, gamma=GAMMA)
    trial.begin_training()
    for epoch in range(1, options.epochs + 1):
        train(model, loader, optimiser, epoch)
        if trial.end_epoch(lambda path: torch.save(model.state_dict(), path), ".pt", lambda: test(model)):
            break
        scheduler.step()
    trial.finish(threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
