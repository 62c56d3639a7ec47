import bz2
import gzip
import hashlib
import io
import pickle
import socket
import subprocess
import sys
import threading
import urllib.request
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tenfold.data import catalogue
from tenfold.data.catalogue import CatalogueEntry, DataFile, download_dataset, download_file
from tenfold.errors import DataError, DataNotFoundError
from tenfold.files import Claim

CONTENT = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    """Serves server.files; /no-range/ knows no Range, /cut/ stops in the middle, /html/ has a log-in page."""

    def do_GET(self):
        folder, _, name = self.path[1:].rpartition("/")
        self.server.asked.append((self.path, self.headers.get("Range")))
        content = b"<html>please log in" if folder == "html" else self.server.files.get(name)
        if content is None:
            return self.send_error(404)
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if folder != "no-range" else 0
        if start >= len(content) > 0:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : len(content) // 2 if folder == "cut" else None])
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.files, http.asked = {"file": CONTENT}, []
        http.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(catalogue, "SCHEMES", ("https", "http"))  # these servers have no certificate


@pytest.fixture
def nowhere():
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def right(path):
    if path.read_bytes() != CONTENT:
        raise DataError("wrong")


def test_a_file_arrives_whole(server, tmp_path):
    told = []
    url = f"{server.url}/file"
    used = download_file([url], tmp_path / "file", check=right, progress=lambda *step: told.append(step))
    assert used == url and (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert told[-1] == ("file", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_what_was_cut_off_is_resumed(server, tmp_path):
    with pytest.raises(DataNotFoundError, match="cut off after 128000 of 256000"):
        download_file([f"{server.url}/cut/file"], tmp_path / "file", check=right)
    assert [path.name for path in tmp_path.iterdir()] == ["file.part"]
    download_file([f"{server.url}/file"], tmp_path / "file", check=right)
    assert server.asked[-1] == ("/file", "bytes=128000-")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_the_next_mirror_goes_on_where_the_last_was_cut_off(server, tmp_path):
    download_file([f"{server.url}/cut/file", f"{server.url}/file"], tmp_path / "file", check=right)
    assert server.asked == [("/cut/file", None), ("/file", "bytes=128000-")]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT[:1000], b"other" * 100, CONTENT, CONTENT + b"more"])
@pytest.mark.parametrize("folder", ["", "no-range/"])
def test_whatever_the_part_holds_the_file_is_right(server, tmp_path, part, folder):
    (tmp_path / "file.part").write_bytes(part)
    download_file([f"{server.url}/{folder}file"], tmp_path / "file", check=right)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_broken_mirrors_are_passed_over(server, tmp_path, nowhere):
    urls = [f"{nowhere}/file", f"{server.url}/none", f"{server.url}/html/file", f"{server.url}/file"]
    assert download_file(urls, tmp_path / "file", check=right) == urls[-1]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_wrong_content_leaves_nothing_behind(server, tmp_path, nowhere):
    urls = [f"{server.url}/html/file", f"{server.url}/none", f"{nowhere}/file"]
    with pytest.raises(DataNotFoundError) as error:
        download_file(urls, tmp_path / "file", check=right)
    assert not list(tmp_path.iterdir())
    message = str(error.value)
    for word in ("127.0.0.1", "wrong content", "HTTP 404", "refused", "check the network", str(tmp_path)):
        assert word in message
    assert "\n" not in message


def test_a_mirror_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(catalogue, "READ_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(DataNotFoundError, match=r"no answer within 0\.1 s"):
            download_file([url], tmp_path / "file")


def entry_of(server, files, **changes):
    entry = CatalogueEntry(
        name="toy",
        title="Toy",
        class_names=("a", "b"),
        form="idx",
        image_shape=(2, 2),
        counts=(1, 1),
        train=files[: len(files) // 2],
        test=files[len(files) // 2 :],
        mirrors=(f"{server.url}/html/", f"{server.url}/"),
        source="",
    )
    return replace(entry, **changes)


def test_a_set_is_checked_by_its_uncompressed_contents(server, tmp_path):
    server.files = {"a.gz": gzip.compress(b"one"), "b.bz2": bz2.compress(b"two")}
    files = tuple(
        DataFile(name, sha256=hashlib.sha256(payload).hexdigest())
        for name, payload in (("a.gz", b"one"), ("b.bz2", b"two"))
    )
    download_dataset(entry_of(server, files), tmp_path / "new" / "folder")
    found = {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()}
    assert found == server.files
    # the first mirror failed once, and was not asked first again
    assert [path for path, _ in server.asked] == ["/html/a.gz", "/a.gz", "/b.bz2"]
    server.asked.clear()
    download_dataset(entry_of(server, files), tmp_path / "new" / "folder")
    assert not server.asked


@pytest.mark.parametrize("checksum", [{"sha256": "0" * 64}, {"published_sha256": "0" * 64}])
def test_a_wrong_checksum(server, tmp_path, checksum):
    server.files = {"a.gz": gzip.compress(b"one")}
    with pytest.raises(DataNotFoundError, match="wrong content"):
        download_dataset(entry_of(server, (DataFile("a.gz", **checksum),)), tmp_path)
    assert not list(tmp_path.iterdir())


def zipped(**members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"gzip/{name}", content)
    return packed.getvalue()


def test_an_archive_is_unpacked_and_removed(server, tmp_path):
    archive = zipped(a=b"one", b=b"two", c=b"not wanted")
    server.files = {"all.zip": archive}
    packed = DataFile("all.zip", published_sha256=hashlib.sha256(archive).hexdigest())
    download_dataset(entry_of(server, (DataFile("a"), DataFile("b")), archive=packed), tmp_path)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    digests = {f"{name}.sha256": found.pop(f"{name}.sha256").decode().strip() for name in "ab"}
    assert found == {"a": b"one", "b": b"two"}
    assert digests == {f"{k}.sha256": hashlib.sha256(v).hexdigest() for k, v in found.items()}


@pytest.mark.parametrize("archive", [b"no zip", zipped(a=b"one")])
def test_an_archive_that_lacks_something(server, tmp_path, archive):
    server.files = {"all.zip": archive}
    packed = DataFile("all.zip", published_sha256=hashlib.sha256(archive).hexdigest())
    entry = entry_of(server, (DataFile("b"),), archive=packed, mirrors=(f"{server.url}/",))
    with pytest.raises(DataNotFoundError, match="not the expected archive"):
        download_dataset(entry, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataNotFoundError, match="XDG_CACHE_HOME"):
        download_dataset(entry_of(server, (DataFile("a", sha256="0" * 64),)), tmp_path / "file" / "folder")


def test_nothing_but_https(server, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "SCHEMES", ("https",))
    with pytest.raises(DataNotFoundError, match="not an HTTPS address"):
        download_file([f"{server.url}/file"], tmp_path / "file")
    assert not server.asked and not list(tmp_path.iterdir())


def test_a_redirection_away_from_https_is_refused(monkeypatch):
    monkeypatch.setattr(catalogue, "SCHEMES", ("https",))
    request = urllib.request.Request("https://example.org/file")
    (redirect,) = (each for each in catalogue._https_opener().handlers if type(each).__name__ == "OnlyHttps")
    with pytest.raises(OSError, match="not an HTTPS address"):
        redirect.redirect_request(request, None, 302, "", {}, "http://example.org/file")


def test_what_has_no_sha256_is_not_downloaded(server, tmp_path):
    server.files = {"a": b"one"}
    with pytest.raises(DataNotFoundError, match="no sha256 of its files is known"):
        download_dataset(entry_of(server, (DataFile("a", md5="0" * 32),)), tmp_path)
    assert not server.asked


@pytest.mark.parametrize("checked", ["published", "archive"])
def test_what_was_downloaded_is_verified_again_when_it_is_read(server, tmp_path, monkeypatch, checked):
    """Also where counts and shapes still fit."""
    images = b"\0\0\x08\x03" + b"\0\0\0\1\0\0\0\2\0\0\0\2" + bytes(4)
    labels = b"\0\0\x08\x01\0\0\0\1\0"
    packed = {"images": images, "labels": labels}
    if checked == "archive":
        archive = zipped(**packed)
        server.files = {"all.zip": archive}
        files = tuple(DataFile(name) for name in packed)
        wanted = {"archive": DataFile("all.zip", published_sha256=hashlib.sha256(archive).hexdigest())}
    else:
        server.files, wanted = packed, {}
        files = tuple(
            DataFile(name, published_sha256=hashlib.sha256(data).hexdigest()) for name, data in packed.items()
        )
    entry = entry_of(server, files * 2, mirrors=(f"{server.url}/",), **wanted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = entry.download_folder
    download_dataset(entry, folder)
    assert len(entry.read(folder, "train", verify=True)) == 1
    (folder / "images").write_bytes(images[:-1] + b"\1")
    with pytest.raises(DataError, match=r"images has other contents than published.*fetch it again"):
        entry.read(folder, "train", verify=True)


def test_of_two_at_once_one_downloads_and_the_other_waits(server, tmp_path):
    content = b"one" * 100_000
    server.files = {"a": content}
    entry = entry_of(server, (DataFile("a", published_sha256=hashlib.sha256(content).hexdigest()),))
    entry = replace(entry, mirrors=(f"{server.url}/",))
    folder = tmp_path / "set"
    program = (
        "import pickle, sys\nfrom pathlib import Path\nfrom tenfold.data import catalogue\n"
        "catalogue.SCHEMES = ('http',)\n"
        "catalogue.download_dataset(pickle.loads(bytes.fromhex(sys.argv[1])), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, pickle.dumps(entry).hex(), str(folder)]
    with Claim.folder(folder):
        started = subprocess.Popen(command)
        catalogue.download_file([f"{server.url}/a"], folder / "a")
        asked = list(server.asked)
    assert started.wait(60) == 0
    assert server.asked == asked and (folder / "a").read_bytes() == content
