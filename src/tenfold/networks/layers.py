"""One line of a recipe -> one LayerSpec.

flatten | relu | sigmoid | tanh | gelu | silu     gelu is x Phi(x), silu is x sigmoid(x)
batch-norm | layer-norm               layer-norm: over the channels of each pixel, or the numbers of a row
linear UNITS                          UNITS may be "classes"
conv CHANNELS KxL [stride S] [padding P|PxQ|same] [no-bias]
                                      K rows x L columns; CHANNELS may be "classes"; same is (K//2)x(L//2)
depthwise KxL [stride S] [padding P|PxQ|same] [no-bias]     a convolution with one kernel per channel
max-pool K|KxL [stride S] | average-pool K|KxL [stride S]     the stride is the window unless given
global-average-pool                   (C, H, W) -> (C,): the mean of each channel
pixel-unshuffle K                     (C, H, W) -> (C K K, H/K, W/K)
... fit                               ends a line of conv, depthwise, a pool or pixel-unshuffle, for images of
                                      any size: a convolution that is too large gets padding same, a pool
                                      that is too large the picture's size; pixels left over are cut off
dropout P
scale K                               multiplies by a constant above 0
columns [PARTS]                       last, of a line network: (PARTS K, 1, T) -> (PARTS T, K): each column of
                                      features gives PARTS rows of scores, 1 unless given
own NAME [NUMBER ...]                 a layer written in Python, given as layers={"NAME": MyLayer}
{ residual = [LAYER, ...] }           adds the inner layers' output to their input
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tenfold.errors import RecipeError, nearest

__all__ = ["LayerSpec"]

Lines = Sequence[str | Mapping[str, Any]]
# The stem of a layer's name; a number is added: linear1, linear2, conv1, ...
_STEMS = {"batch-norm": "norm", "layer-norm": "layernorm", "max-pool": "maxpool", "average-pool": "avgpool",
          "global-average-pool": "globalpool", "pixel-unshuffle": "unshuffle"}  # fmt: skip


@dataclass(frozen=True)
class LayerSpec:
    """One layer, its numbers read and its name given.

    units: of linear, or channels of conv (0 stands for the number of classes); parts of columns (0: one).
    kernel, stride, padding: (rows, columns) in pixels. rate: of dropout, or the factor of scale.
    fit: whether it adapts to pictures that are too small.
    inner: of residual.
    own, numbers_given, part: of own, its NAME, its NUMBERs, and what was given for it (see networks.own).
    """

    kind: str
    name: str
    units: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bias: bool = True
    fit: bool = False
    rate: float = 0.0
    inner: tuple[LayerSpec, ...] = ()
    own: str = ""
    numbers_given: tuple[float, ...] = ()
    part: Any = None

    @classmethod
    def parse(cls, lines: Sequence[str | Mapping[str, Sequence]], prefix: str = "") -> tuple[LayerSpec, ...]:
        """The layers of a recipe. Raises RecipeError that names the line and the remedy."""
        seen: Counter[str] = Counter()
        specs = []
        for line in lines:
            kind = "residual" if isinstance(line, Mapping) else (str(line).split() or [""])[0]
            stem = _STEMS.get(kind, kind)
            seen[stem] += 1
            name = f"{prefix}{stem}{seen[stem]}"
            specs.append(
                _parse_residual(line, name) if isinstance(line, Mapping) else _parse_line(str(line), name)
            )
        return tuple(specs)

    @staticmethod
    def numbers(lines: Lines) -> dict[str, int | float]:
        """The number after the first word of a line (UNITS, CHANNELS, K or P), by kind and by name.

        linear1 is the first linear layer, residual1.conv1 one inside; of a kind it is the first one's number.
        Layers without one number ("linear classes", "max-pool 2x1") are left out.
        """
        numbers: dict[str, int | float] = {}

        def note(spec: LayerSpec, words: list[str]) -> list[str]:
            if len(words) > 1 and words[1].replace(".", "", 1).isdigit():
                number = float(words[1]) if "." in words[1] else int(words[1])
                numbers.setdefault(spec.kind, number)
                numbers[spec.name] = number
            return words

        _rewrite(lines, LayerSpec.parse(lines), note)
        return numbers

    @staticmethod
    def change_numbers(lines: Lines, which: str, number: float) -> list[str | dict[str, Any]]:
        """The lines with another number in the layers meant: `which` is a key of `numbers`, and a kind
        means every layer of that kind. Raises RecipeError.
        """
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise RecipeError(f"layer {which!r} with {number!r}", expected="a number")
        known, text = LayerSpec.numbers(lines), format(Decimal(repr(number)), "f")  # never 1e-05
        if which not in known:
            raise RecipeError(f"no layer {which!r} has a number to change", remedy=nearest(which, known))

        def put(spec: LayerSpec, words: list[str]) -> list[str]:
            meant = spec.name in known and which in (spec.kind, spec.name)
            return [words[0], text, *words[2:]] if meant else words

        return _rewrite(lines, LayerSpec.parse(lines), put)

    def walk(self) -> Iterator[LayerSpec]:
        """This layer, then those inside it."""
        yield self
        for spec in self.inner:
            yield from spec.walk()

    def fitted(self, height: int, width: int) -> LayerSpec:
        """For pictures of this size: as it is, but where it does not fit and has the word fit."""
        sizes = list(zip((height, width), self.kernel, self.padding, strict=True))
        if not self.fit or all(size + 2 * padding >= kernel for size, kernel, padding in sizes):
            return self
        if "pool" in self.kind:
            kernel, stride = (
                (min(each[0], height), min(each[1], width)) for each in (self.kernel, self.stride)
            )
            return replace(self, kernel=kernel, stride=stride)
        return replace(self, padding=(self.kernel[0] // 2, self.kernel[1] // 2))

    def count_places(self, size: int, axis: int) -> int:
        """Places of the window along an axis (0: rows, 1: columns) of `size` pixels. Raises RecipeError."""
        kernel, stride, padding = self.kernel[axis], self.stride[axis], self.padding[axis]
        out = (size + 2 * padding - kernel) // stride + 1
        if out < 1:
            found = f"{self.name}: a window of {kernel} does not fit into {size} pixels"
            raise RecipeError(found, remedy="take a smaller window, or fewer poolings")
        return out


def _parse_residual(line: Mapping[str, Sequence], name: str) -> LayerSpec:
    if set(line) != {"residual"} or not isinstance(line["residual"], list | tuple) or not line["residual"]:
        raise RecipeError(f"layer {dict(line)!r}", expected='{ residual = ["LAYER", ...] }')
    return LayerSpec("residual", name, inner=LayerSpec.parse(line["residual"], f"{name}."))


_STRIDE, _FIT = r"(?: stride (?P<stride>\d{1,6}))?", "(?P<fit> fit)?"
_POOL = r" (?P<kernel>\d{1,6}(?:x\d{1,6})?)" + _STRIDE + _FIT
_KERNEL = (
    rf" (?P<kernel>\d{{1,6}}x\d{{1,6}}){_STRIDE}"
    r"(?: padding (?P<padding>\d{1,6}|\d{1,6}x\d{1,6}|same))?(?P<no_bias> no-bias)?" + _FIT
)
# kind -> (pattern of a line, the form that a message shows)
_FORMS = {
    "flatten": ("flatten", "flatten"),
    "linear": (r"linear (?P<units>\d{1,6}|classes)", "linear UNITS, or linear classes"),
    "relu": ("relu", "relu"),
    "sigmoid": ("sigmoid", "sigmoid"),
    "tanh": ("tanh", "tanh"),
    "gelu": ("gelu", "gelu"),
    "silu": ("silu", "silu"),
    "scale": (r"scale (?P<rate>\d{1,6}(?:\.\d+)?|\.\d+)", "scale K with K above 0"),
    "dropout": (r"dropout (?P<rate>0?\.\d+|0|0\.0+)", "dropout P with 0 <= P < 1"),
    "conv": (
        rf"conv (?P<units>\d{{1,6}}|classes){_KERNEL}",
        "conv CHANNELS KxL [stride S] [padding P|PxQ|same] [no-bias] [fit]",
    ),
    "depthwise": (f"depthwise{_KERNEL}", "depthwise KxL [stride S] [padding P|PxQ|same] [no-bias] [fit]"),
    "batch-norm": ("batch-norm", "batch-norm"),
    "layer-norm": ("layer-norm", "layer-norm"),
    "global-average-pool": ("global-average-pool", "global-average-pool"),
    "max-pool": ("max-pool" + _POOL, "max-pool K [stride S], or max-pool KxL [stride S]"),
    "average-pool": ("average-pool" + _POOL, "average-pool K [stride S], or average-pool KxL [stride S]"),
    "pixel-unshuffle": (r"pixel-unshuffle (?P<kernel>\d{1,6})" + _FIT, "pixel-unshuffle K [fit]"),
    "own": (
        r"own (?P<own>[A-Za-z]\w{0,63})(?P<given>(?: -?\d{1,6}(?:\.\d{1,9})?)*)",
        "own NAME [NUMBER ...]",
    ),
    "columns": (r"columns(?: (?P<units>[1-9]\d{0,5}))?", "columns, or columns PARTS"),
}
LAYER_KINDS = (*_FORMS, "residual")


def _parse_line(line: str, name: str) -> LayerSpec:
    words = line.split()
    kind = words[0] if words else ""
    if kind not in _FORMS:
        close = difflib.get_close_matches(kind, LAYER_KINDS, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(LAYER_KINDS)}"
        raise RecipeError(f"unknown layer {line!r}", remedy=remedy)
    pattern, form = _FORMS[kind]
    match = re.fullmatch(pattern, " ".join(words))
    if not match:
        below = ", numbers below a million" if re.search(r"\d{7}", line) else ""
        raise RecipeError(f"layer {line[:200]!r} cannot be read", expected=form + below)
    found = {key: value for key, value in match.groupdict().items() if value}
    kernel, padding = _pair(found.get("kernel", "1")), found.get("padding", "0")
    units = found.get("units", "0")
    spec = LayerSpec(
        kind, name, units=0 if units == "classes" else int(units), kernel=kernel,
        stride=_pair(found["stride"]) if "stride" in found else kernel if "pool" in kind else (1, 1),
        padding=(kernel[0] // 2, kernel[1] // 2) if padding == "same" else _pair(padding),
        bias="no_bias" not in found, fit="fit" in found, rate=float(found.get("rate", 0)),
        own=found.get("own", ""), numbers_given=tuple(map(_number, found.get("given", "").split())),
    )  # fmt: skip
    even = any(side % 2 == 0 for side in kernel)
    if padding == "same" and (even or spec.stride != (1, 1)):
        raise RecipeError(f"layer {line!r}: padding same", expected="an odd kernel and stride 1 with it")
    if min(spec.kernel + spec.stride) < 1 or ("units" in found and units != "classes" and not spec.units):
        raise RecipeError(f"layer {line!r}", expected="sizes of at least 1")
    if kind == "scale" and not spec.rate:
        raise RecipeError(f"layer {line!r}", expected=form)
    return spec


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _pair(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    return int(rows), int(columns or rows)


def _rewrite(
    lines: Lines, specs: Sequence[LayerSpec], change: Callable[[LayerSpec, list[str]], list[str]]
) -> list[str | dict[str, Any]]:
    return [
        {"residual": _rewrite(line["residual"], spec.inner, change)}
        if isinstance(line, Mapping)
        else " ".join(change(spec, line.split()))
        for line, spec in zip(lines, specs, strict=True)
    ]
