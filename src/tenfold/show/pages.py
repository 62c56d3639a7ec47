"""Results of one command -> one HTML file each: runs compared, likely label errors, a search, a diagnosis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import UsageError
from tenfold.files import write_text
from tenfold.recipes.schema import Recipe, toml_value
from tenfold.runs.folder import Run
from tenfold.show import data_page, plots
from tenfold.show.charts import draw_chart, figure_to_svg
from tenfold.show.components import figure, render_page
from tenfold.show.runs import HISTORY_NAMES, PairedTest, RunComparison, history_of
from tenfold.show.scores import describe_suspects, image_items

if TYPE_CHECKING:
    from tenfold.arrays import ImageDataset
    from tenfold.doctor.diagnosis import Diagnosis, LayerReading
    from tenfold.doctor.examine import Comparison
    from tenfold.evaluation.label_errors import LabelErrors
    from tenfold.training.progress import EpochRecord
    from tenfold.training.search_result import SearchResult

__all__ = ["write_comparison", "write_page"]

# Runs side by side.

_SIDE = 18  # pictures on each side of a pair
_MOST_TESTS = 6  # whose pictures are shown: more would not be readable


@checked
def write_comparison(runs: Sequence[Run | str | Path], path: str | Path) -> Path:
    """Writes the page that sets the runs (or those in these folders) side by side; returns its path.

    Raises ModelError, UsageError where there is no run or `path` is a folder.
    """
    target = Path(path)
    if target.is_dir() or not runs:
        found = f"{target} is a folder" if runs else "no runs"
        raise UsageError(found, expected="runs, and a file's name such as compare.html")
    compared = RunComparison([Run.open(run) for run in runs])
    opened = dict(zip(compared.names, compared.runs, strict=True))
    context = {
        "compared": compared,
        "curves": _curves({name: history_of(run) for name, run in opened.items()}),
        "recall": _recall(compared.runs),
        "pairs": [_sides(test, opened) for test in compared.tests[:_MOST_TESTS]],
    }
    write_text(target, render_page("compare.html.j2", context))
    return target


def _curves(histories: Mapping[str, Sequence[EpochRecord]]) -> list[tuple[str, Any]]:
    """A chart for each figure of the history that any of the runs has."""
    charts = []
    for key, title in HISTORY_NAMES.items():
        read: dict[int, list[str]] = {}
        for name, history in histories.items():
            values = {record.epoch: getattr(record, key) for record in history}
            for epoch, value in values.items():
                if value is not None:
                    read.setdefault(epoch, []).append(f"{name} {figure(value, key)}")
        if read:
            alt = f"{title.capitalize()} of {', '.join(histories)}, epoch by epoch."
            texts = [(epoch, f"Epoch {epoch}: {', '.join(read[epoch])}") for epoch in sorted(read)]
            chart = draw_chart(plots.plot_overlaid(histories, key), key, alt, texts, title=title)
            charts.append((title.capitalize(), chart))
    return charts


def _recall(runs: Sequence[Run]) -> list[Any]:
    """Per class what `Evaluation.per_class` says of each run; none where not all were tested on the same."""
    tested = [run.evaluation for run in runs if run.evaluation is not None]
    if len(tested) < len(runs) or len({evaluation.class_names for evaluation in tested}) > 1:
        return []
    return list(zip(*(evaluation.per_class() for evaluation in tested), strict=True))


def _sides(test: PairedTest, runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    """The one alone is right; the other alone is right: what each misses alone, the surest mistakes first."""
    sides = ((test.one, test.other, test.only_one), (test.other, test.one, test.only_other))
    shown = []
    for right, wrong, places in sides:
        misread = runs[wrong].evaluation
        assert misread is not None  # the pair was tested
        wanted = set(places.tolist())
        items = [item for item in image_items(misread, "miss") if item["picture"] is not None]
        alone = [item for item in items if item["index"] in wanted]
        side = {"right": right, "wrong": wrong, "count": len(places), "files": bool(misread.files)}
        shown.append(side | {"shown": alone[:_SIDE]})
    return shown


def write_page(result: Any, **how: Any) -> Path:
    """The page of a diagnosis, an exploration, likely label errors or a search, with its `path` and what else
    belongs to it; returns its path."""
    writers: dict[str, Callable[..., Path]] = {
        "Diagnosis": write_diagnosis_page,
        "Exploration": data_page.write_page,
        "LabelErrors": write_label_errors_page,
        "SearchResult": write_search_page,
    }
    return writers[type(result).__name__](result, **how)


# Labels that are likely wrong, with their pictures.

_MOST_SUSPECTS = 1000  # a page of about 1 MB
_MOST_PAIRS = 20  # of classes that are confused
_LISTED = 10  # trials in the table
_MOST_PARAMETERS = 40  # in a chart


def write_label_errors_page(found: LabelErrors, dataset: ImageDataset, path: Path) -> Path:
    """found: of that data set. The page opens without network."""
    names = dataset.class_names
    pictures = {index: dataset.images[index] for index in found.index[:_MOST_SUSPECTS].tolist()}
    pairs = Counter(
        (names[given], names[best]) for given, best in zip(found.given, found.suggested, strict=True)
    )
    context = {
        "name": dataset.name,
        "suspects": describe_suspects(found, names, pictures, _MOST_SUSPECTS),
        "pairs": [(*pair, records) for pair, records in pairs.most_common(_MOST_PAIRS)],
    }
    write_text(path, render_page("label_errors.html.j2", context))
    return path


# A search: what it found, how it got there, and which numbers mattered.


def write_search_page(result: SearchResult, path: Path) -> Path:
    """The page opens without network. Raises TenfoldError without a trial."""
    shares, told = result.importances, [f"{share:.0%}" for share in result.importances.values()]
    importances = shares and figure_to_svg(
        plots.plot_bars(list(shares), np.array(list(shares.values())), told),
        "importances",
        f"How much matters: {', '.join(f'{key} {text}' for key, text in zip(shares, told, strict=True))}.",
    )
    context = {
        "result": result,
        "score": figure(result.best.score(result.metric), result.metric),
        "value_at": Recipe.value_at,
        "importances": importances,
        "history": _history(result),
        "slices": [_slice(result, key) for key in result.recipe.search],
        "ranked": result.ranked[:_LISTED],
        "recipe": result.best_recipe.to_toml(),
        "toml": toml_value,
    }
    write_text(path, render_page("search.html.j2", context))
    return path


def _history(result: SearchResult) -> dict[str, Any]:
    read = []
    for trial in sorted(result.ranked, key=lambda trial: trial.number):
        values = ", ".join(f"{key} {toml_value(value)}" for key, value in trial.values.items())
        score = figure(trial.score(result.metric), result.metric)
        read.append((trial.number, f"Trial {trial.number}: {score}, {values}"))
    alt = f"The score of {len(read)} trials; the best is trial {result.best.number}."
    return draw_chart(plots.plot_trials(result), "history", alt, read, title="trials")


def _slice(result: SearchResult, key: str) -> dict[str, Any]:
    at = zip(plots.slice_places(result, key), result.ranked, strict=True)
    read = []
    for place, trial in sorted(at, key=lambda pair: pair[0]):
        score = figure(trial.score(result.metric), result.metric)
        read.append((place, f"{toml_value(trial.values[key])}: {score} (trial {trial.number})"))
    name = "slice-" + "".join(letter if letter.isalnum() else "-" for letter in key)
    alt = f"The score of each trial over its {key}."
    return draw_chart(plots.plot_slice(result, key), name, alt, read, title=key)


# A diagnosis: findings first, then what they rest on.


def write_diagnosis_page(
    diagnosis: Diagnosis, path: str | Path, comparison: Comparison | None = None
) -> Path:
    """Writes one HTML file: no script, nothing from elsewhere, light and dark. Returns where."""

    target, test = Path(path), diagnosis.range_test
    target.parent.mkdir(parents=True, exist_ok=True)
    updates = dict(list(diagnosis.updates.items())[:_MOST_PARAMETERS])
    context = {
        "diagnosis": diagnosis,
        "comparison": comparison,
        "changes": [
            (key, toml_value(old), toml_value(new)) for key, old, new in diagnosis.changed_values()
        ],
        "layers": [
            [_output_chart(reading, f"layer-{number}-{moment}") for moment, reading in enumerate(moments)]
            for number, moments in enumerate(zip(diagnosis.before, diagnosis.after, strict=True))
        ],
        "updates": updates and figure_to_svg(
            plots.plot_updates(updates), "updates",
            "change of a step over the size of the weights, by parameter",
        ),
        "range_chart": test and _loss_chart(
            "range", "loss against learning rate in the range test", test.rates, test.losses,
            ("learning rate (logarithmic)", "loss, smoothed"), log_x=True,
            marks=[(f"used {test.used:.2g}", test.used), (f"fastest {test.best:.2g}", test.best)],
        ),
        "loss_chart": _loss_chart(
            "losses", "loss of the short training, step by step",
            np.arange(1.0, len(diagnosis.losses) + 1), np.array(diagnosis.losses),
            ("step", "loss of the batch"),
        ),
    }  # fmt: skip
    write_text(target, render_page("doctor.html.j2", context))
    return target


def _output_chart(reading: LayerReading, name: str) -> tuple[LayerReading, str]:
    alt = f"histogram of {reading.name}: from {reading.edges[0]:.3g} to {reading.edges[-1]:.3g}"
    return reading, figure_to_svg(plots.plot_outputs(reading), name, alt)


def _loss_chart(
    name: str, alt: str, places: np.ndarray, losses: np.ndarray, titles: tuple[str, str], **options: Any
) -> str:
    """Empty where there are not two losses to draw."""
    if np.isfinite(losses).sum() < 2:
        return ""
    return figure_to_svg(plots.plot_losses(places, losses, titles, **options), name, alt)
