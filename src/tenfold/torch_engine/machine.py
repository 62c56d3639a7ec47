"""Devices and threads, and what the record of a run says of them."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch

from tenfold.errors import UsageError, nearest
from tenfold.helpers import count_cores
from tenfold.networks.engine import DEVICES

# float32, float64 or bfloat16: what the recipe wants, or what this machine is faster at.

PRECISIONS = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}

_CLEAR_GAIN = 1.4  # below that the casts eat what the products save


def choose_precision(wanted: str, device: torch.device | str, *, convolutional: bool) -> torch.dtype:
    """What forward and backward compute in; with bfloat16 weights, loss and optimiser stay float32.

    auto: bfloat16 only for networks with convolutions (in small matrix products the casts cost
    more than they save) and where a probe of a few milliseconds finds the device clearly faster
    at it. Raises UsageError for a precision that is not known, or that the device does not have.
    """
    kind = torch.device(device).type
    if (kind, wanted) == ("mps", "float64"):
        raise UsageError(
            "the device mps and the precision float64",
            expected="a precision that it has",
            remedy="take float32, or --device cpu",
        )
    if (kind, wanted) == ("cuda", "bfloat16") and not torch.cuda.is_bf16_supported():
        raise UsageError(
            "this GPU and the precision bfloat16",
            expected="a precision that it has",
            remedy="take --precision float32",
        )
    if wanted in PRECISIONS:
        return PRECISIONS[wanted]
    if wanted != "auto":
        raise UsageError(f"unknown precision {wanted!r}", remedy=nearest(wanted, [*PRECISIONS, "auto"]))
    fast = convolutional and bfloat16_gain(kind) >= _CLEAR_GAIN
    return torch.bfloat16 if fast else torch.float32


@cache
def bfloat16_gain(device_type: str) -> float:
    """How many times faster bfloat16 matrix products are than float32 ones; measured once per process.

    The best of twelve, in turns and on one thread, so that a busy machine does not change the answer.
    """
    if device_type == "mps":
        return 1.0  # bfloat16 there is a storage format, not a faster unit
    kinds = (torch.float32, torch.bfloat16)
    pair = [torch.ones(256, 256, dtype=dtype, device=device_type) for dtype in kinds]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = [[_product_seconds(matrix) for matrix in pair] for _ in range(13)][1:]  # first: warm-up
    finally:
        torch.set_num_threads(threads)
    float32, bfloat16 = (min(column) for column in zip(*seconds, strict=True))
    return float32 / bfloat16


def _product_seconds(matrix: torch.Tensor) -> float:
    start = time.perf_counter()
    product = torch.mm(matrix, matrix)
    product[0, 0].item()  # waits for an accelerator
    return time.perf_counter() - start


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
