"""Files that would need gigabytes are refused before they are read; the user can raise the limit."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold import limits
from tenfold.arrays import ImageDataset
from tenfold.classifier import ModelCard
from tenfold.data.folders import read_image_folder
from tenfold.data.idx import parse_idx, read_payload
from tenfold.data.load import load_dataset
from tenfold.data.npz import read_npz
from tenfold.data.tables import read_csv
from tenfold.errors import ModelError, TenfoldError, UsageError
from tenfold.pictures.open import open_grey
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.training.loop import train


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def write_bomb(path: Path, shape: tuple[int, ...], zeros: int) -> Path:
    """An npz whose images claim a shape, and are so many zeros, packed a thousand to one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            file.write(header(shape))
            for _ in range(zeros // 2**20):
                file.write(bytes(2**20))
        labels = io.BytesIO()
        np.save(labels, np.arange(shape[0]) % 2)
        archive.writestr("labels.npy", labels.getvalue())
    return path


def csv_bomb(path: Path, pieces: int) -> Path:
    """Whole gzip of lines of zeros, so many MiB."""
    packer = zlib.compressobj(9, wbits=31)
    lines = b"0,0,0,0,0\n" * (2**20 // 10)
    path.write_bytes(b"".join(packer.compress(lines) for _ in range(pieces)) + packer.flush())
    return path


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.VARIABLE, "2M")


def refusal(call: Callable[..., object], *given: object) -> str:
    with pytest.raises(TenfoldError) as error:
        call(*given)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_size_is_read_and_nonsense_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(limits.VARIABLE, raising=False)
    assert limits.MemoryLimit.most_bytes() == 2**30
    for text, expected in (("500M", 500 * 2**20), ("8g", 2**33), ("1 GiB", 2**30), ("12", 12)):
        monkeypatch.setenv(limits.VARIABLE, text)
        assert limits.MemoryLimit.most_bytes() == expected
    for text in ("much", "-1", "0", "1.5G"):
        monkeypatch.setenv(limits.VARIABLE, text)
        with pytest.raises(UsageError, match=limits.VARIABLE):
            limits.MemoryLimit.most_bytes()


def test_an_npz_is_refused_by_its_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_bomb(tmp_path / "d.npz", (16, 1024, 1024), 2**24)
    monkeypatch.setenv(limits.VARIABLE, "8M")
    line = refusal(read_npz, path)
    assert str(path) in line and "16 MiB" in line and "set TENFOLD_MAX_BYTES=17M" in line
    monkeypatch.setenv(limits.VARIABLE, "17M")
    assert read_npz(path)["train"].images.shape == (16, 1024, 1024)


@pytest.mark.parametrize("shape", [(2**20, 2**10, 2**10), (3, 2**20, 2**9), (2, -3, 4)])
def test_an_npz_that_claims_more_than_it_holds(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("images.npy", header(shape) + bytes(100))
        archive.writestr("labels.npy", header((2,)) + bytes(2))
    assert "claims" in refusal(read_npz, tmp_path / "d.npz")


def test_other_arrays_of_an_npz_are_not_read(tmp_path: Path, low: None) -> None:
    np.savez_compressed(
        tmp_path / "d.npz",
        images=np.zeros((9, 2, 2), np.uint8),
        labels=np.arange(9) % 2,
        more=np.zeros(10**6),
    )
    assert len(read_npz(tmp_path / "d.npz")["train"]) == 9


def test_compressed_tables_are_counted_while_they_are_read(tmp_path: Path, low: None) -> None:
    path = csv_bomb(tmp_path / "d.csv.gz", 4)
    assert path.stat().st_size < 40_000
    whole = path.read_bytes()
    more = gzip.compress(b"0,0,0,0,0\n")  # the file's last bytes, which tell of a length, are of this stream
    for data in (whole, whole + more, whole[:-8]):
        path.write_bytes(data)
        assert "uncompressed, would take" in refusal(read_csv, path)


def test_gzip_of_several_streams_and_odd_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    two = gzip.compress(b"one") + gzip.compress(b"two" * 50_000)
    path.write_bytes(two + bytes(5))
    assert read_payload(path) == b"one" + b"two" * 50_000
    path.write_bytes(two + b"more")
    assert "broken gzip" in refusal(read_payload, path)
    path.write_bytes(two[:-9])
    assert "broken gzip" in refusal(read_payload, path)


def test_no_more_is_asked_of_a_file_than_it_holds() -> None:
    """read(n) of Python's files reserves n bytes at once, which a limit of addresses may refuse."""

    class File(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            assert count is not None and 0 <= count <= 2**20
            return super().read(count)

    data = bytes(range(256)) * 5000
    assert limits.MemoryLimit.read(File(data), 2**40) == data
    assert limits.MemoryLimit.read(File(data), 1_250_000) == data[:1_250_000]
    assert limits.MemoryLimit.read(File(data), 0) == b""


def test_large_plain_tables_and_idx(tmp_path: Path, low: None) -> None:
    (tmp_path / "d.csv").write_bytes(b"0,0\n" * 2**19)
    assert "TENFOLD_MAX_BYTES" in refusal(read_csv, tmp_path / "d.csv")
    packed = gzip.compress(b"\0\0\x08\x03" + b"\0\0\1\0" * 3 + bytes(2**24))
    assert "TENFOLD_MAX_BYTES" in refusal(parse_idx, packed, "d.idx.gz")


def test_pictures_and_folders_of_them(tmp_path: Path, low: None) -> None:
    for label in "12":
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(20):
            Image.new("L", (280, 280)).save(tmp_path / "set" / label / f"{number}.png")
    line = refusal(read_image_folder, tmp_path / "set")
    assert "40 pictures" in line and "TENFOLD_MAX_BYTES=3M" in line
    Image.new("L", (600, 600)).save(tmp_path / "large.tif")
    line = refusal(open_grey, tmp_path / "large.tif")
    assert "600 x 600 pixels" in line and "set TENFOLD_MAX_BYTES=6M" in line


def test_the_limit_of_pictures_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (8001, 8000)).save(tmp_path / "large.png")
    assert "set TENFOLD_MAX_BYTES=1025M" in refusal(open_grey, tmp_path / "large.png")
    monkeypatch.setenv(limits.VARIABLE, "1025M")
    assert open_grey(tmp_path / "large.png").shape == (8000, 8001)


def test_a_model_that_claims_gigabytes(tmp_path: Path) -> None:
    recipe = change_recipe(get_recipe("softmax-sgd"), {"training.steps": 1, "training.patience": 0})
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    train(recipe, ImageDataset(images, np.arange(20) % 2, ("a", "b"))).classifier.save(tmp_path)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(2**32)  # sparse: it takes no space on the disk
    with pytest.raises(ModelError, match=r"4\.0 GiB of memory.*TENFOLD_MAX_BYTES"):
        ModelCard.with_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.with_weights(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "d.npz", "train-images-idx3-ubyte", "data"])
def test_a_pipe_is_refused_without_waiting(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "pipe" in refusal(load_dataset, tmp_path / name)
    assert "pipe" in refusal(read_payload, tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_without_memory_a_command_says_so_in_one_line(tmp_path: Path) -> None:
    """The limit is raised beyond what the process may have; the archive's index claims 1 GiB."""
    path = write_bomb(tmp_path / "d.npz", (1024, 1024, 1024), 2**20)
    data, start = path.read_bytes(), len(header((1024, 1024, 1024)))
    at = data.rindex(struct.pack("<I", start + 2**20))
    path.write_bytes(data[:at] + struct.pack("<I", start + 2**30) + data[at + 4 :])
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        f"sys.argv = ['tenfold', 'data', 'show', {str(tmp_path / 'd.npz')!r}]\n"
        "from tenfold.cli import main\nmain()\n"
    )
    environment = os.environ | {limits.VARIABLE: "8G", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1 and "memory" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE ends every file after 4 KiB, as a full disk does."""
    program = (
        "import resource, signal, sys\n"
        "from tenfold.cli import main\n"
        "from tenfold.data.idx import write_idx\nimport tenfold.cli.app\nimport numpy as np\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from pathlib import Path\n"
        "tenfold.cli.app.app = lambda **_: write_idx(Path(sys.argv[1]), np.zeros((9, 99, 99), np.uint8))\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.idx")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.iterdir())
