"""The model that comes with the package."""

from __future__ import annotations

from pathlib import Path

from tenfold.reader.line_reader import LineReader
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe

__all__ = ["READER_FOLDER", "load_reader", "read_recipe"]

READER_FOLDER = Path(__file__).parent / "model"


def load_reader(path: str | Path | None = None, *, engine: str = "numpy") -> LineReader:
    """The line reader that comes with the package, or one that was adapted and saved in the folder `path`.

    It needs neither a network connection nor torch. Raises ModelError.
    """
    return LineReader.load(READER_FOLDER if path is None else path, engine=engine)


def read_recipe() -> Recipe:
    """The network of the line reader and how it is trained."""
    return get_recipe(Path(__file__).with_name("recipe.toml"))
