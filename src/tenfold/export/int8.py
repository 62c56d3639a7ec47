"""An ONNX file with weights of 8 bits, and what that costs: its accuracy beside that of float32."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import MissingDependencyError
from tenfold.export.onnx_file import import_onnx


def quantise_onnx(
    exact: Path, target: Path, images: np.ndarray, labels: np.ndarray | None
) -> dict[str, Any] | None:
    """Writes the file `exact` with int8 weights (dynamic quantisation of ONNX Runtime) to `target`.

    Returns the accuracy of both on the images and their number, which the file keeps in its metadata; None
    without labels. Raises MissingDependencyError.
    """
    onnx = import_onnx()
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingDependencyError("onnxruntime", extra="onnx", purpose="int8") from error
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises to pre-process, by the root logger
    try:
        quantize_dynamic(exact, target, weight_type=QuantType.QUInt8)
    finally:
        root.setLevel(level)
    model = onnx.load(target)
    told = {entry.key: entry.value for entry in model.metadata_props} | {"weights": "int8"}
    found = None
    if labels is not None:
        found = {"images": len(labels)} | {
            name: round(float((_answers(path, images) == labels).mean()), 6)
            for name, path in (("float32", exact), ("int8", target))
        }
        told |= {"accuracy_float32": str(found["float32"]), "accuracy_int8": str(found["int8"]),
                 "accuracy_images": str(found["images"])}  # fmt: skip
    onnx.helper.set_model_props(model, told)
    model.producer_name = "tenfold"
    onnx.save(model, target)
    return found


def _answers(path: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given, outputs = session.get_inputs()[0].name, [output.name for output in session.get_outputs()]
    parts = [images[start : start + 1000] for start in range(0, len(images), 1000)]
    probs = [session.run(None, {given: part})[outputs.index("probabilities")] for part in parts]
    found: np.ndarray = np.concatenate(probs).argmax(axis=1)
    return found
