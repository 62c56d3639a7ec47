"""A form's TOML: what is wrong with it is one clear line; what is written is read again."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from forms_drawn import draw_form, write_toml
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import DataError, TenfoldError
from tenfold.forms.fields import propose_form
from tenfold.forms.template import Check, Field, Form, load_form
from tenfold.pictures.open import open_picture

SUM = '[[check]]\nsum = "total = a + b"'


def test_a_form_is_read_and_written_again(tmp_path: Path) -> None:
    form = load_form(write_toml(tmp_path, more=SUM))
    assert [each.name for each in form.fields] == ["a", "b", "total"]
    assert form.checks == (Check("total", ("a", "b")),) and form.example.pixels.shape == (460, 620, 3)
    (tmp_path / "deeper").mkdir()
    form.save(tmp_path / "deeper" / "again.toml")
    again = load_form(tmp_path / "deeper" / "again.toml")
    assert (again.name, again.fields, again.checks) == (form.name, form.fields, form.checks)
    assert tomllib.loads(form.to_toml(tmp_path))["picture"] == "exam.png"


FIELD = '[[field]]\nname = "c"\nbox = [0.1, 0.1, 0.2, 0.2]\n'


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[[feild]]", "unknown key 'feild'; did you mean 'field'?"),
        (FIELD + "patern = '1'", "unknown key 'field.patern'; did you mean 'pattern'?"),
        (FIELD + r"pattern = '\w'", r"field c: pattern '\\w'"),
        (FIELD + "length = true", "field c: length is True"),
        (FIELD + "min = 5\nmax = 3", "field c: min 5 is above max 3"),
        (FIELD + "min = nan", "field c: min is nan"),
        (FIELD.replace('"c"', '"a"'), "two fields are called a"),
        (FIELD.replace('"c"', '"a b"'), "a field is called 'a b'"),
        (FIELD.replace('"c"', '"' + "c" * 65 + '"'), "a field is called"),
        (FIELD.replace("0.2]", "1.2]"), "field c: box [0.1, 0.1, 0.2, 1.2]; expected shares"),
        (FIELD.replace("0.2]", "0.1]"), "field c: box [0.1, 0.1, 0.2, 0.1] is empty"),
        (FIELD.replace("0.2]", "nan]"), "field c: box"),
        (FIELD.replace(", 0.2]", "]"), "field c: box is [0.1, 0.1, 0.2]; expected [left, top,"),
        ('[[check]]\nsum = "total = a + bb"', "no field is called bb; did you mean 'b'?"),
        ('[[check]]\nsum = "total = a + a"', "sum 'total = a + a' names a twice"),
        ('[[check]]\nsum = "total"', "sum 'total'; expected names of fields"),
        (FIELD * 498, "501 of [[field]]; expected at most 500"),
        ("x =", "is not TOML"),
        ("x = " + "[" * 5000, "nested too deeply"),
        ("#" * 2**20, "has more than 1,048,576 bytes"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(more: str, told: str, tmp_path: Path) -> None:
    path = write_toml(tmp_path, more=more)
    with pytest.raises(DataError) as error:
        load_form(path)
    assert str(error.value).startswith(str(path)) and told in str(error.value)
    assert "\n" not in str(error.value)


def test_the_example_must_be_there(tmp_path: Path) -> None:
    path = write_toml(tmp_path)
    (tmp_path / "exam.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"exam\.toml: its picture: .*not a picture"):
        load_form(path)
    (tmp_path / "exam.png").unlink()
    with pytest.raises(DataError, match=r"its picture: .* is not there"):
        load_form(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_form(tmp_path / "none.toml")
    with pytest.raises(DataError, match="cannot be read"):
        load_form(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_lead_to_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with pytest.raises(TenfoldError) as error:
        load_form(path)
    assert "\n" not in str(error.value)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
SHARES = st.floats(0, 1).map(lambda value: round(value, 4))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(NAMES, min_size=1, max_size=6, unique=True),
    st.tuples(SHARES, SHARES).filter(lambda pair: pair[0] != pair[1]).map(sorted),
    st.text(max_size=30).filter(lambda text: bool(text.strip())),
    st.none() | st.just(r"\d{2}'\d") | st.just(r"\d+,\d\d"),
)
def test_whatever_is_written_is_read_again(
    names: list[str], edges: list[float], title: str, pattern: str
) -> None:
    low, high = edges
    known = pattern if pattern is None or "'" not in pattern else r"\d{2}\.\d"
    fields = tuple(Field(name, (low, low, high, high), known, None, 0, "99.5") for name in names)
    checks = (Check(names[0], tuple(names[1:])),) if len(names) > 1 else ()
    form = Form(title, Path("x.png"), fields, checks, example=open_picture(draw_form({})))
    values = tomllib.loads(form.to_toml(Path()))
    assert values["name"] == title and [each["name"] for each in values["field"]] == names
    assert all(
        each["box"] == [low, low, high, high] and each.get("pattern") == known for each in values["field"]
    )


def test_a_form_is_proposed_from_an_example(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    picture = tmp_path / "scans" / "marks.png"
    draw_form({"a": "12"}).save(picture)
    form = propose_form(picture, names=["a", "-", "total"])
    assert [each.name for each in form.fields] == ["a", "total"]
    left, top, right, bottom = form.fields[0].box
    assert abs(left * 620 - 303) < 3 and abs(top * 460 - 93) < 3
    assert abs(right * 620 - 458) < 3 and abs(bottom * 460 - 158) < 3
    form.write(tmp_path / "marks.toml")
    assert (tmp_path / "marks.png").read_bytes() == picture.read_bytes()
    assert [each.name for each in load_form(tmp_path / "marks.toml").fields] == ["a", "total"]
    with pytest.raises(TenfoldError, match=r"marks\.toml is there already"):
        form.write(tmp_path / "marks.toml")
