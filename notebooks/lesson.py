"""What all notebooks draw and check with, so that their own cells stay short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

__all__ = ["BAD", "GOOD", "SECOND", "compare_figures", "differences", "show_curves", "show_images", "style"]

GOOD, BAD, SECOND = "#1d7a4c", "#c2402a", "#3b6ea5"


def style() -> None:
    """Quiet plots, sharp enough for a page."""
    plt.rcParams |= {
        "figure.dpi": 130,
        "figure.figsize": (6.4, 3.0),
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "legend.frameon": False,
    }


def show_images(
    images: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] = (),
    *,
    columns: int = 10,
    colours: Sequence[str] | str = "black",
    size: float = 0.62,
    **how: object,
) -> None:
    """Pictures in rows, each (H, W) or (H, W, 3); size: inches of one."""
    rows = -(-len(images) // columns)
    height = rows * size * (1.45 if titles else 1.08)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, height), squeeze=False)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    for number, axis in enumerate(axes.flat):
        axis.axis("off")
        if number < len(images):
            axis.imshow(images[number], **({"cmap": "gray_r"} | how))
        if number < len(titles):
            colour = colours if isinstance(colours, str) else colours[number]
            axis.set_title(titles[number], fontsize=8, color=colour, pad=2)
    finish()


def show_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str = "epoch",
    y: str = "accuracy",
    dashed: Sequence[str] = (),
) -> None:
    """Lines by name, each (x values, y values); those named in `dashed` with dots and dashes."""
    colours = (GOOD, SECOND, BAD, "#8a6d1d", "#6b4a8e", "#555555")
    for colour, (name, (across, up)) in zip(colours, curves.items()):
        kind = {"linestyle": "--", "marker": "o", "markersize": 3} if name in dashed else {}
        plt.plot(across, up, color=colour, label=name, **kind)
    plt.gca().xaxis.get_major_locator().set_params(integer=True)
    plt.xlabel(x)
    plt.ylabel(y)
    plt.legend()
    finish()


def finish() -> None:
    """Shows the picture and closes it."""
    plt.show()
    plt.close("all")


def compare_figures(**columns: Mapping[str, float | None]) -> None:
    """Figures by name, side by side: accuracies as percentages, everything else as numbers."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    print(" " * 22 + "".join(f"{head.replace('_', ' '):>14}" for head in columns))
    for name in names:
        cells = [_cell(name, column.get(name)) for column in columns.values()]
        print(f"{name:22}" + "".join(f"{cell:>14}" for cell in cells))


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.2%}" if "accuracy" in name else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
    )


def differences(
    function: Callable[[], float], values: np.ndarray, places: Sequence[int], step: float = 1e-5
) -> np.ndarray:
    """The derivative of `function` along some entries of `values`, measured: (f(v + h) - f(v - h)) / 2h."""
    derivatives = []
    for place in places:
        kept = values.flat[place]
        values.flat[place] = kept + step
        above = function()
        values.flat[place] = kept - step
        below = function()
        values.flat[place] = kept
        derivatives.append((above - below) / (2 * step))
    return np.array(derivatives)
