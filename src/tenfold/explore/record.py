"""One image of a data set: its numbers, its label, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.errors import UsageError

__all__ = ["Record", "get_record"]


@dataclass(frozen=True, eq=False)
class Record:
    """split, index: the part and the place in there. image: uint8 (H, W). file: where it came from one."""

    dataset: str
    split: str
    index: int
    label: str
    image: np.ndarray
    file: str = ""

    @property
    def title(self) -> str:
        return f"{self.dataset} ({self.split}), {self.file or f'image {self.index}'}"

    def to_dict(self) -> dict[str, Any]:
        known = {"name": self.dataset, "split": self.split, "index": self.index, "label": self.label}
        if self.file:
            known["file"] = self.file
        return known | {"image_shape": list(self.image.shape), "pixels": self.image.tolist()}


def get_record(parts: Mapping[str, ImageDataset], number: int) -> Record:
    """Image `number` of all parts, one after the other. Raises UsageError where there are not so many."""
    row = number
    for split, part in parts.items():
        if 0 <= row < len(part):
            image, label = part[row]
            file = part.files[row] if part.files else ""
            return Record(part.name, split, row, part.class_names[label], np.asarray(image), file)
        row -= len(part)
    count = sum(map(len, parts.values()))
    raise UsageError(f"image {number} of {count:,}", expected=f"0 to {count - 1}")
