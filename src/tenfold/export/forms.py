"""A model written in any of the forms that other programs load, checked, never overwriting other files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from tenfold.classifier import Classifier
from tenfold.errors import FigureNotMetError, MissingDependencyError, ModelError, UsageError, nearest
from tenfold.export.card import CARD_MARK, write_card
from tenfold.export.onnx_file import export_onnx, import_onnx
from tenfold.export.web import export_web
from tenfold.files import LOCK, claim_place, fill_folder, is_part, replace_file
from tenfold.numerics import log_softmax
from tenfold.pictures.lines import HEIGHT
from tenfold.reader.line_reader import AnyModel, LineReader

__all__ = ["Exported", "Source", "check_images", "check_strips", "export_as"]

# Whether an exported file answers as the model that it was made of.

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


@dataclass(frozen=True, eq=False)
class Source:
    """What is exported: a model, its name, and what is known of it (see `write_card`).

    images: what was written is asked about them; kind: what they are, in words.
    """

    model: AnyModel
    name: str
    saved: str
    images: Images
    kind: str
    data: Mapping[str, Any] | None = None
    figures: Mapping[str, Any] | None = None
    told: str = ""


@dataclass(frozen=True)
class Exported:
    """path: of the file or folder. files: of which it consists, with their bytes. agreement: of what was
    written with the model, None where that is not asked here."""

    form: str
    path: Path
    files: Mapping[str, int] = field(default_factory=dict)
    agreement: Agreement | None = None

    def to_dict(self) -> dict[str, Any]:
        agreement = self.agreement.to_dict() if self.agreement else None
        return {"to": self.form, "path": str(self.path), "files": dict(self.files), "check": agreement}


_ENDINGS = {"onnx": ".onnx", "safetensors": "-safetensors", "web": "-web", "card": ".md"}


def default_place(name: str, form: str) -> Path:
    """In the working folder: reader.onnx, reader-safetensors, reader-web, reader.md."""
    return Path(name + _ENDINGS[form])


def export_as(source: Source, form: str, path: str | Path | None = None) -> Exported:
    """Writes one form, to `default_place` unless a path is given.

    Raises UsageError where the form is unknown, does not suit the model, or the place is taken by something
    that no export made or by an export that is at work; FigureNotMetError where an ONNX file answers
    otherwise, which then does not get its place; MissingDependencyError.
    """
    if form not in FORMS:
        raise UsageError(f"--to {form!r}: unknown form", remedy=nearest(form, FORMS))
    target = default_place(source.name, form) if path is None else Path(path)
    with claim_place(target):
        agreement = FORMS[form](source, target)
    files = (
        [target]
        if target.is_file()
        else sorted(each for each in target.rglob("*") if each.is_file() and not is_part(each))
    )
    sizes = {(each.name if target.is_file() else each.relative_to(target).as_posix()): each.stat().st_size
             for each in files}  # fmt: skip
    return Exported(form, target, sizes, agreement)


def _to_onnx(source: Source, target: Path) -> Agreement:
    import_onnx()
    _refuse_taken(target, ours=_is_our_onnx)
    with replace_file(target) as beside:
        export_onnx(source.model, beside)
        agreement = compare_onnx(source.model, beside, source.images, source.kind)
        agreement.require()
    return agreement


def _to_safetensors(source: Source, target: Path) -> Agreement:
    _refuse_taken(target, ours=_is_our_model, folder=True)
    with fill_folder(target, add=True) as beside:
        source.model.save(beside)
        agreement = compare_saved(source.model, beside, source.images, source.kind)
        agreement.require()
    return agreement


def _to_web(source: Source, target: Path) -> None:
    export_web(source.model, target)


def _to_card(source: Source, target: Path) -> None:
    _refuse_taken(target, ours=_is_our_card)
    write_card(
        source.model,
        target,
        name=source.name,
        saved=source.saved,
        data=source.data,
        figures=source.figures,
        told=source.told,
    )


FORMS: dict[str, Callable[[Source, Path], Agreement | None]] = {
    "onnx": _to_onnx,
    "safetensors": _to_safetensors,
    "web": _to_web,
    "card": _to_card,
}


def _refuse_taken(target: Path, *, ours: Callable[[Path], bool], folder: bool = False) -> None:
    if target.exists() and (target.is_dir() != folder or not ours(target)):
        raise UsageError(
            f"{target} is there already, and no such export made it",
            expected="a free name, or what an earlier export to it wrote",
            remedy="name another with --out",
        )


def _is_our_onnx(path: Path) -> bool:
    try:
        return bool(import_onnx().load(path).producer_name == "tenfold")
    except Exception:  # whatever protobuf makes of a file that is none of its own
        return False


def _is_our_model(folder: Path) -> bool:
    """Not a run's folder, which holds more."""
    names = {path.name for path in folder.iterdir() if not is_part(path)}
    return names <= {"model.safetensors", "model.json", LOCK}


def _is_our_card(path: Path) -> bool:
    return CARD_MARK in path.read_text(encoding="utf-8", errors="replace")
