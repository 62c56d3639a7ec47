"""How far do single runs of softmax regression differ after one epoch, here and in plain PyTorch?

    python benchmarks/first_epoch.py [--seeds 20] [--readme]

The document publishes one run: 60.74 % validation accuracy after its first epoch. The same network,
split, batches and plain SGD at 1e-3, written as the document writes them (torch.nn.Linear,
torch.optim.SGD, torch's own random numbers), and our recipe `softmax-sgd-published`.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from common import machine, markdown_table, publish, spread
from torch.nn import functional

from tenfold import ImageDataset, change_recipe, get_recipe, load_dataset, split_dataset, train

PUBLISHED = 0.6074


def plain_torch(dataset: ImageDataset, seed: int) -> float:
    """Validation accuracy after one epoch, without anything of tenfold's but the pixels."""
    torch.manual_seed(seed)
    inputs = torch.tensor(dataset.images).float().div(255).reshape(len(dataset), -1)
    labels = torch.tensor(dataset.labels)
    order = torch.randperm(len(dataset))
    held_out, rest = order[: len(dataset) // 6], order[len(dataset) // 6 :]
    model = torch.nn.Linear(inputs.shape[1], 10)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    for batch in rest.split(128):
        optimiser.zero_grad()
        functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        optimiser.step()
    with torch.no_grad():
        right = model(inputs[held_out]).argmax(dim=1) == labels[held_out]
    return float(right.float().mean())


def ours(dataset: ImageDataset, seed: int) -> float:
    recipe = change_recipe(get_recipe("softmax-sgd-published"), {"training.epochs": 1})
    train_set, val_set = split_dataset(dataset, recipe.data.validation, seed=seed, stratified=False)
    return train(recipe, train_set, val_set, seed=seed, engine="numpy").history[0].val_accuracy or 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    runs = {
        name: [one(dataset, seed) for seed in range(options.seeds)]
        for name, one in (("plain PyTorch", plain_torch), ("softmax-sgd-published", ours))
    }
    rows = [
        (
            name,
            spread(values, scale=100, unit=" %"),
            f"{100 * min(values):.2f} to {100 * max(values):.2f} %",
            f"{np.mean(np.array(values) <= PUBLISHED):.0%}",
        )
        for name, values in runs.items()
    ]
    text = markdown_table(("A2 after one epoch", "accuracy", "from, to", "at or below 60.74 %"), rows)
    host = machine()
    note = (
        f"Mean ± standard deviation, n = {options.seeds} seeds; {host['processor']}, "
        f"torch {host['torch']}. Made by `python benchmarks/first_epoch.py`."
    )
    publish("first_epoch", text, note, {"n": options.seeds, "runs": runs}, readme=options.readme)


if __name__ == "__main__":
    main()
