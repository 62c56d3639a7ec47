"""Any file, bytes, PIL image or array -> upright RGB pixels of a size that is quick to work on.

Decoding is PIL's. What is added here: limits that hold before anything is decoded, one line for every
mistake, deep greys stretched by the range they use, ink that stands in the alpha channel alone, and
large photographs reduced while they are decoded.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from tenfold.errors import DataError, UsageError, printable
from tenfold.limits import MemoryLimit
from tenfold.pictures.formats import PdfPage, check_array, is_heic, open_heic, render_page, to_eight_bits

__all__ = ["Picture", "open_grey", "open_image", "open_picture", "open_plain", "picture_size"]

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")  # no PostScript, which runs a program
MAX_PIXELS = 64_000_000  # this and the next two unless TENFOLD_MAX_BYTES says otherwise
_FORMAT_PIXELS = dict.fromkeys(("WEBP", "HEIF"), 50_000_000)  # decoders that take 18 bytes per pixel
_SIMPLE = 1 << 16  # bytes of a small picture
_MAX_BYTES = 512 * 2**20  # of a file: 64 megapixels of eight bytes each, uncompressed
_KNOWN = "a picture (PNG, JPEG, HEIC, WebP, BMP, GIF or TIFF)"
_AGAIN = "copy or save it again"
_CARD_FILL = 0.6  # share of its own bounding box that an opaque card covers at least
_CARD_SPREAD = 20.0  # grey levels: the least standard deviation of a card with ink on it
_TURNS = {turn: Image.Transpose(code) for turn, code in zip(range(2, 9), (0, 3, 1, 5, 4, 6, 2), strict=True)}

# PIL also logs what it finds odd, and without a handler Python prints that to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a person sees it: turned upright, nothing transparent, at most so many pixels. pixels:
    uint8 (H, W, 3), RGB. size: (width, height) in pixels of the upright original. scale: original pixels per
    pixel of `pixels`, at least 1."""

    pixels: np.ndarray
    size: tuple[int, int]
    scale: float

    @property
    def grey(self) -> np.ndarray:
        """uint8 (H, W), ITU-R 601 luma as Pillow rounds it."""
        return np.asarray(Image.fromarray(self.pixels).convert("L"))


def open_picture(picture: Any, *, longest: int = 1600) -> Picture:
    """A path, bytes, binary file, PIL image, array or PdfPage -> a Picture. Raises DataError, in one line.
    Its longer side is reduced to `longest` pixels where it is longer, with anti-aliasing; a smaller picture
    keeps its size. Of an animation the first frame is taken. An array is (H, W) or (H, W, 1|3|4), of bools,
    integers or floats. What is transparent is laid over white where the visible is dark, over black where it
    is light. At most 64 megapixels (WebP, HEIC: 50)."""
    if longest < 1:
        raise UsageError(f"longest={longest}", expected="a number of pixels, at least 1")
    image, size = _open(picture, longest)
    return Picture(np.asarray(_to(image, "RGB")), size, max(1.0, max(size) / max(image.size)))


def open_grey(picture: Any) -> np.ndarray:
    """As `open_picture`, in its full size and grey: uint8 (H, W), ITU-R 601 luma. Raises DataError."""
    return np.asarray(_to(_open(picture, None)[0], "L"))


def open_plain(picture: Any) -> np.ndarray:
    """As `open_grey`, but with the colours that the file has: uint8 (H, W), or (H, W, 3) where any pixel's
    red, green and blue differ. Raises DataError."""
    pixels = _read_simple(picture) if isinstance(picture, str) else None
    if pixels is None:
        pixels = np.asarray(_open(picture, None)[0])
    if pixels.ndim == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def _read_simple(path: str) -> np.ndarray | None:
    """What `_open` gives, sooner, of a small JPEG that nothing is done to but decoding it; None of others."""
    with suppress(Exception), open(path, "rb", opener=_open_regular) as stream:
        data = stream.read(_SIMPLE)
        if data[:2] == b"\xff\xd8" and len(data) < _SIMPLE and b"Exif" not in data[:1024]:
            image = Image.open(io.BytesIO(data), formats=("JPEG",))
            if image.mode in ("L", "RGB") and max(image.size) <= 256 and "exif" not in image.info:
                return np.asarray(image)
    return None


def _open_regular(path: str, flags: int) -> int:
    """Without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def picture_size(picture: Any) -> tuple[int, int] | None:
    """(height, width) of the upright picture, by its header alone; None where that cannot be read."""
    if isinstance(picture, np.ndarray | Image.Image):
        return picture.shape[:2] if isinstance(picture, np.ndarray) else picture.size[::-1]
    with suppress(Exception), warnings.catch_warnings(), _open_file(picture, _name(picture)) as stream:
        warnings.simplefilter("ignore")
        with open_image(stream) as image:
            turned = image.format in ("JPEG", "TIFF", "PNG", "WEBP") and image.getexif().get(
                0x0112, 1
            ) in range(5, 9)
            return image.size if turned else image.size[::-1]
    return None


def _open(picture: Any, longest: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """Upright, L or RGB, and the size of the upright original."""
    name = _name(picture)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")  # of files; what matters is raised here
            if isinstance(picture, np.ndarray):
                return _settle(_from_array(picture), longest, name)
            if isinstance(picture, Image.Image | PdfPage):
                image = render_page(picture) if isinstance(picture, PdfPage) else picture
                return _settle(image, longest, name)
            with _open_file(picture, name) as stream:
                return _decode(stream, longest, name)
    except DataError:
        raise
    except Exception as error:  # PIL's readers raise a dozen kinds on broken bytes
        reason = "it needs more memory than available" if isinstance(error, MemoryError) else str(error)
        found = f"{name} cannot be read ({reason or type(error).__name__})"
        remedy = f"it may be damaged or cut short: {_AGAIN}"
        raise DataError(found, expected="a whole picture", remedy=remedy) from error


def _name(picture: Any) -> str:
    """What messages call it; a path's unprintable characters are escaped."""
    named = getattr(picture, "name", None) if hasattr(picture, "read") else picture
    if isinstance(named, str | Path | PdfPage):
        return printable(str(named)) or "''"
    if isinstance(picture, np.ndarray):
        return "the array"
    return "the picture" if isinstance(picture, Image.Image) else "the picture's data"


def _open_file(picture: Any, name: str) -> BinaryIO:
    if isinstance(picture, str | Path):
        return _open_path(Path(picture), name)
    data = picture
    if hasattr(picture, "read"):
        with suppress(TypeError):  # of a text file, which is refused below
            data = MemoryLimit.read(picture, MemoryLimit.scale(_MAX_BYTES) + 1)
    if not isinstance(data, bytes | bytearray | memoryview):
        found = f"{type(picture).__name__} is nothing that a picture can be read from"
        raise DataError(found, expected="a path, bytes, a binary file, a PIL image or an array")
    _check_bytes(memoryview(data).nbytes, name)
    return io.BytesIO(data)


def _open_path(path: Path, name: str) -> BinaryIO:
    """Opened as a file, not by its name: PIL would map some formats, and a cut file then kills."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise DataError(f"{name} is a folder", expected="a picture", remedy="name the pictures in it")
        if not stat.S_ISREG(found.st_mode):
            what, remedy = "no regular file, but a pipe or a device", "save the picture as a file first"
            raise DataError(f"{name} is {what}", expected="a picture", remedy=remedy)
        _check_bytes(found.st_size, name)
        return path.open("rb")
    except FileNotFoundError as error:
        gone = "is a link to a file that is not there" if path.is_symlink() else "is not there"
        raise DataError(f"{name} {gone}", expected="a picture", remedy="check its spelling") from error
    except PermissionError as error:
        expected, remedy = "permission to read it", "grant it, for example with chmod u+r"
        raise DataError(f"{name} may not be read", expected=expected, remedy=remedy) from error
    except OSError as error:  # a circle of links, a name that is too long, a broken disk
        raise DataError(f"{name} cannot be opened ({error.strerror})", expected="a picture's file") from error


def _check_bytes(count: int, name: str) -> None:
    if not count:
        raise DataError(f"{name} is empty (0 bytes)", expected=_KNOWN, remedy=_AGAIN)
    most = MemoryLimit.scale(_MAX_BYTES)
    if count > most:
        remedy = f"make it smaller; {MemoryLimit.remedy(MemoryLimit.most_bytes() * count // most)}"
        raise DataError(f"{name} has {count:,} bytes", expected=f"at most {most:,}", remedy=remedy)


def _decode(stream: BinaryIO, longest: int | None, name: str) -> tuple[Image.Image, tuple[int, int]]:
    most = MemoryLimit.scale(MAX_PIXELS)
    if Image.MAX_IMAGE_PIXELS is not None and most > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most  # PIL's own limit, of about 179 million
    try:
        with open_image(stream, name) as image:
            if image.format == "TIFF":  # libtiff prints what is broken to stderr; PIL raises for it, too
                with suppress(OSError, AttributeError):  # PIL built without it, or with its symbols hidden
                    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
            return _settle(image, longest, name, draft=image.format != "HEIF")
    except UnidentifiedImageError as error:
        stream.seek(0)
        found, remedy = _describe(stream.read(1024))
        raise DataError(f"{name} {found}", expected=_KNOWN, remedy=remedy) from error
    except Image.DecompressionBombError as error:
        raise _too_large(f"{name} has far too many pixels", 2 * most, MAX_PIXELS) from error


def open_image(stream: BinaryIO, name: str = "the picture's data") -> Image.Image:
    """A picture of a known format, not decoded yet. Raises PIL's errors, and DataError for a HEIC photo where
    pillow-heif is not installed."""
    head = stream.read(64)
    stream.seek(0)
    return open_heic(stream, name) if is_heic(head) else Image.open(stream, formats=_FORMATS)


def _describe(head: bytes) -> tuple[str, str]:
    """The first bytes of what PIL did not know -> what it is, and what to do."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head[4:8] == b"ftyp":
        return "is an AVIF photo or a film", "save it as JPEG"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "is an SVG drawing", "export it as PNG"
    if start.startswith(b"%pdf"):
        return "is a PDF document", "`tenfold read` reads its pages; elsewhere, export the page as PNG"
    if head.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")):
        return "is a damaged picture", _AGAIN
    is_utf8 = "\ufffd" not in head.decode("utf-8", errors="replace")[:-1]  # the last character may be cut
    if is_utf8 and not any(byte < 9 for byte in head):
        return "is not a picture: it is a text file", "name a picture, or move it out of their folder"
    return "is not a picture that can be opened", "save it as PNG or JPEG"


def _settle(
    image: Image.Image, longest: int | None, name: str, *, draft: bool = False
) -> tuple[Image.Image, tuple[int, int]]:
    """Size checked, decoded, reduced, laid on paper and turned, in this order: few pixels are moved."""
    size = image.size
    _check_pixels(size, name, _FORMAT_PIXELS.get(image.format or "", MAX_PIXELS))
    deep_colours = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))  # before it is decoded
    ratio = min(1.0, (longest or max(size)) / max(size))
    target = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
    if draft:
        image.draft("", target)  # a JPEG is decoded at 1/2, 1/4 or 1/8, never below the target
    image.load()
    if image.format == "HEIF" and image.size != size:
        found = "{} says {:,} x {:,} pixels, and has {:,} x {:,}".format(name, *size, *image.size)
        raise DataError(found, expected="a whole picture", remedy=_AGAIN)
    orientation = 1
    with suppress(Exception):  # PIL's readers raise a dozen kinds on a broken EXIF, too
        orientation = image.getexif().get(0x0112, 1)
    image = _simplify(_stretch_deep(image) if deep_colours else image, name)
    if image.size != target:
        image = image.resize(target, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if image.mode == "RGBa":
        image = _lay_on_paper(np.asarray(image))
    if orientation not in _TURNS:
        return image, size
    return image.transpose(_TURNS[orientation]), size[::-1] if orientation >= 5 else size


def _check_pixels(size: tuple[int, int], name: str, most: int = MAX_PIXELS) -> None:
    width, height = size
    if width * height > MemoryLimit.scale(most):
        raise _too_large(f"{name} has {width:,} x {height:,} pixels", width * height, most)
    if not width * height:
        raise DataError(f"{name} has {width} x {height} pixels", expected="at least one")


def _too_large(found: str, pixels: int, most: int) -> DataError:
    limit = MemoryLimit.scale(most)
    remedy = f"make it smaller; {MemoryLimit.remedy(MemoryLimit.most_bytes() * pixels // limit)}"
    return DataError(found, expected=f"at most {limit:,} in all", remedy=remedy)


def _simplify(image: Image.Image, name: str) -> Image.Image:
    """Any mode -> L, RGB or RGBa (colours multiplied by alpha, so that resizing mixes them rightly)."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _from_deep(image, name)
    if image.mode == "La":  # PIL knows no way from here to colour
        image = image.convert("LA")
    if image.has_transparency_data:
        return image if image.mode == "RGBa" else _to(image, "RGBA").convert("RGBa")
    return _to(image, "L" if image.mode in ("1", "L") else "RGB")


def _to(image: Image.Image, mode: str) -> Image.Image:
    """PIL copies what is of this mode already; here it is taken as it is."""
    return image if image.mode == mode else image.convert(mode)


def _from_deep(image: Image.Image, name: str) -> Image.Image:
    """16 or 32 bits of grey -> L; LA where the file names a grey that is transparent."""
    values = np.asarray(image)
    check_array(values, name)
    depth = getattr(image, "tag_v2", {}).get(258)  # of a TIFF: 12 bits, whose whitest value is 4095
    bits = depth[0] if isinstance(depth, tuple) and depth else depth
    white = float(2**bits - 1) if isinstance(bits, int) and 8 < bits < 16 else None
    grey = Image.fromarray(to_eight_bits(values, white))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        grey.putalpha(Image.fromarray(to_eight_bits(values != hidden)))
    return grey


def _stretch_deep(image: Image.Image) -> Image.Image:
    """Of 16 bits per channel PIL keeps the upper eight: those of 10, 12 or 14 bits use few levels, 0 to 3, 15
    or 63. 0 to 255 here."""
    if image.mode not in ("RGB", "RGBA", "LA"):
        return image
    values = np.asarray(image)
    top = next((top for top in (3, 15, 63) if values.max() <= top), None)
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8)) if top else image


def _from_array(array: np.ndarray) -> Image.Image:
    check_array(array, "the array")
    _check_pixels((array.shape[1], array.shape[0]), "the array")
    flat = array[..., 0] if array.shape[2:] == (1,) else array
    return Image.fromarray(np.ascontiguousarray(to_eight_bits(np.asarray(flat))))


def _lay_on_paper(layers: np.ndarray) -> Image.Image:
    """RGBA (H, W, 4), colours multiplied by alpha -> RGB. Where alpha is 0 there is only paper."""
    height, width = layers.shape[:2]
    place = find_bounds(layers[..., 3])
    colour, alpha = layers[place][..., :3].astype(np.uint16), layers[place][..., 3]
    paper = _paper(colour, alpha)
    seen = ((255 - alpha.astype(np.uint16))[..., None] * paper + 127) // 255
    visible = Image.fromarray(np.minimum(colour + seen, 255).astype(np.uint8))
    laid = Image.new("RGB", (width, height), tuple(paper.tolist()))
    laid.paste(visible, (place[1].start or 0, place[0].start or 0))
    return laid


def find_bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all of what is not 0; all of them where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(None), slice(None)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _paper(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colour, uint16 (3,), that belongs below what is transparent. White under dark ink, black under
    light ink. Where the visible is no ink but a card with ink on it (a window with round corners, paper cut
    out), the card's own colour."""
    weight = float(alpha.sum(dtype=np.int64))
    if not weight:
        return np.full(3, 255, dtype=np.uint16)
    luma = colour.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601
    opaque = alpha == 255
    if float(opaque[find_bounds(opaque)].mean()) > _CARD_FILL and float(luma[opaque].std()) > _CARD_SPREAD:
        return np.median(colour[opaque], axis=0).astype(np.uint16)
    is_light = 255 * float(luma.sum(dtype=np.float64)) / weight > 127.5
    return np.full(3, 0 if is_light else 255, dtype=np.uint16)
