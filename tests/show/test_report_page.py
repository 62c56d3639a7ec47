"""The page as a file: complete, self-contained, escaped, and saying what the run's files say."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image
from report_runs import make_dataset, make_history, make_recipe, make_run, start_run
from safetensors.numpy import save_file

from tenfold.errors import ModelError
from tenfold.evaluation.evaluate import class_intervals, per_class
from tenfold.runs.folder import Run
from tenfold.show import charts
from tenfold.show.report import write_report
from tenfold.show.runs import RunComparison
from tenfold.show.weights import weights_section
from tenfold.training.progress import write_history

DIGITS = tuple("0123456789")
SECTIONS = {
    "again", "published", "data", "network", "training", "test", "pictures", "suspects", "robustness",
    "weights", "costs", "environment",
}  # fmt: skip
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use"}


class _Reader(HTMLParser):
    """All start tags with their attributes, the text of each, and unbalanced tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[tuple[str, dict[str, str | None], int]] = []
        self.content: list[tuple[str, dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs), len(self.texts)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        opened, attributes, start = self.open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        self.content.append((tag, attributes, " ".join("".join(self.texts[start:]).split())))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def found(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def inside(self, tag: str, css_class: str = "") -> list[str]:
        return [
            text for name, attributes, text in self.content
            if name == tag and css_class in (attributes.get("class") or "")
        ]  # fmt: skip

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert not reader.open
    return reader


def test_an_ensemble_says_so(tmp_path: Path) -> None:
    """The networks' table is of one, the parameters of all; the weights drawn are the first's."""
    dataset = make_dataset(DIGITS, (28, 28))
    ensemble = make_run(tmp_path / "several", dataset, make_recipe(ensemble={"members": 2, "views": 5}))
    weights = ensemble.model[1]
    other = {name: np.zeros_like(value) for name, value in weights.items()}
    both = {f"member{i}.{name}": v for i, each in ((1, weights), (2, other)) for name, v in each.items()}
    save_file(both, ensemble.folder / "model.safetensors")
    ensemble = Run(ensemble.folder)
    text = _read(write_report(ensemble)).text
    for words in (
        "2 networks, 5 views",
        "2 such networks are trained",
        "Each network reads every image 5 times",
        "Learned parameters of each network",
        "The epochs of the 2 networks",
        "Of the first of 2 networks",
    ):
        assert words in text, words
    (row,) = RunComparison([ensemble]).rows
    assert row["parameters"] == 2 * 7850
    single = make_run(tmp_path / "one", dataset)
    text = _read(write_report(single)).text
    assert "such networks" not in text and "of each network" not in text and "views" not in text
    assert weights_section(ensemble)["drawn"] == weights_section(single)["drawn"]


@pytest.fixture(scope="module", params=[(DIGITS, (28, 28)), (("left", "middle", "right"), (12, 10))])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    names, shape = request.param
    made = make_run(tmp_path_factory.mktemp("runs") / "a-run", make_dataset(names, shape))
    write_report(made)
    return made


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the place of each chart: to draw them takes most of a report's time."""
    monkeypatch.setattr(charts, "figure_to_svg", lambda figure, name, alt: Markup(""))


@pytest.fixture(scope="module")
def page(run: Run) -> _Reader:
    return _read(run.folder / "report.html")


def test_write_report_returns_its_path(run: Run, tmp_path: Path) -> None:
    assert write_report(run) == run.folder / "report.html"
    elsewhere = tmp_path / "new" / "page.html"
    assert write_report(run, elsewhere) == elsewhere
    assert elsewhere.read_text(encoding="utf-8") == (run.folder / "report.html").read_text(encoding="utf-8")


def test_report_is_small_and_self_contained(run: Run, page: _Reader) -> None:
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    assert page.found("script") == [{}]  # one, inside the file
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for a in page.found("meta") if "http-equiv" in a)
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    for tag, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "srcset", "action", "data"):
            address = attributes.get(key)
            assert address is None or address.startswith(("#", "data:")), (tag, key, address)
        assert not any(key.startswith("on") for key in attributes)
    assert all(address.startswith(("#", "data:")) for address in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    assert "http://" not in text and "https://" not in text


def test_every_section_is_there_and_linked(page: _Reader) -> None:
    assert {attributes["id"] for attributes in page.found("section")} == SECTIONS
    links = {attributes["href"] for attributes in page.found("a")}
    assert {f"#{name}" for name in SECTIONS} <= links


def test_ids_are_unique_and_references_resolve(run: Run, page: _Reader) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"|labelledby="([^"]+)"', text))
    assert {next(filter(None, groups)) for groups in wanted} <= set(ids)


def test_page_is_accessible(page: _Reader) -> None:
    assert page.found("html")[0]["lang"] == "en"
    assert len(page.found("h1")) == len(page.found("main")) == 1
    assert all(attributes.get("alt") for attributes in page.found("img"))
    assert all(attributes.get("scope") for attributes in page.found("th"))
    assert len(page.found("caption")) == len(page.found("table"))
    assert len(page.found("figcaption")) == len(page.found("figure"))
    assert all(a.get("role") == "img" and a.get("aria-label") for a in page.found("svg"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_verdict_equals_the_evaluation(run: Run, page: _Reader) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    low, high = evaluation.interval
    assert f"{100 * evaluation.accuracy:.2f} %" in page.text
    assert f"goes from {100 * low:.2f} % to {100 * high:.2f} %" in page.text
    assert "of the 120 test images" in page.text
    assert page.inside("dd")[:5] == ["softmax", "7", "numpy, cpu", "1 min 15 s", "3"]
    assert "tenfold train softmax --seed 7" in page.inside("code")


def test_class_table_equals_the_evaluation(run: Run, page: _Reader) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    figures, intervals = per_class(evaluation.confusion), class_intervals(evaluation.confusion)
    rows = ["".join(row.split()) for row in page.inside("tr")]
    for i, name in enumerate(evaluation.class_names):
        shares = [
            f"{100 * figures[key][i]:.2f}%{100 * intervals[key][i, 0]:.1f}to{100 * intervals[key][i, 1]:.1f}"
            for key in ("precision", "recall", "f1")
        ]
        assert "".join([name, *shares, str(figures["support"][i])]) in rows


def test_confusion_table_shows_every_count(run: Run, page: _Reader) -> None:
    assert run.evaluation is not None
    confusion, names = run.evaluation.confusion, run.evaluation.class_names
    rows = ["".join(row.split()) for row in page.inside("tr")]
    for name, counts in zip(names, confusion, strict=True):
        assert "".join([name, *(str(count) if count else "·" for count in counts)]) in rows


def test_cells_open_their_pictures(run: Run, page: _Reader) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    buttons = {a["popovertarget"]: a for a in page.found("button") if "aria-label" in a}
    boxes = {a["id"]: text for tag, a, text in page.content if tag == "div" and "popover" in a}
    assert set(boxes) == {f"cell-{t}-{p}" for t, p in np.argwhere(evaluation.confusion)} == set(buttons)
    for t, p in np.argwhere(evaluation.confusion):
        inside = (evaluation.cell_label == t) & (evaluation.cell_predicted == p)
        shown = [int(index) for index in re.findall(r"index (\d+)", boxes[f"cell-{t}-{p}"])]
        assert shown == evaluation.cell_index[inside].tolist()
        assert len(shown) == min(12, evaluation.confusion[t, p])


def test_published_figures_stand_beside_ours(run: Run, page: _Reader) -> None:
    rows = [row.replace(" ", "").replace("\u00a0", "") for row in page.inside("tr")]
    assert run.evaluation is not None
    gap = 100 * (run.evaluation.accuracy - 0.9721)
    sign = "+" if gap > 0 else "−"
    ours = f"{100 * run.evaluation.accuracy:.2f}%"
    assert f"testaccuracy97.21%{ours}{sign}{abs(gap):.2f}points" in rows
    assert "validationloss0.67160.3667−0.3049" in rows
    assert "11.98081.100060.74%65.00%" in rows
    assert "21.70330.5500–82.50%" in rows
    assert "It reports 569 misses, which would be 279." in page.text


def test_titles_are_green_and_red(run: Run, page: _Reader) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    names = evaluation.class_names
    wrong, right = page.inside("span", "verdict-line wrong"), page.inside("span", "verdict-line right")
    assert wrong == [
        f"{names[label]} → {names[predicted]}"
        for label, predicted in zip(evaluation.miss_label, evaluation.miss_predicted)
    ][: len(wrong)]  # fmt: skip
    assert len(wrong) == min(100, evaluation.misses) > 0
    assert right == [f"{names[label]} → {names[label]}" for label in evaluation.hit_label[:27]]
    style = (run.folder / "report.html").read_text(encoding="utf-8")
    assert ".right { color: var(--good); }" in style and ".wrong { color: var(--bad); }" in style


def test_first_ten_misses_by_index(run: Run, page: _Reader) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    assert f"{evaluation.misses} of 120 images are misread" in page.text
    expected = sorted(
        (int(i), evaluation.class_names[t], evaluation.class_names[p])
        for i, t, p in zip(evaluation.miss_index, evaluation.miss_label, evaluation.miss_predicted)
    )[:10]
    rows = [row.replace(" ", "") for row in page.inside("tr")]
    start = rows.index("IndexImageTrueclassPredictionConfidence") + 1
    found = rows[start : start + len(expected)]
    assert all(row.startswith(f"{i}{t}{p}") for row, (i, t, p) in zip(found, expected, strict=True))


def test_parameter_table_equals_the_weights(run: Run, page: _Reader) -> None:
    _, weights = run.model
    tensors = page.inside("span", "tensor")
    for value in weights.values():
        shape = "\u00a0×\u00a0".join(f"{size:,}" for size in value.shape)
        assert any(shape.replace("\u00a0", " ") + f" = {value.size:,}" in text for text in tensors)
    total = sum(value.size for value in weights.values())
    assert f"Learned parameters{total:,}" in [row.replace("\n", "") for row in page.inside("tr")]


@pytest.mark.usefixtures("no_charts")
@pytest.mark.parametrize("shift", [0, -1, 2])
def test_weight_pictures_follow_the_label_shift(shift: int, tmp_path: Path) -> None:
    dataset = make_dataset(("left", "middle", "right"), (12, 10))
    shifted = make_run(tmp_path / "run", dataset, make_recipe(loss={"label_shift": shift}))
    page = _read(write_report(shifted))
    assert shifted.evaluation is not None and shifted.evaluation.accuracy > 0.7
    pictures = [a for a in page.found("img") if (a["alt"] or "").startswith("weights of class")]
    assert [a["alt"] for a in pictures] == [f"weights of class {name}" for name in dataset.class_names]
    for k, attributes in enumerate(pictures):
        warm = _warmth(attributes["src"] or "")
        thirds = warm.reshape(3, -1).sum(axis=1)  # class k is bright in the k-th third of the pixels
        assert thirds.argmax() == k
    assert [f"bias 0.0{k}0" for k in range(3)] == page.inside("span", "small")[-3:]


def _warmth(uri: str) -> np.ndarray:
    """A weight picture -> its opacity, counted negative where the colour is cool."""
    png = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    rgba = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(float)
    return np.where(rgba[..., 0] > rgba[..., 2], rgba[..., 3], -rgba[..., 3])


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", "\"><img src=x onerror='alert(2)'>", "$\\frac$ & #1d5fc1")
    recipe = make_recipe(description="<b>bold</b>", source="</style><script>alert(3)</script>")
    hostile = make_run(
        tmp_path / "run", make_dataset(names, (12, 10)), recipe, command="tenfold train '<script>'"
    )
    page = _read(write_report(hostile))
    assert page.found("script") == [{}] and not page.found("b")
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert all((attributes.get("src") or "data:").startswith("data:") for attributes in page.found("img"))
    assert "<b>bold</b>" in page.text
    assert f"weights of class {names[0]}" in [attributes.get("alt") for attributes in page.found("img")]
    assert names[2] in page.inside("text") and names[2] in page.inside("th")


def test_names_without_a_glyph_raise_no_warning(tmp_path: Path) -> None:
    page = _read(write_report(make_run(tmp_path / "run", make_dataset(("お", "き", "す"), (12, 10)))))
    assert page.inside("text").count("お") == 1


def test_run_that_just_started_says_what_is_missing(tmp_path: Path) -> None:
    page = _read(write_report(start_run(tmp_path / "run", make_recipe(), status="running", seconds=None)))
    assert {attributes["id"] for attributes in page.found("section")} == SECTIONS
    assert len(page.inside("p", "missing")) == 10
    assert "had not finished" in page.text
    assert "97.21 %" in page.text


def test_environment_may_be_empty(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", make_recipe(published={}))
    (run.folder / "environment.json").write_text("{}", encoding="utf-8")
    page = _read(write_report(Run(run.folder)))
    assert "did not record its command" in page.text
    assert "names no published figures" in page.text


def test_history_without_validation_and_with_a_lost_loss(tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", make_recipe())
    records = [replace(record, val_loss=None, val_accuracy=None) for record in make_history()]
    write_history(run.folder / "history.jsonl", [*records, replace(records[-1], train_loss=float("nan"))])
    page = _read(write_report(run))
    assert "No images were held out for validation." in page.text
    assert "not a number" in page.text


@pytest.mark.usefixtures("no_charts")
def test_note_of_the_data_is_said_at_the_top(tmp_path: Path) -> None:
    dataset = replace(make_dataset(DIGITS, (28, 28)), note="the embedded sample of 5,000 images")
    page = _read(write_report(make_run(tmp_path / "run", dataset)))
    notices = page.inside("p", "notice")
    assert any("the embedded sample of 5,000 images" in text for text in notices)


@pytest.mark.usefixtures("no_charts")
def test_perfect_classifier_has_no_misses(tmp_path: Path) -> None:
    dataset = make_dataset(("left", "middle", "right"), (12, 10))
    run = make_run(tmp_path / "run", dataset)
    assert run.evaluation is not None
    empty = np.zeros(0, dtype=np.int64)
    replace(
        run.evaluation,
        miss_index=empty, miss_label=empty, miss_predicted=empty,
        miss_confidence=empty.astype(float), miss_images=run.evaluation.miss_images[:0], miss_shown=empty,
        confusion=np.diag(run.evaluation.confusion.sum(axis=1)),
    ).save(run.folder)  # fmt: skip
    page = _read(write_report(Run(run.folder)))
    assert "0 of 120 images are misread" in page.text
    assert not page.inside("span", "verdict-line wrong")


def test_many_classes_and_large_pictures_stay_small(tmp_path: Path) -> None:
    names = tuple(f"class {k}" for k in range(62))
    recipe = make_recipe(network={"layers": ["flatten", "linear 80", "relu", "linear classes"]})
    path = write_report(make_run(tmp_path / "run", make_dataset(names, (150, 200), count=310), recipe))
    assert path.stat().st_size < 3_000_000
    page = _read(path)
    assert "Too many classes for a matrix" in page.text
    assert "Shown are the first 60 of 62 classes." in page.text
    assert "Shown are 64 of 80 units" in page.text


@pytest.mark.usefixtures("no_charts")
@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (["conv 6 3x3", "relu", "flatten", "linear classes"], "conv1 slides over the image"),
        (["pixel-unshuffle 2", "conv 5 3x3", "flatten", "linear classes"], "conv1 slides over the image"),
        (["max-pool 2", "flatten", "linear classes"], "does not see the pixels in their places"),
        (
            [{"residual": ["batch-norm", "conv 1 3x3 padding same no-bias"]}, "flatten", "linear classes"],
            "adds the layers below to its input",
        ),
    ],
)
def test_other_networks(layers: list, said: str, tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "run", make_dataset(("a", "b"), (12, 10)), make_recipe(network={"layers": layers})
    )
    page = _read(write_report(run))
    filters = [a for a in page.found("img") if (a["alt"] or "").startswith("weights of filter")]
    channels = [value.shape[0] for value in run.model[1].values() if value.ndim == 4]
    assert len(filters) == sum(channels[:1])
    assert said in page.text


def test_broken_part_is_an_error_that_names_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_dataset(("a", "b"), (12, 10)))
    (run.folder / "history.jsonl").write_text("{not json", encoding="utf-8")
    with pytest.raises(ModelError, match=re.escape("history.jsonl")):
        write_report(Run(run.folder))


def test_report_does_not_depend_on_when_it_is_written(run: Run, tmp_path: Path) -> None:
    one, two = (write_report(Run(run.folder), tmp_path / name).read_bytes() for name in ("1.html", "2.html"))
    assert one == two
