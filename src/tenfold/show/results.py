"""What commands print of their results: a sentence or two, and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tenfold.show import data_terminal
from tenfold.show.components import half_blocks
from tenfold.show.terminal import percent, stderr, stdout

if TYPE_CHECKING:
    from tenfold.arrays import ImageDataset
    from tenfold.evaluation.evaluate import Evaluation
    from tenfold.evaluation.label_errors import LabelErrors
    from tenfold.evaluation.robustness import Robustness

__all__ = ["print_result"]

_Columns = dict[str, Callable[[Any], object]]

_MOST_CLASSES = 20  # of a confusion matrix that a terminal can show
_MISSES, _TRIALS, _SUSPECTS = 10, 5, 20  # rows of a table
_PICTURED, _SIDE = 10, 16  # suspects as pictures, and the side of one in characters
_MOST_NAMED = 5  # pictures left out, or labels in doubt
_COLOURS = {"fault": "red", "warning": "yellow", "note": "cyan"}


def print_result(result: Any, *, written: Mapping[str, Any] | None = None, **more: Any) -> None:
    """result: a result of any command, or a list of them. written: files with what they are. more: what
    belongs to the result, such as its data set; quiet: whether to print figures only."""
    one = result[0] if isinstance(result, list) else result
    _PRINTERS[type(one).__name__](result, **more)
    stdout.say(*(f"{what}: {path}" for what, path in (written or {}).items() if path))


def _evaluation(result: Evaluation, *, quiet: bool) -> None:
    stdout.console.print(
        f"[bold]accuracy {percent(result.accuracy)}[/bold] ({_interval(result)}), loss {result.loss:.4f}, "
        f"calibration error {result.calibration_error:.4f}; {result.misses} of {result.n:,} missed "
        f"({result.dataset})"
    )
    if quiet:
        return
    rows = [
        (row["class"], *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), row["support"])
        for row in result.per_class()
    ]
    columns = ("class", "precision", "recall", "F1", "images")
    stdout.table(columns, rows, right=columns[1:])
    names = result.class_names
    if len(names) <= _MOST_CLASSES:
        stdout.say("\nconfusion: rows are what it is, columns what it was read as")
        counts = [[str(count) if count else "." for count in row] for row in result.confusion]
        stdout.table(("", *names), [(name, *row) for name, row in zip(names, counts)], right=names)
    if result.misses:
        stdout.say("\nthe most confident misses")
        named = "file" if result.files else "index"
        worst = result.to_dict()["most_confident_misses"][:_MISSES]
        misses = [(w[named], w["label"], w["predicted"], percent(w["confidence"], 1)) for w in worst]
        stdout.table((named, "is", "read as", "confidence"), misses, right=("index", "confidence"))


def _interval(result: Evaluation) -> str:
    low, high = result.interval
    return f"95 % interval {percent(low)} to {percent(high)}"


def _robustness(result: Robustness) -> None:
    stdout.console.print(
        f"[bold]accuracy {percent(result.mean_accuracy)}[/bold] on corrupted pictures, "
        f"{percent(result.accuracy)} on the same {result.n:,} as they are ({result.dataset})"
    )
    columns = ("corruption", "severity 1", *map(str, range(2, result.accuracies.shape[1] + 1)), "mean")
    worst_first = sorted(zip(result.corruptions, result.accuracies), key=lambda pair: pair[1].mean())
    rows = [(name, *(percent(share, 1) for share in (*row, row.mean()))) for name, row in worst_first]
    stdout.table(columns, rows, right=columns[1:])


def _label_errors(result: LabelErrors, *, quiet: bool, dataset: ImageDataset) -> None:
    console, share = stdout.console, percent(len(result) / result.n)
    console.print(f"[bold]{len(result):,} of {result.n:,} labels ({share}) are likely wrong[/bold]")
    stdout.say(f"{dataset.name}: {result.note}")
    if not len(result):
        return
    rows = result.rows(dataset.class_names, _SUSPECTS)
    named = "file" if result.files else "index"
    cells = [(row[named], row["given"], row["suggested"], f"{row['quality']:.4f}") for row in rows]
    stdout.table((named, "given", "suggested", "quality"), cells, right=("index", "quality"))
    if len(result) > len(rows):
        stdout.say(f"and {len(result) - len(rows):,} more: see --out")
    if console.is_terminal and console.encoding.startswith("utf") and not quiet:
        _print_suspects(result, dataset)


def _print_suspects(result: LabelErrors, dataset: ImageDataset) -> None:
    """As many pictures beside each other as fit, each with its label and the class it looks like."""
    from rich.columns import Columns
    from rich.text import Text

    console, names, cells = stdout.console, dataset.class_names, []
    grey = console.color_system in ("truecolor", "256")
    for index, given, suggested in list(zip(result.index, result.given, result.suggested))[:_PICTURED]:
        lines = half_blocks(dataset.images[index], grey=grey, side=_SIDE)
        caption = Text(f"{names[given]}, {names[suggested]}?"[:_SIDE])
        cells.append(Text("\n").join([*lines, caption]))
    console.print(Columns(cells, width=_SIDE, padding=(1, 2)))


def _folds(results: list[Any], *, quiet: bool, comparisons: Sequence[Any]) -> None:
    first = results[0]
    stdout.say(f"{first.dataset}: {len(first.fold):,} images in {len(first.scores)} folds")
    columns: _Columns = {
        "recipe": lambda result: result.recipe.name,
        "accuracy": lambda result: percent(result.mean),
        "deviation": lambda result: f"{100 * result.deviation:.2f}",
        "standard error": lambda result: f"{100 * result.standard_error:.2f}",
        "lowest": lambda result: percent(result.accuracies.min()),
        "highest": lambda result: percent(result.accuracies.max()),
        "loss": lambda result: f"{result.loss:.4f}",
        "seconds per fold": lambda result: f"{fmean(score.seconds for score in result.scores):.2f}",
    }
    stdout.rows(results, columns)
    for result in results:
        _say_problem(result.recipe.name, result.problem)
    if quiet:
        return
    stdout.say("accuracy: mean of the folds; deviation: from fold to fold, in points")
    stdout.say(*(comparison.in_words() for comparison in comparisons))
    if comparisons:
        several = ", with Bonferroni's correction for several pairs" if len(comparisons) > 1 else ""
        test = "the corrected resampled t-test of Nadeau and Bengio (2003)"
        stdout.say(f"by {test} over the same folds{several}")


def _say_problem(name: str, problem: str | None) -> None:
    from tenfold.training.progress import POINTER

    if problem:
        stdout.say(f"{name} did not learn: {problem}; {POINTER}")


def _trial(result: Any, *, best: Any) -> None:
    """A line per trial of a search, as it ends."""
    values = "  ".join(f"{key} {value}" for key, value in result.values.items())
    score = result.status if result.loss is None else f"{percent(result.accuracy)}  loss {result.loss:.4f}"
    stderr.say(f"trial {result.number}  {score}  {values}{'  best so far' if best is result else ''}")


def _search(result: Any, *, files: Mapping[str, str]) -> None:
    how = f"{result.folds} folds" if result.folds else "one share held out"
    pruned, failed = result.count("pruned"), result.count("failed")
    stdout.say(
        f"{result.recipe.name} on {result.dataset}: {len(result.ranked) + pruned + failed} trials, {pruned} "
        f"given up early, {failed} failed; judged by {result.metric} on {how}"
    )
    columns: _Columns = {
        "trial": lambda trial: trial.number,
        "accuracy": lambda trial: percent(trial.accuracy),
        "loss": lambda trial: f"{trial.loss:.4f}",
    }
    columns |= {key: lambda trial, key=key: trial.values[key] for key in result.recipe.search}
    columns |= {"seconds": lambda trial: f"{trial.seconds:.1f}"}
    if result.ranked:
        stdout.rows(result.ranked[:_TRIALS], columns, left=())
    stdout.say(*(f"{what}: {path}" for what, path in files.items()))
    if files:
        stdout.say(f"train it with: tenfold train {files['best']}")
    _say_problem(result.recipe.name, result.problem)


def _outcome(result: Any) -> None:
    if test := result.evaluation:
        stdout.console.print(
            f"test accuracy [bold]{percent(test.accuracy)}[/bold] ({_interval(test)}, {test.misses} of "
            f"{test.n:,} missed), loss {test.loss:.4f}, trained in {result.seconds:.1f} s"
        )


def _diagnosis(result: Any, *, checks: bool, comparison: Any, fix: Any) -> None:
    stdout.say(
        f"{result.recipe.name} on {result.images:,} images of {result.data}, {result.engine} engine: "
        f"{result.summary}"
    )
    stdout.say(*(f"reference: {reference}" for reference in result.references))
    for finding in result.findings:
        _print_finding(finding)
    if checks:
        stdout.say("")
        rows = [("ok" if c.passed else "look", c.name, c.seen, c.expected) for c in result.checks]
        stdout.table(("", "check", "measured", "expected"), rows)
    if comparison is not None:
        stdout.console.print(
            f"\nread after {comparison.steps} steps on {comparison.images:,} images, of {comparison.held:,} "
            f"others: [bold]{percent(comparison.before)}[/] as it was, [bold]{percent(comparison.after)}[/] "
            "fixed"
        )
        stdout.say(f"fixed recipe: {fix}  (tenfold train {fix})")
    elif fix is not None:
        stdout.say("\nthere is nothing in the recipe to fix, so none was written")
    elif result.changes:
        stdout.say("\nwrite the fixed recipe, and see before and after, with --fix fixed.toml")


def _print_finding(finding: Any) -> None:
    from rich.markup import escape

    console, colour = stdout.console, _COLOURS[finding.severity]
    console.print(f"\n[bold {colour}]{finding.severity}[/]  [bold]{escape(finding.title)}[/]")
    pairs = [("seen", finding.seen), ("why", finding.why), ("fix", finding.remedy)]
    pairs += [("set", f"{key} = {value}") for key, value in finding.settings()]
    for name, value in pairs:
        console.print(f"  [{colour}]{name:<5}[/] {escape(str(value))}", soft_wrap=False)


def _runs(rows: list[dict[str, Any]]) -> None:
    """rows: as `compare_runs` makes them."""
    columns: _Columns = {"run": itemgetter("name")}
    columns |= {key: itemgetter(key) for key in ("recipe", "engine", "seed", "epochs")}
    columns |= {
        "seconds": lambda row: "-" if row["seconds"] is None else f"{row['seconds']:.1f}",
        "val accuracy": lambda row: percent(row["val_accuracy"]),
        "test accuracy": lambda row: percent(row["test_accuracy"]),
    }
    stdout.rows(rows, columns, left=("run", "recipe", "engine"))


def _run(result: Any, *, document: dict[str, Any]) -> None:
    """document: what `tenfold runs show --json` writes."""
    recorded = dict(document["environment"])
    data = {f"data {key}": value for key, value in (recorded.pop("data", None) or {}).items() if value}
    stdout.table(("recorded", "value"), [*recorded.items(), *data.items()])
    columns: _Columns = {
        "epoch": itemgetter("epoch"),
        "train loss": lambda row: f"{row['train_loss']:.4f}",
        "train accuracy": lambda row: percent(row["train_accuracy"]),
        "val loss": lambda row: "-" if row["val_loss"] is None else f"{row['val_loss']:.4f}",
        "val accuracy": lambda row: percent(row["val_accuracy"]),
        "seconds": lambda row: f"{row['seconds']:.2f}",
    }
    stdout.say("")
    stdout.rows(document["history"], columns, left=())
    if scores := result.evaluation:
        low, high = scores.interval
        stdout.say(f"\ntest accuracy {percent(scores.accuracy)} ({percent(low)} to {percent(high)})")


def _adaptation(result: Any, *, quiet: bool, examples: Sequence[Any], left_out: Sequence[Any]) -> None:
    if not quiet:
        count = len({example.path for example in examples})
        stdout.say(f"{len(examples)} lines with {sum(result.counts)} digits from {count} pictures")
        if missing := [str(digit) for digit, number in enumerate(result.counts) if not number]:
            stdout.say(f"no example of {', '.join(missing)}")
        doubtful = [examples[index] for index in result.doubtful]
        _name_some([f"is this label right? {each.path}: {each.text}" for each in doubtful], stdout.say)
    skipped = [f"left out: {path}: {reason}" for path, reason in left_out]
    _name_some(skipped, (stderr if quiet else stdout).say)
    forgetting, rows = result.forgetting, []
    if result.folds:
        own = f"this hand, held out ({result.folds} parts), before"
        rows += [(own, result.before), ("  after", result.after)]
    rows += [(f"{forgetting.data} by others, before", forgetting.before), ("  after", forgetting.after)]
    columns: _Columns = {
        "": lambda row: row[0],
        "lines right": lambda row: f"{row[1].right:,} of {row[1].n:,}",
        "95 % interval": lambda row: " to ".join(percent(end, 1) for end in row[1].interval),
        "refused": lambda row: f"{row[1].refused:,}",
        "digits right": lambda row: percent(row[1].digit_accuracy, 1),
    }
    stdout.rows(rows, columns)
    stdout.say(
        f"words and blanks without an answer: {forgetting.others_before} of {forgetting.others} before, "
        f"{forgetting.others_after} after"
    )


def _name_some(lines: list[str], tell: Callable[[str], None]) -> None:
    more = len(lines) - _MOST_NAMED
    for line in lines[:_MOST_NAMED] + [f"  and {more} more"] * (more > 0):
        tell(line)


def _explained(result: Any) -> None:
    result.tell()
    stdout.say(*result.notes)


def _exported(result: Any) -> None:
    size, several = sum(result.files.values()), f", {len(result.files)} files" * (len(result.files) > 1)
    shown = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} KB"
    stdout.say(f"{result.form}: {result.path} ({shown}{several})")
    if checked := result.agreement:
        stdout.say(
            f"checked on {checked.images:,} {checked.kind}: the same answers, probabilities within "
            f"{checked.difference:.1g}"
        )
    if result.form == "web":
        stdout.say(f"try it: python -m http.server --directory {result.path}")


_PRINTERS: dict[str, Callable[..., None]] = {
    "Adaptation": _adaptation, "CrossValidation": _folds, "Diagnosis": _diagnosis, "Evaluation": _evaluation,
    "Explained": _explained, "Exported": _exported, "LabelErrors": _label_errors, "Robustness": _robustness,
    "Run": _run, "RunOutcome": _outcome, "SearchResult": _search, "SearchTrial": _trial, "dict": _runs,
    "Exploration": lambda result: data_terminal.print_exploration(result, stdout.console),
    "Record": lambda result: data_terminal.print_record(result, stdout.console),
}  # fmt: skip
