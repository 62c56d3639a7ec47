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
from tenfold.engines.ensemble import MOVES, split_members
from tenfold.errors import UsageError
from tenfold.files import fill_folder, is_part, make_folder, replace_file, replace_together, write_text
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.layers import scale_and_shift
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.reader.line_reader import AnyModel
from tenfold.version import __version__

__all__ = ["export_web"]

# A model -> the two files that the network in JavaScript loads: card.json and weights.bin.

_FORMAT = 3
_WINDOWED = ("conv", "max-pool", "average-pool", "pixel-unshuffle")


def write_web_model(model: AnyModel, folder: str | Path) -> None:
    """Writes card.json and weights.bin (float32, little-endian) into a folder, which is made if need be.

    The card is the model's own (class names or characters, input, temperature, thresholds) with the layers
    of every network, batch norm worked into the layer before it; a parameter is [start, length] in the
    weights. Kernels, strides and paddings are [rows, columns].
    """
    target = Path(folder)
    make_folder(target)
    numbers = _Numbers()
    members = [_member(model.network, weights, numbers) for weights in split_members(model.engine.weights())]
    weights = numbers.to_bytes()
    card = _card(model) | {"members": members, "weights": {"file": "weights.bin", "bytes": len(weights)}}
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    replace_together((target / "weights.bin", weights), (target / "card.json", text.encode()))


class _Numbers:
    """Arrays one after another."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.length = 0

    def add(self, values: np.ndarray) -> list[int]:
        """Returns [start, length]."""
        self.arrays.append(np.asarray(values, "<f4").ravel())
        start, self.length = self.length, self.length + values.size
        return [start, values.size]

    def to_bytes(self) -> bytes:
        return np.concatenate(self.arrays).tobytes()


def _card(model: AnyModel) -> dict[str, Any]:
    recipe, own = model.card.recipe, model.card.to_dict()
    card = {
        "tenfold": __version__,
        "recipe": {"name": recipe.name, "title": recipe.title},
        "parameters": model.network.parameter_count,
        "label_shift": recipe.loss.label_shift,
        "views": MOVES[: recipe.ensemble.views],
    }
    return {key: value for key, value in own.items() if key != "recipe"} | card | {"format": _FORMAT}


def _member(network: Network, weights: Mapping[str, np.ndarray], numbers: _Numbers) -> list[dict[str, Any]]:
    folded, values = fold_network(network, weights)
    return [_layer(layer, values, numbers) for layer in folded.layers]


def _layer(layer: Layer, values: Mapping[str, np.ndarray], numbers: _Numbers) -> dict[str, Any]:
    spec = layer.spec
    entry: dict[str, Any] = {"kind": spec.kind}
    if spec.kind in _WINDOWED:
        entry |= {"kernel": spec.kernel, "stride": spec.stride, "padding": spec.padding}
    if spec.kind in ("linear", "conv"):
        weight = values[f"{spec.name}.weight"]
        bias = values[f"{spec.name}.bias"] if spec.bias else np.empty(0)
        # of a convolution with the channels last, as a window of the picture has them
        turned = np.moveaxis(weight, 1, -1) if spec.kind == "conv" else weight
        entry |= {"outputs": len(weight), "weight": numbers.add(turned), "bias": numbers.add(bias)}
    if spec.kind == "batch-norm":
        parts = (values[parameter.name].astype(np.float64) for parameter in layer.parameters)
        scale, shift = scale_and_shift(*parts)
        entry |= {"scale": numbers.add(scale), "shift": numbers.add(shift)}
    if spec.kind == "columns":
        entry["parts"] = spec.units or 1
    if spec.kind == "residual":
        entry["layers"] = [_layer(inner, values, numbers) for inner in layer.inner]
    return entry


_WEB = Path(__file__).parents[1] / "web"
_PAGE = _WEB / "static"

# As the server sends it; a static host sends none. frame-ancestors has no effect from within a page.
_POLICY = (
    b"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'"
)
_COMMENT = re.compile(rb"^ *(?://.*|/\*\*(?s:.)*?\*/)\n", re.MULTILINE)  # those that fill their lines
_HEAD = b'<meta charset="utf-8">\n'


@checked
def export_web(model: AnyModel, folder: str | Path) -> Path:
    """Writes the page, the model and a service worker into a folder; returns its path.

    Every address in it is relative, so it may lie in any sub-folder of a host. With a line reader it reads
    pictures as `tenfold read` does, with a classifier one digit per picture, as `Classifier.classify`.
    Files of the same name are replaced, others left alone.
    Raises UsageError for a classifier that reads no ink, and for a folder that holds other things.
    """
    if isinstance(model, Classifier):
        _refuse_what_reads_no_ink(model)
    target = Path(folder)
    if target.exists() and not is_bundle(target):
        raise UsageError(
            f"{target} is there already, and is not a bundle of tenfold's",
            expected="a new folder, an empty one, or one that an earlier export made",
            remedy="name another with --out",
        )
    with fill_folder(target, add=True) as place:
        write_text(place / "config.json", json.dumps({"backend": "local", "collect": False}) + "\n")
        names = ["config.json", *_copy_page(place), "model/card.json", "model/weights.bin"]
        write_web_model(model, place / "model")
        write_text(place / "sw.js", _service_worker(place, sorted(names)))
    return target


def is_bundle(folder: Path) -> bool:
    """Whether a folder is empty, or one that `export_web` made."""
    if not folder.is_dir():
        return False
    if all(is_part(path) for path in folder.iterdir()):
        return True
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("backend") == "local"


def _refuse_what_reads_no_ink(classifier: Classifier) -> None:
    card = classifier.card
    if card.reads_ink:
        return
    height, width = card.image_shape
    raise UsageError(
        f"this model knows pictures of {width}x{height} on {card.background} ground, not what the page draws",
        expected="one that reads handwriting: light ink on 28x28 dark pixels",
        remedy="export it with --to onnx",
    )


def _copy_page(target: Path) -> list[str]:
    """Returns the files' names, relative and with slashes; config.json is the server's and stays out."""
    names = []
    for path in sorted(_PAGE.rglob("*")):
        name = path.relative_to(_PAGE).as_posix()
        if path.is_file() and name != "config.json":
            with replace_file(target / name) as beside:
                beside.write_bytes(_prepare(name, path.read_bytes()))
            names.append(name)
    return names


def _prepare(name: str, data: bytes) -> bytes:
    """A file as it travels: the page with its policy, code without its comments."""
    if name == "index.html":
        return _with_policy(data)
    return _COMMENT.sub(b"", data) if name.endswith(".js") else data


def _with_policy(page: bytes) -> bytes:
    meta = b'<meta http-equiv="Content-Security-Policy" content="' + _POLICY + b'">\n'
    return page.replace(_HEAD, _HEAD + meta, 1)


def _service_worker(target: Path, names: list[str]) -> str:
    """Its bytes change with any file's, which is how a browser learns of a new bundle."""
    code = (_WEB / "sw.js").read_text(encoding="utf-8")
    digest = sha256(code.encode())
    for name in names:
        digest.update(name.encode() + b"\0" + (target / name).read_bytes())
    files = ["./", *(name for name in names if name != "index.html")]  # a host shows index.html as ./
    return f'const VERSION = "{digest.hexdigest()[:16]}";\nconst FILES = {json.dumps(files)};\n\n{code}'
