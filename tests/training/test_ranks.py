"""Several real processes train one network: the numbers of one process, and no step lost to a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

LAYERS = """["conv 8 3x3 padding same no-bias", "batch-norm", "relu", "dropout 0.2", "max-pool 2",
"conv 8 3x3 no-bias", "batch-norm", "relu", "flatten", "dropout 0.3", "linear classes"]"""
RECIPE = f"""
name = "ranks"
[network]
layers = {LAYERS}
[optimiser]
name = "adam"
learning_rate = 0.01
[training]
epochs = 3
batch_size = 50
average_decay = 0.95
precision = "float64"
[augmentation]
rotation = 12
elastic = 1.0
"""
STEPS = 10  # of an epoch

# 40 steps of one engine on batches of 102 and, at the end of an epoch, 2 images; prints losses and the state
LOSSES = """
import hashlib, json, sys
import numpy as np
from tenfold.arrays import ImageDataset
from tenfold.data.batches import iterate_batches
from tenfold.engines.create import Engines
from tenfold.networks.engine import EngineOptions
from tenfold.recipes.load import parse_recipe
recipe = parse_recipe(open("recipe.toml").read())
with np.load("data.npz") as data:
    dataset = ImageDataset(data["images"][:308], data["labels"][:308], tuple("0123"))
network = recipe.plan((14, 14), 4)
with Engines.join_ranks() as ranks:
    options = EngineOptions(0.5, 0.3, recipe.loss, recipe.optimiser, 0.95, precision="float64", ranks=ranks)
    engine = Engines.create("torch", network, network.initial_weights("torch", seed=0), options)
    losses = []
    for epoch in range(10):
        for batch in iterate_batches(dataset, batch_size=102, shuffle=True, drop_last=False,
                                     augmentation=recipe.augmentation, seed=0, epoch=epoch):
            if len(batch) < 100:
                batch = type(batch)(batch.images, batch.labels)  # one image alone is resampled to rounding
            result = engine.train_step(batch, 0.01)
            losses.append([float(result.loss), int(result.correct)])
    state = hashlib.sha256(b"".join(value.tobytes() for value in engine.state().values())).hexdigest()
    print(json.dumps([losses, state]))
"""

# `tenfold` whose rank kills itself before the n-th batch, or in the n-th checkpoint
KILLED = """
import os, signal, sys
from tenfold.cli import main
from tenfold.training import progress, steps
rank, moment, number = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
iterate, save, count = steps.iterate_batches, progress.save_file, 0

def reach(here):
    global count
    count += here == moment
    if here == moment and count == number and os.environ["RANK"] == rank:
        os.kill(os.getpid(), signal.SIGKILL)

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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and 600 noisy pictures of four classes."""
    folder = tmp_path_factory.mktemp("ranks")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 700)
    prototypes = rng.integers(0, 256, (4, 14, 14))
    images = (0.4 * prototypes[labels] + 0.6 * rng.integers(0, 256, (700, 14, 14))).astype(np.uint8)
    np.savez(folder / "data.npz", images=images, labels=labels)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def launch(
    place: Path, count: int, *arguments: str, spaces: tuple[str, ...] = ()
) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of so many processes that know each other as torchrun has it.

    spaces: the network namespace of each, as `two_networks` makes them.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    if count > 1:
        own |= {
            "WORLD_SIZE": str(count),
            "MASTER_ADDR": FIRST if spaces else "127.0.0.1",
            "MASTER_PORT": port,
        }
    inside = [("ip", "netns", "exec", space) for space in spaces] or [()] * count
    own |= {"GLOO_SOCKET_IFNAME": "far"} if spaces else {}
    started = [
        subprocess.Popen(
            [*inside[rank], sys.executable, *arguments],
            cwd=place, env=os.environ | own | {"RANK": str(rank)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(count)
    ]  # fmt: skip
    try:
        told = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    assert not any("Traceback" in err for _, err in told), told
    return [(process.returncode, *each) for process, each in zip(started, told, strict=True)]


TRAIN = ("train", "recipe.toml", "--data", "data.npz", "--quiet", "--json", "--no-report")
GO_ON = ("--resume-if-there", "--checkpoint-every", "3", "--run-dir")


@pytest.fixture(scope="module")
def losses(place: Path) -> list[list[float]]:
    """Of one process: the loss and the right answers of each step."""
    ((_, out, err),) = launch(place, 1, "-c", LOSSES)
    assert out, err
    found: list[list[float]] = json.loads(out)[0]
    assert len(found) == 40
    return found


def check_losses(told: list[tuple[int, str, str]], losses: list[list[float]]) -> None:
    assert all(out for _, out, _ in told), told
    found = [json.loads(out) for _, out, _ in told]
    assert len({state for _, state in found}) == 1  # one state in all
    np.testing.assert_allclose(found[0][0], losses, rtol=0, atol=1e-12)


def test_losses_are_those_of_one_process(place: Path, losses: list[list[float]]) -> None:
    for count in (2, 3):  # of three one has no image of the last batch
        check_losses(launch(place, count, "-c", LOSSES), losses)


FIRST, SECOND = "10.213.7.1", "10.213.7.2"


@pytest.fixture
def two_networks() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them, as two machines; skipped where none may be made."""
    names = (f"tenfold{os.getpid()}a", f"tenfold{os.getpid()}b")
    commands = [f"netns add {name}" for name in names]
    commands += [f"link add far netns {names[0]} type veth peer name far netns {names[1]}"]
    for name, address in zip(names, (FIRST, SECOND), strict=True):
        commands += [f"-n {name} addr add {address}/24 dev far"]
        commands += [f"-n {name} link set {device} up" for device in ("lo", "far")]
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        yield names
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine makes no network namespaces: {error}")
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_two_networks(place: Path, losses: list[list[float]], two_networks: tuple[str, str]) -> None:
    check_losses(launch(place, 2, "-c", LOSSES, spaces=two_networks), losses)


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """The folder of an undisturbed run of two processes."""
    codes = [code for code, *_ in launch(place, 2, "-m", "tenfold", *TRAIN, "--run-dir", "whole")]
    assert codes == [0, 0]
    return place / "whole"


def test_killed_three_times(place: Path, whole: Path) -> None:
    for rank, moment, number in (("1", "batch", 6), ("0", "checkpoint", 4), ("1", "batch", 9)):
        ended = launch(place, 2, "-c", KILLED, rank, moment, str(number), *TRAIN, *GO_ON, "killed")
        assert ended[int(rank)][0] == -signal.SIGKILL
        assert ended[1 - int(rank)][0] == 1, ended
        if number == 6:
            shutil.copytree(place / "killed", place / "alone")
    assert [code for code, *_ in launch(place, 2, "-m", "tenfold", *TRAIN, *GO_ON, "killed")] == [0, 0]
    assert (place / "killed/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ours, theirs = ((run / "history.jsonl").read_text().splitlines() for run in (place / "killed", whole))
    for one, other in zip(map(json.loads, ours), map(json.loads, theirs), strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}

    ((code, out, err),) = launch(place, 1, "-m", "tenfold", "train", "--resume", "alone", *TRAIN[-3:])
    assert code == 0, err
    assert json.loads((place / "alone/environment.json").read_text())["ranks"] == {"0": 2, "3": 1}
    document = json.loads((whole / "evaluation.json").read_text())
    assert json.loads(out)["test_loss"] == pytest.approx(document["loss"], abs=1e-6)


def test_what_cannot_be_used_is_refused(place: Path) -> None:
    (code, _, err), other = launch(place, 2, "-m", "tenfold", "search", "recipe.toml")
    assert code == other[0] == 2 and err.startswith("tenfold: WORLD_SIZE=2") and not other[2]
    (code, _, err), other = launch(place, 2, "-m", "tenfold", *TRAIN, "--engine", "numpy")
    assert code == 2 and other[0] == 1 and "the NumPy engine trains in one process" in err
    assert len(err.splitlines()) == 1 and not other[2]
    assert not (place / "runs").exists()
