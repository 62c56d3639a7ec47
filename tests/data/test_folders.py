import os
import textwrap

import numpy as np
import pytest
from PIL import Image

from tenfold.data import folders
from tenfold.data.folders import class_folders, decode_pictures, read_image_folder, split_folders
from tenfold.errors import DataError

RNG = np.random.default_rng(0)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def pictures(tmp_path):
    """10 classes, 2, 3, 4, ... pictures named 1.png, 2.png, ..., each of its class's value."""
    root = tmp_path / "digits"
    for label in range(10):
        (root / str(label)).mkdir(parents=True)
        for number in range(label + 2):
            save(root / str(label) / f"{number + 1}.png", np.full((4, 3), 20 * label + number, np.uint8))
    return root


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_classes_and_files_in_natural_order(pictures, cache):
    dataset = read_image_folder(pictures, cache=cache)
    assert dataset.class_names == tuple("0123456789") and dataset.name == "digits"
    assert dataset.class_counts().tolist() == list(range(2, 12))
    expected = [20 * label + number for label in range(10) for number in range(label + 2)]
    assert dataset.images[:, 0, 0].tolist() == expected and dataset.image_shape == (4, 3)


def test_words_as_classes(tmp_path):
    for name in ("b10", "b9", "a", ".hidden"):
        (tmp_path / name).mkdir()
    assert class_folders(tmp_path) == ("a", "b9", "b10")


def test_what_systems_leave_behind_is_passed_over(pictures, cache):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (pictures / "3" / name).write_bytes(b"x")
    (pictures / "README.txt").write_text("outside the classes")
    assert len(read_image_folder(pictures, cache=cache)) == sum(range(2, 12))


def test_the_second_time_no_picture_is_opened(pictures, cache, monkeypatch):
    first = read_image_folder(pictures, cache=cache)
    monkeypatch.setattr(folders, "decode_pictures", None)
    assert read_image_folder(pictures, cache=cache).sha256() == first.sha256()


@pytest.mark.parametrize("change", ["content", "name", "more", "fewer"])
def test_a_changed_folder_is_read_anew(pictures, cache, change):
    first = read_image_folder(pictures, cache=cache)
    file = pictures / "0" / "1.png"
    if change == "content":
        save(file, np.full((4, 3), 255, np.uint8))
        os.utime(file, ns=(1, 1))
    elif change == "name":
        file.rename(pictures / "1" / "11.png")
    elif change == "more":
        save(pictures / "0" / "9.png", np.zeros((4, 3), np.uint8))
    else:
        file.unlink()
    assert read_image_folder(pictures, cache=cache).sha256() != first.sha256()


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04 no more", b"text"])
def test_a_broken_cache_is_made_anew(pictures, cache, broken):
    first = read_image_folder(pictures, cache=cache)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(broken or whole[: len(whole) // 2])
    assert read_image_folder(pictures, cache=cache).sha256() == first.sha256()
    assert kept.read_bytes() == whole and len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_no_matter(pictures, tmp_path):
    (tmp_path / "file").write_text("")
    assert len(read_image_folder(pictures, cache=tmp_path / "file" / "cache"))


def test_the_cache_lies_where_xdg_says(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    read_image_folder(pictures)
    assert len(list((tmp_path / "xdg" / "tenfold" / "folders").glob("*.npz"))) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    read_image_folder(pictures)
    assert (tmp_path / ".cache" / "tenfold" / "folders").is_dir()


def test_progress(pictures, cache):
    seen = []
    read_image_folder(pictures, cache=cache, progress=lambda *told: seen.append(told))
    total = sum(range(2, 12))
    assert seen[-1] == ("pictures", total, total)


def test_several_processes_give_the_same(pictures, monkeypatch):
    monkeypatch.setattr("tenfold.data.folders.CHUNK", 7)
    paths = [str(path) for path in sorted(pictures.glob("*/*.png"))]
    several = decode_pictures(paths, processes=2)
    for one, other in zip(decode_pictures(paths, processes=1), several, strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_processes_name_the_first_file_that_is_broken(pictures, monkeypatch):
    monkeypatch.setattr("tenfold.data.folders.CHUNK", 7)
    for name in ("2/1.png", "9/5.png"):
        (pictures / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2/1\.png"):
        decode_pictures([str(path) for path in sorted(pictures.glob("*/*.png"))], processes=2)


def test_workers_that_do_not_start_are_no_matter(pictures, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    paths = [str(path) for path in pictures.glob("*/*.png")]
    assert len(decode_pictures(paths, processes=2)) == len(paths)


def test_mixed_sizes(pictures, cache):
    save(pictures / "4" / "2.png", np.zeros((9, 8), np.uint8))
    with pytest.raises(DataError) as error:
        read_image_folder(pictures, cache=cache)
    for word in (str(pictures / "4" / "2.png"), "8x9", "64 of 3x4", "1 of 8x9", "one size"):
        assert word in str(error.value)
    assert not cache.exists()


@pytest.mark.parametrize("name", ["notes.txt", "folder"])
def test_what_is_no_picture_is_named(pictures, cache, name):
    path = pictures / "3" / name
    path.mkdir() if name == "folder" else path.write_text("text")
    with pytest.raises(DataError, match=f"{name} is not a picture"):
        read_image_folder(pictures, cache=cache)


def test_a_picture_that_is_none(pictures, cache):
    (pictures / "3" / "2.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"2\.png is not a picture"):
        read_image_folder(pictures, cache=cache)


def test_a_link_to_nowhere(pictures, cache):
    (pictures / "3" / "2.png").unlink()
    (pictures / "3" / "2.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"2\.png cannot be read"):
        read_image_folder(pictures, cache=cache)


def test_empty_folders(tmp_path, cache, pictures):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no subfolders"):
        read_image_folder(tmp_path / "empty", cache=cache)
    with pytest.raises(DataError, match="cannot be read"):
        read_image_folder(tmp_path / "none", cache=cache)
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no pictures"):
        read_image_folder(pictures, cache=cache)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train", "test"], {"train": "train", "test": "test"}),
        (["Training", "Testing"], {"train": "Training", "test": "Testing"}),
        (["train", "t10k"], {"train": "train", "test": "t10k"}),
        (["train", "val"], {"train": "train", "test": "val"}),
        (["train", "validation", "test"], {"train": "train", "test": "test"}),
        (["train"], {"train": "train"}),
        (["cat", "dog", "test"], {}),
    ],
)
def test_split_folders(tmp_path, names, parts):
    for name in names:
        (tmp_path / name).mkdir()
    assert {part: path.name for part, path in split_folders(tmp_path).items()} == parts


def test_every_image_knows_its_file(pictures, cache):
    expected = tuple(f"{label}/{number + 1}.png" for label in range(10) for number in range(label + 2))
    assert read_image_folder(pictures, cache=cache).files == expected
    assert len(list(cache.iterdir())) == 1
    assert read_image_folder(pictures, cache=cache).files == expected  # images from the kept array


def test_names_of_files_fit_on_a_line(tmp_path, cache):
    for name in ("a b.png", "é'\".png", "new\nline\x1b.png", os.fsdecode(b"caf\xe9.png")):
        save(tmp_path / "digits" / "1" / name, np.zeros((4, 3), np.uint8))
    save(tmp_path / "digits" / "2" / "a.png", np.zeros((4, 3), np.uint8))
    assert set(read_image_folder(tmp_path / "digits", cache=cache).files) == {
        "1/a b.png", "1/é'\".png", r"1/new\nline\x1b.png", r"1/caf\udce9.png", "2/a.png",
    }  # fmt: skip


KILLED = """
    import os
    from tenfold.data.folders import _try_decode
    from tenfold.helpers import Helper

    def answer(chunk):
        if any(path.endswith("9/5.png") for path in chunk):
            os._exit(3)
        return _try_decode(chunk)

    Helper.serve(lambda _: answer)
"""


def test_a_picture_that_ends_its_process_is_named_and_not_opened_here(pictures, tmp_path, monkeypatch):
    (tmp_path / "killed_decoder.py").write_text(textwrap.dedent(KILLED))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tenfold.data.folders._MODULE", "killed_decoder")
    monkeypatch.setattr("tenfold.data.folders._decode", None)
    with pytest.raises(DataError, match=r"9/5\.png ended the process that decoded it"):
        decode_pictures([str(path) for path in sorted(pictures.glob("*/*.png"))], processes=2)
