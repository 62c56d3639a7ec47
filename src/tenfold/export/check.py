"""Whether an exported file answers as the classifier that it was made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from tenfold.classifier import Classifier
from tenfold.errors import FigureNotMetError, MissingDependencyError, ModelError

__all__ = ["MOST_DIFFERENCE", "Agreement", "check_images", "compare_onnx", "compare_saved"]

MOST_DIFFERENCE = 1e-3  # of a probability


@dataclass(frozen=True)
class Agreement:
    """images: how many were asked about, and of what kind. difference: the largest, of a probability.
    differing: answers (the likeliest class, or a refusal) that are not the same."""

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


def compare_onnx(classifier: Classifier, path: Path, images: np.ndarray, kind: str) -> Agreement:
    """Runs an ONNX file in ONNX Runtime on uint8 (N, H, W). Raises MissingDependencyError."""
    try:
        import onnxruntime
    except ImportError as error:
        purpose = "checking an ONNX file"
        raise MissingDependencyError("onnxruntime", extra="onnx", purpose=purpose) from error
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": images}), strict=True))
    none = found.get("none", np.zeros(len(images), np.float32))
    return _compare(classifier, (found["probabilities"], none), images, kind)


def compare_saved(classifier: Classifier, folder: Path, images: np.ndarray, kind: str) -> Agreement:
    """Loads what `Classifier.save` wrote and asks it. Raises ModelError."""
    engine = classifier.engine.name
    return _compare(classifier, Classifier.load(folder, engine=engine).judge(images), images, kind)


def _compare(
    classifier: Classifier, found: tuple[np.ndarray, np.ndarray], images: np.ndarray, kind: str
) -> Agreement:
    probs, none = classifier.judge(images)
    if found[0].shape != probs.shape:
        raise ModelError(f"the exported file answers {found[0].shape}", expected=f"{probs.shape}")
    most = classifier.card.most_none
    differing = (found[0].argmax(axis=1) != probs.argmax(axis=1)) | ((found[1] > most) != (none > most))
    difference = max(np.abs(found[0] - probs).max(initial=0), np.abs(found[1] - none).max(initial=0))
    return Agreement(len(images), kind, float(difference), int(differing.sum()))
