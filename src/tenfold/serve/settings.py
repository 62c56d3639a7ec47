"""What a server allows: every limit it has, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from tenfold.arguments import check_argument
from tenfold.errors import UsageError
from tenfold.helpers import count_cores

__all__ = ["ServeSettings"]

_MOST_WORKERS = 4  # unless more are asked for
_LARGEST_BODY = 2**30  # bytes


@dataclass(frozen=True)
class ServeSettings:
    """Limits of a server. Raises UsageError for one that makes no sense.

    workers: processes that read and answer; None: one per core, four at most.
    max_body: bytes of a request's body. max_pixels: of one picture, before it is decoded.
    max_pictures, max_images: of one request to /v1/read, and to /v1/predict.
    queue: requests that may wait for a worker. max_wait: seconds that one waits before it is refused.
    timeout: seconds that a request's head may take to arrive, its body, an answer to be made, and to be
    taken.
    max_batch: requests to /v1/predict whose images are answered together.
    collect: the folder that corrections are kept in; None: nothing is stored. max_collected: its bytes.
    about: the model's folder, for its figures. access_log: a line of JSON per request, on stderr.
    allowed_hosts: names that requests may be for, besides localhost and addresses; "*" for all.
    """

    workers: int | None = None
    max_body: int = 16 * 2**20
    max_pixels: int = 24_000_000
    max_pictures: int = 16
    max_images: int = 1024
    queue: int = 64
    max_wait: float = 0.15
    timeout: float = 10.0
    max_batch: int = 64
    collect: Path | None = None
    max_collected: int = 2**30
    about: Path | None = None
    access_log: bool = True
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kinds = get_type_hints(ServeSettings)
        for name in kinds:
            check_argument("ServeSettings", name, getattr(self, name), kinds[name])
        for name in ("max_pixels", "max_pictures", "max_images", "queue", "max_batch", "max_collected"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("max_body", 1 <= self.max_body <= _LARGEST_BODY, f"1 to {_LARGEST_BODY:,}")
        for name in ("max_wait", "timeout"):
            self._check(name, 0 < getattr(self, name) < math.inf, "seconds, above 0")
        self._check("workers", self.workers is None or 1 <= self.workers <= 64, "1 to 64")

    def _check(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise UsageError(f"{name} = {getattr(self, name)}", expected=expected)

    @property
    def worker_count(self) -> int:
        return self.workers or min(_MOST_WORKERS, count_cores())
