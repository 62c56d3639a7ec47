"""Damage to a file's bytes: drawn from a random generator, the same for the same seed."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random

__all__ = ["CONTAINERS", "damage"]

_VALUES = re.compile(rb'-?\d[\d.]*(?:e[+-]?\d+)?|"[^"\d]*"|true|false')  # of TOML, JSON and tables
_LONGEST = 2**20  # bytes that a file may grow to
_NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
_WORDS = (
    b"-1", b"0", b"1e308", b"-1e-320", b"nan", b"NaN", b"inf", b"Infinity", b"1" * 5001,
    b"0x7fffffff", b"1_000", b"99999999999999999999", b"2147483648", b"true", b"null", b"[]", b"{}", b'""',
    b"[[[[[[[[", b"[" * 100_000, b"0x" + b"f" * 5000, b"\x00", b"\xff\xfe",
    b"\xed\xa0\x80", b"'", b"..", b"/", b"%n%s", b"\n", b",", b"\x1b[31m", "٣".encode(), "𝟗".encode(),
)  # fmt: skip


def _flip_bits(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 16)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _block(data: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 64, len(data))))


def _delete(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 30)) + data[end:]


def _splice(data: bytes, rng: Random) -> bytes:
    """A block of the file over, or into, another place of it."""
    start, end = _block(data, rng)
    to = rng.randrange(len(data) + 1)
    return data[:to] + data[start:end] + data[to + rng.choice((0, end - start)) :]


def _extreme_number(data: bytes, rng: Random) -> bytes:
    """A binary number of 1 to 8 bytes."""
    width, at = rng.choice((1, 2, 4, 4, 8)), rng.randrange(len(data) + 1)
    number = rng.choice(_NUMBERS) % 256**width
    return data[:at] + number.to_bytes(width, rng.choice(("little", "big"))) + data[at + width :]


def _special_float(data: bytes, rng: Random) -> bytes:
    at, number = rng.randrange(len(data) // 4 + 1) * 4, rng.choice((float("nan"), float("inf"), -3e38, 1e-45))
    return data[:at] + struct.pack("<f", number) + data[at + 4 :]


def _extreme_word(data: bytes, rng: Random) -> bytes:
    """A number or word in text."""
    found = list(re.finditer(rb"[-+\w.]+", data[:200_000]))
    if not found:
        return rng.choice(_WORDS)
    place = rng.choice(found)
    return data[: place.start()] + rng.choice(_WORDS) + data[place.end() :]


def _fill(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + rng.choice((b"\x00", b"\xff", rng.randbytes(1))) * (end - start) + data[end:]


_CHANGES = (
    _flip_bits, _truncate, _delete, _repeat, _splice, _extreme_number, _extreme_number, _special_float,
    _extreme_word, _extreme_word, _fill,
)  # fmt: skip


def damage(data: bytes, rng: Random, container: str = "") -> bytes:
    """One to eight changes; half of the time within a part of the container, whose checksums then hold, or,
    of text, to one of its values."""
    if container and rng.random() < 0.5:
        split, join = CONTAINERS[container]
        parts = split(data)
        at = rng.randrange(len(parts))
        word = container == "values" and rng.random() < 0.7
        parts[at] = rng.choice(_WORDS) if word else _change(parts[at], rng)
        return join(parts, data)
    return _change(data, rng)


def _change(data: bytes, rng: Random) -> bytes:
    most = max(len(data), _LONGEST)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        data = rng.choice(_CHANGES)(data, rng)[:most]
    return data


def _join_values(parts: list[bytes], data: bytes) -> bytes:
    following = iter(parts)
    return _VALUES.sub(lambda _: next(following), data)


def _png_parts(data: bytes) -> list[bytes]:
    """Type and data of each chunk."""
    parts, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        parts.append(data[at + 4 : at + 8 + size])
        at += size + 12
    return parts


def _join_png(parts: list[bytes], data: bytes) -> bytes:
    chunks = (struct.pack(">I", max(0, len(p) - 4)) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return data[:8] + b"".join(chunks)


def _zip_parts(data: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [archive.read(name) for name in archive.namelist()]


def _join_zip(parts: list[bytes], data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, part in zip(old.namelist(), parts, strict=True):
            new.writestr(name, part)
    return file.getvalue()


def _safetensors_parts(data: bytes) -> list[bytes]:
    end = 8 + int.from_bytes(data[:8], "little")
    return [data[8:end], data[end:]]


def _join_safetensors(parts: list[bytes], _data: bytes) -> bytes:
    return len(parts[0]).to_bytes(8, "little") + parts[0] + parts[1]


CONTAINERS: dict[str, tuple[Callable[[bytes], list[bytes]], Callable[[list[bytes], bytes], bytes]]] = {
    "values": (lambda data: _VALUES.findall(data) or [b""], _join_values),
    "png": (_png_parts, _join_png),
    "zip": (_zip_parts, _join_zip),
    "gzip": (lambda data: [gzip.decompress(data)], lambda parts, _: gzip.compress(parts[0], mtime=0)),
    "safetensors": (_safetensors_parts, _join_safetensors),
}
