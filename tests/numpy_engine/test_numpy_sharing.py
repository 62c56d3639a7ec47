"""Work shared out to threads: every part once, the same answers, and nothing left hanging."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.arrays import Batch
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.network import build_layer
from tenfold.numpy_engine.runtime import products
from tenfold.numpy_engine.runtime.memory import ParameterStore
from tenfold.numpy_engine.runtime.products import (
    _Blas,
    blas_threads,
    count_workers,
    even_parts,
    own_threads,
    share_out,
)

PARTS = [slice(start, start + 3) for start in range(0, 30, 3)]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_every_part_once_and_each_worker_in_order(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    share_out(PARTS, workers, lambda worker, part: seen.append((worker, part.start)))
    for worker in range(workers):
        own = [start for who, start in seen if who == worker]
        assert own == [part.start for part in PARTS[worker::workers]]
    assert len(seen) == len(PARTS)


@given(count=st.integers(0, 500), most=st.integers(1, 90), workers=st.integers(1, 4))
def test_parts_are_even_and_none_is_missed(count: int, most: int, workers: int) -> None:
    parts = even_parts(count, most, workers)
    assert [i for part in parts for i in range(count)[part]] == list(range(count))
    lengths = [len(range(count)[part]) for part in parts]
    assert max(lengths, default=0) <= most and len(set(lengths[:-1])) <= 1
    # r parts of n images in turns of w parts: each part is shorter than n / (turns w) + 1, so no worker has
    # more than n / w + r images
    most_parts = -(-len(parts) // workers)
    assert max(sum(lengths[w::workers]) for w in range(workers)) <= count / workers + most_parts


def test_workers_are_threads_of_their_own_and_know_errstate() -> None:
    both_are_here = threading.Barrier(2, timeout=20)

    def work(worker: int, part: slice) -> None:
        if part.start < 6:  # the first part of each
            both_are_here.wait()
        assert np.geterr()["divide"] == "raise"

    with np.errstate(divide="raise"):
        share_out(PARTS, 2, work)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_a_worker_raised_is_raised_when_all_have_ended(failing: int) -> None:
    ended = [threading.Event() for _ in range(3)]
    all_have_begun = threading.Barrier(3, timeout=20)

    def work(worker: int, part: slice) -> None:
        if part.start // 3 == worker:
            all_have_begun.wait()
        if part.start // 3 == worker + 6:  # the third part of each
            ended[worker].set()
            if worker == failing:
                raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        share_out(PARTS, 3, work)
    assert all(event.is_set() for event in ended)
    share_out(PARTS, 3, lambda *_: None)  # and it goes on working


class NoCore(Executor):
    """Threads that never get a core: what is submitted is never begun."""

    def submit(self, *_: Any, **__: Any) -> Future:
        return Future()


@pytest.mark.parametrize("workers", [2, 3])
def test_nobody_waits_for_a_thread_without_a_core(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_pool", NoCore)
    seen: list[tuple[int, int]] = []
    share_out(PARTS, workers, lambda worker, part: seen.append((worker, part.start)))
    expected = [(worker, part.start) for worker in range(workers) for part in PARTS[worker::workers]]
    assert seen == expected


def test_a_mistake_does_not_wait_for_a_thread_without_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_pool", NoCore)
    with pytest.raises(ZeroDivisionError):
        share_out(PARTS, 3, lambda *_: 1 // 0)


def test_work_is_shared_only_inside_own_threads_and_not_again_within(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    assert count_workers(10, 10**12) == 1
    monkeypatch.setattr(products, "_blas", lambda: _Blas(get=lambda: 3))
    with own_threads() as count:
        assert count == 3 and count_workers(10, 10**12) == 3
        assert count_workers(2, 10**12) == 2  # no more than there are parts
        assert count_workers(10, products.LEAST_WORK) == 1  # too little to share
        share_out(PARTS, 3, lambda *_: found.append(count_workers(10, 10**12)))
        assert count_workers(10, 10**12) == 3
    assert found == [1] * len(PARTS) and count_workers(10, 10**12) == 1


PERCEPTRONS = [  # units of the hidden layer, images in a batch
    (64, 128),
    (500, 50),
]


@pytest.fixture
def two_blas_threads() -> Iterator[None]:
    before = blas_threads()
    products._blas().set(2)
    yield
    products._blas().set(before)


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize(("units", "images"), PERCEPTRONS)
def test_a_perceptron_learns_without_threads_of_blas(units: int, images: int) -> None:
    """Its products take one thread of BLAS each, which nobody has to wait for."""
    layers = LayerSpec.parse(["flatten", f"linear {units}", "relu", "linear classes"])
    network = Network.plan(layers, (28, 28), 10)
    engine = NumpyEngine(network, network.initial_weights("torch", seed=0), EngineOptions())
    found: list[int] = []
    optimise = engine.optimiser.step
    engine.optimiser.step = lambda *given: (found.append(blas_threads()), optimise(*given))[1]
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (images, 28, 28), dtype=np.uint8)
    engine.train_step(Batch(pictures, rng.integers(0, 10, images)), 0.1)
    assert found == [1]


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize("hidden", [["flatten", "linear 64"], ["conv 8 5x5", "max-pool 2", "flatten"]])
def test_a_busy_machine_gives_the_same_bits(hidden: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network.plan(LayerSpec.parse([*hidden, "relu", "linear classes"]), (28, 28), 10)
    pictures = np.random.default_rng(0).integers(0, 256, (128, 28, 28), dtype=np.uint8)
    found = []
    for pool in (products._pool, NoCore):
        monkeypatch.setattr(products, "_pool", pool)
        engine = NumpyEngine(network, network.initial_weights("torch", seed=0), EngineOptions())
        for _ in range(2):
            engine.train_step(Batch(pictures, np.arange(128) % 10), 0.1)
        found.append(engine.store.learned.copy())
    np.testing.assert_array_equal(*found)


@pytest.fixture
def little_work_is_shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(products, "LEAST_WORK", 1)
    yield
    products._allowed.set(1)


@pytest.mark.usefixtures("little_work_is_shared")
@pytest.mark.parametrize("line", ["linear 40", "linear 4"])
def test_a_shared_linear_layer_is_the_same(line: str) -> None:
    network = Network.plan(LayerSpec.parse(["flatten", line, "linear classes"]), (11, 9), 10)
    rng = np.random.default_rng(0)
    weights = network.initial_weights("torch", seed=0)
    inputs = rng.standard_normal((37, 99))
    found = []
    for workers in (1, 3, 3):
        products._allowed.set(workers)
        layer = build_layer(network.layers[1], ParameterStore.of(network, weights, np.float64))
        outputs = layer.forward(inputs, training=True).copy()
        back = layer.backward(np.cos(np.arange(outputs.size, dtype=np.float64)).reshape(outputs.shape))
        assert back is not None
        found.append([outputs, back.copy(), *(gradient.copy() for gradient in layer.gradients.values())])
    for alone, shared, again in zip(*found, strict=True):
        np.testing.assert_allclose(shared, alone, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(again, shared)


LINES = ["conv 6 3x3 padding same", "conv 6 3x3 stride 2", "conv 6 5x5 padding 1 no-bias"]


@pytest.mark.usefixtures("little_work_is_shared")
@pytest.mark.parametrize("line", LINES)
def test_a_shared_convolution_is_the_same(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network.plan(LayerSpec.parse(["conv 3 1x1", line, "flatten", "linear classes"]), (11, 9), 10)
    monkeypatch.setattr(products, "WINDOW_NUMBERS", 4000)  # several parts
    rng = np.random.default_rng(0)
    weights = network.initial_weights("torch", seed=0)
    inputs = rng.standard_normal((13, 11, 9, 3)).astype(np.float32)
    found = []
    for workers in (1, 3, 3):
        products._allowed.set(workers)
        layer = build_layer(network.layers[1], ParameterStore.of(network, weights))
        outputs = layer.forward(inputs, training=True).copy()
        gradient = np.cos(np.arange(outputs.size, dtype=np.float32)).reshape(outputs.shape)
        back = layer.backward(gradient)
        assert back is not None
        found.append([outputs, back.copy(), *(gradient.copy() for gradient in layer.gradients.values())])
    for alone, shared, again in zip(*found, strict=True):
        np.testing.assert_allclose(shared, alone, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(again, shared)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_threads_of_its_own() -> None:
    program = (
        "import os\n"
        "from tenfold.numpy_engine.runtime.products import share_out\n"
        "parts, seen = [slice(0, 1), slice(1, 2)], []\n"
        "share_out(parts, 2, lambda worker, part: seen.append(worker))\n"
        "child = os.fork()\n"
        "share_out(parts, 2, lambda worker, part: seen.append(worker))\n"
        "assert sorted(seen) == [0, 0, 1, 1], seen\n"
        "if not child: os._exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)
