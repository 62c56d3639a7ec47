"""Arguments of public functions: refused in one line where they are not what the signature names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import chain
from math import isnan
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tenfold.errors import DataError, UsageError

__all__ = ["check_argument", "check_images", "checked", "describe_value"]

F = TypeVar("F", bound=Callable[..., Any])


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    NoneType: ("None", lambda value: value is None),
    bool: ("True or False", lambda value: _is_bool(value)),
    int: ("a whole number", lambda value: isinstance(value, Integral) and not _is_bool(value)),
    float: ("a number", lambda value: isinstance(value, Real) and not _is_bool(value) and not isnan(value)),
    str: ("a text", lambda value: isinstance(value, str)),
    Path: ("a path", lambda value: isinstance(value, Path)),
    # ImageRows of a memory-mapped file stand for an array, too
    np.ndarray: ("a NumPy array", lambda value: isinstance(value, np.ndarray | NDArrayOperatorsMixin)),
}
_SOURCES = {
    "Classifier": "a Classifier, as tenfold.train(...).classifier or tenfold.Classifier.load(folder) gives",
    "CrossValidation": "a CrossValidation, as tenfold.cross_validate gives",
    "Form": "a Form, as tenfold.load_form gives",
    "ImageDataset": "an ImageDataset, as tenfold.load_dataset gives or "
    "tenfold.ImageDataset(images, labels, class_names) makes",
    "LineReader": "a LineReader, as tenfold.load_reader gives",
    "Recipe": "a Recipe",
    "Run": "a Run",
}
_MOST = {"seed": 2**53, "count": 2**53, "samples": 2**53}  # of numbers that are called so, from 0
_ONE_PICTURE = "a picture is read with LineReader.read or Classifier.classify, one at a time"
_SHOWN = 40  # characters of a text


def checked(function: F) -> F:
    """Raises UsageError where an argument is not of the type that the signature names, before anything
    is done: found, expected, remedy. A float may be any real number but NaN; a seed or a count is 0 or more.

    Names in the annotations must be imported where the function is defined, not for type checkers alone.
    """
    parameters = list(inspect.signature(function).parameters)
    kinds: dict[str, Any] = {}

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if not kinds:
            kinds.update(get_type_hints(function))
        for name, value in chain(zip(parameters, args), options.items()):
            if name in kinds:
                check_argument(function.__qualname__, name, value, kinds[name])
        return function(*args, **options)

    return cast(F, call)


def check_argument(where: str, name: str, value: Any, kind: Any) -> None:
    """Raises UsageError where `value` is not of the type `kind`, or is a seed or a count out of range.

    where: the function's or class's name, for the message.
    """
    if _fits(value, kind):
        most = _MOST.get(name)
        if most is not None and value is not None and not 0 <= value <= most:
            raise UsageError(f"{where}: {name} is {value}", expected=f"0 to {most}")
        return
    picture = _is_picture(value) and np.ndarray in (kind, *get_args(kind))
    raise UsageError(
        f"{where}: {name} is {describe_value(value)}",
        expected=_describe_kind(kind),
        remedy=_ONE_PICTURE if picture else "",
    )


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind][1](value)
    if origin in (Union, UnionType):
        if Path in inner and isinstance(value, str) and not value:
            return False  # it would mean the working folder
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return isinstance(value, str | int) and value in inner
    if origin is Annotated:
        return _fits(value, inner[0])
    if origin is Callable or kind is Callable:
        return callable(value)
    if origin is tuple:
        kinds = inner[:1] * len(value) if inner[-1:] == (...,) and isinstance(value, tuple | list) else inner
        return isinstance(value, tuple | list) and len(kinds) == len(value) and all(map(_fits, value, kinds))
    base = origin or kind
    if base is Any or not isinstance(base, type):
        return True
    if getattr(base, "_is_protocol", False) and not getattr(base, "_is_runtime_protocol", False):
        return True  # isinstance cannot tell
    if base is Sequence:
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)
        return listed and all(_fits(each, inner[0]) for each in value) if inner else listed
    if issubclass(base, Mapping) and inner:
        pairs = value.items() if isinstance(value, base) else None
        return pairs is not None and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in pairs)
    return isinstance(value, base)


def _describe_kind(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind][0]
    if origin in (Union, UnionType):
        return " or ".join(_describe_kind(each) for each in inner)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is Annotated:
        return _describe_kind(inner[0])
    if origin is Callable:
        return "a function"
    if origin is tuple:
        each = f", each {_describe_kind(inner[0])}"
        return f"a tuple{each}" if ... in inner else f"{len(inner)} values{each}"
    if origin is Sequence:
        return f"a list, each {_describe_kind(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a dictionary, each value {_describe_kind(inner[1])}"
    name = getattr(kind, "__name__", str(kind))
    return _SOURCES.get(name, f"{_article(name)} {name}")


def check_images(images: np.ndarray, name: str = "images") -> None:
    """Raises DataError unless they are uint8 (N, H, W) or (N, H, W, 3), of at least one pixel."""
    shaped = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not shaped or not images.size:
        raise DataError(
            f"{name} are {images.dtype} of shape {images.shape}",
            expected="uint8 of shape (N, height, width) or (N, height, width, 3), at least one image",
        )


def describe_value(value: Any) -> str:
    """What was given, in a few words: "a list of 3", "an array float64 (2, 28, 28)", "'sample'"."""
    if value is None or isinstance(value, Real | np.bool_):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype} {value.shape}"
    if isinstance(value, Path):
        return f"the path {describe_value(str(value))}"
    if type(value).__module__.startswith("PIL."):
        return "a PIL image"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict | set | bytes) else ""
    return f"{_article(name)} {name}{size}"


def _is_picture(value: Any) -> bool:
    """One, or a list of them."""
    if isinstance(value, list | tuple) and value:
        return _is_picture(value[0])
    return isinstance(value, str | Path) or type(value).__module__.startswith("PIL.")


def _article(name: str) -> str:
    return "an" if name[:1] in "AEIOUaeiou" else "a"
