"""Devices and precisions: which are there, which suits, and what the record of a run says of them."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch

from tenfold.errors import UsageError, nearest

PRECISIONS = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}

_CLEAR_GAIN = 1.4  # below that the casts eat what the products save


def choose_precision(wanted: str, device: torch.device | str, *, convolutional: bool) -> torch.dtype:
    """What forward and backward compute in; with bfloat16 weights, loss and optimiser stay float32.

    auto: bfloat16 only for networks with convolutions (in small matrix products the casts cost
    more than they save) and where a probe of a few milliseconds finds the device clearly faster
    at it. Raises UsageError for a precision that is not known, or that the device does not have.
    """
    kind = torch.device(device).type
    lacking = {("mps", "float64"): ("the device mps", "take float32, or --device cpu")}
    if kind == "cuda" and not torch.cuda.is_bf16_supported():
        lacking["cuda", "bfloat16"] = "this GPU", "take --precision float32"
    if (kind, wanted) in lacking:
        name, remedy = lacking[kind, wanted]
        found, expected = f"{name} and the precision {wanted}", "a precision that it has"
        raise UsageError(found, expected=expected, remedy=remedy)
    if wanted == "auto":
        wanted = "bfloat16" if convolutional and bfloat16_gain(kind) >= _CLEAR_GAIN else "float32"
    if wanted not in PRECISIONS:
        raise UsageError(f"unknown precision {wanted!r}", remedy=nearest(wanted, [*PRECISIONS, "auto"]))
    return PRECISIONS[wanted]


@cache
def bfloat16_gain(device_type: str) -> float:
    """How many times faster bfloat16 matrix products are than float32 ones; measured once per process.

    The best of twelve, in turns and on one thread, so that a busy machine does not change the answer.
    """
    if device_type == "mps":
        return 1.0  # bfloat16 there is a storage format, not a faster unit
    pair = [torch.ones(256, 256, device=device_type).to(kind) for kind in (torch.float32, torch.bfloat16)]
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


def choose_device(wanted: str) -> torch.device:
    """auto takes cuda, mps or cpu, the first that is there. Raises UsageError for one that is not."""
    if wanted == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _present(kind)))
    if not _present(wanted):
        found = f"the device {wanted!r} is not there, or this build of torch cannot use it"
        raise UsageError(found, remedy="take --device cpu or --device auto")
    return torch.device(wanted)


def _present(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def describe(device: str = "cpu") -> dict[str, Any]:
    """For environment.json: version, device and its name, threads, gain of bfloat16 by the probe."""
    kind = choose_device(device).type
    return {
        "torch": torch.__version__,
        "device": kind,
        "device_name": torch.cuda.get_device_name() if kind == "cuda" else kind,
        "threads": torch.get_num_threads(),
        "bfloat16_gain": round(bfloat16_gain(kind), 2),
    }
