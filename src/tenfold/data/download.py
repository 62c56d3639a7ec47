"""Files from mirrors: resumed where they were cut off, checked, written beside and renamed."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import CatalogueEntry, DataFile
from tenfold.data.idx import (
    check_digest,
    check_images,
    check_sha256,
    label_column,
    open_payload,
    parse_idx,
    read_payload,
)
from tenfold.data.ranges import parse_libsvm
from tenfold.errors import DataError, DataNotFoundError
from tenfold.files import claim_folder, replace_file, write_text
from tenfold.version import __version__

__all__ = ["Progress"]

# Where data is kept between runs (XDG base directory specification).


def cache_folder(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/tenfold/<parts>`, or `~/.cache/...` where that is unset or not absolute."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():
        root = Path.home() / ".cache"
    return root.joinpath("tenfold", *parts)


# The catalogue's data sets on this machine: where they lie, and reading them.


def search_folders(entry: CatalogueEntry, data_dir: str | Path | None) -> list[Path]:
    """Where `entry` may lie, best first: data_dir, TENFOLD_DATA_DIR, the XDG cache.

    `<folder>/<name>`, and for mnist the folder itself too.
    """
    folders = []
    for place in (data_dir, os.environ.get("TENFOLD_DATA_DIR")):
        if place:
            folders.append(Path(place) / entry.name)
            folders += [Path(place)] * (entry.name == "mnist")
    return [*folders, download_folder(entry)]


def download_folder(entry: CatalogueEntry) -> Path:
    return cache_folder("data", entry.name)


def find_entry(entry: CatalogueEntry, data_dir: str | Path | None) -> Path | None:
    """The first folder that has all files of `entry`, or None."""
    folders = search_folders(entry, data_dir)
    return next((folder for folder in folders if not missing_files(entry, folder)), None)


def missing_files(entry: CatalogueEntry, folder: Path) -> list[str]:
    return [file.name for file in entry.files if local_file(folder, file) is None]


def local_file(folder: Path, file: DataFile) -> Path | None:
    """The file in `folder`, with - or . before idx; of both, uncompressed before compressed."""
    bare = file.name.removesuffix(".gz").removesuffix(".bz2")
    names = [bare, file.name]
    names += [name.replace("-idx", ".idx") for name in names]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_entry(entry: CatalogueEntry, folder: Path, split: str, *, verify: bool) -> ImageDataset:
    """The train or test part from `folder`, which has all files.

    verify: sha256 of the uncompressed payloads where known, and the counts; of what was downloaded also that
    its files are still those that were published.
    Raises DataError naming the file.
    """
    files = entry.part(split)
    paths = [local_file(folder, file) or folder / file.name for file in files]
    for file, path in zip(files, paths, strict=True):
        if verify and folder == download_folder(entry):
            _check_published(file, path)
    payloads = [open_payload(path) for path in paths]
    for file, path, payload in zip(files, paths, payloads, strict=True):
        if verify and file.sha256:
            check_sha256(path, payload, file.sha256)
    images, labels = _decode(entry, payloads, paths)
    expected = entry.counts[split == "test"]
    if len(images) != len(labels) or (verify and len(images) != expected):
        raise DataError(
            f"{' and '.join(map(str, paths))}: {len(images)} images, {len(labels)} labels",
            expected=f"{expected} of each",
            remedy="delete the files and fetch them again",
        )
    return ImageDataset(images, labels, entry.class_names, entry.name)


def _check_published(file: DataFile, path: Path) -> None:
    kept = kept_digest(path)
    if kept.is_file():
        check_digest(path, kept.read_text(encoding="ascii", errors="replace").strip())
    elif path.name != file.name:  # unpacked by hand: its digest as published says nothing
        return
    elif file.published_sha256:
        check_digest(path, file.published_sha256)
    elif file.md5 and not file.sha256:
        check_digest(path, file.md5, kind="md5")


def kept_digest(path: Path) -> Path:
    """Where the sha256 of a file stands that came in an archive, which was checked when it was unpacked."""
    return path.with_name(f"{path.name}.sha256")


def _decode(
    entry: CatalogueEntry, payloads: Sequence[np.ndarray], paths: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray]:
    if entry.form == "libsvm":
        return parse_libsvm(payloads[0].tobytes(), entry.image_shape, paths[0])
    images = parse_idx(payloads[0], paths[0])
    check_images(images, paths[0])
    if entry.transposed:
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    return images, label_column(parse_idx(payloads[1], paths[1]), paths[1])


# How long work reports how far it is.

Progress = Callable[[str, int, int], None]
"""progress(what, done, total): `what` is a file's name (in bytes) or "pictures"; total 0 is unknown."""


CONNECT_SECONDS = 3.0  # until a mirror answers, name look-up included
READ_SECONDS = 20.0  # between two blocks of an answer
BLOCK = 1 << 16
SCHEMES = ("https",)


def download_dataset(entry: CatalogueEntry, folder: Path, *, progress: Progress | None = None) -> None:
    """All files of `entry` that `folder` lacks, over HTTPS, each checked by its sha256. Of several processes
    one downloads, and the others wait for it. Raises DataNotFoundError naming what was tried.
    """
    wanted = [entry.archive] if entry.archive else list(entry.files)
    if not all(file.sha256 or file.published_sha256 for file in wanted):
        raise DataNotFoundError(
            f"{entry.name} is not downloaded, for no sha256 of its files is known",
            remedy=f"fetch them from {entry.mirrors[0]} into {folder}",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataNotFoundError(
            f"{folder} cannot be made ({error.strerror})", remedy="set XDG_CACHE_HOME to a writable folder"
        ) from error
    with claim_folder(folder, wait=True):
        missing = [file for file in entry.files if not (folder / file.name).exists()]
        if entry.archive and missing:
            archive = folder / entry.archive.name
            _download_all(entry.mirrors, [entry.archive], folder, progress)
            _unpack(archive, missing, folder)
            archive.unlink()
        else:
            _download_all(entry.mirrors, missing, folder, progress)


def download_file(
    urls: Sequence[str],
    target: Path,
    *,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> str:
    """Fetches `target` from the first of `urls` that has it right; returns that one.

    What arrives lies in `<target>.part`, from which a later call resumes (HTTP Range). `check`
    raises DataError for wrong content, which is then deleted and the next address tried.
    Raises DataNotFoundError naming each address's host and what went wrong there.
    """
    part = target.with_name(target.name + ".part")
    failures = []
    for url in urls:
        try:
            _fetch(url, part, check, progress)
        except (OSError, http.client.HTTPException, DataError) as error:
            failures.append(f"{urlsplit(url).netloc} ({_reason(error)})")
            continue
        part.replace(target)
        return url
    raise DataNotFoundError(
        f"{target.name} could not be downloaded; tried {', '.join(failures)}",
        remedy=f"check the network, or put the file into {target.parent}",
    )


def _download_all(
    mirrors: Sequence[str], files: Sequence[DataFile], folder: Path, progress: Progress | None
) -> None:
    mirrors = list(mirrors)
    for file in files:
        urls = [mirror + file.name for mirror in mirrors]
        used = download_file(urls, folder / file.name, check=_checker(file), progress=progress)
        mirrors.insert(0, mirrors.pop(urls.index(used)))  # what worked is asked first


def _checker(file: DataFile) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        if file.published_sha256:
            check_digest(path, file.published_sha256)
        else:
            check_sha256(path, read_payload(path), file.sha256)

    return check


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent from HTTPS to anything else."""

    def redirect_request(self, request: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _refuse_scheme(newurl)
        return super().redirect_request(request, fp, code, msg, headers, newurl)


def _refuse_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise OSError(f"not an HTTPS address: {url[:60]}")


def _fetch(url: str, part: Path, check: Callable[[Path], None] | None, progress: Progress | None) -> None:
    """Resumes what is there; when that comes to nothing right, once more from the beginning."""
    if part.exists():
        try:
            return _transfer_checked(url, part, check, progress)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            error.close()
            part.unlink()
        except DataError:
            pass
    return _transfer_checked(url, part, check, progress)


def _transfer_checked(
    url: str, part: Path, check: Callable[[Path], None] | None, progress: Progress | None
) -> None:
    _transfer(url, part, progress)
    if check:
        try:
            check(part)
        except DataError:
            part.unlink()
            raise


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    done = part.stat().st_size if part.exists() else 0
    with _open(url, done) as answer:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            done = 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if done else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                done += len(block)
                if progress:
                    progress(part.name.removesuffix(".part"), done, total)
    if answer.headers.get("Content-Length") and done != total:
        raise OSError(f"cut off after {done} of {total} bytes")


def _open(url: str, start: int) -> http.client.HTTPResponse:
    """The answer, within CONNECT_SECONDS. In a thread of its own, because a look-up of a name that
    hangs has no timeout."""
    _refuse_scheme(url)
    headers = {"User-Agent": f"tenfold/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    too_late = threading.Event()

    def ask() -> None:
        try:
            answer = urllib.request.build_opener(_OnlyHttps).open(request, timeout=READ_SECONDS)
            if too_late.is_set():
                answer.close()
            answers.put(answer)
        except Exception as error:  # handed over to the caller's thread
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        too_late.set()
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP {error.code}"
    if isinstance(error, DataError):
        return "wrong content"
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause)


def _unpack(archive: Path, files: Sequence[DataFile], folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {Path(name).name: name for name in opened.namelist()}
            for file in files:
                data = opened.read(members[file.name])
                write_text(kept_digest(folder / file.name), hashlib.sha256(data).hexdigest() + "\n")
                with replace_file(folder / file.name) as beside:
                    beside.write_bytes(data)
    except (KeyError, zipfile.BadZipFile) as error:
        archive.unlink()
        raise DataNotFoundError(
            f"{archive} is not the expected archive ({error})", remedy="fetch it again"
        ) from error
