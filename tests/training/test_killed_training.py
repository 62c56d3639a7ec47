"""Training on the command line, killed at three moments and gone on with: bit for bit the same model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chain_recipes import ENGINES
from safetensors.numpy import load_file

EPOCHS = 6
STEPS = 32  # of an epoch: 1,000 images, 32 per step
RECIPE = f"""
name = "killed"
[network]
layers = ["conv 4 5x5 stride 2", "batch-norm", "relu", "dropout 0.2", "flatten", "linear 64", "relu",
          "dropout 0.3", "linear classes"]
[optimiser]
name = "adam"
learning_rate = 0.003
[schedule]
name = "one-cycle"
[training]
epochs = {EPOCHS}
batch_size = 32
average_decay = 0.95
patience = 5
[augmentation]
rotation = 12
elastic = 1.0
crop_padding = 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and 1,500 noisy pictures of four classes."""
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 1500)
    prototypes = rng.integers(0, 256, (4, 20, 20))
    images = (0.4 * prototypes[labels] + 0.6 * rng.integers(0, 256, (1500, 20, 20))).astype(np.uint8)
    np.savez(folder / "data.npz", images=images, labels=labels)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


# `tenfold` with a signal that it sends itself: at the n-th batch from its start ("batch"), or when
# the n-th checkpoint is written but not yet renamed ("checkpoint").
WITH_SIGNAL = """
import os, signal, sys
from tenfold.cli import main
from tenfold.training import progress, steps
moment, number, name = sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)
iterate, save, count = steps.iterate_batches, progress.save_file, 0

def reach(here):
    global count
    count += here == moment
    if here == moment and count == number:
        os.kill(os.getpid(), signal.Signals[name])

def iterate_batches(*arguments, **options):
    for batch in iterate(*arguments, **options):
        reach("batch")
        yield batch

def save_file(*arguments, **options):
    save(*arguments, **options)
    reach("checkpoint")

steps.iterate_batches, progress.save_file = iterate_batches, save_file
main()
"""


def run_tenfold(
    place: Path, *arguments: str, moment: str = "", number: int = 0, name: str = "SIGKILL"
) -> tuple[int, str]:
    """Exit code and stdout of `tenfold train`, in a process of its own with one thread."""
    program = ["-c", WITH_SIGNAL, moment, str(number), name] if moment else ["-m", "tenfold"]
    done = subprocess.run(
        [sys.executable, *program, "train", *arguments, "--quiet", "--json", "--no-report"],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def epochs_done(run: Path) -> int:
    path = run / "history.jsonl"
    return len(path.read_text().splitlines()) if path.is_file() else 0


def files_below(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_three_times_and_interrupted_once(place: Path, engine: str) -> None:
    wanted = ("recipe.toml", "--data", "data.npz", "--engine", engine, "--seed", "3")
    whole, run = place / f"whole-{engine}", place / f"run-{engine}"
    code, out = run_tenfold(place, *wanted, "--run-dir", whole.name)
    document = json.loads(out)
    assert code == 0 and document["epochs"] == EPOCHS

    random = np.random.default_rng(list(engine.encode()))
    go_on = ("--resume", run.name)
    # in the second epoch; while the third one's checkpoint is written; at any moment of two epochs
    first, third = STEPS + int(random.integers(1, STEPS)), int(random.integers(1, 2 * STEPS))
    code, _ = run_tenfold(place, *wanted, "--run-dir", run.name, moment="batch", number=first)
    assert code == -signal.SIGKILL and epochs_done(run) == 1
    code, _ = run_tenfold(place, *go_on, moment="checkpoint", number=2)
    assert code == -signal.SIGKILL and epochs_done(run) == 2
    assert [path for path in files_below(run) if path.endswith(".part")]
    code, _ = run_tenfold(place, *go_on, moment="batch", number=third)
    assert code == -signal.SIGKILL and epochs_done(run) == 2 + (third > STEPS)
    if engine == "numpy":  # the same lines serve both, and to import torch takes seconds
        code, out = run_tenfold(place, *go_on, moment="batch", number=5, name="SIGINT")
        assert code == 130 and json.loads(out)["status"] == "interrupted"
        code, out = run_tenfold(place, *go_on, moment="batch", number=7, name="SIGTERM")
        assert code == 143 and json.loads(out)["status"] == "interrupted"
        assert json.loads((run / "environment.json").read_text())["status"] == "interrupted"
        load_file(run / "model.safetensors")  # what was trained is kept

    code, out = run_tenfold(place, *go_on)
    assert code == 0
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    for key in ("val_loss", "val_accuracy", "test_loss", "test_accuracy", "best_epoch", "train_loss"):
        assert json.loads(out)[key] == document[key], key
    assert epochs_done(run) == EPOCHS
    assert files_below(run) == files_below(whole)  # nothing half-written, nothing missing
