"""Several processes train one network: what torchrun starts, joined by torch.distributed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional

from tenfold.errors import TenfoldError, UsageError
from tenfold.helpers import Ranks

T = TypeVar("T")
_LOST = "another process of this training ended, or cannot be reached"
_AGAIN = "start all of them again; with --resume-if-there they go on from the last checkpoint"


class TorchRanks(Ranks):
    """The processes of torch.distributed's default group: gloo on processors, NCCL between GPUs.

    Sums are taken in an order that the number of processes alone decides, so that a run can be repeated.
    """

    def __init__(self) -> None:
        self.number, self.count = dist.get_rank(), dist.get_world_size()

    @classmethod
    @contextmanager
    def join(cls) -> Iterator[TorchRanks]:
        """The group that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT describe, until all are at the end;
        one that is joined already is left as it is. Afterwards this process is alone.

        Raises UsageError where these variables do not describe one.
        """
        if dist.is_initialized():
            yield cls()
            return
        try:
            _meet()
        except (ValueError, RuntimeError) as error:  # DistNetworkError is one of them
            found = (
                f"WORLD_SIZE={os.environ['WORLD_SIZE']}, but the processes do not meet: {str(error)[:200]}"
            )
            raise UsageError(found, remedy="start them with torchrun, or unset WORLD_SIZE") from error
        ranks = cls()
        try:
            yield ranks
            with suppress(RuntimeError):  # one that failed has said why
                dist.barrier()
        finally:
            ranks.number, ranks.count = 0, 1
            dist.destroy_process_group()

    def sum(self, tensors: Sequence[torch.Tensor]) -> None:
        """In one buffer."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._sum(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view(tensor.shape))
            start += tensor.numel()

    def _sum(self, tensor: torch.Tensor) -> torch.Tensor:
        try:
            dist.all_reduce(tensor)
        except RuntimeError as error:
            raise TenfoldError(_LOST, remedy=_AGAIN) from error
        return tensor

    def first(self, make: Callable[[], T]) -> T:
        """Where process 0 fails, it says why, and the others end with it."""
        told: list[Any] = [None, False]
        try:
            if self.number == 0:
                told = [make(), True]
        finally:
            try:
                dist.broadcast_object_list(told, src=0)
            except RuntimeError as error:
                if self.number:
                    raise SystemExit(1) from error
                raise TenfoldError(_LOST, remedy=_AGAIN) from error
        if not told[1]:
            raise SystemExit(1)
        value: T = told[0]
        return value

    def any(self, flag: bool) -> bool:
        return bool(self._sum(torch.tensor(float(flag))) > 0)


def _meet() -> None:
    """torchrun on one machine keeps its store when it restarts, with the addresses of ended processes;
    several machines get a new one."""
    store, rank, count = next(dist.rendezvous("env://"))
    alone = os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if alone else "0"
    store = dist.PrefixStore(f"tenfold/{attempt}", store)
    dist.init_process_group(_choose_backend(), store=store, rank=rank, world_size=count)


def _choose_backend() -> str:
    """Each process takes a GPU of its own where there are enough; NCCL refuses two on one."""
    if not torch.cuda.is_available():
        return "gloo"
    own, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    torch.cuda.set_device(own % there)
    enough = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= there
    return "cpu:gloo,cuda:nccl" if enough else "gloo"


class BatchNorm(nn.SyncBatchNorm):
    """Over the images of all processes: PyTorch's own on a GPU; on a processor, where that refuses, ours."""

    def __init__(self, channels: int, ranks: Ranks) -> None:
        super().__init__(channels, eps=1e-5, momentum=0.1)
        self.ranks = ranks
        self.register_buffer("num_batches_tracked", torch.tensor(0), persistent=False)  # not a parameter

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.is_cuda or not self.training or self.ranks.count == 1:
            outputs: torch.Tensor = super().forward(inputs)
        else:
            outputs = _Normalise.apply(inputs, self.weight, self.bias, self)
        return outputs


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias with the moments of all processes' rows (Ioffe & Szegedy
    2015); the sums are added in float64."""

    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, norm: BatchNorm
    ) -> torch.Tensor:
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        own, count = inputs.numel() // len(weight), norm.ranks.total * prod(inputs.shape[2:])
        sums = torch.zeros(2, len(weight), dtype=torch.float64)
        if own:
            var, mean = torch.var_mean(inputs.to(weight.dtype), axes, correction=0)
            sums = torch.stack([mean, var]).double()
            sums[1] += sums[0].square()
            sums *= own
        norm.ranks.sum([sums])
        mean, var = sums / count
        var = (var - mean.square()).clamp(min=0)
        for running, found in ((norm.running_mean, mean), (norm.running_var, var * (count / (count - 1)))):
            running.lerp_(found.to(running.dtype), norm.momentum)  # type: ignore[union-attr, arg-type]
        mean, var = mean.to(weight.dtype), var.to(weight.dtype)
        ctx.save_for_backward(inputs, weight, mean, var)
        ctx.norm, ctx.count = norm, count
        return functional.batch_norm(inputs, mean, var, weight, bias, eps=norm.eps)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """With s = weight / sqrt(var + eps) and z the normalised input:
        s * (gradient - mean(gradient) - z * mean(gradient * z)), both means over all processes."""
        inputs, weight, mean, var = ctx.saved_tensors
        back, to_weight, to_bias = torch.empty_like(gradient), *torch.zeros_like(torch.stack([weight, mean]))
        if len(inputs):  # of none PyTorch divides by zero
            back, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
                gradient, inputs, weight, mean, var, None, None, False, ctx.norm.eps, [True, True, True]
            )
        sums = torch.stack([to_weight, to_bias]).double()
        ctx.norm.ranks.sum([sums])
        product, shift = (sums / ctx.count).to(weight.dtype)
        inverse = (var + ctx.norm.eps).rsqrt()
        by_input = weight * inverse * inverse * product
        constant = weight * inverse * shift - by_input * mean
        shape = (1, -1, *[1] * (inputs.ndim - 2))
        back.sub_(constant.view(shape)).addcmul_(inputs, by_input.to(back.dtype).view(shape), value=-1)
        return back, to_weight, to_bias, None
