"""IDX, the format of MNIST: a magic number, the dimensions, then the values, all big-endian.

Bytes 0 and 1 are zero, byte 2 is the type, byte 3 the number of dimensions, then a uint32 a
dimension (Y. LeCun, http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path

import numpy as np

from tenfold.errors import DataError, DataNotFoundError
from tenfold.files import is_special, replace_file
from tenfold.limits import MemoryLimit

_CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
DTYPES = {code: np.dtype(name) for code, name in _CODES.items()}
MOST_DIMENSIONS = 8
MOST_BYTES = 2**40
GZIP_MAGIC, BZIP2_MAGIC = b"\x1f\x8b", b"BZh"
_STEP = 1 << 18  # bytes that are uncompressed at a time
BROKEN = "fetch or copy the file again"


def read_idx(path: str | Path) -> np.ndarray:
    """The array of an IDX file, gzip or not (told by content), in the machine's byte order.

    Read-only. An uncompressed file of bytes is memory-mapped: its pages are read when they are first
    used and are the kernel's to drop again; it must not be cut short meanwhile.
    Raises DataNotFoundError when there is no file, DataError when it is not whole and valid IDX.
    """
    return parse_idx(open_payload(path), path)


def read_payload(path: str | Path, *, share: int = 2) -> bytes:
    """A file's bytes, uncompressed when they are gzip or bzip2 (whose checksums are checked).

    share: how many copies of them will exist at a time; raises DataError before they need more memory
    than one file may.
    """
    with _opened(path) as file:
        MemoryLimit.check(os.fstat(file.fileno()).st_size, path, share=share)
        data = MemoryLimit.read(
            file, MemoryLimit.most_bytes() // share + 1
        )  # of a pipe no size is known before
        MemoryLimit.check(len(data), path, share=share)
        return _uncompress(data, path, share=share)


def open_payload(path: str | Path) -> np.ndarray:
    """read_payload as a read-only array uint8 (bytes,): a memory map where nothing is compressed."""
    with _opened(path) as file:
        magic = file.read(3)
        if magic[:2] != GZIP_MAGIC and magic != BZIP2_MAGIC:
            try:
                return np.memmap(file, np.uint8, mode="r")
            except (OSError, ValueError):  # empty, a pipe, or a file system that cannot map
                pass
        MemoryLimit.check(os.fstat(file.fileno()).st_size, path)
        data = magic + MemoryLimit.read(file, MemoryLimit.most_bytes())
        MemoryLimit.check(len(data), path)
        return np.frombuffer(_uncompress(data, path), np.uint8)


@contextmanager
def _opened(path: str | Path) -> Iterator[BufferedReader]:
    refuse_special(path)
    try:
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DataNotFoundError(f"{path} is not there", remedy="check the path") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", remedy="check the path") from error


def refuse_special(path: str | Path) -> None:
    """Raises DataError for a pipe, a socket or a device by name, of which nobody knows when they end. What
    the shell hands over (/dev/stdin, /dev/fd/63) has somebody who writes it.
    """
    if is_special(path) and not str(path).startswith(("/dev/stdin", "/dev/fd/")):
        remedy = "save the data as a file first"
        raise DataError(f"{path} is a pipe, a socket or a device", expected="a file", remedy=remedy)


def parse_idx(data: bytes | np.ndarray, where: str | Path) -> np.ndarray:
    """The array in IDX bytes, gzip or not; or in what open_payload returns. `where` is for errors.

    The array may be a read-only view of `data`. Raises DataError: wrong magic number, absurd
    dimensions, too few or too many bytes.
    """
    if isinstance(data, bytes):
        data = np.frombuffer(_uncompress(data, where), np.uint8)
    dtype, shape = _header(data[: 4 + 4 * MOST_DIMENSIONS].tobytes(), where)
    start = 4 + 4 * len(shape)
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        kind = "cut short" if len(data) < expected else "followed by other bytes"
        raise DataError(
            f"{where} is {kind}: {len(data)} bytes",
            expected=f"{expected} for {dtype.name} of shape {shape}",
            remedy=BROKEN,
        )
    values = data[start:].view(dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: str | Path, array: np.ndarray) -> None:
    """Writes `array` as IDX, compressed when the path ends in .gz (always the same bytes).

    Written beside and renamed, so that a memory map of a file that was there stays whole.
    Raises DataError for a type or a number of dimensions that IDX has not.
    """
    dtype = array.dtype.newbyteorder(">")
    codes = {known: code for code, known in DTYPES.items()}
    if dtype not in codes or not 1 <= array.ndim <= MOST_DIMENSIONS:
        raise DataError(
            f"{path}: IDX cannot hold {array.dtype} of {array.ndim} dimensions",
            expected=f"{', '.join(known.name for known in codes)}; 1 to {MOST_DIMENSIONS} dimensions",
        )
    header = bytes([0, 0, codes[dtype], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.astype(dtype, copy=False).tobytes()
    path = Path(path)
    with replace_file(path) as beside:
        beside.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_idx_pair(images_path: str | Path, labels_path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, H, W) and labels int64 (N,); labels (N, k) give column 0 (QMNIST).

    Raises DataError when either is not that, or their counts differ.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    check_images(images, images_path)
    labels = label_column(labels, labels_path)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} labels",
            expected="as many labels as images",
            remedy="take both files from the same set",
        )
    return images, labels


def check_digest(
    path: Path, expected: str, *, kind: str = "sha256", payload: bytes | np.ndarray | None = None
) -> None:
    """Raises DataError unless the file, as it lies there, has this digest: "sha256" or "md5". payload: what
    it holds uncompressed, whose digest it is then."""
    if payload is None:
        with _opened(path) as file:
            found = hashlib.file_digest(file, partial(hashlib.new, kind, usedforsecurity=False)).hexdigest()
    else:
        data = payload.data if isinstance(payload, np.ndarray) else payload
        found = hashlib.new(kind, data, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(
            f"{path} has other contents than published: {kind} {found[:12]}...",
            expected=f"{expected[:12]}...",
            remedy="delete it and fetch it again",
        )


def check_images(images: np.ndarray, where: str | Path) -> None:
    """Raises DataError unless `images` is uint8 (N, H, W)."""
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"{where} holds {images.dtype} of shape {images.shape}",
            expected="uint8 images of shape (N, height, width)",
            remedy="is it perhaps the labels' file?",
        )


def label_column(labels: np.ndarray, where: str | Path) -> np.ndarray:
    """int64 (N,) from integer labels (N,) or (N, k). Raises DataError when they are not that."""
    if labels.ndim == 2 and labels.shape[1] > 0:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{where} holds {labels.dtype} of shape {labels.shape}",
            expected="integer labels of shape (N,)",
            remedy="is it perhaps the images' file?",
        )
    return labels.astype(np.int64)


def _uncompress(data: bytes, where: str | Path, *, share: int = 2) -> bytes:
    """share: as in MemoryLimit.check; the bound holds while the bytes come."""
    packed = data[:2] == GZIP_MAGIC, data[:3] == BZIP2_MAGIC
    if not any(packed):
        return data
    pieces, total = [], 0
    try:
        unzipped = iter(partial(gzip.GzipFile(fileobj=io.BytesIO(data)).read, _STEP), b"")
        for piece in unzipped if packed[0] else _bunzip2(data):
            total += len(piece)
            MemoryLimit.check(total, f"{where}, uncompressed,", share=share)
            pieces.append(piece)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        kind = "gzip" if packed[0] else "bzip2"
        raise DataError(f"{where} is broken {kind} ({error})", remedy=BROKEN) from error
    return b"".join(pieces)


def _bunzip2(data: bytes) -> Iterator[bytes]:
    rest = data
    while rest:
        stream = bz2.BZ2Decompressor()
        yield stream.decompress(rest, _STEP)
        while not stream.eof:
            if stream.needs_input:
                raise EOFError("it ends before its end-of-stream marker")
            yield stream.decompress(b"", _STEP)
        rest = stream.unused_data


def _header(data: bytes, where: str | Path) -> tuple[np.dtype, tuple[int, ...]]:
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES or not 1 <= data[3] <= MOST_DIMENSIONS:
        found = data[:4].hex() or "nothing"
        raise DataError(
            f"{where} is not an IDX file: it begins with {found}",
            expected="00000803 for images, 00000801 for labels",
            remedy="check that it is the right file; " + BROKEN,
        )
    dtype, dimensions = DTYPES[data[2]], data[3]
    if len(data) < 4 + 4 * dimensions:
        raise DataError(f"{where} is cut short: {len(data)} bytes, not even its header", remedy=BROKEN)
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    # NumPy refuses even empty arrays whose other dimensions are absurd, hence max(side, 1).
    if math.prod(max(side, 1) for side in shape) * dtype.itemsize > MOST_BYTES:
        raise DataError(f"{where} claims the impossible shape {shape}", remedy=BROKEN)
    return dtype, shape
