"""The validation images, and what the network makes of them."""

from __future__ import annotations

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.augmentation.draws import draw_augmentation
from tenfold.engines.base import Engine
from tenfold.metrics import accuracy
from tenfold.recipes.schema import Recipe

__all__ = ["prepare_validation", "validate"]


def prepare_validation(recipe: Recipe, val_set: ImageDataset | None, *, seed: int) -> ImageDataset | None:
    """As they are; or augmented once, where the recipe says so (data.augment)."""
    if val_set is None or not recipe.data.augment:
        return val_set
    rng = np.random.default_rng([seed, *b"validation"])
    draws = draw_augmentation(recipe.augmentation, len(val_set), val_set.image_shape, rng)
    if draws is None:
        return val_set
    from tenfold.numpy_engine.runtime.augment import augment

    images = np.rint(augment(val_set.images, draws)).astype(np.uint8)
    return ImageDataset(
        images, val_set.labels, val_set.class_names, val_set.name, val_set.note, files=val_set.files
    )


def validate(
    engine: Engine, recipe: Recipe, val_set: ImageDataset | None
) -> tuple[float | None, float | None]:
    """The recipe's loss, without label smoothing, and the accuracy."""
    if val_set is None:
        return None, None
    from tenfold.numpy_engine.losses import measure_loss  # who validates nothing need not wait for it

    logits = engine.logits(val_set.images)
    loss = measure_loss(logits, val_set.labels, recipe.loss)
    return loss, accuracy(logits.argmax(axis=1), val_set.labels)
