"""All that the next epoch depends on, in one file that is written beside and renamed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tenfold.files import replace_file
from tenfold.records import pick, reading
from tenfold.training.history import EpochRecord, record_from_dict

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

_ENGINE, _BEST = "engine:", "best:"


@dataclass
class Checkpoint:
    """next_epoch counts from 0. Data order and augmentation are pure functions of seed and epoch
    (see data.batches); dropout's random state is in engine_state.

    best_*: of early stopping. identity: what must be equal for a resumption to make sense.
    """

    identity: dict[str, str]
    next_epoch: int
    history: list[EpochRecord]
    engine_state: dict[str, np.ndarray]
    best_epoch: int = 0
    best_loss: float = float("inf")
    best_weights: dict[str, np.ndarray] = field(default_factory=dict)
    status: str = "running"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """One safetensors file; the small parts are JSON in its metadata."""
    arrays = {_ENGINE + name: value for name, value in checkpoint.engine_state.items()}
    arrays |= {_BEST + name: value for name, value in checkpoint.best_weights.items()}
    metadata = {
        "identity": checkpoint.identity,
        "next_epoch": checkpoint.next_epoch,
        "history": [asdict(record) for record in checkpoint.history],
        "best_epoch": checkpoint.best_epoch,
        "best_loss": checkpoint.best_loss,
        "status": checkpoint.status,
    }
    packed = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in arrays.items()}
    with replace_file(path) as beside:
        save_file(packed, beside, metadata={"tenfold": json.dumps(metadata)})


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote. Raises ModelError."""
    expected, remedy = "a checkpoint of this version of tenfold", "train again without --resume"
    with reading(str(path), expected=expected, remedy=remedy), safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["tenfold"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata["history"] = [record_from_dict(row) for row in metadata["history"]]
        pick(metadata, {"identity": "dict", "next_epoch": "int", "best_epoch": "int", "status": "str"})
        return Checkpoint(engine_state=_part(arrays, _ENGINE), best_weights=_part(arrays, _BEST), **metadata)


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
