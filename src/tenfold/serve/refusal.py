"""Why a request is refused: a status, and a message in three parts (found, expected, remedy)."""

from __future__ import annotations

import json
from typing import Any

from tenfold.errors import TenfoldError

__all__ = ["Refusal", "busy", "to_document", "too_much"]


class Refusal(TenfoldError):
    """An error with its HTTP status, and the headers that belong to it."""

    def __init__(
        self,
        status: int,
        found: str,
        *,
        expected: str = "",
        remedy: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(found, expected=expected, remedy=remedy)
        self.status, self.headers = status, headers or {}

    def to_bytes(self) -> bytes:
        return json.dumps({"error": to_document(self)}).encode()


def to_document(error: TenfoldError) -> dict[str, Any]:
    """The same form everywhere: what was found, what was expected, and the remedy."""
    return {"found": error.found, "expected": error.expected, "remedy": error.remedy}


def busy(found: str) -> Refusal:
    return Refusal(503, found, remedy="try again after a second", headers={"Retry-After": "1"})


def too_much(found: str) -> Refusal:
    """Of one client, where others would still be served."""
    return Refusal(429, found, remedy="send fewer requests at a time", headers={"Retry-After": "1"})
