"""A model written in any of the forms that other programs load, checked, never overwriting other files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.claims import LOCK, claim_place
from tenfold.errors import UsageError, nearest
from tenfold.export.card import CARD_MARK, write_card
from tenfold.export.check import Agreement, Images, compare_onnx, compare_saved
from tenfold.export.onnx_file import export_onnx
from tenfold.export.onnx_graph import import_onnx
from tenfold.export.web import export_web
from tenfold.files import fill_folder, is_part, replace_file
from tenfold.reader.load import AnyModel

__all__ = ["FORMS", "Exported", "Source", "default_place", "export_as"]


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
