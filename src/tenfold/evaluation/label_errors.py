"""Labels that are likely wrong, found by confident learning from out-of-fold probabilities.

After Northcutt, Jiang & Chuang 2021: Confident Learning: Estimating Uncertainty in Dataset Labels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import check_images, checked
from tenfold.arrays import image_place
from tenfold.errors import DataError
from tenfold.files import csv_line, make_folder, replace_file, write_text
from tenfold.records import Record, pick

__all__ = ["LabelErrors", "find_label_errors"]

_FILE = "label_errors"
_KEPT_PICTURES = 60
_SLACK = 1e-6  # of a threshold, as in cleanlab: rounding must not decide
_NEVER = 2.0  # no probability reaches it


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The M records of n whose labels are likely wrong.

    index: int64 (M,), places in the data set; given: int64 (M,), their labels; suggested: int64 (M,),
    the most probable class; quality: float64 (M,) in 0..1, the probability of the given label; the
    lowest first. all_quality: float64 (N,), of every record, whether suspected or not.
    thresholds: float64 (K,), mean probability of a class among the records labelled with it, 2 where none
    does. joint: int64 (K, K), records given class i (row) that confidently belong to class j (column).
    images: uint8 (S, H, W), pictures of the first S suspects; none but in what was saved and loaded.
    note: a line on where the probabilities came from. files: of all N records, or none (see ImageDataset).
    """

    n: int
    index: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    quality: np.ndarray
    all_quality: np.ndarray
    thresholds: np.ndarray
    joint: np.ndarray
    images: np.ndarray | None = None
    note: str = ""
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @checked
    def most_suspect(self, count: int) -> np.ndarray:
        """int64 (count,): the places of lowest quality, beyond those of `index` where it is shorter."""
        return np.argsort(self.all_quality, kind="stable")[:count]

    @checked
    def to_dict(self, count: int = _KEPT_PICTURES) -> dict[str, Any]:
        """The figures and the `count` most suspect records, as JSON takes them."""
        columns = zip(self.index, self.given, self.suggested, self.quality, strict=True)
        rows = list(columns)[:count]
        return {
            "n": self.n,
            "suspects": len(self),
            "note": self.note,
            "thresholds": self.thresholds.tolist(),
            "joint": self.joint.tolist(),
            "most_suspect": [
                image_place(index, self.files)
                | {"given": int(given), "suggested": int(suggested), "quality": float(q)}
                for index, given, suggested, q in rows
            ],
        }

    @checked
    def rows(self, class_names: Sequence[str], count: int | None = None) -> list[dict[str, Any]]:
        """A row a suspect, the most suspect first: index, file (if any), given, suggested, quality."""
        columns = zip(self.index, self.given, self.suggested, self.quality, strict=True)
        return [
            image_place(index, self.files)
            | {
                "given": class_names[given],
                "suggested": class_names[suggested],
                "quality": round(float(q), 6),
            }
            for index, given, suggested, q in list(columns)[:count]
        ]

    @checked
    def write(self, class_names: Sequence[str], path: Path) -> None:
        """All suspects as CSV or, where the name ends in .json, as JSON."""
        rows = self.rows(class_names)
        if path.suffix == ".json":
            document = {"n": self.n, "suspects": rows, "note": self.note}
            write_text(path, json.dumps(document, indent=2) + "\n")
            return
        with replace_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            named = ("index", "file") if self.files else ("index",)
            columns = (*named, "given", "suggested", "quality")
            file.write(csv_line(columns, "\r\n"))
            file.writelines(csv_line([row[column] for column in columns], "\r\n") for row in rows)

    @checked
    def save(self, folder: str | Path, *, images: np.ndarray, note: str = "") -> LabelErrors:
        """Writes label_errors.json and label_errors.npz; returns what `load` will give.

        images: uint8 (N, H, W), all of the data set, of which the 60 most suspect are kept.
        Raises DataError where they are not N.
        """
        check_images(images)
        if len(images) != self.n:
            raise DataError(f"{len(images)} images", expected=f"the {self.n} whose labels were looked at")
        kept = replace(self, images=np.asarray(images[self.index[:_KEPT_PICTURES]]), note=note or self.note)
        arrays = {key: getattr(kept, key) for key in _FORMS}
        Record(make_folder(folder), _FILE).write(kept.to_dict(), arrays, kept.files)
        return kept

    @classmethod
    @checked
    def load(cls, folder: str | Path) -> LabelErrors:
        """What `save` wrote. Raises ModelError."""
        record = Record(Path(folder), _FILE)
        remedy = f"make them anew: tenfold label-errors {folder}"
        with record.reading("label errors", remedy):
            plain = pick(record.read_plain(), {"n": "int", "note": "str"})
            arrays = record.read_arrays()
            files = Record.files_of(arrays)  # once not kept
            sizes = {"N": plain["n"], "K": len(arrays["thresholds"])}
            if len(files) not in (0, plain["n"]):
                raise ValueError(f"{len(files):,} files of {plain['n']:,} images")
            return cls(**plain, files=files, **Record.check(arrays, _FORMS, sizes))


_FORMS = {  # see Record.check
    "index": "i<N M", "given": "i<K M", "suggested": "i<K M", "quality": "f M", "all_quality": "f N",
    "thresholds": "f K", "joint": "i K K", "images": "u S H W",
}  # fmt: skip


@checked
def find_label_errors(
    probs: np.ndarray, labels: np.ndarray, *, note: str = "", files: Sequence[str] = ()
) -> LabelErrors:
    """Probabilities (N, K) of a network that never saw the record it judges, labels (N,) -> suspects.

    files: those of the N records, to name them by (a data set's `files`), or none.

    A record confidently belongs to a class where it is at least as probable as it is, on average,
    among the records labelled with it; of several such classes, to the most probable. Counted by given
    and fitting class these records say which share of each class is labelled wrongly, and so about how
    many of all n do. Suspected are as many: those whose given label is least probable, where another
    class is most probable. (Of the paper's and cleanlab's rankings the probability of the given label
    finds flipped labels best, and the number finds more of them than the confident records alone.)
    Raises DataError.
    """
    _check(probs, labels)
    if files and len(files) != len(labels):
        raise DataError(f"{len(files)} files for {len(labels)} labels", expected="one per record, or none")
    exact, classes = np.asarray(probs, dtype=np.float64), probs.shape[1]
    quality = exact[np.arange(len(labels)), labels]
    count = np.bincount(labels, minlength=classes)
    total = np.bincount(labels, weights=quality, minlength=classes)
    thresholds = np.where(count > 0, total / np.maximum(count, 1), _NEVER)
    joint = _confident_joint(exact, labels, thresholds)
    likeliest = exact.argmax(axis=1)
    suspects = np.flatnonzero(exact.max(axis=1) > quality)
    order = np.argsort(quality[suspects], kind="stable")
    suspects = suspects[order[: _estimate_errors(joint, labels)]]
    return LabelErrors(
        n=len(labels), index=suspects, given=labels[suspects].astype(np.int64), suggested=likeliest[suspects],
        quality=quality[suspects], all_quality=quality, thresholds=thresholds, joint=joint, note=note,
        files=tuple(files),
    )  # fmt: skip


def _check(probs: np.ndarray, labels: np.ndarray) -> None:
    if probs.ndim != 2 or labels.shape != probs.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        found = f"probabilities of shape {probs.shape} and labels of shape {labels.shape}, {labels.dtype}"
        raise DataError(found, expected="(N, K) and N integers")
    if not len(labels) or labels.min() < 0 or labels.max() >= probs.shape[1]:
        raise DataError(f"{len(labels)} labels", expected=f"at least one, all from 0 to {probs.shape[1] - 1}")
    if not (np.isfinite(probs).all() and probs.min() >= 0 and probs.max() <= 1 + _SLACK):
        raise DataError("probabilities that are not all in 0..1", expected="what predict_proba gives")


def _confident_joint(exact: np.ndarray, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """int64 (K, K): confident records by given class (row) and the class they belong to (column)."""
    classes = len(thresholds)
    belongs = np.where(exact >= thresholds - _SLACK, exact, -1.0)
    confident = belongs.max(axis=1) >= 0
    pairs = (labels * classes + belongs.argmax(axis=1))[confident]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def _estimate_errors(joint: np.ndarray, labels: np.ndarray) -> int:
    """How many labels are wrong, were all records as the confident ones of their class."""
    right = np.maximum(np.diag(joint), 1)
    wrong = joint.sum(axis=1) - np.diag(joint)
    return round(float(np.bincount(labels, minlength=len(joint)) @ (wrong / (wrong + right))))
