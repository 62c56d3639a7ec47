"""How quickly pictures are read: whole folders, the first answer of a cold process, and a warm reader."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from answers import Case
from PIL import Image
from process_cost import run_measured

from tenfold.classifier import Classifier
from tenfold.reader.reading import read_picture

__all__ = ["measure_speed"]

_CANVASES, _PHOTOS, _COLD = 1000, 50, 5
_WIDTH, _HEIGHT = 4000, 3000  # pixels: 12 megapixels
_GRAIN = 6.0  # grey levels
_WARM_UP = 20


def measure_speed(cases: dict[str, list[Case]], classifier: Classifier, model: str | None) -> dict[str, Any]:
    """Canvas folder, photos of 12 megapixels, cold and warm; each but the last a process of its own."""
    read = [sys.executable, "-m", "tenfold", "read", *(["--model", model] if model else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        canvas = _copy_canvases(cases["canvas"], folder / "canvas")
        photos = _write_photos(cases["photo"], folder / "photo")
        return {
            "canvas": _time_folder(read, folder / "canvas", canvas),
            "photo_12mp": _time_folder(read, folder / "photo", photos),
            "cold": _time_cold(read, cases["canvas"][0].path, folder / "cold.json"),
            "warm_canvas": _time_warm(classifier, cases["canvas"]),
            "warm_photo": _time_warm(classifier, cases["photo"]),
        }


def _copy_canvases(cases: Sequence[Case], folder: Path) -> dict[str, str]:
    """1,000 files from those there are, again and again -> their labels by name."""
    folder.mkdir()
    labels = {}
    for index in range(_CANVASES):
        case = cases[index % len(cases)]
        name = f"{index:04}{case.path.suffix}"
        shutil.copyfile(case.path, folder / name)
        labels[name] = case.label
    return labels


def _write_photos(cases: Sequence[Case], folder: Path) -> dict[str, str]:
    """50 photos made as large as a telephone's -> their labels by name."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = {}
    for index in range(_PHOTOS):
        case = cases[index * len(cases) // _PHOTOS]
        name = f"{index:04}.jpg"
        Image.fromarray(_enlarge(case.path, rng)).save(folder / name, quality=88)
        labels[name] = case.label
    return labels


def _enlarge(path: Path, rng: np.random.Generator) -> np.ndarray:
    """uint8 (3000, 4000, 3): enlarged without distorting, its edges carried on, and fresh grain."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale = min(_WIDTH / picture.width, _HEIGHT / picture.height)
    size = round(picture.width * scale), round(picture.height * scale)
    large = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    across, down = _WIDTH - size[0], _HEIGHT - size[1]
    sides = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    padded = np.pad(large, sides, mode="edge").astype(np.float32)
    padded += _GRAIN * rng.standard_normal((_HEIGHT, _WIDTH, 1), dtype=np.float32)
    return padded.clip(0, 255).astype(np.uint8)


def _time_folder(read: Sequence[str], folder: Path, labels: dict[str, str]) -> dict[str, Any]:
    output = folder.with_suffix(".json")
    cost = run_measured([*read, str(folder), "--json"], output)
    readings = json.loads(output.read_text(encoding="utf-8"))
    right = sum(labels[Path(reading["path"]).name] == reading["text"] for reading in readings)
    return {"n": len(readings), "right": right, "digits_a_second": len(readings) / cost.wall} | asdict(cost)


def _time_cold(read: Sequence[str], path: Path, output: Path) -> dict[str, Any]:
    costs = [run_measured([*read, str(path)], output) for _ in range(_COLD)]
    return {"n": _COLD} | {
        key: statistics.median(asdict(cost)[key] for cost in costs) for key in ("wall", "cpu", "peak_mib")
    }


def _time_warm(classifier: Classifier, cases: Sequence[Case]) -> dict[str, Any]:
    """Milliseconds a picture of one digit, from file to text, after the first 20."""
    times = []
    for case in [*cases[:_WARM_UP], *cases]:
        started = time.perf_counter()
        read_picture(classifier, case.path)
        times.append(1000 * (time.perf_counter() - started))
    median, slow = np.percentile(times[_WARM_UP:], [50, 95])
    return {"n": len(cases), "median_ms": float(median), "slowest_5_percent_ms": float(slow)}
