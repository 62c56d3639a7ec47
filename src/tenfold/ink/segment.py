"""Marks -> digits: which marks belong together and which come apart, as the classifier judges best.

A digit may be several marks (a 5 with its bar, a broken pencil line) and a mark several digits (they
touch). All sensible runs of neighbouring pieces are framed and judged in one batch; then a shortest path
(Viterbi 1967; as in the check readers of LeCun et al. 1998) picks the runs that together are judged best,
each weighted by its share of the ink, so that neither few nor many digits are favoured as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tenfold.ink.frame import frame_ink
from tenfold.ink.marks import Box, Mark, cut_mark, find_rows, join_marks
from tenfold.ink.strength import Ink

__all__ = ["Judge", "Segment", "segment_digits"]

Judge = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""uint8 (N, 28, 28) -> probabilities of the classes (N, K), and of being none of them (N,)."""

_MOST_PIECES, _MOST_SLICES = 4, 12  # marks that one digit may consist of, and slices of marks
_WIDEST, _WIDEST_SLICED = 1.9, 1.45  # of the row's height: no digit is wider, or where it was cut
_GAP = 0.45  # of the row's height: pieces farther apart belong to two digits
_SURE = 0.9  # a mark judged better than this is not cut
_CUT = 0.8  # what a cut must be better by, in nats of a whole digit's ink
_OVER = 1.5  # what a mark that stands over its neighbour costs as a digit of its own, in nats
_STACK = 2.0  # how much likelier one digit is than a tight stack of several, in nats
_STACK_GAP = 0.2  # of the whole's height: marks farther apart are no single digit
_SHORT = 0.5  # of the row's height: shorter runs are seldom digits
_SHORT_COST = 3.0  # nats, of a whole digit's ink, that a short run costs
_NONE = 0.05  # how much being none of the classes counts for, against being one


@dataclass(frozen=True, eq=False)
class Segment:
    """image: uint8 (28, 28), framed. box: x0, y0, x1, y1 in the ink's pixels. row: from 0 at the top."""

    image: np.ndarray
    box: Box
    row: int
    probs: np.ndarray
    none: float


@dataclass(frozen=True, eq=False)
class _Run:
    first: int
    last: int
    mark: Mark
    image: np.ndarray


_Judged = tuple[_Run, np.ndarray, float]


def segment_digits(ink: Ink, judge: Judge) -> list[Segment]:
    """The digits of a picture in reading order: rows from the top, each left to right."""
    rows = find_rows(ink)
    read = [_read_row(row, judge) for row in rows]
    if len(rows) > 1 and (whole := _read_whole(rows, judge)) and _tells_more(whole, read):
        read = [[whole]]
    return [
        Segment(run.image, run.mark.box, number, probs, none)
        for number, row in enumerate(read)
        for run, probs, none in row
    ]


def _read_whole(rows: Sequence[Sequence[Mark]], judge: Judge) -> _Judged | None:
    """All marks as one digit, whose bar or upper loop stands off, where they are few and near."""
    marks = [mark for row in rows for mark in row]
    boxes = [join_marks(row) for row in rows]
    apart = max(below.box[1] - above.box[3] for above, below in pairwise(boxes))
    whole = join_marks(marks)
    if len(marks) > _MOST_PIECES or apart > _STACK_GAP * whole.height or whole.width > _WIDEST * whole.height:
        return None
    return _judge([_Run(0, len(marks) - 1, whole, frame_ink(whole.strength))], judge)[0]


def _tells_more(whole: _Judged, read: Sequence[Sequence[_Judged]]) -> bool:
    """Whether one digit is likelier than a stack of them, which people seldom write so tightly."""
    parts = [item for row in read for item in row]
    weights = [run.mark.weight for run, _, _ in parts]
    mean = float(np.average([_score(probs, none) for _, probs, none in parts], weights=weights))
    return _score(whole[1], whole[2]) > mean - _STACK


def _read_row(row: Sequence[Mark], judge: Judge) -> list[_Judged]:
    height = float(np.median([mark.height for mark in row if mark.height >= 0.5 * _tallest(row)]))
    pieces, cuts = list(row), [False] * len(row)
    judged = _judge(_runs(pieces, cuts, height), judge)
    alone = {run.first: _score(probs, none) for run, probs, none in judged if run.first == run.last}
    again: list[Mark] = []
    cut_before: list[bool] = []
    for index, mark in enumerate(pieces):
        parts = [mark]
        if alone.get(index, -9.0) < np.log(_SURE) and _may_be_several(mark, height, len(row)):
            parts = cut_mark(mark, height)
        again += parts
        cut_before += [False] + [True] * (len(parts) - 1)
    if len(again) > len(pieces):
        pieces, cuts = again, cut_before
        judged = _judge(_runs(pieces, cuts, height), judge)
    return _best_path(judged, pieces, cuts, height)


def _tallest(row: Sequence[Mark]) -> int:
    return max(mark.height for mark in row)


def _may_be_several(mark: Mark, height: float, count: int) -> bool:
    """A lone mark must be wide to be cut: letters fall into ones and sevens all too easily."""
    return mark.width > (1.5 if count == 1 else 0.75) * height and mark.height > 0.5 * height


def _runs(pieces: Sequence[Mark], cuts: Sequence[bool], height: float) -> list[_Run]:
    """All neighbours that may be one digit. cuts: whether a piece was cut off the one before."""
    runs = []
    for first in range(len(pieces)):
        for last in range(first, len(pieces)):
            sliced = any(cuts[first : last + 2])  # a digit that touches another is no wider than high
            if last - first >= (_MOST_SLICES if sliced else _MOST_PIECES):
                break
            if last > first and _gap(pieces[first:last], pieces[last]) > _GAP * height:
                break
            mark = join_marks(pieces[first : last + 1])
            if last > first and mark.width > (_WIDEST_SLICED if sliced else _WIDEST) * max(
                height, mark.height
            ):
                break
            runs.append(_Run(first, last, mark, frame_ink(mark.strength)))
    return runs


def _gap(before: Sequence[Mark], mark: Mark) -> int:
    return mark.box[0] - max(other.box[2] for other in before)


def _judge(runs: Sequence[_Run], judge: Judge) -> list[_Judged]:
    probs, none = judge(np.stack([run.image for run in runs]))
    return [(run, row, float(value)) for run, row, value in zip(runs, probs, none, strict=True)]


def _score(probs: np.ndarray, none: float) -> float:
    return float(np.log(max((1 - none) * float(probs.max()), _NONE * none, 1e-6)))


def _parting_cost(pieces: Sequence[Mark], cuts: Sequence[bool], first: int, usual: float) -> float:
    """What it costs that a run begins at this piece: cut off the one before, or standing over it."""
    if not first:
        return 0.0
    if cuts[first]:
        return _CUT * usual
    before, piece = pieces[first - 1], pieces[first]
    shared = min(before.box[2], piece.box[2]) - max(before.box[0], piece.box[0])
    over = shared > 0.5 * min(before.width, piece.width)
    return _OVER * min(before.weight, piece.weight) * over


def _best_path(
    judged: Sequence[_Judged], pieces: Sequence[Mark], cuts: Sequence[bool], height: float
) -> list[_Judged]:
    """Over all ways to part the pieces into runs, the one of the best mean score, weighted by ink."""
    best: list[tuple[float, list[_Judged]]] = [(0.0, []), *((-np.inf, []) for _ in pieces)]
    weights = [piece.weight for piece in pieces]
    usual = float(
        np.median([run.mark.weight for run, probs, none in judged if _score(probs, none) > -0.5] or weights)
    )
    for end in range(1, len(pieces) + 1):
        for item in judged:
            run, probs, none = item
            if run.last + 1 != end:
                continue
            score = best[run.first][0] + sum(weights[run.first : end]) * _score(probs, none)
            score -= _parting_cost(pieces, cuts, run.first, usual)
            if run.mark.height < _SHORT * height:
                score -= _SHORT_COST * usual
            if score > best[end][0]:
                best[end] = (score, [*best[run.first][1], item])
    return best[-1][1]
