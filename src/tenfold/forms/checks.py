"""Sums that a form's fields must keep: they choose among likely readings, or make fields doubtful.

Of the fields' candidates, the likeliest combinations are tried in order. The writer may have added wrongly,
too: a combination that keeps all sums is taken only where it is clearly likelier than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from heapq import heappop, heappush

import numpy as np

from tenfold.forms.template import Check

__all__ = ["Candidates", "Verdict", "apply_checks", "to_number"]

Candidates = Sequence[tuple[str, float]]  # texts and their probabilities, the likeliest first

_WRONG = 0.01  # of people's sums, about
_CLEAR = 0.8  # probability from which the sum decides
_MOST = 4000  # combinations that are tried


@dataclass(frozen=True)
class Verdict:
    """texts: of the fields that sums decide, with their probabilities. broken: fields of sums that do not
    hold."""

    texts: Mapping[str, tuple[str, float]]
    broken: frozenset[str]


def to_number(text: str) -> Decimal | None:
    """The last "," or "." is the decimal mark, others separate thousands; None for what is not a number."""
    whole, mark, part = text.replace(",", ".").rpartition(".")
    try:
        return Decimal(f"{whole.replace('.', '')}{mark}{part}") if text else None
    except InvalidOperation:
        return None


def apply_checks(checks: Sequence[Check], candidates: Mapping[str, Candidates]) -> Verdict:
    """candidates: of each field that was read; "" of an empty one, which counts 0. Sums of which a field
    could not be read, or whose total is empty, say nothing."""
    told = [check for check in checks if _tells(check, candidates)]
    texts: dict[str, tuple[str, float]] = {}
    broken: set[str] = set()
    for group in _together(told):
        names = sorted({name for check in group for name in check.names})
        found = _decide(group, names, [candidates[name] for name in names])
        if found is not None:
            texts |= dict(zip(names, found, strict=True))
            continue
        best = {name: candidates[name][0][0] for name in names}
        broken |= {name for check in group if not _holds(check, best) for name in check.names}
    return Verdict(texts, frozenset(broken))


def _tells(check: Check, candidates: Mapping[str, Candidates]) -> bool:
    if not all(candidates.get(name) for name in check.names):
        return False
    return candidates[check.total][0][0] != ""


def _together(checks: Sequence[Check]) -> list[list[Check]]:
    """Groups of checks that share fields."""
    groups: list[list[Check]] = []
    for check in checks:
        near = [group for group in groups if any(set(check.names) & set(other.names) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([check, *(other for group in near for other in group)])
    return groups


def _holds(check: Check, texts: Mapping[str, str]) -> bool:
    total, *parts = (to_number(texts[name]) if texts[name] else Decimal(0) for name in check.names)
    known = [part for part in parts if part is not None]
    return total is not None and len(known) == len(parts) and sum(known, Decimal(0)) == total


def _decide(
    group: Sequence[Check], names: Sequence[str], choices: Sequence[Candidates]
) -> list[tuple[str, float]] | None:
    """A text for each field, with its probability; None where no combination is clearly right."""
    kept: list[tuple[tuple[int, ...], float]] = []
    others = 0.0
    for places, share in _likeliest(choices):
        texts = {name: choices[i][place][0] for i, (name, place) in enumerate(zip(names, places))}
        if all(_holds(check, texts) for check in group):
            kept.append((places, share))
        else:
            others += share
    every = (1 - _WRONG) * sum(share for _, share in kept) + _WRONG * others
    if not kept or (1 - _WRONG) * kept[0][1] < _CLEAR * every:
        return None
    best = kept[0][0]
    sure = [sum(share for each, share in kept if each[i] == place) for i, place in enumerate(best)]
    return [(choices[i][place][0], min(1.0, (1 - _WRONG) * sure[i] / every)) for i, place in enumerate(best)]


def _likeliest(choices: Sequence[Candidates]) -> list[tuple[tuple[int, ...], float]]:
    """Combinations, one place in each list, with the product of their probabilities, the likeliest first."""
    costs = [[-float(np.log(max(share, 1e-12))) for _, share in each] for each in choices]
    first = (0,) * len(choices)
    waiting = [(sum(each[0] for each in costs), first)]
    seen = {first}
    found: list[tuple[tuple[int, ...], float]] = []
    while waiting and len(found) < _MOST:
        cost, places = heappop(waiting)
        found.append((places, float(np.exp(-cost))))
        for i, place in enumerate(places):
            after = (*places[:i], place + 1, *places[i + 1 :])
            if place + 1 < len(costs[i]) and after not in seen:
                seen.add(after)
                heappush(waiting, (cost + costs[i][place + 1] - costs[i][place], after))
    return found
