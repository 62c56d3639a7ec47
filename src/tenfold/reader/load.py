"""The model that comes with the package."""

from __future__ import annotations

from pathlib import Path

from tenfold.classifier import Classifier

__all__ = ["READER_FOLDER", "load_reader"]

READER_FOLDER = Path(__file__).parent / "model"


def load_reader(*, engine: str = "numpy") -> Classifier:
    """The reader of handwritten digits that comes with the package; needs neither network nor torch."""
    return Classifier.load(READER_FOLDER, engine=engine)
