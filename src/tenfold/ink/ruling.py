"""Ruled lines, grids and the edges of hard shadows: straight, thin, and right across the picture.

They are found as in a Hough transform (Duda & Hart 1972) over lines within a few degrees of level and of
plumb, and taken out as staff lines are from music (Dalitz et al. 2008): where the ink across the line is no
thicker than the line itself; where a stroke crosses it, the stroke stays whole.
"""

from __future__ import annotations

import numpy as np

__all__ = ["remove_ruling"]

_SLOPES = np.tan(np.radians(np.arange(-9, 9.01, 0.25)))
_CELL = 400  # lines are looked for on at most so many pixels each way
_SHORTEST = 0.4  # of the picture's width: what of a line must lie in the picture
_COVERED = 0.7  # of its columns: what a line covers at least
_ENDS = 0.4  # of the first and of the last fifth: what it covers there
_EDGE = 0.02  # of the width: a line comes as near as this to both edges
_MOST = 40  # lines each way
_REACH = 12  # pixels above and below a line within which its thickness is measured


def remove_ruling(strength: np.ndarray, least: float) -> np.ndarray:
    """float32 (H, W) -> the same without the lines that are stronger than `least`."""
    for turned in (False, True):
        view = strength.T if turned else strength
        lines = _find_lines(view > least)
        if lines:
            view = _take_out(view, lines, least)
            strength = view.T if turned else view
    return strength


def _find_lines(mask: np.ndarray) -> list[tuple[float, float]]:
    """(row at column 0, slope) of each nearly level line right across bool (H, W)."""
    step = max(1, -(-max(mask.shape) // _CELL))
    height, width = (size // step for size in mask.shape)
    cells = mask[: height * step, : width * step].reshape(height, step, width, step).any(axis=(1, 3))
    rows, columns = np.nonzero(cells)
    lines: list[tuple[float, float]] = []
    for _ in range(_MOST):
        best = _longest(rows, columns, height, width)
        if best is None:
            break
        row, slope = best
        lines.append(((row + 0.5) * step, slope))
        away = np.abs(rows - row - slope * columns) > 2.5
        rows, columns = rows[away], columns[away]
    return lines


def _longest(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> tuple[float, float] | None:
    """The line that most columns lie on, if they are enough and at both ends."""
    if len(rows) < _SHORTEST * width:
        return None
    room = int(width * _SLOPES[-1]) + 1
    count = height + 2 * room
    places = np.rint(rows - _SLOPES[:, None] * columns).astype(np.int64) + room
    offsets = np.arange(len(_SLOPES))[:, None] * count
    votes = np.bincount((places + offsets).ravel(), minlength=len(_SLOPES) * count)
    slope, place = divmod(int(votes.argmax()), count)
    near = np.abs(rows - (place - room) - _SLOPES[slope] * columns) <= 1.5
    on = np.zeros(width, dtype=bool)
    on[columns[near]] = True
    level = place - room + _SLOPES[slope] * np.arange(width)
    on = on[(level >= -1) & (level <= height)]  # as far as the line lies in the picture
    if len(on) < _SHORTEST * width:
        return None
    fifth, edge = max(1, len(on) // 5), max(2, round(_EDGE * width))
    across = on[:edge].any() and on[-edge:].any()  # a tall one, or a bar, ends before
    if not across or on.mean() < _COVERED or min(on[:fifth].mean(), on[-fifth:].mean()) < _ENDS:
        return None
    return float(place - room), float(_SLOPES[slope])


def _take_out(strength: np.ndarray, lines: list[tuple[float, float]], least: float) -> np.ndarray:
    height, width = strength.shape
    columns = np.arange(width)
    cleaned = strength.copy()
    for row, slope in lines:
        rows = np.rint(row + slope * columns).astype(np.int64)[None] + np.arange(-_REACH, _REACH + 1)[:, None]
        inside = (rows >= 0) & (rows < height)
        patch = np.where(inside, strength[np.clip(rows, 0, height - 1), columns], 0)
        part = _thin_part(patch, least)
        cleaned[rows[part], np.broadcast_to(columns, rows.shape)[part]] = 0
    return cleaned


def _thin_part(patch: np.ndarray, least: float) -> np.ndarray:
    """bool, like patch (2 * reach + 1, W) around a line: the line, where no stroke crosses it."""
    near = patch[_REACH - 4 : _REACH + 5]
    centre = near.argmax(axis=0) + _REACH - 4
    inked = patch > 0.5 * least
    above = np.arange(len(patch))[:, None] - centre
    broken_up = np.where(~inked & (above < 0), above, -len(patch)).max(axis=0)
    broken_down = np.where(~inked & (above > 0), above, len(patch)).min(axis=0)
    thickness = broken_down - broken_up - 1
    lined = near.max(axis=0) > least
    if not lined.any():
        return np.zeros_like(inked)
    usual = float(np.median(thickness[lined]))
    thin = lined & (thickness <= 1.5 * usual + 1) & (usual < 0.75 * _REACH)
    return inked & thin & (above > broken_up) & (above < broken_down)
