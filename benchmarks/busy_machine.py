"""What other work on the machine costs a training: each recipe alone, and beside busy processes.

    python benchmarks/busy_machine.py [--readme] [--rounds 3] [--seconds 3] [--busy 2] [--only mlp ...]

Steps of training on 10,000 images of MNIST (the embedded sample without it), each case for so many seconds
in a process of its own, in turns: alone, then beside as many busy processes as --busy says. The ratio is the
time of a step beside them to that alone. With two busy processes on two cores, a training on one thread has
two thirds of a core: 1.5 times, and one that made full use of both cores when it was alone 3 times.

The machine must be idle otherwise. scikit-learn's MLPClassifier and a plain loop in PyTorch (784-128-64-10,
batches of 128, Adam) stand beside.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
from common import markdown_table, publish, spread

from tenfold import ImageDataset, get_recipe, list_recipes, load_dataset
from tenfold.data.batches import iterate_batches
from tenfold.engines.create import Engines
from tenfold.errors import TenfoldError
from tenfold.training.prepare import prepare_training

IMAGES = 10_000
STATES = ("alone", "busy")
PEERS = ("scikit-learn", "plain torch")
BUSY = "while True: pass"
Steps = Iterator[None]


def recipe_steps(dataset: ImageDataset, name: str, engine: str) -> Steps:
    """A step of training each time it is advanced; ensembles train their first network."""
    recipe = get_recipe(name)
    recipe = recipe.model_copy(update={"ensemble": recipe.ensemble.model_copy(update={"members": 1})})
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"patience": 0})})
    setup = prepare_training(
        recipe, dataset, None, seed=0, engine=engine, device="cpu", precision=recipe.training.precision
    )
    for epoch in count():
        batches = iterate_batches(
            dataset, batch_size=recipe.training.batch_size, shuffle=recipe.training.shuffle,
            drop_last=recipe.training.drop_last, augmentation=recipe.augmentation, seed=0, epoch=epoch,
        )  # fmt: skip
        for batch in batches:
            setup.engine.train_step(batch, 1e-4)
            yield


def sklearn_steps(dataset: ImageDataset) -> Steps:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((128, 64), batch_size=128, random_state=0)
    inputs, classes = dataset.images.reshape(len(dataset), -1) / np.float32(255), np.arange(10)
    for start in count(step=128):
        part = np.arange(start, start + 128) % len(inputs)
        model.partial_fit(inputs[part], dataset.labels[part], classes=classes)
        yield


def torch_steps(dataset: ImageDataset) -> Steps:
    import torch
    from epoch_speed import torch_module, torch_step, torch_tensors

    inputs, labels = torch_tensors(dataset)
    step = torch_step(torch_module())
    while True:
        for chosen in torch.randperm(len(inputs)).split(128):
            step(inputs[chosen], labels[chosen])
            yield


def time_steps(case: str, seconds: float) -> float:
    """Seconds per step, over so many seconds, after one step to warm up."""
    dataset = load_dataset()
    dataset = dataset.subset(np.arange(min(IMAGES, len(dataset))))
    peers: dict[str, Callable[[ImageDataset], Steps]] = {
        "scikit-learn": sklearn_steps, "plain torch": torch_steps,
    }  # fmt: skip
    name, _, engine = case.rpartition(" ")
    steps = peers[case](dataset) if case in peers else recipe_steps(dataset, name, engine)
    next(steps)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        next(steps)
        done += 1
    return (time.perf_counter() - started) / done


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(case: str, seconds: float) -> float:
    """`time_steps` in a process of its own, as a training is."""
    command = [sys.executable, __file__, "--one", case, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout))


def find_cases(only: list[str]) -> list[str]:
    """Every recipe with every engine that can train it, and the peers."""
    cases = [*PEERS]
    for name in list_recipes():
        for engine in ("numpy", "torch"):
            try:
                Engines.check(get_recipe(name), engine)
            except TenfoldError:
                continue
            cases.append(f"{name} {engine}")
    return [case for case in cases if not only or any(word in case for word in only)]


def take_turns(cases: list[str], options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Case -> alone, busy -> seconds per step, one per round."""
    found: dict[str, dict[str, list[float]]] = {case: {state: [] for state in STATES} for case in cases}
    for number in range(options.rounds):
        for case in cases:
            for state in STATES:
                with busy_processes(options.busy if state == "busy" else 0):
                    found[case][state].append(measure(case, options.seconds))
            alone, busy = (found[case][state][-1] for state in STATES)
            print(f"round {number + 1}  {case}: {1e3 * alone:.2f} ms, busy {1e3 * busy:.2f} ms", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], help="cases with one of these words in their name")
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(time_steps(options.one, options.seconds)))
        return
    found = take_turns(find_cases(options.only), options)
    rows: list[list[str]] = []
    document: list[dict[str, Any]] = []
    for case, times in found.items():
        ratios = [busy / alone for alone, busy in zip(times["alone"], times["busy"], strict=True)]
        steps = [spread(times[state], scale=1e3) for state in STATES]
        rows.append([case, *steps, f"{statistics.median(ratios):.1f}", f"{max(ratios):.1f}"])
        document.append({"case": case, "seconds_a_step": times, "ratios": ratios})
    columns = ("training", "step alone, ms", "step beside busy processes, ms", "ratio", "largest")
    note = (
        f"Mean ± standard deviation of n = {options.rounds} turns of {options.seconds:g} s; ratio: median. "
        f"{options.busy} busy processes. Made by `python benchmarks/busy_machine.py`."
    )
    publish("busy_machine", markdown_table(columns, rows), note, {"cases": document}, readme=options.readme)


if __name__ == "__main__":
    main()
