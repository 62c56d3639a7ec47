"""Many pictures decoded by several processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.data.progress import Progress
from tenfold.helpers import MOST_HELPERS, NO_ANSWER, ask_helpers, count_cores, serve_questions
from tenfold.ink.open import open_grey
from tenfold.limits import check_need

__all__ = ["decode_pictures"]

CHUNK = 250  # pictures a question
WORTH_A_PROCESS = 1500  # pictures; fewer are decoded before another process has started


def decode_pictures(
    paths: Sequence[str], *, progress: Progress | None = None, processes: int | None = None
) -> list[np.ndarray]:
    """Grey images, uint8 (H, W) each, in the order of `paths`.

    processes: None chooses by the number of pictures and cores. Raises the DataError of the first
    file that is not a picture, and where they need more memory than one data set may.
    """
    if processes is None:
        processes = min(count_cores(), MOST_HELPERS, len(paths) // WORTH_A_PROCESS)
    if paths:
        check_need(len(paths) * open_grey(paths[0]).size, f"{len(paths):,} pictures like {paths[0]}")
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    images: list[np.ndarray] = []
    total = 0
    if processes > 1:
        asked = ask_helpers("tenfold.data.workers", chunks, processes)
    else:
        asked = ((chunk, NO_ANSWER) for chunk in chunks)
    for chunk, decoded in asked:
        images += _decode(chunk) if decoded is NO_ANSWER else decoded
        total += sum(image.size for image in images[-len(chunk) :])
        check_need(total, f"the first {len(images):,} of {len(paths):,} pictures")
        if progress:
            progress("pictures", len(images), len(paths))
    return images


def _decode(chunk: Sequence[str]) -> list[np.ndarray]:
    images, total = [], 0
    for path in chunk:
        images.append(open_grey(path))
        total += images[-1].size
        check_need(total, f"pictures up to {path}")
    return images


if __name__ == "__main__":
    serve_questions(lambda _: _decode)
