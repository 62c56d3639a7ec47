"""Whether an exported file answers as the model that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from tenfold.classifier import Classifier
from tenfold.errors import FigureNotMetError, MissingDependencyError, ModelError
from tenfold.ink.strip import HEIGHT
from tenfold.numerics import log_softmax
from tenfold.reader.line_reader import LineReader
from tenfold.reader.load import AnyModel

__all__ = [
    "MOST_DIFFERENCE", "Agreement", "Images", "check_images", "check_strips", "compare_onnx", "compare_saved",
]  # fmt: skip

MOST_DIFFERENCE = 1e-3  # of a probability
_WIDTHS = (16, 64, 256, 1024)  # pixels of the strips that a line reader is asked about

Images = np.ndarray | Sequence[np.ndarray]  # uint8 (N, H, W), or of a line reader several such, of any widths


@dataclass(frozen=True)
class Agreement:
    """images: how many were asked about, and of what kind. difference: the largest, of a probability.
    differing: answers (the likeliest class, or a refusal; of strips the likeliest character of each column)
    that are not the same."""

    images: int
    kind: str
    difference: float
    differing: int

    def require(self) -> None:
        """Raises FigureNotMetError where probabilities or answers are too far apart."""
        if self.difference > MOST_DIFFERENCE or self.differing:
            raise FigureNotMetError(
                f"the exported file answers {self.differing} of {self.images:,} {self.kind} otherwise, "
                f"and probabilities differ by up to {self.difference:.2g}",
                expected=f"the same answers, and probabilities within {MOST_DIFFERENCE:g}",
                remedy="please report it with its recipe",
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_images(shape: tuple[int, int], count: int = 1000) -> np.ndarray:
    """uint8 (count, H, W), always the same: soft blobs on black, and every tenth pure noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((count, *shape), dtype=np.float32)
    soft = gaussian_filter(noise, (0, 2, 2))
    soft /= np.maximum(soft.std(axis=(1, 2), keepdims=True), 1e-6)
    images = np.clip(255 * (soft - 0.5), 0, 255)
    images[::10] = rng.integers(0, 256, images[::10].shape)
    return images.astype(np.uint8)


def check_strips(count: int = 8) -> list[np.ndarray]:
    """uint8 (count, 32, W) each, of several widths: soft blobs on the grey of paper."""
    return [128 - check_images((HEIGHT, width), count) // 2 for width in _WIDTHS]


def compare_onnx(model: AnyModel, path: Path, images: Images, kind: str) -> Agreement:
    """Runs an ONNX file in ONNX Runtime on what `model` takes. Raises MissingDependencyError."""
    try:
        import onnxruntime
    except ImportError as error:
        purpose = "checking an ONNX file"
        raise MissingDependencyError("onnxruntime", extra="onnx", purpose=purpose) from error
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    if isinstance(model, LineReader):
        return _compare_strips(model, lambda strips: session.run(None, {"strips": strips})[0], images, kind)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": images}), strict=True))
    none = found.get("none", np.zeros(len(images), np.float32))
    return _compare(model, (found["probabilities"], none), images, kind)


def compare_saved(model: AnyModel, folder: Path, images: Images, kind: str) -> Agreement:
    """Loads what `save` wrote and asks it. Raises ModelError."""
    engine = model.engine.name
    if isinstance(model, LineReader):
        saved = LineReader.load(folder, engine=engine)
        return _compare_strips(model, lambda strips: _logs(saved, strips), images, kind)
    return _compare(model, Classifier.load(folder, engine=engine).judge(np.asarray(images)), images, kind)


def _logs(reader: LineReader, strips: np.ndarray) -> np.ndarray:
    return log_softmax(reader.engine.logits(strips) / np.float32(reader.card.temperature))


def _compare_strips(
    reader: LineReader, ask: Callable[[np.ndarray], np.ndarray], images: Images, kind: str
) -> Agreement:
    """ask: uint8 (N, 32, W) -> log-probabilities (N, T, 21)."""
    difference, differing = 0.0, 0
    for strips in images:
        found, logs = ask(strips), _logs(reader, strips)
        if found.shape != logs.shape:
            raise ModelError(f"the exported file answers {found.shape}", expected=f"{logs.shape}")
        difference = max(difference, float(np.abs(np.exp(found) - np.exp(logs)).max()))
        differing += int((found.argmax(axis=2) != logs.argmax(axis=2)).any(axis=1).sum())
    return Agreement(sum(map(len, images)), kind, difference, differing)


def _compare(
    classifier: Classifier, found: tuple[np.ndarray, np.ndarray], images: Images, kind: str
) -> Agreement:
    probs, none = classifier.judge(np.asarray(images))
    if found[0].shape != probs.shape:
        raise ModelError(f"the exported file answers {found[0].shape}", expected=f"{probs.shape}")
    most = classifier.card.most_none
    differing = (found[0].argmax(axis=1) != probs.argmax(axis=1)) | ((found[1] > most) != (none > most))
    difference = max(np.abs(found[0] - probs).max(initial=0), np.abs(found[1] - none).max(initial=0))
    return Agreement(len(images), kind, float(difference), int(differing.sum()))
