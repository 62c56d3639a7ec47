"""Hostile requests as bytes, drawn from a random generator: heads, bodies, and what is sent slowly."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from hardening.damage import damage

__all__ = ["Hostile", "draw_request", "good_body"]

SIDE = 28
_ODD: tuple[Any, ...] = (
    None, True, -1, 256, 1e400, 2**64, "", "7", "é" * 50, [], {}, [[]], [[[1]]], [[[256]]], [[[0.5]]],
    [["a"]], "a" * 100_000, ["aaa" * 1000, *[""] * 1000],
)  # fmt: skip
_SHAPES = (
    "(0x7fffffffffffffff, 28, 28)", "(-1, -28, 28)", "True", "(True, 28, 28)", "(1e3, 28)", "(" * 500,
    "()", "(1,)", "(10**9, 28, 28)", "(0, 28, 28)", "(1, 28, 28, 1)", "None", "(9" + "9" * 5000 + ",)",
)  # fmt: skip
_TYPES = ("|u1", "<f8", "|O", "<M8[ns]", "|V0", "|S100000000", "[('a', '|u1')]", "nonsense", "<U1")
_KINDS = (
    "image/png", "application/json", "application/x-npy", "application/octet-stream", "multipart/form-data",
    "multipart/form-data; boundary=y", "text/plain", "", "image/" + "x" * 5000,
    "application/json; charset=utf-7",
)  # fmt: skip
_QUERIES = (
    "", "pattern=(((((.*)*)*)*)*", "pattern=%5C", "length=99999999999999999999", "min=nan&max=-1",
    "digits=%00",
    "include=image,ink", "include=saliency", "x=1&" * 500, "pattern=" + "%5Cd%7B99%7D" * 60, "min=1e999",
)  # fmt: skip
_ROUTES = ("/v1/read", "/v1/predict", "/v1/corrections")


@dataclass(frozen=True)
class Hostile:
    """data: what is sent. end: "" waits for the answer; "abort" closes at once; "hold" sends no more, and
    leaves the connection open. answered: whether an answer of HTTP must come."""

    data: bytes
    end: str = ""
    answered: bool = True


def good_body(image: np.ndarray) -> bytes:
    return json.dumps({"images": [image.tolist()]}).encode()


def draw_request(rng: Random) -> Hostile:
    return rng.choice(_DRAWN)(rng)


def _post(route: str, body: bytes, kind: str, *more: str) -> bytes:
    lines = [f"POST {route} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1", "replace") + body


def _odd_json(rng: Random) -> Hostile:
    route = rng.choice(_ROUTES)
    keys = ("images", "pictures", "picture", "label", "image", "colour")
    document = {key: rng.choice(_ODD) for key in rng.sample(keys, rng.randrange(4))}
    if rng.random() < 0.3:
        values = [rng.choice(_ODD[:-2]) for _ in range(rng.choice((1, 17, 3000)))]
        document[rng.choice(("images", "pictures"))] = values
    return Hostile(_post(route, json.dumps(document).encode(), "application/json"))


def _deep_json(rng: Random) -> Hostile:
    mark, count = rng.choice((b"[", b'{"a":', b'{"images":[')), rng.choice((10, 1000, 200_000))
    start = rng.choice((b"", b'{"images":', b'{"pictures":'))
    return Hostile(_post(rng.choice(_ROUTES), start + mark * count, "application/json"))


def _damaged_json(rng: Random) -> Hostile:
    image = np.zeros((SIDE, SIDE), np.uint8)
    return Hostile(_post("/v1/predict", damage(good_body(image), rng), "application/json"))


def _npy(rng: Random) -> Hostile:
    header = f"{{'descr': {rng.choice(_TYPES)!r}, 'fortran_order': {rng.choice((True, False))}, "
    header += f"'shape': {rng.choice(_SHAPES)}, }}\n"
    version = rng.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\x09\x09"))
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    body = b"\x93NUMPY" + version + size + header.encode() + rng.randbytes(rng.choice((0, 784)))
    return Hostile(
        _post("/v1/predict", damage(body, rng) if rng.random() < 0.3 else body, "application/x-npy")
    )


def _raw(rng: Random) -> Hostile:
    count = rng.choice((0, 1, 783, 785, 784 * 1025, 784 * 3))
    return Hostile(_post("/v1/predict", bytes(count), "application/octet-stream"))


def _png(rng: Random) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((SIDE, SIDE), rng.randrange(256), np.uint8)).save(file, "PNG")
    return file.getvalue()


def _picture(rng: Random) -> Hostile:
    query = rng.choice(_QUERIES)
    return Hostile(_post(f"/v1/read?{query}", damage(_png(rng), rng, "png"), rng.choice(_KINDS)))


def _pictures(rng: Random) -> Hostile:
    texts = (base64.b64encode(damage(_png(rng), rng, "png")).decode(), "", "%%%", "A" * 100_001, "=" * 9)
    pictures = [rng.choice(texts) for _ in range(rng.choice((1, 2, 16, 17)))]
    document = {"pictures": rng.choice((pictures, pictures, [""] * 100_000))}
    return Hostile(_post("/v1/read", json.dumps(document).encode(), "application/json"))


def _form(rng: Random) -> Hostile:
    part = b'--y\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n' + _png(rng) + b"\r\n"
    body = part * rng.choice((1, 2, 17, 2000)) + b"--y--\r\n"
    return Hostile(_post("/v1/read", damage(body, rng), "multipart/form-data; boundary=y"))


def _correction(rng: Random) -> Hostile:
    picture = base64.b64encode(damage(_png(rng), rng, "png")).decode()
    label = rng.choice(
        ("=cmd|' /C calc'!A0", "\x00", "../../x", "7" * 100_000, "\n" * 50, "@SUM(1)", 7, None, "x")
    )
    body = json.dumps({"picture": picture, "label": label}).encode()
    origin = rng.choice(("Origin: http://evil.example", "Origin: null", "X-Odd: 1"))
    return Hostile(_post("/v1/corrections", body, "application/json", origin))


_POST = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n"
_HEADS = (
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    b"BREW /v1/read HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    _POST + b"Content-Length: " + b"9" * 5001 + b"\r\n\r\n",
    _POST + b"Content-Length: -1\r\n\r\n",
    _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    _POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
    _POST + b"Transfer-Encoding: gzip\r\n\r\nx",
    _POST + b"Expect: 100-continue\r\nContent-Length: 9999999999\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Odd: 1\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Odd: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n" * 10_000,
)


def _head(rng: Random) -> Hostile:
    data = rng.choice(_HEADS)
    return Hostile(
        damage(data, rng) if rng.random() < 0.5 else data, "abort" if rng.random() < 0.2 else "", False
    )


def _slow(rng: Random) -> Hostile:
    """Half a head, or half a body."""
    whole = _post("/v1/predict", bytes(784), "application/octet-stream")
    return Hostile(whole[: rng.randrange(1, len(whole))], rng.choice(("hold", "abort")), False)


_DRAWN: tuple[Callable[[Random], Hostile], ...] = (
    _odd_json, _deep_json, _damaged_json, _npy, _npy, _raw, _picture, _pictures, _form, _correction,
    _head, _head, _slow,
)  # fmt: skip
