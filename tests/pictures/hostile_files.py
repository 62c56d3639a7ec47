"""Files that people hand to a reader of pictures, by mistake or by malice. Each is small on disk."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

__all__ = ["READABLE", "REFUSED", "make_hostile_files"]

READABLE = (
    "wrong_extension.jpg",  # a PNG
    "no_extension",
    "animated.gif",  # the first frame shows a seven, the second is white
    "animated.webp",
    "sixteen_bits.png",
    "twelve_bits.tiff",
    "cmyk.jpg",
    "alpha_only.png",  # black everywhere, the ink is in the alpha channel
    "broken_exif.jpg",
    "one_pixel.png",
    "tall_line.png",  # 1 x 5000
    "line\nbreak \x1b[31m.png",
    "link_to_picture.png",
)
REFUSED = (
    "truncated.png",
    "truncated.jpg",
    "truncated.gif",
    "truncated.tiff",
    "truncated.webp",
    "header_only.png",
    "empty.png",
    "bomb.png",  # 30,000 x 30,000
    "bomb_below_pil_limit.png",  # 12,000 x 12,000: PIL itself would only warn
    "bomb.gif",  # 65,535 x 65,535
    "bomb.webp",  # 16,383 x 16,383
    "bomb.tiff",  # 100,000 x 100,000
    "corrupt_header.png",
    "corrupt_data.png",
    "text_chunk_bomb.png",  # 64 MiB of text in a compressed chunk
    "text.png",
    "binary.png",
    "not_finite.tiff",
    "drawing.svg",
    "document.pdf",
    "phone.heic",
    "photo.avif",
    "program.eps",
    "folder.png",
    "broken_link.png",
    "circular_link.png",
    "pipe.png",  # opening it naively waits for ever
    "missing.png",
)


def make_hostile_files(folder: Path) -> dict[str, Path]:
    """Writes them all into `folder`; file name -> path, those of READABLE first.

    READABLE must be read (each but `one_pixel.png`, `tall_line.png` and `broken_exif.jpg` shows a
    seven, 60 x 90 pixels, dark on light); REFUSED must each give one line that names the file, exit
    code 1, no traceback, less than 1 GiB. `missing.png` is a path where nothing is. What this machine
    cannot make (links, pipes) is left out. No file lacks the right to be read: root may read all.
    """
    made = _readable() | _damaged() | _bombs() | _foreign()
    for name, data in made.items():
        (folder / name).write_bytes(data)
    (folder / "folder.png").mkdir()
    special = {
        "link_to_picture.png": lambda path: path.symlink_to(folder / "wrong_extension.jpg"),
        "broken_link.png": lambda path: path.symlink_to(folder / "nowhere.png"),
        "circular_link.png": lambda path: path.symlink_to(path),
        "pipe.png": os.mkfifo if hasattr(os, "mkfifo") else lambda path: None,
    }
    for name, make in special.items():
        _try(make, folder / name)
    left_out = {name for name in special if not os.path.lexists(folder / name)}
    return {name: folder / name for name in READABLE + REFUSED if name not in left_out}


def _try(make: Callable[[Path], None], path: Path) -> None:
    try:
        make(path)
    except (OSError, NotImplementedError):
        return


def seven() -> Image.Image:
    """L, 60 x 90, a black seven on white."""
    picture = Image.new("L", (60, 90), 255)
    ImageDraw.Draw(picture).line([(12, 15), (48, 15), (24, 75)], fill=0, width=8)
    return picture


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _readable() -> dict[str, bytes]:
    picture, white = seven(), Image.new("L", (60, 90), 255)
    deep = np.asarray(picture).astype(np.uint16)
    layers = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    layers.putalpha(Image.eval(picture, lambda value: 255 - value))
    moving = {"save_all": True, "append_images": [white.convert("RGB")]}
    return {
        "wrong_extension.jpg": encoded(picture, "PNG"),
        "no_extension": encoded(picture, "JPEG"),
        "animated.gif": encoded(picture.convert("RGB"), "GIF", **moving),
        "animated.webp": encoded(picture.convert("RGB"), "WEBP", lossless=True, **moving),
        "sixteen_bits.png": encoded(Image.fromarray(deep * 257), "PNG"),
        "twelve_bits.tiff": encoded(Image.fromarray(deep * 16), "TIFF"),
        "cmyk.jpg": encoded(picture.convert("RGB").convert("CMYK"), "JPEG", quality=95),
        "alpha_only.png": encoded(layers, "PNG"),
        "broken_exif.jpg": encoded(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(9)),
        "one_pixel.png": encoded(Image.new("L", (1, 1)), "PNG"),
        "tall_line.png": encoded(Image.new("L", (1, 5000), 90), "PNG"),
        "line\nbreak \x1b[31m.png": encoded(picture, "PNG"),
    }


def _damaged() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = {form: encoded(noise, form) for form in ("PNG", "JPEG", "GIF", "TIFF", "WEBP")}
    names = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "TIFF": "tiff", "WEBP": "webp"}
    files = {f"truncated.{names[form]}": data[: len(data) // 2] for form, data in whole.items()}
    png = whole["PNG"]
    middle = len(png) // 2
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a" * 2**26, zip=True)
    return files | {
        "header_only.png": png[:33],
        "empty.png": b"",
        "corrupt_header.png": png[:18] + b"\xff" + png[19:],
        "corrupt_data.png": png[:middle] + bytes(64) + png[middle + 64 :],
        "text_chunk_bomb.png": encoded(noise, "PNG", pnginfo=info),
        "not_finite.tiff": encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
    }


def _bombs() -> dict[str, bytes]:
    return {
        "bomb.png": _png_bomb(30_000),
        "bomb_below_pil_limit.png": _png_bomb(12_000),
        "bomb.gif": _gif_bomb(65_535),
        "bomb.webp": _webp_bomb(16_383),
        "bomb.tiff": _tiff_bomb(100_000),
    }


def _png_bomb(side: int) -> bytes:
    """A whole and valid file, 1 bit a pixel."""
    packer = zlib.compressobj(9)
    rows = bytes(1 + (side + 7) // 8) * 500
    data = b"".join(packer.compress(rows) for _ in range(side // 500)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _gif_bomb(side: int) -> bytes:
    """A small picture whose header and frame claim to be large."""
    data = bytearray(encoded(Image.new("L", (60, 90)), "GIF"))
    data[6:10] = struct.pack("<HH", side, side)
    frame = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
    return bytes(data)


def _webp_bomb(side: int) -> bytes:
    """A lossless bitstream of one colour whose header says side x side."""
    data = bytearray(encoded(Image.new("RGB", (60, 90)), "WEBP", lossless=True))
    start = data.index(b"VP8L") + 9
    data[start : start + 4] = struct.pack("<I", (side - 1) | (side - 1) << 14)
    return bytes(data)


def _tiff_bomb(side: int) -> bytes:
    """One strip of nothing; tags: width, height, bits, compression, photometric, offset, rows, bytes."""
    values = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 278: side, 279: 8}
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(values)) + tags + bytes(4)


def _foreign() -> dict[str, bytes]:
    return {
        "text.png": "Sieben, 七, ".encode() * 90,
        "binary.png": bytes(range(256)) * 8,
        "drawing.svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>\n',
        "document.pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "phone.heic": struct.pack(">I", 24) + b"ftypheic" + bytes(300),
        "photo.avif": struct.pack(">I", 24) + b"ftypavif" + bytes(300),
        "program.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    }
