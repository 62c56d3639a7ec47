"""What is kept as JSON, and as arrays in an .npz beside it: written together, checked when it is read."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenfold.errors import ModelError, TenfoldError
from tenfold.files import replace_together
from tenfold.limits import MemoryLimit

__all__ = ["Record", "pick", "read_json", "reading"]


@contextmanager
def reading(
    what: str,
    *,
    expected: str = "",
    remedy: str = "",
    kind: type[TenfoldError] = ModelError,
    hide: Callable[[str], str] = str,
) -> Iterator[None]:
    """Whatever goes wrong within, but for a TenfoldError, is an error of this kind: `what` cannot be read.

    json, zipfile, NumPy, pydantic and safetensors raise a dozen kinds on broken bytes. hide: takes out of the
    words what is not to be told.
    """
    try:
        yield
    except TenfoldError:
        raise
    except Exception as error:
        found = f"{what} cannot be read ({hide(_in_words(error))})"
        raise kind(found, expected=expected, remedy=remedy) from error


def _in_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    details = getattr(error, "errors", None)  # of pydantic, whose own text has several lines
    if callable(details):
        first = details()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises what `reading` makes a ModelError of."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"a JSON {type(values).__name__}, not an object")
    return values


class Record(NamedTuple):
    """NAME.json and NAME.npz in a folder: whenever the JSON is there, so are the arrays that belong to it."""

    folder: Path
    name: str

    def write(
        self, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray], files: Sequence[str] | None = None
    ) -> None:
        """files: names that are kept as bytes, a quarter of a unicode array or less."""
        kept, packed = dict(arrays), io.BytesIO()
        if files is not None:
            kept["files"] = np.frombuffer("\0".join(files).encode("utf-8", "surrogatepass"), np.uint8)
        np.savez_compressed(packed, **kept)  # type: ignore[arg-type]
        text = json.dumps(plain, indent=2) + "\n"
        ends = (f"{self.name}.npz", packed.getvalue()), (f"{self.name}.json", text.encode())
        replace_together(*((self.folder / name, content) for name, content in ends))

    def reading(
        self, expected: str, remedy: str, kind: type[TenfoldError] = ModelError
    ) -> AbstractContextManager[None]:
        """`reading` of both files."""
        what = f"{self.folder / self.name}.json with its .npz"
        return reading(what, expected=expected, remedy=remedy, kind=kind)

    def read_plain(self) -> dict[str, Any]:
        return read_json(self.folder / f"{self.name}.json")

    def read_arrays(self) -> dict[str, np.ndarray]:
        """All of them. Raises what `reading` makes a ModelError of."""
        path = self.folder / f"{self.name}.npz"
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        MemoryLimit.check(size, path, kind=ModelError)
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    @staticmethod
    def files_of(arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """The names that `write` was given; none where none were kept."""
        packed = arrays.get("files", np.empty(0, np.uint8)).tobytes()
        return tuple(packed.decode("utf-8", "surrogatepass").split("\0")) if packed else ()

    @staticmethod
    def check(
        arrays: Mapping[str, np.ndarray], forms: Mapping[str, str], sizes: Mapping[str, int]
    ) -> dict[str, Any]:
        """The arrays of these names. Raises KeyError for one that is missing, ValueError for one of another
        kind, shape or range.

        forms: "i<K N" is an integer array of shape (N,) whose values lie from 0 to below K, "f K 3" a float
        one of shape (K, 3), "u M H W" bytes of images, (M, H, W) or in colour (M, H, W, 3). A letter is the
        same number everywhere; sizes: of letters known before.
        """
        known = dict(sizes)
        for name, form in forms.items():
            array, (kind, *dims) = arrays[name], form.split()
            kind, _, most = kind.partition("<")
            if dims[-2:] == ["H", "W"] and array.ndim == len(dims) + 1:
                dims.append("3")
            fits = array.dtype.kind == kind and array.ndim == len(dims)
            for dim, size in zip(dims, array.shape, strict=False):
                fits = fits and (int(dim) if dim.isdigit() else known.setdefault(dim, size)) == size
            if not fits or (kind == "u" and array.dtype != np.uint8):
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
            if kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} holds what is not a finite number")
            if most and array.size and not 0 <= array.min() <= array.max() < known[most]:
                raise ValueError(f"{name} holds {array.min()} to {array.max()}, not 0 to {known[most] - 1}")
        return {name: arrays[name] for name in forms}


def pick(values: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """The values of these keys, lists as tuples. Raises KeyError for one that is missing, ValueError for one
    of another kind.

    kinds: "str", "bool", "int" (not below 0), "float" (finite), "number" (NaN too), "dict"; "strs", "ints"
    and "floats" (lists); one that ends in "?" may be null.
    """
    return {key: _checked(key, values[key], kind) for key, kind in kinds.items()}


def _checked(key: str, value: Any, kind: str) -> Any:
    if kind.endswith("?"):
        return None if value is None else _checked(key, value, kind[:-1])
    if kind.endswith("s"):
        if not isinstance(value, list):
            raise ValueError(f"{key} is {_short(value)}, not a list")
        return tuple(_checked(key, each, kind[:-1]) for each in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits, name = {
        "str": (isinstance(value, str), "text"),
        "dict": (isinstance(value, dict), "an object"),
        "bool": (isinstance(value, bool), "true or false"),
        "int": (number and isinstance(value, int) and 0 <= value < 1 << 63, "a whole number"),
        "float": (number and abs(value) <= sys.float_info.max, "a finite number"),
        "number": (number, "a number"),
    }[kind]
    if not fits:
        raise ValueError(f"{key} is {_short(value)}, not {name}")
    return float(value) if kind in ("float", "number") else value


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str | float) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."
