import bz2
import gzip
import hashlib
import io
import socket
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tenfold.data import download
from tenfold.data.catalogue import CatalogueEntry, DataFile
from tenfold.data.download import download_dataset, download_file
from tenfold.errors import DataError, DataNotFoundError

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
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(download, "READ_SECONDS", 0.5)
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


@pytest.mark.parametrize("checksum", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
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
    packed = DataFile("all.zip", md5=hashlib.md5(archive, usedforsecurity=False).hexdigest())
    download_dataset(entry_of(server, (DataFile("a"), DataFile("b")), archive=packed), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"one", "b": b"two"}


@pytest.mark.parametrize("archive", [b"no zip", zipped(a=b"one")])
def test_an_archive_that_lacks_something(server, tmp_path, archive):
    server.files = {"all.zip": archive}
    entry = entry_of(server, (DataFile("b"),), archive=DataFile("all.zip"), mirrors=(f"{server.url}/",))
    with pytest.raises(DataNotFoundError, match="not the archive"):
        download_dataset(entry, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataNotFoundError, match="XDG_CACHE_HOME"):
        download_dataset(entry_of(server, (DataFile("a"),)), tmp_path / "file" / "folder")
