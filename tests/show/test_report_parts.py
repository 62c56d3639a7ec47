"""Numbers as text, arrays as pictures, figures as SVG."""

from __future__ import annotations

import base64
import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_runs import make_history

from tenfold.show import components, plots
from tenfold.show.charts import figure_to_svg
from tenfold.show.components import grey_picture, picture_row, signed_picture


def _open(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (components.count(10_000), "10,000"),
        (components.percent(0.9785), "97.85 %"),
        (components.percent(1.0), "100.00 %"),
        (components.percent(0.999999), "99.99 %"),
        (components.percent(0.99996, 1), "99.9 %"),
        (components.percent(None), "–"),
        (components.points(-0.0123), "−1.23 points"),
        (components.difference(-0.00001), "0.0000"),
        (components.difference(-97364, 0), "−97,364"),
        (components.decimal(float("inf")), "infinite"),
        (components.decimal(1.5e7), "1.50e+07"),
        (components.duration(0.038), "38 ms"),
        (components.duration(12.34), "12.3 s"),
        (components.duration(59.96), "1 min 0 s"),
        (components.duration(3780), "1 h 3 min"),
        (components.times((1, 28, 28)), "1 × 28 × 28"),
    ],
)
def test_numbers(text: str, expected: str) -> None:
    assert text.replace("\u00a0", " ") == expected


@given(st.floats(0, 1), st.integers(0, 3))
def test_percent_is_near_and_keeps_100_for_all(share: float, digits: int) -> None:
    shown = float(components.percent(share, digits).split("\u00a0")[0])
    assert abs(shown - 100 * share) <= 10**-digits
    assert (shown == 100) == (share == 1)


def test_grey_picture_keeps_every_pixel() -> None:
    image = np.arange(120, dtype=np.uint8).reshape(12, 10)
    assert np.array_equal(np.asarray(_open(grey_picture(image))), image)
    assert max(_open(grey_picture(np.zeros((300, 200), np.uint8))).size) == 64


def test_picture_row_sets_the_pictures_side_by_side() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    row = np.asarray(_open(picture_row(images)))
    assert row.shape == (5, 3 * 4 + 2 * 2, 2)
    for i, image in enumerate(images):
        assert np.array_equal(row[:, 6 * i : 6 * i + 4, 0], image)
    assert (row[:, 4:6, 1] == 0).all()


def test_signed_picture_is_symmetrical_around_zero() -> None:
    values = np.array([[-2.0, -1.0, -0.5], [0.0, 0.5, 1.0]])
    rgba = np.asarray(_open(signed_picture(values, 1.0)).convert("RGBA")).astype(int)
    assert rgba[..., 3].tolist() == [[254, 254, 128], [0, 128, 254]]
    assert (rgba[0, :, 2] > rgba[0, :, 0]).all() and (rgba[1, 1:, 0] > rgba[1, 1:, 2]).all()
    assert np.asarray(_open(signed_picture(np.zeros((2, 2)), 0.0)).convert("RGBA"))[..., 3].max() == 0


def test_curves_hold_the_history() -> None:
    history = make_history(5)
    (axes,) = plots.plot_curves(history, "loss").axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert lines["training"].tolist() == [[r.epoch, r.train_loss] for r in history]
    assert lines["validation"].tolist() == [[r.epoch, r.val_loss] for r in history]


def test_settings_of_matplotlib_are_left_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    figure_to_svg(plots.plot_learning_rate(make_history()), "rate", "a chart")
    assert dict(matplotlib.rcParams) == before


def test_svg_takes_its_colours_from_the_page() -> None:
    svg = figure_to_svg(plots.plot_bars(["a", "b"], np.array([3, 4]), ["3", "4"]), "bars", 'a "chart" <b>')
    assert "var(--accent)" in svg and "var(--ink)" in svg
    assert not {"#1d5fc1", "#1b2431", "#000000"} & set(svg.split('"'))
    assert "&lt;b&gt;" in svg and "<b>" not in svg
    assert 'id="bars-' in svg and "<metadata" not in svg


@pytest.mark.parametrize("module", ["report", "plots", "pages", "scores"])
def test_matplotlib_is_imported_only_to_draw(module: str) -> None:
    code = f"import sys, tenfold.show.{module}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
