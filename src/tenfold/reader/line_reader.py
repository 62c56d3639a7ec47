"""The line reader: a network over strips, its temperature and threshold; pictures in, readings out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from tenfold.arguments import checked
from tenfold.classifier import Classifier, ModelCard
from tenfold.engines.create import Engines
from tenfold.errors import ModelError, UsageError, nearest
from tenfold.files import make_folder, replace_together
from tenfold.limits import MemoryLimit
from tenfold.networks.engine import Engine, EngineOptions
from tenfold.networks.shapes import Network
from tenfold.pictures.lines import Strip
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import CHARACTERS, OUTPUTS, Decoded, Effort, decode
from tenfold.reader.page import read_picture
from tenfold.reader.reading import Reading, score_strip
from tenfold.reader.table import make_form
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.records import pick, read_json, reading

__all__ = [
    "AnyModel",
    "LineReader",
    "build_model",
    "build_reader",
    "is_line_reader",
    "load_model",
    "load_reader",
]

_FORMAT = 2
_KIND = "line reader"
_REMEDY = "leave out --model for the reader that comes with tenfold"
_PLANNED_WIDTH = 128  # pixels: of the network as it is described; it takes strips of any width


@dataclass(frozen=True)
class ReaderCard:
    """Everything but the weights, saved as `model.json`. temperature: logits are divided by it before the
    softmax. least_confidence: of a line; below it its weakest character is "?"."""

    recipe: Recipe
    temperature: float = 1.0
    least_confidence: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "kind": _KIND,
            "characters": CHARACTERS,
            "input": {"height": Strip.HEIGHT, "mean": self.recipe.input.mean, "std": self.recipe.input.std},
            "temperature": self.temperature,
            "least_confidence": self.least_confidence,
            "recipe": self.recipe.model_dump(mode="json", exclude_none=True),
        }

    def check(self) -> None:
        """Raises ValueError for numbers that would make nonsense of every answer."""
        if not 0 < self.temperature < math.inf or not 0 <= self.least_confidence <= 1:
            raise ValueError(f"temperature {self.temperature}, least_confidence {self.least_confidence}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> ReaderCard:
        """Raises ModelError for what is not the card of a line reader, or one of other characters."""
        expected = f"a model.json of a line reader, format {_FORMAT}"
        with reading(f"{where}, of a line reader,", expected=expected, remedy=_REMEDY):
            if (values["kind"], values["format"], values["characters"]) != (_KIND, _FORMAT, CHARACTERS):
                raise ValueError(f"{values['kind']} of format {values['format']}")
            numbers = pick(values, {"temperature": "float", "least_confidence": "float"})
            card = cls(Recipe.from_dict(values["recipe"], where=where), **numbers)
            card.check()
        return card


class LineReader:
    """Reads numbers in pictures: handwritten and printed digits, and the separators between them."""

    FOLDER = Path(__file__).parent / "model"  # of the one that comes with the package

    @checked
    def __init__(self, engine: Engine, card: ReaderCard) -> None:
        self.engine, self.card = engine, card

    @property
    def network(self) -> Network:
        return self.engine.network

    @classmethod
    @checked
    def from_weights(
        cls,
        card: ReaderCard,
        weights: Mapping[str, np.ndarray],
        *,
        engine: str = "numpy",
        device: str = "cpu",
        precision: str = "float32",
    ) -> LineReader:
        """A reader that runs these weights, of any float type, in an engine. Raises ModelError."""
        recipe = card.recipe
        options = EngineOptions(
            mean=recipe.input.mean, std=recipe.input.std, loss=recipe.loss, optimiser=recipe.optimiser,
            device=device, precision=precision,
        )  # fmt: skip
        network = recipe.plan((Strip.HEIGHT, _PLANNED_WIDTH), OUTPUTS)
        floats = {name: value.astype(np.float32) for name, value in weights.items()}
        return cls(Engines.create(engine, network, floats, options), card)

    @classmethod
    @checked
    def load(
        cls, path: str | Path, *, engine: str = "numpy", device: str = "cpu", precision: str = "float32"
    ) -> LineReader:
        """From a folder, or a `model.safetensors` with its `model.json` beside it. Raises ModelError."""
        file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
        beside = file.with_name("model.json")
        words: dict[str, Any] = {"expected": "a line reader's folder", "remedy": _REMEDY}
        if not beside.is_file():
            raise ModelError(f"{path} holds no model.json", **words)
        with reading(str(beside), **words):
            card = ReaderCard.from_dict(read_json(beside), str(beside))
        with reading(str(file), **words):
            MemoryLimit.check(file.stat().st_size, file, kind=ModelError)
            weights = load_file(file)
        Engines.refuse_infinite(weights, file)
        return cls.from_weights(card, weights, engine=engine, device=device, precision=precision)

    @checked
    def save(self, path: str | Path) -> None:
        """Writes `model.safetensors` (float16) and `model.json` into the folder `path`."""
        folder = make_folder(path)
        weights = self.engine.weights().items()
        halves = {name: np.ascontiguousarray(value, np.float16) for name, value in weights}
        card = json.dumps(self.card.to_dict(), indent=2) + "\n"
        model = save(halves, metadata={"format": "tenfold"})
        replace_together((folder / "model.json", card.encode()), (folder / "model.safetensors", model))

    @checked
    def with_weights(self, weights: Mapping[str, np.ndarray]) -> LineReader:
        """The same reader with other weights, in an engine of the same kind."""
        options = self.engine.options
        return LineReader.from_weights(
            self.card, weights, engine=self.engine.name, device=options.device, precision=options.precision
        )

    def with_card(self, **changes: Any) -> LineReader:
        """The same network with another temperature or least_confidence. Raises UsageError."""
        known = {field.name for field in fields(self.card)}
        for name in changes:
            if name not in known:
                raise UsageError(f"unknown change {name!r}", remedy=nearest(name, known))
        card = replace(self.card, **changes)
        try:
            card.check()
        except (TypeError, ValueError) as error:
            expected = "temperature above 0, least_confidence from 0 to 1"
            raise UsageError(str(error), expected=expected) from error
        return LineReader(self.engine, card)

    @checked
    def read(
        self,
        picture: Any,
        *,
        pattern: str | None = None,
        length: int | None = None,
        least: float | str | None = None,
        most: float | str | None = None,
        columns: str | None = None,
        printed: bool = False,
    ) -> Reading:
        """A path, bytes, file, PIL image or array of any size -> what is written there.

        pattern, length, least, most: what each line must look like, and columns, each column of a table (see
        `make_form`); nothing else is answered then. printed: numbers between words are read, too, each as a
        line of its own. Raises DataError for what is not a picture, UsageError for a wrong pattern.
        """
        form = make_form(pattern=pattern, length=length, least=least, most=most, columns=columns)
        return read_picture(self, picture, form, printed=printed)

    @checked
    def read_strip(
        self, strip: np.ndarray, constraint: Constraint | None = None, effort: Effort | None = None
    ) -> tuple[Decoded, np.ndarray]:
        """uint8 (32, W), as `make_strip` gives it -> its text, and the columns' log-probabilities (T, 21).

        effort: what the picture may still cost; this strip is taken from it. Raises DataError for an array
        that is not a strip.
        """
        logs = score_strip(self, strip, effort)
        return decode(logs, constraint, effort), logs


AnyModel = LineReader | Classifier
"""What reads lines in pictures, or classifies single images; "kind" in `model.json` says which."""


@checked
def load_reader(path: str | Path | None = None, *, engine: str = "numpy") -> LineReader:
    """The line reader that comes with the package, or one that was adapted and saved in the folder `path`.

    It needs neither a network connection nor torch. Raises ModelError.
    """
    return LineReader.load(LineReader.FOLDER if path is None else path, engine=engine)


def load_model(path: str | Path | None = None, *, engine: str = "numpy") -> AnyModel:
    """A line reader or a classifier: a folder, or a model.safetensors with its model.json beside it. None:
    the line reader that comes with the package. Raises ModelError."""
    if path is None or is_line_reader(path):
        return load_reader(path, engine=engine)
    return Classifier.load(path, engine=engine)


def is_line_reader(path: str | Path) -> bool:
    """Whether it is a line reader that is saved there; False where its card cannot be read."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(card, dict) and "kind" in card


def build_model(card: Mapping[str, Any], weights: dict[str, np.ndarray], **options: Any) -> AnyModel:
    """A model from what `card.to_dict()` and `engine.weights()` gave; options: as `from_weights` takes them.
    Raises ModelError."""
    if "kind" in card:
        return build_reader(card, weights, **options)
    return Classifier.from_weights(ModelCard.from_dict(card, "the model"), weights, **options)


def build_reader(card: Mapping[str, Any], weights: dict[str, np.ndarray], **options: Any) -> LineReader:
    """As `build_model`, a line reader."""
    return LineReader.from_weights(ReaderCard.from_dict(card, "the model"), weights, **options)


def read_recipe() -> Recipe:
    """The network of the line reader and how it is trained."""
    return get_recipe(Path(__file__).with_name("recipe.toml"))
