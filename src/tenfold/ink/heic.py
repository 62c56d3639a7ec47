"""HEIC photos, as phones take them: opened by pillow-heif where it is installed."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from tenfold.errors import DataError

__all__ = ["HEAD", "is_heic", "open_heic"]

HEAD = 64  # bytes of a file that say so
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def is_heic(head: bytes) -> bool:
    """The first bytes of a file -> whether it is a HEIC photo. AVIF, which shares the container, is not."""
    if head[4:8] != b"ftyp" or head[8:12] not in _BRANDS:
        return False
    listed = head[16 : min(len(head), int.from_bytes(head[:4], "big"))]
    return b"avif" not in [listed[start : start + 4] for start in range(0, len(listed), 4)]


def open_heic(stream: BinaryIO, name: str) -> Image.Image:
    """Not decoded yet; upright once it is: the container's rotation is applied, and EXIF's taken out."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise DataError(
            f"{name} is a HEIC photo, for which the package pillow-heif is not installed",
            expected="that package, or another kind of picture",
            remedy='pip install "tenfold[heic]", or save it as JPEG',
        ) from error
    image: Image.Image = HeifImageFile(stream)
    return image
