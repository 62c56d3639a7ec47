"""What reading costs: CPU time, memory, the first answer of a cold process, and models on disk."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from answers import Case, Read, cpu_seconds
from common import markdown_table
from handwriting_peers import Peer
from PIL import Image, ImageFilter
from process_cost import run_measured
from reading_scores import keep_digits

from tenfold.reader.line_reader import LineReader

__all__ = ["cost_table", "enlarge", "measure_costs", "measure_strips"]

Figures = dict[str, Any]
_STRIPS, _WARM_UP, _PHOTOS, _COLD = 200, 10, 10, 5
_WIDTH, _HEIGHT = 4000, 3000  # pixels: 12 megapixels
_PART = 0.5  # of the sheet's width that the number takes at most
_GRAIN, _SEAM = 4.0, 30  # grey levels; pixels
_RAPIDOCR = """
import sys
from rapidocr import RapidOCR
params = {"Global.use_det": False, "Global.use_cls": False, "Global.log_level": "error"}
params["EngineConfig.onnxruntime.intra_op_num_threads"] = 1
print(RapidOCR(params=params)(sys.argv[1]).txts)
"""
_TENFOLD_COMMAND = (sys.executable, "-m", "tenfold", "read")
_COLD_COMMANDS = {"tenfold": _TENFOLD_COMMAND, "RapidOCR": (sys.executable, "-c", _RAPIDOCR)}
_STRIP_READERS = ("tenfold", "RapidOCR", "RapidOCR, digits only")  # in this process


def measure_costs(readers: Sequence[Peer], cheques: Sequence[Case]) -> Figures:
    """Of each reader by its name, as far as a figure applies to it."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as place:
        for reader in readers:
            entry = figures[reader.name] = {"bytes": reader.describe()["bytes"]}
            if reader.name in _COLD_COMMANDS:
                command = _COLD_COMMANDS[reader.name]
                entry["cold"] = _time_cold(command, cheques[0].path, Path(place) / "out")
            if reader.name in _STRIP_READERS:
                entry["strip"] = measure_strips(reader.read, cheques)
            if reader.name == "tenfold":
                entry["photo_12mp"] = _measure_photos(reader.read, cheques, Path(place))
    return figures


def measure_strips(read: Callable[[Any], Read], cheques: Sequence[Case]) -> Figures:
    """CPU milliseconds from a decoded picture, uint8 (H, W, 3), to its text, after the first 10."""
    strips = []
    for case in cheques[:_STRIPS]:
        with Image.open(case.path) as opened:
            strips.append(np.asarray(opened.convert("RGB")))
    times = []
    for strip in [*strips[:_WARM_UP], *strips]:
        started = time.process_time()
        read(strip)
        times.append(1000 * (time.process_time() - started))
    median, slow = np.percentile(times[_WARM_UP:], [50, 95])
    return {"n": len(strips), "median_ms": float(median), "percentile_95_ms": float(slow)}


def _measure_photos(read: Callable[[Any], Read], cheques: Sequence[Case], place: Path) -> Figures:
    """CPU milliseconds with decoding, how many are right, and the peak memory of a process that reads one."""
    rng = np.random.default_rng(0)
    times, right, path = [], 0, place / "photo.jpg"
    for case in cheques[:_PHOTOS]:
        Image.fromarray(enlarge(case.path, rng)).save(path, quality=88)
        started = cpu_seconds()
        found = read(path)
        times.append(1000 * (cpu_seconds() - started))
        right += keep_digits(found.text, doubtful="?") == case.label
    peak = run_measured([*_TENFOLD_COMMAND, str(path)], place / "out").peak_mib
    return {"n": len(times), "median_ms": statistics.median(times), "right": right, "peak_mib": peak}


def enlarge(path: Path, rng: np.random.Generator) -> np.ndarray:
    """uint8 (3000, 4000, 3): the picture enlarged in the middle of a plain sheet of its paper's colour."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale = min(_PART * _WIDTH / picture.width, _PART * _HEIGHT / picture.height)
    size = round(picture.width * scale), round(picture.height * scale)
    paper = tuple(int(level) for level in np.median(np.asarray(picture), axis=(0, 1)))
    sheet = Image.new("RGB", (_WIDTH, _HEIGHT), paper)
    mask = Image.new("L", size, 0)
    mask.paste(255, (_SEAM, _SEAM, size[0] - _SEAM, size[1] - _SEAM))
    mask = mask.filter(ImageFilter.BoxBlur(_SEAM))
    corner = (_WIDTH - size[0]) // 2, (_HEIGHT - size[1]) // 2
    sheet.paste(picture.resize(size, Image.Resampling.BICUBIC), corner, mask)
    grain = _GRAIN * rng.standard_normal((_HEIGHT, _WIDTH, 1), dtype=np.float32)
    return (np.asarray(sheet) + grain).clip(0, 255).astype(np.uint8)


def _time_cold(command: Sequence[str], path: Path, output: Path) -> Figures:
    costs = [asdict(run_measured([*command, str(path)], output)) for _ in range(_COLD)]
    return {"n": _COLD} | {
        key: statistics.median(cost[key] for cost in costs) for key in ("wall", "cpu", "peak_mib")
    }


def measure_sizes() -> Figures:
    """Of the reader that ships."""
    return {"bytes": sum(path.stat().st_size for path in LineReader.FOLDER.iterdir() if path.is_file())}


def cost_table(costs: Mapping[str, Figures], figures: Mapping[str, Mapping[str, Figures]]) -> str:
    """One column per reader; CPU times on one core."""
    rows: list[tuple[str, list[str]]] = [
        ("model on disk", [_mib(cost["bytes"] / 2**20) for cost in costs.values()]),
        ("CPU per cheque amount, from the file", [_cpu(figures[name].get("cheque")) for name in costs]),
    ]
    parts = (
        ("CPU per cheque amount, decoded", "strip", "median_ms", _ms),
        ("CPU per photo of 12 megapixels, from the file", "photo_12mp", "median_ms", _ms),
        ("peak memory of a process that reads such a photo", "photo_12mp", "peak_mib", _mib),
        ("first answer of a cold process", "cold", "wall", _seconds),
        ("peak memory of that process", "cold", "peak_mib", _mib),
    )
    for title, part, key, show in parts:
        rows.append((title, [show(cost[part][key]) if part in cost else "-" for cost in costs.values()]))
    return markdown_table(("cost, medians", *costs), [(title, *cells) for title, cells in rows])


def _cpu(entry: Figures | None) -> str:
    return "-" if entry is None else _ms(entry["cpu_ms"]["median"])


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def _mib(value: float) -> str:
    return f"{value:.1f} MiB" if value < 10 else f"{value:.0f} MiB"


def _seconds(value: float) -> str:
    return f"{value:.2f} s"
