"""A model as a folder for any static host: the page, which reads in the browser, offline too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.classifier import Classifier
from tenfold.errors import UsageError
from tenfold.export.lab import lab_files
from tenfold.files import Claim, fill_folder, make_folder, replace_file, replace_together, write_text
from tenfold.networks.engine import EnsembleEngine
from tenfold.networks.shapes import Layer
from tenfold.numpy_engine.layers import BatchNorm
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.reader.line_reader import AnyModel
from tenfold.version import __version__

__all__ = ["export_web", "page_files"]

_FORMAT = 3
_WINDOWED = ("conv", "depthwise", "max-pool", "average-pool", "pixel-unshuffle")
_WEB = Path(__file__).parents[1] / "web"
_PAGE = _WEB / "static"
# As the server sends it; a static host sends none. frame-ancestors has no effect from within a page.
_POLICY = (
    b"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'"
)
_COMMENT = re.compile(rb"^ *(?://.*|/\*\*(?s:.)*?\*/)\n", re.MULTILINE)  # those that fill their lines
_INDENT = re.compile(rb"^ +", re.MULTILINE)
_HEAD = b'<meta charset="utf-8">\n'
_META = b'<meta http-equiv="Content-Security-Policy" content="' + _POLICY + b'">\n'
_LAB_META = _META.replace(b"; ", b"; script-src 'self' 'wasm-unsafe-eval'; ", 1)  # it compiles WebAssembly


def write_web_model(model: AnyModel, folder: str | Path) -> None:
    """Writes what `web_model` makes into a folder, which is made if need be."""
    target = Path(folder)
    make_folder(target)
    replace_together(*((target / name, content) for name, content in web_model(model).items()))


def web_model(model: AnyModel) -> dict[str, bytes]:
    """What the network in JavaScript loads, by file name: card.json and weights.bin (float32, little-endian).

    The card is the model's own (class names or characters, input, temperature, thresholds) with the layers
    of every network, batch norm worked into the layer before it; a parameter is [start, length] in the
    weights. Kernels, strides and paddings are [rows, columns].
    """
    numbers: list[np.ndarray] = []
    members = []
    for values in EnsembleEngine.split(model.engine.weights()):
        folded, folded_values = fold_network(model.network, values)
        members.append([_layer(layer, folded_values, numbers) for layer in folded.layers])
    recipe, weights = model.card.recipe, np.concatenate(numbers).tobytes()
    card = model.card.to_dict() | {
        "tenfold": __version__,
        "recipe": {"name": recipe.name, "title": recipe.title},
        "parameters": model.network.parameter_count,
        "label_shift": recipe.loss.label_shift,
        "views": EnsembleEngine.MOVES[: recipe.ensemble.views],
        "format": _FORMAT,
        "members": members,
        "weights": {"file": "weights.bin", "bytes": len(weights)},
    }
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    return {"weights.bin": weights, "card.json": text.encode()}


def page_files(folder: str, model: AnyModel) -> dict[str, bytes]:
    """What the page loads from its folder, "lab" or "model", by file name."""
    return lab_files() if folder == "lab" else web_model(model)


def _add(numbers: list[np.ndarray], values: np.ndarray) -> list[int]:
    """Adds an array to those before; returns [start, length]."""
    start = sum(each.size for each in numbers)
    numbers.append(np.asarray(values, "<f4").ravel())
    return [start, values.size]


def _layer(layer: Layer, values: Mapping[str, np.ndarray], numbers: list[np.ndarray]) -> dict[str, Any]:
    spec = layer.spec
    entry: dict[str, Any] = {"kind": spec.kind}
    if spec.kind in _WINDOWED:
        entry |= {"kernel": spec.kernel, "stride": spec.stride, "padding": spec.padding}
    if spec.kind in ("linear", "conv", "depthwise"):
        weight = values[f"{spec.name}.weight"]
        bias = values[f"{spec.name}.bias"] if spec.bias else np.empty(0)
        # of a convolution with the channels last, as a window of the picture has them
        turned = np.moveaxis(weight, 1, -1) if spec.kind == "conv" else weight
        entry |= {"outputs": len(weight), "weight": _add(numbers, turned), "bias": _add(numbers, bias)}
    if spec.kind == "batch-norm":
        parts = (values[parameter.name].astype(np.float64) for parameter in layer.parameters)
        scale, shift = BatchNorm.affine(*parts)
        entry |= {"scale": _add(numbers, scale), "shift": _add(numbers, shift)}
    if spec.kind == "layer-norm":
        scale, shift = (values[parameter.name] for parameter in layer.parameters)
        entry |= {"scale": _add(numbers, scale), "shift": _add(numbers, shift)}
    if spec.kind == "scale":
        entry["factor"] = spec.rate
    if spec.kind == "columns":
        entry["parts"] = spec.units or 1
    if spec.kind == "residual":
        entry["layers"] = [_layer(inner, values, numbers) for inner in layer.inner]
    return entry


@checked
def export_web(model: AnyModel, folder: str | Path) -> Path:
    """Writes the page, the model and a service worker into a folder; returns its path.

    Every address in it is relative, so it may lie in any sub-folder of a host. With a line reader it reads
    pictures as `tenfold read` does, with a classifier one digit per picture, as `Classifier.classify`.
    Files of the same name are replaced, others left alone.
    Raises UsageError for a classifier that reads no ink, and for a folder that holds other things.
    """
    if isinstance(model, Classifier) and not model.card.reads_ink:
        (height, width), ground = model.card.image_shape[:2], model.card.background
        found = f"this model knows pictures of {width}x{height} on {ground} ground, not what the page draws"
        expected = "one that reads handwriting: light ink on 28x28 dark pixels"
        raise UsageError(found, expected=expected, remedy="export it with --to onnx")
    target = Path(folder)
    if target.exists() and not is_bundle(target):
        found = f"{target} is there already, and is not a bundle of tenfold's"
        expected = "a new folder, an empty one, or one that an earlier export made"
        raise UsageError(found, expected=expected, remedy="name another with --out")
    with fill_folder(target, add=True) as place:
        write_text(
            place / "config.json", json.dumps({"backend": "local", "collect": False, "lab": True}) + "\n"
        )
        names = ["config.json", *_copy_page(place), "model/card.json", "model/weights.bin"]
        write_web_model(model, place / "model")
        for name, content in lab_files().items():
            (place / "lab" / name).write_bytes(content)
            names.append(f"lab/{name}")
        write_text(place / "sw.js", _service_worker(place, sorted(names)))
    return target


def is_bundle(folder: Path) -> bool:
    """Whether a folder is empty, or one that `export_web` made."""
    if not folder.is_dir():
        return False
    if all(Claim.is_part(path) for path in folder.iterdir()):
        return True
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("backend") == "local"


def _copy_page(target: Path) -> list[str]:
    """The page gets its policy, code comes without its comments. Returns the files' names, relative and with
    slashes; config.json is the server's and stays out."""
    names = []
    for path in sorted(_PAGE.rglob("*")):
        name = path.relative_to(_PAGE).as_posix()
        if path.is_file() and name != "config.json":
            with replace_file(target / name) as beside:
                data = path.read_bytes()
                if name.endswith(".html"):
                    meta = _LAB_META if name.startswith("lab/") else _META
                    data = data.replace(_HEAD, _HEAD + meta, 1)
                if name.endswith((".js", ".css")):
                    data = _INDENT.sub(b"", _COMMENT.sub(b"", data))
                beside.write_bytes(data)
            names.append(name)
    return names


def _service_worker(target: Path, names: list[str]) -> str:
    """Its bytes change with any file's, which is how a browser learns of a new bundle."""
    code = (_WEB / "sw.js").read_text(encoding="utf-8")
    digest = sha256(code.encode())
    for name in names:
        digest.update(name.encode() + b"\0" + (target / name).read_bytes())
    later = ("lab/", "js/inside", "js/network/more")  # kept when they are first used, see sw.js
    files = ["./", *(name for name in names if name != "index.html" and not name.startswith(later))]
    return f'const VERSION = "{digest.hexdigest()[:16]}";\nconst FILES = {json.dumps(files)};\n\n{code}'
