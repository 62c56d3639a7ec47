"""Sums choose among likely readings, or are told as broken."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tenfold.forms.read import apply_checks, to_number
from tenfold.forms.template import Check

SUM = (Check("total", ("a", "b")),)


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", "12"), ("12,5", "12.5"), ("12.50", "12.50"), ("1.234,50", "1234.50"), (",5", "0.5")],
)
def test_the_last_mark_is_the_decimal_one(text: str, value: str) -> None:
    assert to_number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1/2", "--", "3:10"])
def test_other_texts_are_not_numbers(text: str) -> None:
    assert to_number(text) is None


def test_a_sum_chooses_the_likely_reading_that_fits() -> None:
    found = apply_checks(
        SUM, {"a": [("4,5", 0.6), ("9,5", 0.4)], "b": [("2.5", 0.99)], "total": [("12", 0.99), ("72", 0.01)]}
    )
    assert {name: text for name, (text, _) in found.texts.items()} == {"a": "9,5", "b": "2.5", "total": "12"}
    assert not found.broken and found.texts["a"][1] > 0.9


def test_a_sum_that_holds_makes_sure() -> None:
    found = apply_checks(SUM, {"a": [("4", 0.5), ("9", 0.4)], "b": [("2", 0.9)], "total": [("6", 0.95)]})
    assert found.texts["a"][0] == "4" and found.texts["a"][1] > 0.9


def test_where_all_is_sure_the_writer_was_wrong() -> None:
    found = apply_checks(
        SUM, {"a": [("4", 0.999), ("9", 0.0005)], "b": [("2", 0.999)], "total": [("11", 0.999)]}
    )
    assert not found.texts and found.broken == {"a", "b", "total"}


def test_what_cannot_be_judged_is_left() -> None:
    for total in ([], [("", 1.0)]):
        found = apply_checks(SUM, {"a": [("4", 0.9)], "b": [("2", 0.9)], "total": total})
        assert not found.texts and not found.broken


def test_an_empty_part_counts_nothing() -> None:
    found = apply_checks(SUM, {"a": [("4", 0.9)], "b": [("", 1.0)], "total": [("4", 0.9)]})
    assert not found.broken and found.texts["b"][0] == ""


def test_sums_that_share_fields_are_decided_together() -> None:
    checks = (*SUM, Check("all", ("total", "c")))
    found = apply_checks(
        checks,
        {
            "a": [("1", 0.5), ("7", 0.5)],
            "b": [("2", 1.0)],
            "total": [("3", 0.5), ("9", 0.5)],
            "c": [("1", 1.0)],
            "all": [("10", 1.0)],
        },
    )
    assert [found.texts[name][0] for name in ("a", "total", "all")] == ["7", "9", "10"]
