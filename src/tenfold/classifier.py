"""An engine's weights + class names + temperature: what is saved, loaded, and asked for answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors.numpy import load_file, save

from tenfold.arguments import checked
from tenfold.arrays import COLOURS, Prediction, Verdict
from tenfold.engines.create import Engines
from tenfold.errors import DataError, ModelError, UsageError
from tenfold.files import make_folder, replace_together
from tenfold.limits import MemoryLimit
from tenfold.networks.engine import Engine, EngineOptions
from tenfold.networks.own import OwnParts
from tenfold.networks.shapes import Network
from tenfold.numerics import softmax
from tenfold.pictures.normalize import Background
from tenfold.recipes.schema import Recipe
from tenfold.records import pick, read_json, reading

__all__ = ["Classifier", "ModelCard"]

_FORMAT = 1
_REMEDY = "train or export the model anew"
_VERDICT = {"temperature": "float", "rejects": "bool", "least_confidence": "float", "most_none": "float"}


@dataclass(frozen=True)
class ModelCard:
    """Everything but the weights that a classifier needs, saved as `model.json`.

    image_shape: (H, W), or (H, W, 3) for colour. mean, std: the input is (pixel / 255 - mean) / std.
    temperature: logits are divided by it before the softmax.
    background: what lies around the ink in the training images, so that a picture of the other polarity can
    be turned round; "any" is never turned.
    rejects: the network has one output more than there are classes, "none of them".
    value_range: the numbers of the training data that became the pixels 0 and 255.
    least_confidence, most_none: a verdict is "unsure" below the one, "not a digit" above the other.
    """

    recipe: Recipe
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    mean: float
    std: float
    temperature: float = 1.0
    background: Background = "any"
    value_range: tuple[float, float] = (0.0, 255.0)
    rejects: bool = False
    least_confidence: float = 0.0
    most_none: float = 1.0

    @property
    def outputs(self) -> int:
        """Of the network."""
        return len(self.class_names) + self.rejects

    @property
    def reads_ink(self) -> bool:
        """Whether pictures are read as ink framed like MNIST's: light on dark, 28x28."""
        from tenfold.pictures.normalize import SIDE  # imported lazily: only needed to open pictures

        return self.background == "dark" and self.image_shape == (SIDE, SIDE)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "class_names": list(self.class_names),
            "input": {
                "image_shape": list(self.image_shape),
                "dtype": "uint8",
                "mean": self.mean,
                "std": self.std,
                "background": self.background,
            }
            | ({} if self.value_range == (0.0, 255.0) else {"value_range": list(self.value_range)}),
            "temperature": self.temperature,
            "verdict": {
                "rejects": self.rejects,
                "least_confidence": self.least_confidence,
                "most_none": self.most_none,
            },
            "recipe": self.recipe.model_dump(mode="json", exclude_none=True),
        }

    @classmethod
    def load(cls, path: str | Path) -> ModelCard:
        """Of a run's folder or a `model.safetensors`. Raises ModelError."""
        card_path = _find_files(path)[1]
        with reading(str(card_path), expected="a model saved by tenfold", remedy=_REMEDY):
            return cls.from_dict(read_json(card_path), str(card_path))

    @classmethod
    def with_weights(cls, path: str | Path) -> tuple[ModelCard, dict[str, np.ndarray]]:
        """The card and the weights of a run's folder or a `model.safetensors`. Raises ModelError."""
        card, weights_path = cls.load(path), _find_files(path)[0]
        with reading(str(weights_path), expected="a model saved by tenfold", remedy=_REMEDY):
            MemoryLimit.check(weights_path.stat().st_size, weights_path, kind=ModelError)
            weights = load_file(weights_path)
        Engines.refuse_infinite(weights, weights_path)
        return card, weights

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> ModelCard:
        if isinstance(values, Mapping) and "kind" in values:
            raise ModelError(
                f"{where} is that of a {values['kind']}",
                expected="a model of single images",
                remedy="read pictures with `tenfold read`",
            )
        with reading(where, expected="a model.json", remedy=_REMEDY):
            if values["format"] != _FORMAT:
                raise ModelError(
                    f"{where} has format {values['format']}",
                    expected=f"format {_FORMAT}",
                    remedy="save it with this version of tenfold",
                )
            entry = pick(values["input"], {"image_shape": "ints", "mean": "float", "std": "float"})
            shape = entry["image_shape"]
            if len(shape) != 2 and shape[2:] != (COLOURS,):
                raise ValueError(f"image_shape {shape}")
            given = {"temperature": values["temperature"]} | values.get("verdict", {})
            verdict = pick(given, {key: _VERDICT[key] for key in given})
            card = cls(
                recipe=Recipe.from_dict(values["recipe"], where=where),
                class_names=pick(values, {"class_names": "strs"})["class_names"], image_shape=shape,
                mean=float(entry["mean"]), std=float(entry["std"]), background=values["input"]["background"],
                value_range=_read_range(values["input"].get("value_range", (0.0, 255.0))), **verdict,
            )  # fmt: skip
            card._check()
            return card

    def _check(self) -> None:
        """Raises ValueError for what would make nonsense of every answer."""
        if len(self.class_names) < 2 or min(self.image_shape) < 1:
            raise ValueError(f"{len(self.class_names)} classes, images of {self.image_shape}")
        sound = {
            "background": self.background in get_args(Background),
            "least_confidence": 0 <= self.least_confidence <= 1, "most_none": 0 <= self.most_none <= 1,
            "std": 0 < self.std < math.inf, "temperature": 0 < self.temperature < math.inf,
            "mean": math.isfinite(self.mean),
        }  # fmt: skip
        for name in sound:
            if not sound[name]:
                raise ValueError(f"{name} {getattr(self, name)!r}")


def _read_range(ends: Any) -> tuple[float, float]:
    """Raises ValueError unless these are two finite numbers that differ."""
    black, white = (float(end) for end in ends)
    if not (math.isfinite(black) and math.isfinite(white)) or black == white:
        raise ValueError(f"value_range {ends}")
    return black, white


class Classifier:
    """A trained network with the names of its classes: the only softmax of inference is here."""

    @checked
    def __init__(self, engine: Engine, card: ModelCard) -> None:
        self.engine, self.card = engine, card

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.card.class_names

    @property
    def network(self) -> Network:
        return self.engine.network

    @classmethod
    @checked
    def from_weights(
        cls,
        card: ModelCard,
        weights: dict[str, np.ndarray],
        *,
        engine: str = "auto",
        device: str = "cpu",
        precision: str = "float32",
        own: OwnParts | None = None,
    ) -> Classifier:
        """A classifier that runs these weights in an engine. own: parts of the network that were written in
        Python. Raises ModelError; RecipeError where such a part is missing."""
        network = card.recipe.plan(card.image_shape, card.outputs, own)
        options = EngineOptions(
            mean=card.mean, std=card.std, loss=card.recipe.loss, device=device, precision=precision
        )
        views = card.recipe.ensemble.views
        return cls(Engines.create(engine, network, weights, options, views=views), card)

    @classmethod
    @checked
    def load(
        cls, path: str | Path, *, engine: str = "auto", device: str = "cpu", precision: str = "float32",
        network: Any = None, layers: Mapping[str, type] | None = None,
    ) -> Classifier:  # fmt: skip
        """From a run's folder, or a `model.safetensors` with its `model.json` beside it.

        network, layers: what `tenfold.train` was given; its weights come from the file. Raises ModelError,
        and RecipeError where one of them is needed and missing.
        """
        card, weights = ModelCard.with_weights(path)
        own = OwnParts(network, layers or {})
        return cls.from_weights(card, weights, engine=engine, device=device, precision=precision, own=own)

    @checked
    def save(self, path: str | Path) -> None:
        """Writes `model.safetensors` and `model.json` into the folder `path`; whenever the weights are there,
        so is the card that belongs to them."""
        folder = make_folder(path)
        weights = {name: np.array(value, order="C") for name, value in self.engine.weights().items()}
        card = json.dumps(self.card.to_dict(), indent=2) + "\n"
        # One key only: safetensors writes several in a random order, and equal models in unequal files.
        packed = save(weights, metadata={"format": "tenfold"})  # save_file lets only its owner read
        replace_together((folder / "model.json", card.encode()), (folder / "model.safetensors", packed))

    @checked
    def with_weights(self, weights: dict[str, np.ndarray]) -> Classifier:
        """The same network, or networks, with other weights, in an engine of the same kind."""
        options, views = self.engine.options, self.card.recipe.ensemble.views
        engine = Engines.create(self.engine.name, self.network, weights, options, views=views)
        return Classifier(engine, self.card)

    @checked
    def with_temperature(self, temperature: float) -> Classifier:
        """The same weights with another temperature, above 0. Raises UsageError."""
        if not 0 < temperature < math.inf:
            raise UsageError(f"temperature {temperature}", expected="a number above 0")
        return Classifier(self.engine, replace(self.card, temperature=temperature))

    @checked
    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) or (N, H, W, 3) -> float32 (N, K). Raises DataError for another shape."""
        return self._outputs(images)[:, : len(self.class_names)]

    def _outputs(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K or K + 1)."""
        if images.dtype != np.uint8 or images.shape[1:] != self.card.image_shape:
            expected = f"uint8 of shape (N, {', '.join(map(str, self.card.image_shape))})"
            raise DataError(f"images are {images.dtype} of shape {images.shape}", expected=expected)
        return self.check_answers(self.engine.logits(images))

    @classmethod
    @checked
    def check_answers(cls, logits: np.ndarray) -> np.ndarray:
        """The logits again. Raises DataError where one is not finite: finite weights may be too large."""
        if not np.isfinite(logits).all():
            raise DataError(
                "the model has no finite answer for these images",
                expected="finite logits",
                remedy="train again; `tenfold doctor` says why a training diverged",
            )
        return logits

    @checked
    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> probabilities float32 (N, K)."""
        return self.to_probs(self.logits(images))

    @checked
    def to_probs(self, logits: np.ndarray) -> np.ndarray:
        """Logits (N, K) -> probabilities: softmax(logits / temperature)."""
        return softmax(logits / np.float32(self.card.temperature))

    @checked
    def predict(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> class indices int64 (N,)."""
        return self.logits(images).argmax(axis=1)

    @checked
    def judge(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (N, H, W) -> probabilities of the classes float32 (N, K), and of none of them (N,)."""
        outputs = self._outputs(images)
        classes = len(self.class_names)
        none = self.to_probs(outputs)[:, classes:].sum(axis=1)
        return self.to_probs(outputs[:, :classes]), none

    @checked
    def predictions(self, images: np.ndarray) -> list[Prediction]:
        """uint8 (N, H, W) -> one answer per image."""
        judged = zip(images, *self.judge(images), strict=True)
        return [self._prediction(image, probs, float(none)) for image, probs, none in judged]

    def classify(self, picture: Any) -> Prediction:
        """A picture of one thing, of any size -> the verdict on it. Raises DataError.

        The picture is brought to the training images' size and polarity; one of that size already is
        taken as it is.
        """
        from tenfold.pictures.normalize import fit_picture

        image = fit_picture(picture, self.card.image_shape, self.card.background, self.card.recipe.input.fit)
        return self.predictions(image[None])[0]

    def _prediction(self, image: np.ndarray, probs: np.ndarray, none: float) -> Prediction:
        best = int(probs.argmax())
        name, confidence = self.class_names[best], float(probs[best])
        verdict: Verdict = "unsure" if confidence < self.card.least_confidence else "digit"
        if none > self.card.most_none:
            verdict = "not a digit"
        return Prediction(name, confidence, probs, self.class_names, none=none, verdict=verdict, image=image)


def _find_files(path: str | Path) -> tuple[Path, Path]:
    """The weights and the card of a run's folder or a `model.safetensors`. Raises ModelError."""
    given = Path(path)
    weights_path = given / "model.safetensors" if given.is_dir() else given
    card_path = weights_path.with_name("model.json")
    for needed in (weights_path, card_path):
        if not needed.is_file():
            raise ModelError(
                f"{needed} is not there",
                expected="a run's folder, or a model.safetensors with its model.json beside it",
                remedy="train one with `tenfold train`, or list them with `tenfold runs`",
            )
    return weights_path, card_path
