"""What a run took: seconds per part, images per second, memory, parameters."""

from __future__ import annotations

from typing import Any

from tenfold.pages import numbers
from tenfold.report.parts import history_of, parameters_of
from tenfold.runs.folder import Run

__all__ = ["costs_section"]

Section = dict[str, Any]


def costs_section(run: Run) -> Section:
    """Rows of (part, time, share of all as a number, images, images per second), and facts beside them."""
    environment, evaluation = run.environment, run.evaluation
    trained, training = _images_trained(run), environment.get("seconds")
    parts: list[tuple[str, float | None, int | None]] = [
        ("reading the data", environment.get("loading_seconds"), None),
        ("training and validation", training, trained),
    ]
    if evaluation is not None:
        parts.append(("test images through the network", evaluation.seconds, evaluation.n))
    total = environment.get("total_seconds")
    known = sum(seconds for _, seconds, _ in parts if seconds)
    if total and total > known:
        parts.append(("all else: start, checks, saving", total - known, None))
    longest = max((seconds for _, seconds, _ in parts if seconds), default=0.0)
    peak = environment.get("peak_memory_mib")
    facts = [
        ("in all", numbers.duration(total)),
        ("peak memory", f"{peak:,.0f} MiB" if peak else ""),
        ("parameters", numbers.count(parameters_of(run))),
        ("size of the model", _model_size(run)),
        ("an epoch", _epoch_seconds(run)),
    ]
    return {
        "rows": [_row(name, each, images, longest) for name, each, images in parts if each is not None],
        "facts": [(name, value) for name, value in facts if value not in ("", numbers.NOTHING)],
        "where": ", ".join(str(environment[key]) for key in ("processor", "device") if environment.get(key)),
        "threads": environment.get("threads"),
    }


def _row(name: str, seconds: float, images: int | None, longest: float) -> Section:
    return {
        "name": name,
        "seconds": numbers.duration(seconds),
        "share": round(seconds / longest, 4) if longest else 0,
        "images": numbers.count(images),
        "rate": numbers.count(round(images / seconds)) if images and seconds else numbers.NOTHING,
    }


def _images_trained(run: Run) -> int | None:
    """Every image counted each time the networks met it."""
    history, training = history_of(run), run.recipe.training
    images = (run.environment.get("data") or {}).get("train")
    if not history or not images:
        return None
    return min(history[-1].steps * (training.batch_size or images), len(history) * images)


def _epoch_seconds(run: Run) -> str:
    seconds = sorted(record.seconds for record in history_of(run))
    return numbers.duration(seconds[len(seconds) // 2]) if seconds else ""


def _model_size(run: Run) -> str:
    path = run.folder / "model.safetensors"
    return f"{path.stat().st_size / 1024:,.0f} KiB" if path.is_file() else ""
