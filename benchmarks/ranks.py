"""Two ranks of one thread beside one: a training step of `best`'s network at a global batch of 1,024.

    python benchmarks/ranks.py [--steps 5]

Every process has one thread, and noise for images, in float32 without augmentation. Beside it plain PyTorch's
DistributedDataParallel on the same network, whose batch norm knows only its own rank's rows. The median of so
many steps after two to warm up; rounds take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from common import machine, markdown_table, publish

from tenfold.helpers import Ranks

BATCH, SHAPE, ROUNDS = 1024, (28, 28), 2


def tenfold_step(batch_images: np.ndarray, labels: np.ndarray, ranks: Ranks) -> Callable[[], object]:
    from tenfold import get_recipe
    from tenfold.arrays import Batch
    from tenfold.engines.create import Engines
    from tenfold.networks.engine import EngineOptions

    recipe = get_recipe("best")
    network = recipe.plan(SHAPE, 10)
    options = EngineOptions(
        0.13, 0.31, recipe.loss, recipe.optimiser, recipe.training.average_decay, ranks=ranks
    )
    engine = Engines.create("torch", network, network.initial_weights("torch", seed=0), options)
    batch = Batch(batch_images, labels)
    return lambda: float(engine.train_step(batch, 0.001).loss)


def ddp_step(batch_images: np.ndarray, labels: np.ndarray, ranks: Ranks) -> Callable[[], object]:
    import torch
    from torch.nn import functional

    from tenfold import get_recipe
    from tenfold.torch_engine.modules import build_module, load_weights

    recipe = get_recipe("best")
    network = recipe.plan(SHAPE, 10)
    module = build_module(network, torch.Generator())
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    load_weights(module, network.initial_weights("torch", seed=0))
    if ranks.count > 1:
        module = torch.nn.parallel.DistributedDataParallel(module)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.001, fused=True)
    rows = ranks.share(BATCH)
    inputs = ((torch.tensor(batch_images[rows]) / 255 - 0.13) / 0.31)[:, None]
    targets = torch.tensor(labels[rows])

    def step() -> float:
        optimiser.zero_grad()
        loss = functional.cross_entropy(module(inputs), targets, label_smoothing=0.02)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


STEPS = {"tenfold": tenfold_step, "DistributedDataParallel": ddp_step}


def measure(name: str, steps: int) -> None:
    """In a rank: prints the seconds of each step."""
    import torch

    from tenfold.engines.create import Engines

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (BATCH, *SHAPE), dtype=np.uint8), rng.integers(0, 10, BATCH)
    with Engines.join_ranks() as ranks:
        step, seconds = STEPS[name](images, labels, ranks), []
        for _ in range(steps + 2):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds[2:]))


def launch(name: str, count: int, steps: int) -> list[float]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, "--rank", name, "--steps", str(steps)]
    ranks = [
        subprocess.Popen(
            command, env=os.environ | own | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(count)
    ]
    told = [rank.communicate()[0] for rank in ranks]
    found: list[float] = json.loads(told[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rank", choices=STEPS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.rank:
        measure(chosen.rank, chosen.steps)
        return
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for name in STEPS:
            for count in (1, 2):
                seconds.setdefault((name, count), []).extend(launch(name, count, chosen.steps))
    rows = []
    for name in STEPS:
        one, two = (statistics.median(seconds[name, count]) for count in (1, 2))
        rows.append([name, f"{one:.3f}", f"{two:.3f}", f"{one / two:.2f}", str(chosen.steps * ROUNDS)])
    table = markdown_table(["", "one rank, s per step", "two ranks", "times as fast", "n steps"], rows)
    note = f"`best`'s network, {BATCH:,} images per step, one thread per rank; medians."
    publish("ranks", table, note, {"machine": machine()}, readme=False)


if __name__ == "__main__":
    main()
