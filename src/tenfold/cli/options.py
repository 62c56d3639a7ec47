"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Changes",
    "DataDir",
    "DataSource",
    "DeviceName",
    "EngineName",
    "Json",
    "ModelPath",
    "Offline",
    "Quiet",
    "ReaderEngineName",
    "Seed",
]


def _check_engine(name: str) -> str:
    """Before anything is read."""
    from tenfold.engines.create import check_engine_name

    return check_engine_name(name)


def _check_device(name: str) -> str:
    from tenfold.engines.create import check_device_name

    return check_device_name(name)


Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, progress on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="numpy, torch, or auto (torch for convolutions, else numpy).",
        callback=_check_engine,
    ),
]
ReaderEngineName = Annotated[
    str, typer.Option("--engine", help="numpy, torch, or auto.", callback=_check_engine)
]
DeviceName = Annotated[
    str,
    typer.Option("--device", help="cpu, cuda, mps or auto (PyTorch engine).", callback=_check_device),
]
DataSource = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="A data set by name (see `tenfold data`), or a path: IDX, image folder, CSV, npz.",
    ),
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of named data sets (default: TENFOLD_DATA_DIR).")
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not use the network.")]
ModelPath = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="A run's folder or a model.safetensors (default: the newest run)."),
]
