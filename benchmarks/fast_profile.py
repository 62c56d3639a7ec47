"""Where each millisecond of the recipe `fast` goes, from the start of the process to a saved classifier.

    python benchmarks/fast_profile.py [--recipe fast] [--rounds 7] [--readme]

Three looks. Stages: what the clock says where one stage ends and the next begins, medians over processes
that do nothing else (benchmarks/peers/tenfold_recipe.py). Imports: the packages as `python -X importtime`
counts them, each with what only it brings in. Operations: of the NumPy engine what each kind of layer takes,
by the clock; of PyTorch its profiler; over the steps, in shares, since being watched slows them down.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from children import find_mnist, run_program
from common import RESULTS, machine, markdown_table, publish

# The mark at the end of a stage -> what happened in it.
STAGES = {
    "interpreter": "Python itself, until the first line of the program",
    "names": "importing tenfold's names and reading the recipe",
    "files": "reading, decoding and splitting the images",
    "engine": "importing the engine, building network and optimiser",
    "first step": "the first step",
    "steps": "all other steps",
    "training": "after the last step: validation, calibration",
    "saving": "saving the classifier",
}
# The first kind whose words occur in an operation's name counts.
KINDS = {
    "convolution, backward": ("convolution_backward", "conv backward"),
    "convolution, forward": ("conv",),
    "batch norm, backward": ("batch_norm_backward", "NativeBatchNormBackward", "batch-norm backward"),
    "batch norm, forward": ("batch_norm", "batch-norm"),
    "pooling": ("pool",),
    "linear layers": ("addmm", "aten::mm", "linear"),
    "activation": ("relu", "threshold", "clamp_min"),
    "loss": ("softmax", "loss", "cross_entropy", "argmax"),
    "optimiser": ("optimiser", "adam", "sgd", "foreach", "addcmul", "addcdiv", "sqrt", "lerp"),
    "gathering, scaling and augmenting": ("index", "grid_sampler", "unshuffle", "scaling", "div", "sub"),
    "clearing and allocating": ("fill_", "zero", "aten::empty"),
    "copies and casts": ("copy_", "to_copy", "aten::to", "contiguous", "clone", "cat"),
}
OTHER = "anything else"


def stage_times(marks: dict[str, float]) -> dict[str, float]:
    """Seconds from each mark to the next."""
    names = [name for name in STAGES if name in marks]
    ends = [0.0, *(marks[name] for name in names)]
    return {name: end - begin for name, (begin, end) in zip(names, pairwise(ends))}


def kind_of(operation: str) -> str:
    return next((kind for kind, words in KINDS.items() if any(word in operation for word in words)), OTHER)


def operation_shares(operations: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Kind -> its share of all self CPU seconds, the greatest first."""
    seconds: dict[str, float] = {}
    for one in operations:
        kind = kind_of(one["name"])
        seconds[kind] = seconds.get(kind, 0.0) + one["seconds"]
    whole = sum(seconds.values()) or 1.0
    return {kind: value / whole for kind, value in sorted(seconds.items(), key=lambda item: -item[1])}


def parse_import_times(text: str) -> dict[str, float]:
    """What `-X importtime` wrote -> seconds by top-level package, its own modules only, the slowest first."""
    seconds: dict[str, float] = {}
    for line in text.splitlines():
        head, *parts = line.split("|")
        if not head.startswith("import time:") or len(parts) != 2:
            continue
        own = head.removeprefix("import time:").strip()
        if own.isdigit():  # the first line holds the columns' names
            package = parts[1].strip().partition(".")[0]
            package = package if package not in sys.stdlib_module_names else "Python's own library"
            seconds[package] = seconds.get(package, 0.0) + int(own) / 1e6
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def import_times(recipe: str, data_dir: Path) -> dict[str, float]:
    """Of one training of the recipe by the command line's own modules, without its report."""
    code = (
        "from tenfold import get_recipe, load_dataset, split_dataset, train\n"
        f"recipe = get_recipe({recipe!r})\n"
        f"data = load_dataset('mnist', data_dir={str(data_dir.parent)!r})\n"
        "parts = split_dataset(data, recipe.data.validation, seed=0) if recipe.data.validation else (data,)\n"
        "train(recipe, *parts)\n"
    )
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return parse_import_times(done.stderr)


def rows(
    stages: dict[str, float], imports: dict[str, float], shares: dict[str, float], least: float = 0.01
) -> list[tuple[str, str, str]]:
    """Stages whole; of imports and operations those above a share of `least`, then the rest as one."""
    total = sum(stages.values())
    lines = [("**stages**", f"{1000 * total:.0f}", "100 %")]
    lines += [(STAGES[name], f"{1000 * s:.0f}", f"{100 * s / total:.0f} %") for name, s in stages.items()]
    imported = sum(imports.values())
    lines.append(
        ("**imports** (within the stages)", f"{1000 * imported:.0f}", f"{100 * imported / total:.0f} %")
    )
    lines += [
        (f"{name}", f"{1000 * s:.0f}", f"{100 * s / total:.0f} %")
        for name, s in _greatest(imports, least * total)
    ]
    if shares:
        steps = stages.get("first step", 0.0) + stages.get("steps", 0.0)
        lines.append(("**the steps' operations** (shares, watched)", f"{1000 * steps:.0f}", "100 %"))
        lines += [
            (kind, f"{1000 * share * steps:.0f}", f"{100 * share:.0f} %")
            for kind, share in _greatest(shares, least)
        ]
    return lines


def _greatest(values: dict[str, float], least: float) -> list[tuple[str, float]]:
    """Those of at least `least`, the greatest first, and the others in one entry."""
    shown = [(name, value) for name, value in values.items() if value >= least and name != OTHER]
    rest = sum(values.values()) - sum(value for _, value in shown)
    return [*shown, (OTHER, rest)] if rest > 0 else shown


def median_stages(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    times = [stage_times(run["marks"]) for run in runs]
    return {name: statistics.median(one[name] for one in times) for name in times[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    data_dir = find_mnist(options.data_dir)
    rounds = 3 if options.quick else options.rounds
    wanted = ("--recipe", options.recipe)
    runs = [
        run_program("tenfold_recipe", data_dir, *wanted, "--seed", str(seed), "--marks")
        for seed in range(rounds)
    ]
    stages, imports = median_stages(runs), import_times(options.recipe, data_dir)
    operations = run_program("tenfold_recipe", data_dir, *wanted, "--operations")["operations"]
    shares = operation_shares(operations)
    table = markdown_table((f"`{options.recipe}`", "ms", "share"), rows(stages, imports, shares))
    host = machine()
    libraries = {"numpy": f"NumPy {host['numpy']} ({host['blas']})", "torch": f"torch {host['torch']}"}
    totals = [run["epochs"][0]["seconds_since_start"] for run in runs]
    note = (
        f"Medians of {rounds} processes, which took {min(totals):.2f} to {max(totals):.2f} s; imports of one "
        f"more under -X importtime, operations of one more; {host['processor']}, {host['threads']} threads, "
        f"{libraries[runs[0]['engine']]}, {runs[0]['precision']}. "
        "Made by `python benchmarks/fast_profile.py`."
    )
    document = {
        "recipe": options.recipe,
        "stages": stages,
        "imports": imports,
        "shares": shares,
        "runs": [{key: run[key] for key in ("seed", "marks", "epochs")} for run in runs],
        "operations": sorted(operations, key=lambda one: -one["seconds"])[:40],
    }
    publish("fast_profile", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
