"""What augmenting an epoch of 60,000 digits costs, random numbers included.

    python benchmarks/augmentation_speed.py [--rounds 5] [--quick] [--readme]

tenfold in NumPy and in PyTorch, in batches of 128 and of 4,096, against the usual way, an image at a
time: Pillow as torchvision's RandomRotation, RandomAffine, RandomCrop and RandomErasing call it (nearest
pixel, their default; tenfold interpolates), SciPy for elastic distortion and stroke width. The usual way
runs on a tenth of the images, and its seconds are given for all. Rounds alternate between all of
them, with a rest of 0.1 s before each.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, machine, markdown_table, publish, rest
from PIL import Image, ImageOps
from scipy import ndimage

from tenfold import get_recipe, load_dataset
from tenfold.augmentation import AugmentationDraws
from tenfold.numpy_engine.runtime.batches import augment as augment_in_numpy
from tenfold.numpy_engine.runtime.memory import Space
from tenfold.settings import AugmentationSettings
from tenfold.torch_engine.augment import augment as augment_in_torch

BATCHES = (128, 4096)
PEER, PEER_SHARE = "Pillow and SciPy, one by one", 10  # which does one image in ten
TOGETHER = {
    "rotation": 10, "shear": 8, "shift": 1.5, "scale": 0.06, "crop_padding": 2, "elastic": 0.8,
    "stroke_width": 0.6, "erasing": 0.25,
}  # fmt: skip
CASES = {
    "rotation and crop (augmentation tutorial)": get_recipe("mlp-128-64-augmented").augmentation,
    "rotation, shift, scale (`cnn`)": get_recipe("cnn").augmentation,
    "elastic and stroke width": AugmentationSettings(elastic=0.8, stroke_width=0.6),
    "all together": AugmentationSettings(**TOGETHER),
}
NOISE = np.random.default_rng(0)  # the peer's
CROSS = ndimage.generate_binary_structure(2, 1)


def change_one(pixels: np.ndarray, s: AugmentationSettings, rng: random.Random) -> np.ndarray:
    """One uint8 image (H, W) -> float32, a transform after the other."""
    if s.stroke_width:
        pixels = change_stroke(pixels, rng.uniform(-s.stroke_width, s.stroke_width))
    if s.elastic:
        pixels = distort(pixels, s)
    if s.rotation or s.crop_padding:
        pixels = move_and_crop(pixels, s, rng)
    if s.erasing and rng.random() < s.erasing:
        pixels = erase(pixels, rng)
    return pixels.astype(np.float32)


def change_stroke(pixels: np.ndarray, width: float) -> np.ndarray:
    change = ndimage.grey_dilation if width > 0 else ndimage.grey_erosion
    changed = change(pixels, footprint=CROSS)
    return ((1 - abs(width)) * pixels + abs(width) * changed).astype(np.uint8)


def distort(pixels: np.ndarray, s: AugmentationSettings) -> np.ndarray:
    """Simard et al. 2003 as it is commonly written."""
    amount = s.elastic * 2 * math.sqrt(math.pi) * s.elastic_smoothness
    moves = [
        amount * ndimage.gaussian_filter(NOISE.standard_normal(pixels.shape), s.elastic_smoothness)
        for _ in range(2)
    ]
    return ndimage.map_coordinates(pixels, np.indices(pixels.shape) + moves, order=1)


def move_and_crop(pixels: np.ndarray, s: AugmentationSettings, rng: random.Random) -> np.ndarray:
    """torchvision's RandomRotation or RandomAffine, then RandomCrop with padding, on Pillow images."""
    picture = Image.fromarray(pixels)
    angle = rng.uniform(-s.rotation, s.rotation)
    if s.shift or s.scale or s.shear:
        matrix = invert_affine(math.radians(angle), s, rng, picture.size)
        picture = picture.transform(picture.size, Image.Transform.AFFINE, matrix)
    elif s.rotation:
        picture = picture.rotate(angle)
    if s.crop_padding:
        width, height = picture.size
        left, top = rng.randint(0, 2 * s.crop_padding), rng.randint(0, 2 * s.crop_padding)
        picture = ImageOps.expand(picture, s.crop_padding).crop((left, top, left + width, top + height))
    return np.asarray(picture)


def invert_affine(
    angle: float, s: AugmentationSettings, rng: random.Random, size: tuple[int, int]
) -> tuple[float, ...]:
    """Output pixel -> input pixel, about the middle."""
    shear, scale = (
        math.tan(math.radians(rng.uniform(-s.shear, s.shear))),
        rng.uniform(1 - s.scale, 1 + s.scale),
    )
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    a, b, d, e = cosine + shear * sine, sine - shear * cosine, -sine, cosine
    x, y = size[0] / 2 + rng.uniform(-s.shift, s.shift), size[1] / 2 + rng.uniform(-s.shift, s.shift)
    return a, b, size[0] / 2 - a * x - b * y, d, e, size[1] / 2 - d * x - e * y


def erase(pixels: np.ndarray, rng: random.Random) -> np.ndarray:
    pixels = pixels.copy()
    height, width = (round(rng.uniform(size / 8, size / 3)) for size in pixels.shape)
    y, x = rng.randint(0, pixels.shape[0] - height), rng.randint(0, pixels.shape[1] - width)
    pixels[y : y + height, x : x + width] = 0
    return pixels


def one_by_one(images: np.ndarray, settings: AugmentationSettings) -> None:
    rng = random.Random(0)
    for pixels in images:
        change_one(pixels, settings, rng)


Augment = Callable[[np.ndarray, AugmentationDraws], object]


def by_batches(images: np.ndarray, settings: AugmentationSettings, batch: int, augment: Augment) -> None:
    rng = np.random.default_rng(0)
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        draws = AugmentationDraws.draw(settings, len(part), part.shape[1:], rng)
        if draws is not None:
            augment(part, draws)


def contestants(images: np.ndarray, settings: AugmentationSettings) -> dict[str, Callable[[], None]]:
    """Name -> one epoch; the peer's is a tenth of one."""
    space = Space(np.float32)
    engines: dict[str, Augment] = {
        "tenfold, NumPy": lambda part, draws: augment_in_numpy(part, draws, space=space),
        "tenfold, PyTorch": lambda part, draws: augment_in_torch(torch.tensor(part), draws),
    }
    entries: dict[str, Callable[[], None]] = {}
    for name, augment in engines.items():
        for batch in BATCHES:
            entries[f"{name}, batches of {batch}"] = lambda b=batch, a=augment: by_batches(
                images, settings, b, a
            )  # type: ignore[misc]
    entries[PEER] = lambda: one_by_one(images[::PEER_SHARE], settings)
    return entries


def measure(run: Callable[[], None], share: int) -> tuple[float, float]:
    """Wall and CPU seconds of `share` times what it does."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return share * (time.perf_counter() - wall), share * (time.process_time() - cpu)


def run_case(images: np.ndarray, settings: AugmentationSettings, rounds: int, share: int) -> dict[str, Any]:
    """Wall and CPU seconds of every round for `share` times the images, after one that warms up."""
    entries = contestants(images, settings)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in entries}
    for number in range(rounds + 1):
        for name, run in entries.items():
            rest()
            spent = measure(run, share * PEER_SHARE if name == PEER else share)
            seconds[name] += [spent] if number else []
    walls, cpus = ({name: [one[i] for one in some] for name, some in seconds.items()} for i in (0, 1))
    peer = walls[PEER]
    ratios = {
        name: [theirs / ours for theirs, ours in zip(peer, some, strict=True)] for name, some in walls.items()
    }
    return {"wall": walls, "cpu": cpus, "peer_over_ours": ratios}


def rows(case: str, result: dict[str, Any]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for name, walls in result["wall"].items():
        ratios = result["peer_over_ours"][name]
        lines.append(
            (
                case,
                name,
                f"{statistics.median(walls):.3f} ({min(walls):.3f} to {max(walls):.3f})",
                f"{statistics.median(result['cpu'][name]):.3f}",
                f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
            )
        )
    return lines


def report(results: dict[str, Any], count: int, rounds: int, options: argparse.Namespace) -> None:
    columns = ("change", "how", "seconds per epoch", "CPU seconds", "times as fast as one by one")
    table = markdown_table(columns, [line for case, result in results.items() for line in rows(case, result)])
    host = machine()
    note = (
        f"Medians (and extremes) of n = {rounds} alternating rounds of {count:,} images of 28x28, random "
        f"numbers included. One by one runs on every tenth image, and its seconds are given for all. "
        f"{host['processor']}, {host['threads']} threads, NumPy {host['numpy']} ({host['blas']}), "
        f"torch {host['torch']}. "
        "Made by `python benchmarks/augmentation_speed.py`."
    )
    settings = {case: chosen.model_dump() for case, chosen in CASES.items()}
    document = {"n": rounds, "settings": settings, "results": results}
    publish("augmentation_speed", table, note, document, readme=options.readme, folder=options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="three rounds of 12,000 images, scaled up")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    images = np.ascontiguousarray(load_dataset("mnist", data_dir=options.data_dir).images)
    rounds, share = (3, 5) if options.quick else (options.rounds, 1)
    images = images[: len(images) // share]
    results = {case: run_case(images, settings, rounds, share) for case, settings in CASES.items()}
    report(results, len(images) * share, rounds, options)


if __name__ == "__main__":
    main()
