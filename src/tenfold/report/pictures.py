"""Which pictures of a test set a run keeps."""

from __future__ import annotations

import numpy as np

from tenfold.evaluation.evaluate import Evaluation

__all__ = ["kept_pictures"]


def kept_pictures(evaluation: Evaluation) -> dict[int, np.ndarray]:
    """Place in the test set -> uint8 (H, W), of the images that an evaluation keeps."""
    shown = evaluation.miss_index[evaluation.miss_shown]
    kept = (
        (evaluation.hit_index, evaluation.hit_images),
        (evaluation.cell_index, evaluation.cell_images),
        (shown, evaluation.miss_images),
    )
    return {int(i): image for index, images in kept for i, image in zip(index, images, strict=False)}
