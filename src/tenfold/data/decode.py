"""Many pictures -> one array: decoded in several processes, brought to one size, in colour or grey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np

from tenfold.arrays import grey_pixels
from tenfold.data.catalogue import Progress
from tenfold.errors import DataError
from tenfold.helpers import Helper, count_cores
from tenfold.limits import MemoryLimit

__all__ = ["Wishes", "fit_images"]

Fit = Literal["pad", "crop"]
_MODULE = "tenfold.data.decode"  # what a helper runs
CHUNK = 250  # pictures a question
WORTH_A_PROCESS = 1500  # pictures; fewer are decoded before another process has started
_PROBED = 500  # pictures, spread over all, whose sizes are looked at before the others are decoded
_LONGEST = 64  # pixels: of the size that is chosen for pictures of many sizes
_TINT, _TINTED = 24, 0.01  # levels between channels, share of pixels: more than JPEG makes of a grey picture
_COLOURED = 0.05  # share of pictures in colour from which on a data set is
_NAMELESS = re.compile(
    "^(the picture's data|the array|the picture)"
)  # what `open_plain` calls what has no name
_NAMED = 10  # broken files that a message names


class Wishes(NamedTuple):
    """What the user wants of pictures. colour: None decides by the pictures; size: (height, width), None
    keeps the one they have; fit: see `resize_image`; skip_broken: leave out files that are not pictures."""

    colour: bool | None = None
    size: tuple[int, int] | None = None
    fit: Fit = "pad"
    skip_broken: bool = False


@dataclass(frozen=True, eq=False)
class Pictures:
    """images: uint8 (N, H, W) or (N, H, W, 3). note: what was done to them. broken: their places among all
    that were given, which are not in `images`."""

    images: np.ndarray
    note: str = ""
    broken: list[int] = field(default_factory=list)

    @classmethod
    def decode(
        cls,
        sources: Sequence[str | bytes | np.ndarray],
        names: Sequence[str],
        wishes: Wishes = Wishes(),  # noqa: B008 - a constant
        *,
        progress: Progress | None = None,
        processes: int | None = None,
    ) -> Pictures:
        """sources: paths, files' contents or arrays; names: what messages call each.

        Raises the DataError of a file that is not a picture, or one for all of them; and where they need
        more memory than one data set may.
        """
        if processes is None:
            processes = min(count_cores(), 8, len(sources) // WORTH_A_PROCESS)
        size, told = wishes.size, ""
        if size is None:
            size, told = _choose_size(sources)
        MemoryLimit.check(
            len(sources) * size[0] * size[1], f"{len(sources):,} pictures of {size[1]}x{size[0]}"
        )
        images: list[np.ndarray] = []
        wrong: dict[int, str] = {}
        coloured = resized = total = 0
        asked = [
            (size, wishes.fit, wishes.colour, list(sources[at : at + CHUNK]))
            for at in range(0, len(sources), CHUNK)
        ]
        done = 0
        for answer in _decode_chunks(asked, processes):
            for each in answer:
                if isinstance(each, str):
                    wrong[done] = names[done].join(_NAMELESS.split(each, maxsplit=1))
                else:
                    images.append(each[0])
                    coloured, resized, total = coloured + each[1], resized + each[2], total + each[0].size
                done += 1
            MemoryLimit.check(total, f"the first {done:,} of {len(sources):,} pictures")
            if progress:
                progress("pictures", min(done, len(sources)), len(sources))
        notes = [_check_broken(wrong, names, wishes.skip_broken)]
        if resized:
            how = f"{size[1]}x{size[0]} (width x height){told}"
            notes.append(f"{resized:,} of {len(images):,} pictures were resized to {how}")
        stacked, note = _stack(images, coloured, wishes.colour)
        return cls(stacked, "; ".join(filter(None, [*notes, note])), sorted(wrong))


_Question = tuple[tuple[int, int], Fit, bool | None, Sequence[Any]]  # size, fit, colour, sources


_Decoded = tuple[np.ndarray, bool, bool]  # pixels, whether in colour and resized: plain, for pickle


def _decode_chunks(questions: Iterable[_Question], processes: int) -> Iterator[list[_Decoded | str]]:
    """Of each picture its pixels, or what is wrong with it. A picture that ends the process which decodes it
    is not opened here: of a chunk that ended its helper, each is asked for alone."""
    if processes < 2:
        yield from map(_decode, questions)
        return
    for question, answer in Helper.ask_many(_MODULE, questions, processes):
        if answer is Helper.NoAnswer.UNASKED:
            yield _decode(question)
        elif answer is Helper.NoAnswer.ENDED:
            alone = [(*question[:3], [source]) for source in question[3]]
            for single, found in Helper.ask_many(_MODULE, alone, 1):
                yield [_ended(single)] if found is Helper.NoAnswer.ENDED else found
        else:
            yield answer


def _ended(question: _Question) -> str:
    source = question[3][0]
    name = source if isinstance(source, str) else "the picture's data"
    return f"{name} ended the process that decoded it; expected a picture; save it anew, or smaller"


def _decode(question: _Question) -> list[_Decoded | str]:
    found: list[_Decoded | str] = []
    from tenfold.pictures.normalize import resize_image
    from tenfold.pictures.open import open_plain

    size, fit, colour, sources = question
    for source in sources:
        try:
            pixels = open_plain(source)
            coloured = colour is None and is_coloured(pixels)
            if colour is False and pixels.ndim == 3:
                pixels = grey_pixels(pixels)
            resized = pixels.shape[:2] != size
            found.append((resize_image(pixels, size, fit), coloured, resized))
        except DataError as error:
            found.append(str(error))
    return found


def is_coloured(pixels: np.ndarray) -> bool:
    """Whether more than 1 in 100 pixels of uint8 (H, W, 3) have channels more than 24 levels apart, which is
    more than the noise of a JPEG in a grey picture. False for (H, W)."""
    if pixels.ndim == 2:
        return False
    red, green, blue = (pixels[..., channel].astype(np.int16) for channel in range(3))
    apart = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return bool(np.count_nonzero(apart > _TINT) > _TINTED * apart.size)


def fit_images(images: np.ndarray, wishes: Wishes) -> tuple[np.ndarray, str]:
    """uint8 (N, H, W) or (N, H, W, 3) as they are wanted, and a note; colour None decides by up to 2,000."""
    colour, note = wishes.colour, ""
    if images.ndim == 4 and colour is None:
        some = images[:: -(-len(images) // 2000)]
        colour, note = _judge(sum(map(is_coloured, some)), len(some))
    if images.ndim == 4 and not colour:
        images = grey_pixels(images)
    if images.ndim == 3 and colour:
        images = np.repeat(images[..., None], 3, axis=3)
    size = wishes.size
    if size is not None and images.shape[1:3] != size:
        from tenfold.pictures.normalize import resize_image  # brings in Pillow

        images = np.stack([resize_image(image, size, wishes.fit) for image in images])
        note = "; ".join(filter(None, [f"all images were resized to {size[1]}x{size[0]}", note]))
    return images, note


def _judge(coloured: int, count: int) -> tuple[bool, str]:
    told = f"{coloured:,} of {count:,} pictures have colours"
    if coloured > _COLOURED * count:
        return True, f"in colour: {told} (--grey makes them grey)"
    return False, f"in grey: {told} (--colour keeps them)" if coloured else ""


def _stack(images: list[np.ndarray], coloured: int, colour: bool | None) -> tuple[np.ndarray, str]:
    note = ""
    if colour is None:
        colour, note = _judge(coloured, len(images))
    shape = (len(images), *images[0].shape[:2], *((3,) if colour else ()))
    MemoryLimit.check(int(np.prod(shape)), f"{len(images):,} pictures")
    stacked = np.empty(shape, np.uint8)
    for at, image in enumerate(images):
        if colour:
            stacked[at] = image if image.ndim == 3 else image[..., None]
        else:
            stacked[at] = grey_pixels(image) if image.ndim == 3 else image
    return stacked, note


def _choose_size(sources: Sequence[Any]) -> tuple[tuple[int, int], str]:
    """(height, width), and the rule where there is more than one: the size of more than half of up to 500
    pictures, else their median height and width, reduced to at most 64 pixels, in fours."""
    from tenfold.pictures.open import picture_size

    step = -(-len(sources) // _PROBED)
    sizes = [size for source in sources[::step] if (size := picture_size(source))]
    if not sizes:
        return (1, 1), ""
    usual = max(set(sizes), key=lambda size: (sizes.count(size), size))
    if 2 * sizes.count(usual) > len(sizes):
        return usual, ", the size of most of them; --size WIDTHxHEIGHT takes another"
    height, width = (median(size[axis] for size in sizes) for axis in (0, 1))
    ratio = min(1.0, _LONGEST / max(height, width))
    chosen = [max(4, round(side * ratio / 4) * 4) for side in (height, width)]
    rule = f", their median size of at most {_LONGEST} pixels; --size WIDTHxHEIGHT takes another"
    return (chosen[0], chosen[1]), rule


def _check_broken(wrong: dict[int, str], names: Sequence[str], skip: bool) -> str:
    """A note on those left out. Raises DataError that names them."""
    if not wrong:
        return ""
    if skip and len(wrong) < len(names):
        first = ", ".join(names[at] for at in sorted(wrong)[:_NAMED])
        more = ", ..." * (len(wrong) > _NAMED)
        return f"{len(wrong):,} of {len(names):,} files are not pictures and are left out: {first}{more}"
    if len(wrong) == 1:
        raise DataError(next(iter(wrong.values())) + "; --skip-broken goes on without it")
    told = "; ".join(wrong[at] for at in sorted(wrong)[:_NAMED]) + "; ..." * (len(wrong) > _NAMED)
    raise DataError(
        f"{len(wrong):,} of {len(names):,} files are not pictures: {told}",
        expected="pictures",
        remedy="delete them, or go on without them: --skip-broken",
    )


if __name__ == "__main__":
    Helper.serve(lambda _: _decode)
