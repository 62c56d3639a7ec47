"""One line of a recipe -> one LayerSpec.

flatten | relu | sigmoid | tanh | batch-norm
linear UNITS                          UNITS may be "classes"
conv CHANNELS KxK [stride S] [padding P|same] [no-bias]
max-pool K [stride S] | average-pool K [stride S]     stride is K unless given
pixel-unshuffle K                     (C, H, W) -> (C K K, H/K, W/K)
dropout P
{ residual = [LAYER, ...] }           adds the inner layers' output to their input
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenfold.errors import RecipeError

__all__ = ["LAYER_KINDS", "LayerSpec", "parse_layers"]

LAYER_KINDS = (
    "flatten", "linear", "relu", "sigmoid", "tanh", "dropout", "conv", "batch-norm", "max-pool",
    "average-pool", "pixel-unshuffle", "residual",
)  # fmt: skip

# The stem of a layer's name; a number is added: linear1, linear2, conv1, ...
_STEMS = {"batch-norm": "norm", "max-pool": "maxpool", "average-pool": "avgpool",
          "pixel-unshuffle": "unshuffle"}  # fmt: skip


@dataclass(frozen=True)
class LayerSpec:
    """One layer, its numbers read and its name given.

    units: of linear (0 stands for the number of classes) or channels of conv.
    kernel, stride, padding: in pixels, square. rate: of dropout. inner: of residual.
    """

    kind: str
    name: str
    units: int = 0
    kernel: int = 1
    stride: int = 1
    padding: int = 0
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


def _parse_residual(line: Mapping[str, Sequence], name: str) -> LayerSpec:
    if set(line) != {"residual"} or not isinstance(line["residual"], list | tuple) or not line["residual"]:
        raise RecipeError(f"layer {dict(line)!r}", expected='{ residual = ["LAYER", ...] }')
    return LayerSpec("residual", name, inner=parse_layers(line["residual"], f"{name}."))


_FORMS = {
    "linear": (r"linear (?P<units>\d+|classes)", "linear UNITS, or linear classes"),
    "dropout": (r"dropout (?P<rate>0?\.\d+|0|0\.0+)", "dropout P with 0 <= P < 1"),
    "conv": (
        r"conv (?P<units>\d+) (?P<kernel>\d+)x(?P<kernel2>\d+)(?: stride (?P<stride>\d+))?"
        r"(?: padding (?P<padding>\d+|same))?(?P<no_bias> no-bias)?",
        "conv CHANNELS KxK [stride S] [padding P|same] [no-bias]",
    ),
    "max-pool": (r"max-pool (?P<kernel>\d+)(?: stride (?P<stride>\d+))?", "max-pool K [stride S]"),
    "average-pool": (
        r"average-pool (?P<kernel>\d+)(?: stride (?P<stride>\d+))?",
        "average-pool K [stride S]",
    ),
    "pixel-unshuffle": (r"pixel-unshuffle (?P<kernel>\d+)", "pixel-unshuffle K"),
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
        raise RecipeError(f"layer {line!r} cannot be read", expected=form)
    found = match.groupdict()
    return _checked(LayerSpec(kind, name, **_numbers(kind, found)), line, found)


def _numbers(kind: str, found: dict[str, str | None]) -> dict:
    kernel = int(found.get("kernel") or 1)
    stride = int(found.get("stride") or (kernel if "pool" in kind else 1))
    padding = found.get("padding") or "0"
    units = found.get("units") or "0"
    return {
        "units": 0 if units == "classes" else int(units),
        "kernel": kernel,
        "stride": stride,
        "padding": kernel // 2 if padding == "same" else int(padding),
        "bias": not found.get("no_bias"),
        "rate": float(found.get("rate") or 0),
    }


def _checked(spec: LayerSpec, line: str, found: dict[str, str | None]) -> LayerSpec:
    if found.get("kernel2") not in (None, found.get("kernel")):
        raise RecipeError(f"layer {line!r} has a kernel that is not square", expected="KxK")
    if found.get("padding") == "same" and (spec.kernel % 2 == 0 or spec.stride != 1):
        raise RecipeError(f"layer {line!r}: padding same", expected="an odd kernel and stride 1 with it")
    if spec.kernel < 1 or spec.stride < 1 or (found.get("units") not in (None, "classes") and not spec.units):
        raise RecipeError(f"layer {line!r}", expected="sizes of at least 1")
    return spec
