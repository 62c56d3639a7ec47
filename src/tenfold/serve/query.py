"""The parameters of a request: what else an answer should hold, and what a line must look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import QueryParams

from tenfold.errors import UsageError, nearest
from tenfold.reader.constraint import make_constraint
from tenfold.serve.refusal import Refusal
from tenfold.serve.split import as_shown

__all__ = ["check_query", "parse_query"]

_FORM = {"pattern": "pattern", "length": "length", "min": "least", "max": "most"}
_TRUTHS = {"true": True, "false": False}


def check_query(query: QueryParams, known: Sequence[str] = ()) -> None:
    """Raises Refusal 422 for a parameter that is not known."""
    for key in query:
        if key not in known:
            raise Refusal(
                422, f"unknown parameter {as_shown(key)!r}", expected=" or ".join(known) or "no parameter"
            )


def parse_query(query: QueryParams, includes: Sequence[str], *, lines: bool) -> dict[str, Any]:
    """The parameters of /v1/read as `read_body` takes them. Raises Refusal 422.

    lines: whether the model reads lines, which may have to look like something.
    """
    check_query(query, ("include", "digits", *_FORM) if lines else ("include",))
    digits = query.get("digits", "false")
    if digits not in _TRUTHS:
        raise Refusal(422, f"digits={as_shown(digits)!r}", expected="true or false")
    return {"include": _includes(query, includes), "digits": _TRUTHS[digits], "form": _form(query)}


def _includes(query: QueryParams, known: Sequence[str]) -> list[str]:
    """The parts that ?include=image,saliency asks for, in any number of parameters."""
    names = [name for text in query.getlist("include") for name in text.split(",")]
    for name in names:
        if name not in known:
            raise Refusal(422, f"include={as_shown(name)!r}", remedy=nearest(name[:40], known))
    return names


def _form(query: QueryParams) -> dict[str, Any]:
    """What `make_constraint` takes."""
    form: dict[str, Any] = {known: query[name] for name, known in _FORM.items() if name in query}
    length = form.get("length", "1")
    if not (length.isascii() and length.isdigit() and len(length) < 4):
        raise Refusal(422, f"length={as_shown(length)!r}", expected="a whole number of digits")
    if "length" in form:
        form["length"] = int(length)
    try:
        make_constraint(**form)
    except UsageError as error:
        remedy = "write + as %2B in an address" if " " in query.get("pattern", "") else error.remedy
        raise Refusal(422, error.found, expected=error.expected, remedy=remedy) from error
    return form
