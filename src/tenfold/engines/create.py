"""A recipe or weights -> an engine, or several as one; and the check of a recipe's gradients.

The packages of the engines are imported only here, and lazily.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import MissingDependencyError, ModelError, TenfoldError, UsageError, nearest
from tenfold.helpers import Ranks, wait_without_spinning
from tenfold.networks.engine import Engine, EngineOptions, EnsembleEngine
from tenfold.networks.shapes import Network
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe

__all__ = ["Engines", "preload_engine"]

DEVICES = ("auto", "cpu", "cuda", "mps")
# the module and the class that make each engine
ENGINES = {
    "numpy": ("tenfold.numpy_engine.engine", "NumpyEngine"),
    "torch": ("tenfold.torch_engine.engine", "TorchEngine"),
}


class Engines:
    """The engines by name: which of them a training takes, and one that holds given weights."""

    @staticmethod
    def check_names(engine: str = "auto", device: str = "cpu") -> None:
        """Raises UsageError for an engine or a device that is not known, MissingDependencyError without
        torch."""
        for kind, name, known in (("engine", engine, [*ENGINES, "auto"]), ("device", device, DEVICES)):
            if name not in known:
                raise UsageError(f"unknown {kind} {name!r}", remedy=nearest(name, known))
        if engine == "torch":
            _need_torch("the PyTorch engine")

    @staticmethod
    def prefer(wanted: str, recipe: Recipe, device: str) -> str:
        """What is wanted for a training; for auto what the recipe prefers, on a processor, where the
        precision is not one that only PyTorch has."""
        free = wanted == "auto" and device == "cpu" and recipe.training.precision != "bfloat16"
        return recipe.training.engine if free else wanted

    @staticmethod
    def check(recipe: Recipe, engine: str = "auto", device: str = "cpu", ranks: int = 1) -> str:
        """Before data are read: the engine, numpy or torch, that will train `recipe` in so many processes.

        Raises UsageError for an engine or a device that is not known, a device that is not there, or a
        device, a precision or several processes that the engine does not have; MissingDependencyError without
        torch where it is needed.
        """
        chosen = Engines._choose_for(recipe, engine, device)
        if chosen == "numpy" and ranks > 1:
            found = f"WORLD_SIZE={ranks}, but the NumPy engine trains in one process"
            raise UsageError(found, remedy="take --engine torch, or start it without torchrun")
        if chosen == "torch" and device != "cpu":
            machine = import_module("tenfold.torch_engine.machine")
            where = machine.choose_device(device)
            machine.choose_precision(recipe.training.precision, where, convolutional=False)
        return chosen

    @staticmethod
    def _choose_for(recipe: Recipe, engine: str, device: str) -> str:
        """As `check`, whether the device is there or not."""
        wanted = Engines.prefer(engine, recipe, device)
        return Engines._choose(wanted, recipe.convolutional, device, recipe.training.precision)

    @staticmethod
    def _choose(wanted: str, convolutional: bool, device: str, precision: str) -> str:
        """auto: torch for a device or a precision that only PyTorch has, and for networks with convolutions
        where torch is installed; else numpy."""
        Engines.check_names(wanted, device)
        needs = "the precision bfloat16" if precision == "bfloat16" else ""  # what only PyTorch has
        if device not in ("cpu", "auto"):
            needs = f"the device {device}"
        if wanted == "auto" and needs:
            _need_torch(needs)
        if wanted == "auto":
            return "torch" if needs or (convolutional and find_spec("torch")) else "numpy"
        if wanted == "numpy" and needs:
            expected = "the processor (device cpu), in float32 or float64"
            remedy = "take --engine torch, or leave out that device or precision"
            raise UsageError(f"the NumPy engine and {needs}", expected=expected, remedy=remedy)
        return wanted

    @staticmethod
    def join_ranks() -> AbstractContextManager[Ranks]:
        """The processes that torchrun started, this one among them; by itself it is the only one.

        Raises UsageError where they do not meet, MissingDependencyError without torch.
        """
        if Ranks.started() == 1:
            return nullcontext(Ranks())
        _need_torch("training in several processes (WORLD_SIZE)")
        joined: AbstractContextManager[Ranks] = import_module("tenfold.torch_engine.ranks").TorchRanks.join()
        return joined

    @staticmethod
    def create(
        wanted: str,
        network: Network,
        weights: dict[str, np.ndarray],
        options: EngineOptions,
        *,
        views: int = 1,
    ) -> Engine:
        """An engine ("numpy", "torch" or "auto") that holds copies of these weights, of one network or of
        several (`EnsembleEngine.split`), and answers for so many views of an image.

        Raises ModelError where weights and network do not fit or weights are not finite; UsageError for a
        device or a precision that the engine does not have, MissingDependencyError without torch.
        """
        Engines.refuse_infinite(weights, "the weights")
        own = network.own_engine
        if own and wanted not in ("auto", own):
            found, expected = (
                f"the engine {wanted} and a layer or network written for {own}",
                f"engine={own!r}",
            )
            raise UsageError(found, expected=expected)
        chosen = Engines._choose(own or wanted, network.convolutional, options.device, options.precision)
        module, name = ENGINES[chosen]
        make: Callable[..., Engine] = getattr(import_module(module), name)
        members = [make(network, each, options) for each in EnsembleEngine.split(weights)]
        return EnsembleEngine.combine(members, views)

    @staticmethod
    def refuse_infinite(weights: Mapping[str, np.ndarray], where: object) -> None:
        """Raises ModelError where a weight is NaN or infinite: every answer would be nonsense."""
        for name, value in weights.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                found = f"{where}: {name!r} holds NaN or infinite numbers"
                remedy = "train again; `tenfold doctor` says why a training diverged"
                raise ModelError(found, expected="finite weights", remedy=remedy)

    @staticmethod
    def describe(name: str, device: str = "cpu") -> dict[str, Any]:
        """What an engine says of its libraries and threads, and NumPy of its own, for the record of a run."""
        products = import_module("tenfold.numpy_engine.runtime.products")
        told: dict[str, Any] = {"blas": products.describe_blas()}
        if name == "torch":
            return told | import_module("tenfold.torch_engine.machine").describe(device)
        return told | {"device": "cpu", "threads": products.most_threads()}

    @staticmethod
    def check_gradients(
        recipe: Recipe,
        *,
        image_shape: tuple[int, ...] = (28, 28),
        classes: int = 10,
        samples: int = 40,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """A row per parameter: shape, entries checked and left out at a kink, largest gradient, largest
        relative error against central differences and, where torch is installed, autograd without dropout
        (else None).

        The images are noise: what is right for any input is right for digits. The start is PyTorch's
        default, since N(0, 1) weights saturate and leave nothing to compare.
        """
        from tenfold.numpy_engine.gradcheck import GradientCheck, InsideView

        rng = np.random.default_rng(seed)
        network = recipe.plan(image_shape, classes)
        weights = network.initial_weights("torch", seed=seed)
        options = EngineOptions(loss=recipe.loss, optimiser=recipe.optimiser, seed=seed)
        images = rng.integers(0, 256, (_IMAGES, *image_shape), dtype=np.uint8)
        labels = _draw_sequences(network, rng) if network.reads_lines else rng.integers(0, classes, _IMAGES)
        check = GradientCheck.of_network(network, weights, options, images, labels, samples=samples, rng=rng)
        autograd = {}
        if find_spec("torch"):
            from tenfold.torch_engine.modules import autograd_gradients

            plain = recipe.without_dropout().plan(image_shape, classes)
            exact = replace(options, precision="float64")
            ours = InsideView.of(plain, weights, exact, images, labels).gradients
            for name, theirs in autograd_gradients(plain, weights, options, images, labels).items():
                autograd[name] = float(np.abs(ours[name] - theirs).max() / max(np.abs(theirs).max(), 1e-12))
        return [
            {
                "parameter": row.name,
                "shape": list(row.shape),
                "checked": row.checked,
                "kinks": row.kinks,
                "largest": row.largest,
                "difference_error": row.error,
                "autograd_error": autograd.get(row.name),
                "passed": row.passed(GradientCheck.TOLERANCE)
                and autograd.get(row.name, 0.0) <= GradientCheck.TOLERANCE,
            }
            for row in check.rows
        ]


def _need_torch(purpose: str) -> None:
    if find_spec("torch") is None:
        raise MissingDependencyError("torch", extra="torch", purpose=purpose)


@checked
def preload_engine(recipe: Recipe | str | Path, engine: str = "auto", device: str = "cpu") -> None:
    """Begins, in a thread, to import the engine that will train `recipe`: PyTorch takes about a second,
    in which data can be read. Whatever is wrong with it is said when the engine is made.
    """
    recipe = get_recipe(recipe)
    with suppress(TenfoldError):
        if Engines._choose_for(recipe, engine, device) == "torch":
            Thread(target=_import_quietly, daemon=True).start()


def _import_quietly() -> None:
    with suppress(OSError, AttributeError):
        _open_library()
    with suppress(TenfoldError, ImportError):
        import_module(ENGINES["torch"][0])


def _open_library() -> None:
    """Loads PyTorch's largest library without the GIL, which `import torch` holds meanwhile; that
    then finds the library there. Where this fails, the import says why."""
    torch = find_spec("torch")
    if not sys.platform.startswith("linux") or "torch" in sys.modules or torch is None or not torch.origin:
        return
    wait_without_spinning()
    library = Path(torch.origin).parent / "lib" / "libtorch_cpu.so"
    load = ctypes.CDLL(None).dlopen  # a call by ctypes releases the GIL; ctypes.CDLL(path) does not
    load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    load(os.fsencode(library), os.RTLD_NOW)


_IMAGES = 8  # in a batch whose gradients are checked


def _draw_sequences(network: Network, rng: np.random.Generator) -> np.ndarray:
    """Labels (N, L) of a line network: of every length that is sure to fit into its columns."""
    longest = max(1, network.output_shape[0] // 2)
    labels = rng.integers(0, network.classes - 1, (_IMAGES, longest))
    labels[np.arange(longest) >= rng.integers(1, longest + 1, (_IMAGES, 1))] = -1
    return labels
