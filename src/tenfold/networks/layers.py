"""One line of a recipe -> one LayerSpec.

flatten | relu | sigmoid | tanh | batch-norm
linear UNITS                          UNITS may be "classes"
conv CHANNELS KxL [stride S] [padding P|PxQ|same] [no-bias]
                                      K rows x L columns; CHANNELS may be "classes"; same is (K//2)x(L//2)
max-pool K|KxL [stride S] | average-pool K|KxL [stride S]     the stride is the window unless given
pixel-unshuffle K                     (C, H, W) -> (C K K, H/K, W/K)
dropout P
columns [PARTS]                       last, of a line network: (PARTS K, 1, T) -> (PARTS T, K): each column of
                                      features gives PARTS rows of scores, 1 unless given
{ residual = [LAYER, ...] }           adds the inner layers' output to their input
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tenfold.errors import RecipeError, nearest

__all__ = ["LayerSpec", "change_layers", "layer_numbers", "parse_layers"]

LAYER_KINDS = (
    "flatten", "linear", "relu", "sigmoid", "tanh", "dropout", "conv", "batch-norm", "max-pool",
    "average-pool", "pixel-unshuffle", "columns", "residual",
)  # fmt: skip

# The stem of a layer's name; a number is added: linear1, linear2, conv1, ...
_STEMS = {"batch-norm": "norm", "max-pool": "maxpool", "average-pool": "avgpool",
          "pixel-unshuffle": "unshuffle"}  # fmt: skip


@dataclass(frozen=True)
class LayerSpec:
    """One layer, its numbers read and its name given.

    units: of linear, or channels of conv (0 stands for the number of classes); parts of columns (0: one).
    kernel, stride, padding: (rows, columns) in pixels. rate: of dropout. inner: of residual.
    """

    kind: str
    name: str
    units: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bias: bool = True
    rate: float = 0.0
    inner: tuple[LayerSpec, ...] = ()


def parse_layers(lines: Sequence[str | Mapping[str, Sequence]], prefix: str = "") -> tuple[LayerSpec, ...]:
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


def layer_numbers(lines: Sequence[str | Mapping[str, Sequence]], prefix: str = "") -> dict[str, int | float]:
    """The number after the first word of a line (UNITS, CHANNELS, K or P), by kind and by name.

    linear1 is the first linear layer, residual1.conv1 one inside; of a kind it is the first one's number.
    Layers without one number ("linear classes", "max-pool 2x1") are left out.
    """
    numbers: dict[str, int | float] = {}
    for line, spec in zip(lines, parse_layers(lines, prefix), strict=True):
        if isinstance(line, Mapping):
            inside = layer_numbers(line["residual"], f"{spec.name}.")
            numbers = inside | numbers
            continue
        words = line.split()
        if _has_number(words):
            number = float(words[1]) if "." in words[1] else int(words[1])
            numbers |= {spec.kind: numbers.get(spec.kind, number), spec.name: number}
    return numbers


def change_layers(
    lines: Sequence[str | Mapping[str, Sequence]], which: str, number: float
) -> list[str | dict[str, Any]]:
    """The lines with another number in the layers meant: `which` is a key of `layer_numbers`, and a kind
    means every layer of that kind. Raises RecipeError.
    """
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise RecipeError(f"layer {which!r} with {number!r}", expected="a number")
    known = layer_numbers(lines)
    if which not in known:
        raise RecipeError(f"no layer {which!r} has a number to change", remedy=nearest(which, known))
    return _change(lines, which, _plainly(number), "")


def _change(
    lines: Sequence[str | Mapping[str, Sequence]], which: str, number: str, prefix: str
) -> list[str | dict[str, Any]]:
    changed: list[str | dict[str, Any]] = []
    for line, spec in zip(lines, parse_layers(lines, prefix), strict=True):
        if isinstance(line, Mapping):
            changed.append({"residual": _change(line["residual"], which, number, f"{spec.name}.")})
            continue
        words = line.split()
        if which in (spec.kind, spec.name) and _has_number(words):
            words[1] = number
        changed.append(" ".join(words))
    return changed


def _has_number(words: list[str]) -> bool:
    return len(words) > 1 and words[1].replace(".", "", 1).isdigit()


def _plainly(number: float) -> str:
    """Never as 1e-05, which a line cannot have."""
    return format(Decimal(repr(number)), "f")


def _parse_residual(line: Mapping[str, Sequence], name: str) -> LayerSpec:
    if set(line) != {"residual"} or not isinstance(line["residual"], list | tuple) or not line["residual"]:
        raise RecipeError(f"layer {dict(line)!r}", expected='{ residual = ["LAYER", ...] }')
    return LayerSpec("residual", name, inner=parse_layers(line["residual"], f"{name}."))


_POOL = r"{} (?P<kernel>\d{{1,6}}(?:x\d{{1,6}})?)(?: stride (?P<stride>\d{{1,6}}))?"
_FORMS = {
    "linear": (r"linear (?P<units>\d{1,6}|classes)", "linear UNITS, or linear classes"),
    "dropout": (r"dropout (?P<rate>0?\.\d+|0|0\.0+)", "dropout P with 0 <= P < 1"),
    "conv": (
        r"conv (?P<units>\d{1,6}|classes) (?P<kernel>\d{1,6}x\d{1,6})(?: stride (?P<stride>\d{1,6}))?"
        r"(?: padding (?P<padding>\d{1,6}|\d{1,6}x\d{1,6}|same))?(?P<no_bias> no-bias)?",
        "conv CHANNELS KxL [stride S] [padding P|PxQ|same] [no-bias]",
    ),
    "max-pool": (_POOL.format("max-pool"), "max-pool K [stride S], or max-pool KxL [stride S]"),
    "average-pool": (
        _POOL.format("average-pool"),
        "average-pool K [stride S], or average-pool KxL [stride S]",
    ),
    "pixel-unshuffle": (r"pixel-unshuffle (?P<kernel>\d{1,6})", "pixel-unshuffle K"),
    "columns": (r"columns(?: (?P<units>[1-9]\d{0,5}))?", "columns, or columns PARTS"),
} | {kind: (kind, kind) for kind in ("flatten", "relu", "sigmoid", "tanh", "batch-norm")}


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
    found = match.groupdict()
    return _checked(LayerSpec(kind, name, **_numbers(kind, found)), line, found)


def _numbers(kind: str, found: dict[str, str | None]) -> dict:
    kernel = _pair(found.get("kernel") or "1")
    stride = _pair(found["stride"]) if found.get("stride") else (kernel if "pool" in kind else (1, 1))
    padding = found.get("padding") or "0"
    units = found.get("units") or "0"
    return {
        "units": 0 if units == "classes" else int(units),
        "kernel": kernel,
        "stride": stride,
        "padding": (kernel[0] // 2, kernel[1] // 2) if padding == "same" else _pair(padding),
        "bias": not found.get("no_bias"),
        "rate": float(found.get("rate") or 0),
    }


def _pair(text: str | None) -> tuple[int, int]:
    """ "3" -> (3, 3), "2x1" -> (2, 1)."""
    rows, _, columns = str(text).partition("x")
    return int(rows), int(columns or rows)


def _checked(spec: LayerSpec, line: str, found: dict[str, str | None]) -> LayerSpec:
    even = any(side % 2 == 0 for side in spec.kernel)
    if found.get("padding") == "same" and (even or spec.stride != (1, 1)):
        raise RecipeError(f"layer {line!r}: padding same", expected="an odd kernel and stride 1 with it")
    if min(spec.kernel + spec.stride) < 1 or (found.get("units") not in (None, "classes") and not spec.units):
        raise RecipeError(f"layer {line!r}", expected="sizes of at least 1")
    return spec
