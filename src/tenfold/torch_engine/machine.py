"""Devices and threads, and what the record of a run says of them."""

from __future__ import annotations

from typing import Any

import torch

from tenfold.engines.base import DEVICES
from tenfold.errors import UsageError, nearest
from tenfold.helpers import count_cores
from tenfold.torch_engine.precision import bfloat16_gain, choose_precision

__all__ = ["check_machine", "choose_device", "describe", "set_threads"]


def check_machine(device: str, precision: str) -> None:
    """Raises UsageError for a device that is not there, or that cannot compute in this precision."""
    choose_precision(precision, choose_device(device), convolutional=False)


def choose_device(wanted: str) -> torch.device:
    """auto takes cuda, mps or cpu, the first that is there. Raises UsageError for one that is not."""
    if wanted == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _present(kind)))
    if wanted not in DEVICES:
        raise UsageError(f"unknown device {wanted!r}", remedy=nearest(wanted, DEVICES))
    if not _present(wanted):
        raise UsageError(
            f"the device {wanted!r} is not there, or this build of torch cannot use it",
            remedy="take --device cpu or --device auto",
        )
    return torch.device(wanted)


def _present(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def set_threads(count: int | None = None) -> int:
    """Threads of one operation: `count`, or as many as this process has cores. Returns the number.

    Sums are split over threads, so bit-identical results need the same number of them.
    """
    if count is not None and count < 1:
        raise UsageError(f"{count} threads", expected="at least 1")
    torch.set_num_threads(count or count_cores())
    return torch.get_num_threads()


def describe(device: str = "cpu") -> dict[str, Any]:
    """For environment.json: version, device and its name, threads, gain of bfloat16 by the probe."""
    kind = choose_device(device).type
    name = torch.cuda.get_device_name() if kind == "cuda" else kind
    return {
        "torch": torch.__version__,
        "device": kind,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "bfloat16_gain": round(bfloat16_gain(kind), 2),
    }
