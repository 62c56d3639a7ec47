"""The whole of a recipe: complete, frozen, unknown keys refused."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from tenfold.arguments import checked
from tenfold.errors import RecipeError, nearest
from tenfold.networks.layers import LayerSpec
from tenfold.networks.own import OwnParts
from tenfold.networks.shapes import Network
from tenfold.settings import (
    AugmentationSettings,
    InputSettings,
    LossSettings,
    OptimiserSettings,
    ScheduleSettings,
    Section,
    Share,
)

__all__ = ["EnsembleSettings", "PublishedEpoch", "Recipe", "SearchRange", "toml_value"]

IN_LAYERS = "network.layers."
_LONGEST = 200  # characters of a wrong value that a message repeats

Count = Annotated[int, Field(ge=0)]


class DataSettings(Section):
    """default: the data set trained on when the user names none.
    validation: the share of the training images held out. stratified: the same share per class.
    augment: validation images are augmented too, once and for all (as in the augmentation tutorial; it
    makes them harder).
    """

    default: str = "mnist"
    validation: Annotated[float, Field(ge=0, lt=1)] = 1 / 6
    stratified: bool = True
    augment: bool = False


class NetworkSettings(Section):
    """layers: from the image to the logits, one line each, as below. initialise: first weights; normal is
    N(0, 1), xavier after Glorot & Bengio 2010, kaiming after He et al. 2015, torch as PyTorch starts.
    start_from: a run folder or model whose weights of the same name and shape are taken over
    (transfer learning); the others, such as a head for other classes, start as initialised.
    """

    layers: tuple[str | dict[str, Any], ...]
    initialise: Literal["normal", "xavier", "kaiming", "torch"] = "torch"
    start_from: str = ""


class TrainingSettings(Section):
    """epochs: passes over the training images. min_steps: more epochs where they would be fewer steps, as
    on small data sets. steps: exactly so many of the optimiser's steps instead, be it a part of an epoch;
    0 is off. batch_size: images per step; 0 is all of them. shuffle: anew every epoch. drop_last: leave out
    an incomplete last batch. patience: stop after so many epochs without a lower validation loss and keep
    the best weights; 0 is off. average_decay: of the running average of the weights, which is what is
    kept at the end; 0 is off. precision: float32; float64, with which both engines give the same figures
    on any machine; bfloat16 (PyTorch engine); or auto, which takes bfloat16 in the PyTorch engine where a
    probe finds the machine faster at it. engine: numpy or torch trains on a processor where none is asked
    for; auto is PyTorch for networks with convolutions where it is installed, else NumPy.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    min_steps: Count = 0
    steps: Count = 0
    batch_size: Count = 128
    shuffle: bool = True
    drop_last: bool = False
    patience: Count = 0
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["float32", "float64", "bfloat16", "auto"] = "float32"
    engine: Literal["auto", "numpy", "torch"] = "auto"

    def plan_steps(self, images: int) -> tuple[int, int, int]:
        """(epochs, steps per epoch, steps in all) of one network over so many training images."""
        size = min(self.batch_size, images) or images
        each = images // size if self.drop_last else ceil(images / size)
        epochs = max(self.epochs, ceil(self.min_steps / each))
        if self.steps:
            epochs = ceil(self.steps / each)
        return epochs, each, self.steps or epochs * each


class EnsembleSettings(Section):
    """members: networks trained one after another, each from a seed of its own; their probabilities
    are averaged. views: of each image when it is asked about (test-time augmentation), whose
    probabilities are averaged too: 1 is the image itself; 5 adds it moved by one pixel up, down, left
    and right; 9 the diagonals too. Black comes in at the edge.
    """

    members: Annotated[int, Field(ge=1)] = 1
    views: Literal[1, 5, 9] = 1


class PublishedEpoch(Section):
    """A line of a published history; epoch counted from 1, accuracies as shares."""

    epoch: Annotated[int, Field(ge=0)]
    train_loss: float | None = None
    train_accuracy: Share | None = None
    val_loss: float | None = None
    val_accuracy: Share | None = None


class Published(Section):
    """The figures of the source document, for comparison; None where it gives none."""

    train_loss: float | None = None
    train_accuracy: Share | None = None
    val_loss: float | None = None
    val_accuracy: Share | None = None
    test_accuracy: Share | None = None
    parameters: int | None = None
    remark: str = ""
    epochs: tuple[PublishedEpoch, ...] = ()


class SearchRange(Section):
    """Where `tenfold search` looks for one value: from low to high, both included, or among choices.

    low, high: the ends of a range. log: powers of ten are equally likely, as suits learning rates.
    integer: whole numbers only. choices: values to choose among, in place of a range.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        ends = (self.low, self.high)
        if self.choices:
            if ends != (None, None) or self.log or self.integer:
                raise ValueError("choices stand alone, without low, high, log and integer")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high are needed, or choices")
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"with log, low ({self.low:g}) must be greater than 0")
        if self.integer and (self.low % 1 or self.high % 1):
            raise ValueError("with integer, low and high must be whole numbers")
        return self

    @model_serializer(mode="wrap")
    def _only_what_counts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was not written is not written again: {"low": 0.0, "high": 0.4}."""
        flags = [flag for flag in ("log", "integer") if getattr(self, flag)]
        values = handler(self)
        return {key: values[key] for key in (("choices",) if self.choices else ("low", "high", *flags))}


class Recipe(Section):
    """What to train. `tenfold recipes show NAME` prints one; write your own and train it by path.
    Raises RecipeError for values that make no sense.

    name: of letters, digits, dots and dashes. title, description: in words. source: where it comes from.
    search: dotted key (as --set takes it, in quotes) -> where `tenfold search` looks for its value.
    colour: dotted key -> its value where images are in colour.
    """

    # what is written about a recipe or for `tenfold search`, and makes no difference to a training
    NOT_TRAINED: ClassVar = frozenset({"title", "source", "description", "published", "search", "colour"})

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: str = ""
    source: str = ""
    description: str = ""
    data: DataSettings = DataSettings()
    input: InputSettings = InputSettings()
    network: NetworkSettings
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    training: TrainingSettings = TrainingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    ensemble: EnsembleSettings = EnsembleSettings()
    published: Published = Published()
    search: dict[str, SearchRange] = Field(default_factory=dict)
    colour: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ctc_of_columns(self) -> Self:
        last = self.network.layers[-1] if self.network.layers else ""
        columns = isinstance(last, str) and last.split()[:1] == ["columns"]
        if self.loss.name == "ctc" and not columns:
            raise ValueError("loss.name = 'ctc' needs a network whose last layer is 'columns'")
        if columns and self.loss.name != "ctc":
            raise ValueError(f"the last layer 'columns' needs loss.name = 'ctc', not {self.loss.name!r}")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _refused_in_one_line(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Last, so that it sees what the checks above find."""
        try:
            return handler(value)
        except ValidationError as error:
            raise _say(error.errors(), value) from error

    @classmethod
    @checked
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
        """A dictionary of the TOML's form -> Recipe. Raises RecipeError that names the key and the nearest
        known one."""
        _refuse_huge(values, where)
        try:
            recipe = cls.model_validate(values)
            LayerSpec.parse(recipe.network.layers)
            for dotted in recipe.colour:
                recipe.value_at(dotted)
        except RecipeError as error:
            found = f"{where}: {error.found}"
            raise RecipeError(found, expected=error.expected, remedy=error.remedy) from error
        return recipe

    def to_toml(self) -> str:
        """The complete recipe, defaults written out; read as TOML it gives the same recipe."""
        values = self.model_dump(exclude_none=True)
        tables = {name: table for name, table in values.items() if isinstance(table, dict)}
        lines = [f"{key} = {toml_value(value)}" for key, value in values.items() if key not in tables]
        for name, table in tables.items():
            if table or name not in ("search", "colour"):
                pairs = ((json.dumps(key) if "." in key else key, value) for key, value in table.items())
                lines += ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in pairs)]
        return "\n".join(lines) + "\n"

    @checked
    def value_at(self, dotted: str) -> Any:
        """What `change_recipe` would replace. Raises RecipeError."""
        if not dotted.startswith(IN_LAYERS):
            return look_up(self.model_dump(), dotted.split("."))
        known, which = LayerSpec.numbers(self.network.layers), dotted.removeprefix(IN_LAYERS)
        if which not in known:
            raise RecipeError(f"no layer {which!r} has a number", remedy=nearest(which, known))
        return known[which]

    @classmethod
    @checked
    def parse_change(cls, text: str) -> tuple[str, Any]:
        """ "training.epochs=3" -> ("training.epochs", 3); the value is TOML, or else a plain string."""
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise RecipeError(f"{text!r} changes nothing", expected="KEY=VALUE, such as training.epochs=3")
        try:
            return key.strip(), tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            return key.strip(), value.strip()

    @property
    def convolutional(self) -> bool:
        """Whether there is a convolution among the layers, or inside one."""
        return not {"conv", "depthwise"}.isdisjoint(self.kinds)

    @property
    def kinds(self) -> list[str]:
        """Of all layers, those inside residuals too."""
        specs = LayerSpec.parse(self.network.layers)
        return [each.kind for spec in specs for each in spec.walk()]

    def without_dropout(self) -> Recipe:
        """The same network without its dropout layers, inside residuals too."""
        network = self.network.model_copy(update={"layers": _drop(self.network.layers)})
        return self.model_copy(update={"network": network})

    @checked
    def plan(self, image_shape: tuple[int, ...], classes: int, own: OwnParts | None = None) -> Network:
        """The network, sized for images of (H, W) or (H, W, 3) and a number of classes. Raises RecipeError.

        own: the parts written in Python that its lines name.
        """
        if classes < 1 or min(image_shape) < 1:
            raise RecipeError(f"images of {image_shape}, {classes} classes", expected="numbers above 0")
        specs = (own or OwnParts()).fill(LayerSpec.parse(self.network.layers))
        return Network.plan(specs, image_shape, classes)


def look_up(values: dict[str, Any], path: Sequence[str]) -> Any:
    """What stands at this path in a recipe's values. Raises RecipeError."""
    found: Any = values
    for part in path:
        if not isinstance(found, Mapping) or part not in found:
            known = [
                f"{table}.{key}" if isinstance(inner, Mapping) else table
                for table, inner in values.items()
                for key in (inner if isinstance(inner, Mapping) else [table])
            ]
            dotted = ".".join(path)
            raise RecipeError(f"unknown key {dotted!r}", remedy=nearest(dotted, known))
        found = found[part]
    return found


def toml_value(value: Any) -> str:
    """A value of a recipe as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes as TOML does, but leaves alone what a terminal would obey or an editor hide.
        text = json.dumps(value, ensure_ascii=False)
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return repr(value)


def _refuse_huge(value: Any, where: str) -> None:
    """Whole numbers that no engine can take, some of which Python does not even print."""
    if isinstance(value, int) and abs(value) >= 2**63:
        raise RecipeError(f"{where}: a whole number of {value.bit_length()} bits", expected="at most 63 bits")
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _refuse_huge(inner, where)


def _drop(lines: Sequence[str | dict[str, Any]]) -> tuple[str | dict[str, Any], ...]:
    kept = (line for line in lines if isinstance(line, Mapping) or not line.startswith("dropout"))
    return tuple(
        {"residual": list(_drop(line["residual"]))} if isinstance(line, Mapping) else line for line in kept
    )


def _say(errors: Sequence[Any], value: Mapping[str, Any]) -> RecipeError:
    """The first of pydantic's errors, unknown keys before all others, in one line."""
    for error in errors:
        if error["type"] == "extra_forbidden":
            return _unknown_key([part for part in error["loc"] if isinstance(part, str)], value)
    if any(error["loc"] == ("network",) and error["type"] == "missing" for error in errors):
        return RecipeError("recipe: the table [network] with its layers is missing")
    first = errors[0]
    key = ".".join(map(str, first["loc"])) or "recipe"
    given = f" = {_short(first['input'])}" if first["loc"] and first["type"] != "missing" else ""
    return RecipeError(f"{key}{given}: {first['msg'].removeprefix('Value error, ')}")


def _unknown_key(path: Sequence[str], value: Mapping[str, Any]) -> RecipeError:
    """[search] has keys of the user's choosing, with dots and so in quotes, and a range in each."""
    table = value.get("search", {}).get(path[1], {}) if path[0] == "search" and len(path) == 3 else {}
    if not set(table) & set(SearchRange.model_fields) and any(isinstance(v, Mapping) for v in table.values()):
        place = f"{path[1]}.{next(iter(table))}"
        return RecipeError(f"search.{place} stands without quotes", expected=f'"{place}" = ...')
    model: type[BaseModel] = Recipe
    for part in path[:-1]:
        if part in model.model_fields:  # the section that a field holds, or a tuple of which it holds
            held = model.model_fields[part].annotation
            model = next(c for c in (held, *get_args(held)) if isinstance(c, type(BaseModel)))
    return RecipeError(f"unknown key '{'.'.join(path)}'", remedy=nearest(path[-1], model.model_fields))


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
