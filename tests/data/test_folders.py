import os
import textwrap

import numpy as np
import pytest
from PIL import Image

from tenfold.data import folders
from tenfold.data.decode import Pictures, Wishes
from tenfold.data.folders import class_folders, read_image_folder, split_folders
from tenfold.errors import DataError, TenfoldError

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
        save(tmp_path / name / "1.png", np.zeros((4, 3), np.uint8))
    (tmp_path / "empty").mkdir()
    assert class_folders(tmp_path) == ("a", "b9", "b10")


def test_what_systems_leave_behind_is_passed_over(pictures, cache):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (pictures / "3" / name).write_bytes(b"x")
    (pictures / "README.txt").write_text("outside the classes")
    assert len(read_image_folder(pictures, cache=cache)) == sum(range(2, 12))


def test_the_second_time_no_picture_is_opened(pictures, cache, monkeypatch):
    first = read_image_folder(pictures, cache=cache)
    monkeypatch.setattr(folders, "Pictures", None)
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
    assert len(list((tmp_path / "xdg" / "tenfold" / "folders").glob("*.npy"))) == 1
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
    monkeypatch.setattr("tenfold.data.decode.CHUNK", 7)
    paths = [str(path) for path in sorted(pictures.glob("*/*.png"))]
    several = Pictures.decode(paths, paths, processes=2)
    np.testing.assert_array_equal(Pictures.decode(paths, paths, processes=1).images, several.images)


def test_several_processes_name_the_first_file_that_is_broken(pictures, monkeypatch):
    monkeypatch.setattr("tenfold.data.decode.CHUNK", 7)
    for name in ("2/1.png", "9/5.png"):
        (pictures / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2/1\.png"):
        paths = [str(path) for path in sorted(pictures.glob("*/*.png"))]
        Pictures.decode(paths, paths, processes=2)


def test_workers_that_do_not_start_are_no_matter(pictures, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    paths = [str(path) for path in pictures.glob("*/*.png")]
    assert len(Pictures.decode(paths, paths, processes=2).images) == len(paths)


def test_an_odd_size_becomes_that_of_most(pictures, cache):
    save(pictures / "4" / "2.png", np.zeros((9, 8), np.uint8))
    dataset = read_image_folder(pictures, cache=cache)
    assert dataset.image_shape == (4, 3) and len(dataset) == 65
    assert dataset.note.startswith("1 of 65 pictures were resized to 3x4") and "size of most" in dataset.note
    assert read_image_folder(pictures, cache=cache).note == dataset.note


def test_many_sizes_become_their_median(tmp_path, cache):
    for number, (height, width) in enumerate([(100, 50), (200, 100), (300, 160), (400, 200)]):
        save(tmp_path / "digits" / str(number % 2) / f"{number}.png", np.zeros((height, width), np.uint8))
    dataset = read_image_folder(tmp_path / "digits", cache=cache)
    assert dataset.image_shape == (64, 32) and "median" in dataset.note
    asked = read_image_folder(tmp_path / "digits", cache=cache, wishes=Wishes(size=(20, 30)))
    assert asked.image_shape == (20, 30) and len(list(cache.iterdir())) == 2


def test_nested_folders(pictures, cache):
    save(pictures / "3" / "first" / "ten" / "9.png", np.full((4, 3), 255, np.uint8))
    dataset = read_image_folder(pictures, cache=cache)
    at = dataset.files.index("3/first/ten/9.png")
    assert dataset.labels[at] == 3 and dataset.images[at].min() == 255


def test_what_is_no_picture_is_named(pictures, cache):
    (pictures / "3" / "notes.txt").write_text("text")
    with pytest.raises(DataError, match=r"notes\.txt is not a picture.*--skip-broken"):
        read_image_folder(pictures, cache=cache)


def test_all_broken_files_are_named_at_once_or_left_out(pictures, cache):
    for number in range(1, 11):
        (pictures / "9" / f"{number}.png").write_bytes(b"PNG")
    (pictures / "3" / "2.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        read_image_folder(pictures, cache=cache)
    message = str(error.value)
    assert message.startswith("11 of 65 files are not pictures: ") and "\n" not in message
    assert "3/2.png is empty" in message and "9/9.png" in message and "9/10.png" not in message
    for _ in range(2):
        dataset = read_image_folder(pictures, cache=cache, wishes=Wishes(skip_broken=True))
        assert len(dataset) == len(dataset.files) == 54 and "3/2.png" not in dataset.files
        assert dataset.note.startswith("11 of 65 files are not pictures and are left out")
        for image, label, file in zip(dataset.images, dataset.labels, dataset.files):
            assert image[0, 0] == 20 * label + int(file.split("/")[1][:-4]) - 1


def noisy_grey(path):
    """As a scanner's JPEG of a grey page: three channels that differ by noise alone."""
    grey = np.random.default_rng(1).integers(0, 256, (16, 16, 1))
    pixels = np.clip(grey + np.random.default_rng(2).integers(-3, 4, (16, 16, 3)), 0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)


def test_colour_is_kept_where_pictures_have_it(tmp_path, cache):
    root = tmp_path / "digits"
    for number in range(40):
        noisy_grey(root / str(number % 2) / f"{number}.jpg")
    dataset = read_image_folder(root, cache=cache)
    expected = np.asarray(Image.open(root / "0" / "0.jpg").convert("L"))
    assert dataset.image_shape == (16, 16) and not dataset.note
    np.testing.assert_array_equal(dataset.images[0], expected)
    red = np.zeros((16, 16, 3), np.uint8) + np.uint8([200, 10, 10])
    save(root / "1" / "1.png", red)
    few = read_image_folder(root, cache=cache)
    assert few.image_shape == (16, 16) and few.note.startswith("in grey: 1 of 41 pictures have colours")
    for number in range(3, 10):
        save(root / "1" / f"{number}.png", red)
    many = read_image_folder(root, cache=cache)
    assert many.image_shape == (16, 16, 3) and many.note.startswith("in colour: 8 of 48")
    np.testing.assert_array_equal(many.images[0], np.asarray(Image.open(root / "0" / "0.jpg")))
    np.testing.assert_array_equal(many.images[many.files.index("1/1.png")], red)
    grey = read_image_folder(root, cache=cache, wishes=Wishes(colour=False))
    np.testing.assert_array_equal(grey.images[0], expected)
    assert (
        grey.images[grey.files.index("1/1.png")][0, 0] == np.asarray(Image.fromarray(red).convert("L"))[0, 0]
    )


def test_the_class_in_the_name(tmp_path, cache):
    for name in ("cat_10.png", "cat_2.png", "dog_1.png", "more/dog_2.png"):
        save(tmp_path / "pets" / name, np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="1 class"):
        read_image_folder(tmp_path / "pets", cache=cache)
    for pattern in (r"(?P<label>\w+)_\d+", "([a-z]+)_"):
        dataset = read_image_folder(tmp_path / "pets", cache=cache, class_pattern=pattern)
        assert dataset.class_names == ("cat", "dog") and dataset.labels.tolist() == [0, 0, 1, 1]
        assert dataset.files == ("cat_2.png", "cat_10.png", "dog_1.png", "more/dog_2.png")
    for pattern, words in [
        ("dog", "has no group"),
        ("(", "not a regular expression"),
        ("(dog)", "2 of 4 files are not called like '\\(dog\\)': cat_10.png, cat_2.png"),
    ]:
        with pytest.raises(TenfoldError, match=words):
            read_image_folder(tmp_path / "pets", cache=cache, class_pattern=pattern)


def test_a_picture_that_is_none(pictures, cache):
    (pictures / "3" / "2.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"2\.png is not a picture"):
        read_image_folder(pictures, cache=cache)


def test_a_link_to_nowhere(pictures, cache):
    (pictures / "3" / "2.png").unlink()
    (pictures / "3" / "2.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"2\.png is a link to a file that is not there"):
        read_image_folder(pictures, cache=cache)


def test_empty_folders(tmp_path, cache, pictures):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no subfolders"):
        read_image_folder(tmp_path / "empty", cache=cache)
    with pytest.raises(DataError, match="cannot be read"):
        read_image_folder(tmp_path / "none", cache=cache)
    (pictures / "empty").mkdir()
    dataset = read_image_folder(pictures, cache=cache)
    assert dataset.note == "digits has no pictures of empty" and len(dataset.class_names) == 10
    for name in "ab":
        (tmp_path / "nothing" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="no pictures in its 2 folders"):
        read_image_folder(tmp_path / "nothing", cache=cache)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train", "test"], {"train": "train", "test": "test"}),
        (["Training", "Testing"], {"train": "Training", "test": "Testing"}),
        (["train", "t10k"], {"train": "train", "test": "t10k"}),
        (["train", "val"], {"train": "train", "test": "val"}),
        (["train", "validation", "test"], {"train": "train", "val": "validation", "test": "test"}),
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
    from tenfold.data.decode import _decode
    from tenfold.helpers import Helper

    def answer(question):
        if any(path.endswith("9/5.png") for path in question[3]):
            os._exit(3)
        return _decode(question)

    Helper.serve(lambda _: answer)
"""


def test_a_picture_that_ends_its_process_is_named_and_not_opened_here(pictures, tmp_path, monkeypatch):
    (tmp_path / "killed_decoder.py").write_text(textwrap.dedent(KILLED))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tenfold.data.decode._MODULE", "killed_decoder")
    monkeypatch.setattr("tenfold.data.decode._decode", None)
    with pytest.raises(DataError, match=r"9/5\.png ended the process that decoded it"):
        paths = [str(path) for path in sorted(pictures.glob("*/*.png"))]
        Pictures.decode(paths, paths, processes=2)
