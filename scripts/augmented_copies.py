"""MNIST several times over, to measure how cost grows: the training images, then augmented copies.

    python scripts/augmented_copies.py SOURCE_DATA_DIR OUT_DIR --times 8 [--seed 0]

SOURCE_DATA_DIR holds MNIST's files, or a folder mnist/ with them. OUT_DIR gets uncompressed IDX files
that `tenfold train RECIPE --data OUT_DIR` takes: `--times` times 60,000 training images, and MNIST's
test images as they are. Each copy is rotated, shifted and scaled anew; memory does not grow with
`--times`. Validation images held out of such a set have copies among the training images: it is for
measuring seconds and memory, not accuracy.
"""

from __future__ import annotations

import argparse
import struct
from pathlib import Path

import numpy as np

from tenfold import ImageDataset, load_dataset
from tenfold.augmentation import AugmentationDraws
from tenfold.data.idx import write_idx
from tenfold.files import replace_file
from tenfold.numpy_engine.runtime.batches import augment
from tenfold.settings import AugmentationSettings

AUGMENTATION = AugmentationSettings(rotation=10, shift=2, scale=0.1)  # degrees, pixels, share
PIECE = 4096  # images that are changed and written at once


def changed_copy(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (N, H, W), each image moved a little."""
    draws = AugmentationDraws.draw(AUGMENTATION, len(images), (images.shape[1], images.shape[2]), rng)
    if draws is None:
        return images
    return np.rint(augment(images, draws)).astype(np.uint8)


def write_images(path: Path, images: np.ndarray, times: int, seed: int) -> None:
    """An IDX file of N * times images, appended to in pieces."""
    with replace_file(path) as beside, beside.open("wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, times * len(images), *images.shape[1:]))
        for copy in range(times):
            rng = np.random.default_rng([seed, copy])
            for start in range(0, len(images), PIECE):
                piece = images[start : start + PIECE]
                file.write(np.ascontiguousarray(changed_copy(piece, rng) if copy else piece).data)


def write_copies(
    train_set: ImageDataset, test_set: ImageDataset, folder: Path, times: int, seed: int
) -> None:
    """The four files."""
    write_images(folder / "train-images-idx3-ubyte", train_set.images, times, seed)
    labels = np.tile(train_set.labels.astype(np.uint8), times)
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    write_idx(folder / "t10k-images-idx3-ubyte", test_set.images)
    write_idx(folder / "t10k-labels-idx1-ubyte", test_set.labels.astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE_DATA_DIR")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--times", type=int, default=8, help="1 is MNIST alone, uncompressed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.times < 1:
        parser.error("--times must be at least 1")
    parts = [load_dataset("mnist", split=part, data_dir=options.source) for part in ("train", "test")]
    write_copies(parts[0], parts[1], options.out, options.times, options.seed)
    print(f"{options.times * len(parts[0]):,} training images in {options.out}")


if __name__ == "__main__":
    main()
