"""The state of a NumPy generator as a plain array, for checkpoints without pickle."""

from __future__ import annotations

import numpy as np

__all__ = ["pack_random_state", "unpack_random_state"]

_WORD = (1 << 64) - 1


def pack_random_state(rng: np.random.Generator) -> np.ndarray:
    """uint64 (6,): PCG64's 128-bit state and increment, low word first, and the half-used draw."""
    state = rng.bit_generator.state
    words = [state["state"]["state"], state["state"]["inc"]]
    halves = [half for word in words for half in (word & _WORD, word >> 64)]
    return np.array([*halves, state["has_uint32"], state["uinteger"]], np.uint64)


def unpack_random_state(rng: np.random.Generator, packed: np.ndarray) -> None:
    """Sets a PCG64 generator (NumPy's default) to a packed state."""
    low, high, low_step, high_step, has_half, half = (int(word) for word in packed)
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": low | high << 64, "inc": low_step | high_step << 64},
        "has_uint32": has_half,
        "uinteger": half,
    }
