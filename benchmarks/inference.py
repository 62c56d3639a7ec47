"""How fast do trained networks answer? Images per second, one image warm, one image from a cold process.

    python benchmarks/inference.py [--recipe cnn ...] [--rounds 7] [--quick] [--readme]

Every program is a process of its own, and all are asked in turn, round after round: uint8 pixels in,
probabilities out. The networks have random weights, which take as long as trained ones. The peers answer with
the MLP 784-128-64-10 too, with the same weights. Before anything is timed, all must give the same
probabilities.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from answerers import ANSWERERS, PEERS, cores
from common import RESULTS, machine, markdown_table, publish
from process_cost import run_measured

from tenfold import Classifier, change_recipe, export_onnx, get_recipe, load_dataset
from tenfold.classifier import ModelCard
from tenfold.networks.shapes import Network

_PROGRAM = Path(__file__).with_name("answerers.py")
_MLP = "mlp 784-128-64-10"
_MLP_LAYERS = ["flatten", "linear 128", "relu", "linear 64", "relu", "linear classes"]
_MEAN, _STD = 0.1307, 0.3081
_REFERENCE = "ONNX Runtime"
_CONVOLUTIONAL = ("PyTorch engine, bfloat16",)  # in small products the casts cost more than they save
_APART = {"PyTorch engine, bfloat16": 0.05}  # largest difference of a probability that is let pass
_FIGURES = ("images_a_second", "one_warm_ms", "cold_s", "cold_cpu_s", "cold_peak_mib")


class Worker:
    """A program of answerers.py that waits for questions."""

    def __init__(self, kind: str, folder: Path) -> None:
        command = [sys.executable, str(_PROGRAM), kind, str(folder), "serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line() != "ready":
            raise SystemExit(f"{kind} did not start")
        self.answers = np.load(folder / "answers.npy")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, count: int) -> float:
        """Seconds: 0 for all images, else the median of so many single ones."""
        assert self.process.stdin is not None
        print(count, file=self.process.stdin, flush=True)
        return float(self._line())


def build_classifier(name: str) -> Classifier:
    mlp = change_recipe(get_recipe("mlp-small"), {"network.layers": _MLP_LAYERS})
    recipe = mlp if name == _MLP else get_recipe(name)
    card = ModelCard(recipe, tuple("0123456789"), (28, 28), _MEAN, _STD)
    weights = Network.initial_weights(recipe.plan((28, 28), 10), "torch", seed=0)
    return Classifier.from_weights(card, weights, engine="numpy")


def write_folder(classifier: Classifier, images: np.ndarray, folder: Path, *, peers: bool) -> None:
    """What the programs need: see answerers.py."""
    classifier.save(folder)
    export_onnx(classifier, folder / "model.onnx")
    np.save(folder / "images.npy", images)
    if peers:
        card, weights = classifier.card, classifier.engine.weights()
        arrays: dict[str, Any] = {"scale": 1 / (255 * card.std), "shift": card.mean / card.std}
        for i in (1, 2, 3):
            arrays |= {f"{key[0]}{i}": weights[f"linear{i}.{key}"] for key in ("weight", "bias")}
        np.savez(folder / "mlp.npz", **arrays)


def measure(name: str, images: np.ndarray, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """program -> figure -> a value per round."""
    left_out = _CONVOLUTIONAL if name == _MLP else PEERS
    kinds = [kind for kind in ANSWERERS if kind not in left_out]
    values: dict[str, dict[str, list[float]]] = {kind: {key: [] for key in _FIGURES} for kind in kinds}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_folder(build_classifier(name), images, folder, peers=name == _MLP)
        with ExitStack() as stack:
            workers = {kind: stack.enter_context(Worker(kind, folder)) for kind in kinds}
            refuse_unlike(name, {kind: worker.answers for kind, worker in workers.items()})
            for _ in range(options.rounds):
                for kind, worker in workers.items():
                    values[kind]["images_a_second"].append(len(images) / worker.ask(0))
                    values[kind]["one_warm_ms"].append(1000 * worker.ask(options.singles))
        for _ in range(options.cold):
            for kind in kinds:
                command = [sys.executable, str(_PROGRAM), kind, str(folder), "once"]
                cost = asdict(run_measured(command, folder / "answer.txt"))
                for figure, key in (("cold_s", "wall"), ("cold_cpu_s", "cpu"), ("cold_peak_mib", "peak_mib")):
                    values[kind][figure].append(cost[key])
    return values


def refuse_unlike(name: str, answers: dict[str, np.ndarray]) -> None:
    """Leaves the program where one gives other probabilities than the NumPy engine."""
    ours = answers["NumPy engine"]
    for kind, theirs in answers.items():
        apart = float(np.abs(theirs - ours).max())
        if not apart <= _APART.get(kind, 1e-4):
            raise SystemExit(f"{name}: the probabilities of {kind} are {apart:.1e} from ours")


def summary(values: Sequence[float]) -> dict[str, Any]:
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": median, "quartiles": [low, high], "n": len(values), "values": list(values)}


def summarise(values: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """program -> figure -> median and quartiles; `times_*`: images per second over another's, by round."""
    rates = {kind: np.array(figures["images_a_second"]) for kind, figures in values.items()}
    return {
        kind: {key: summary(some) for key, some in figures.items()}
        | {f"times {other}": summary(rates[kind] / rates[other]) for other in rates if other != kind}
        for kind, figures in values.items()
    }


def shown(figure: dict[str, Any], digits: int, *, thousands: bool = False) -> str:
    """median (quartile to quartile)."""
    texts = [
        f"{value:,.0f}" if thousands else f"{value:.{digits}f}"
        for value in (figure["median"], *figure["quartiles"])
    ]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def rows(name: str, results: dict[str, Any]) -> list[list[str]]:
    table = []
    for kind, result in results.items():
        against = result.get(f"times {_REFERENCE}")
        table.append(
            [
                name,
                kind,
                shown(result["images_a_second"], 0, thousands=True),
                shown(against, 2) if against else "1",
                shown(result["one_warm_ms"], 3),
                shown(result["cold_s"], 2),
                f"{result['cold_peak_mib']['median']:.0f}",
            ]
        )
    return table


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", nargs="+", default=["cnn", "best"], help="networks beside the MLP")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="fewer images and cold starts")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    options.images, options.singles, options.cold = 10_000, 1000, 5
    if options.quick:
        options.images, options.singles, options.cold, options.rounds = 2000, 200, 3, 5
    return options


def main() -> None:
    options = parse_options()
    images = load_dataset("mnist", data_dir=options.data_dir).images[: options.images]
    networks = {
        name: summarise(measure(name, images, options)) for name in (_MLP, *dict.fromkeys(options.recipe))
    }
    columns = ("network", "program", "images per second", f"times {_REFERENCE}", "one image, warm, ms",
               "one image, cold process, s", "its peak, MiB")  # fmt: skip
    table = markdown_table(columns, [row for name, some in networks.items() for row in rows(name, some)])
    host = machine()
    note = (
        f"Medians (quartiles) of {options.rounds} alternating rounds over {len(images):,} images, each with "
        f"{options.singles:,} single ones, and of {options.cold} cold processes (start to first answer); "
        f"uint8 in, probabilities out; {host['processor']}, {cores()} threads, NumPy {host['numpy']} "
        f"({host['blas']}), torch {host['torch']}; Keras on torch. Made by `python benchmarks/inference.py`."
    )
    document = {"rounds": options.rounds, "images": len(images), "networks": networks}
    publish("inference", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
