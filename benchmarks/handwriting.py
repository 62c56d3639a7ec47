"""Reading people's own handwriting: drawings, photographed paper, fields, and what is no digit.

    python benchmarks/handwriting.py [--data-dir DIR] [--model RUN] [--naive-model FILE] [--readme]

Measures the reader that comes with the package (or a run) on the pictures of `handwriting-dev` and on
MNIST's test set, beside the naive pipeline of `naive.py`, which is trained where it is not kept yet.
Prints a table; writes handwriting.json, the sheet of misses and the coverage-risk curve to
benchmarks/results/. With --limit or --model nothing is written unless --out names a folder.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from answers import Answer, Case, answer_cases, find_cases
from common import RESULTS, machine, markdown_table, publish
from misses import draw_misses
from naive import NAIVE_MODEL, Naive, load_naive
from reading_speed import measure_speed
from risk_curve import Confidences, draw_curves

from tenfold import Classifier, load_dataset
from tenfold.arrays import ImageDataset
from tenfold.metrics import calibration_error, wilson_interval
from tenfold.reader.load import load_reader
from tenfold.reader.reading import read_picture

Figures = dict[str, Any]
_DIGITS = ("canvas", "photo")
DEFINITIONS = {
    "right": "the text of the reading is the label; a mark that is refused stands as ? and is never right",
    "digits": "1 - edit distances / digits, over all fields",
    "refused": "the text is empty or holds a ?",
    "score": "(1 - none) * greatest probability of the picture's least sure mark, 0 without a mark",
    "curve": "canvas, photo and other, answered from the highest score; other is never right",
    "calibration_error": "15 bins; on pictures the confidence of the first mark, refused or not",
}


def share(right: int, total: int) -> Figures:
    """A share with its counts and 95 % interval (Wilson)."""
    low, high = wilson_interval(right, total)
    return {"count": right, "n": total, "share": right / total, "interval_95": [low, high]}


def count(flags: Sequence[bool] | np.ndarray) -> Figures:
    return share(int(np.sum(flags)), len(flags))


def measure_reader(answers: dict[str, list[Answer]]) -> Figures:
    """What was exactly right, what was refused, and the coverage-risk curve."""
    figures: Figures = {
        kind: {
            "right": count([answer.right for answer in answers[kind]]),
            "refused": count([answer.refused for answer in answers[kind]]),
            "by_style": _by_style(answers[kind]),
        }
        for kind in (*_DIGITS, "field")
    }
    digits = sum(len(answer.case.label) for answer in answers["field"])
    errors = sum(answer.errors for answer in answers["field"])
    figures["field"]["digits"] = share(max(0, digits - errors), digits)
    figures["other"] = {"refused": count([answer.refused for answer in answers["other"]])}
    for kind in _DIGITS:
        figures[kind]["calibration_error"] = _first_mark_calibration(answers[kind])
    return figures | _measure_refusal([answer for kind in (*_DIGITS, "other") for answer in answers[kind]])


def _measure_refusal(answers: Sequence[Answer]) -> Figures:
    """Digits against others: the curve over all thresholds, and where the default one stands."""
    digit = np.array([answer.case.kind != "other" for answer in answers])
    right = digit & np.array([answer.forced == answer.case.label for answer in answers])
    scores = np.array([answer.sureness for answer in answers])
    surest = np.array([answer.greatest_sureness for answer in answers])
    answered = [answer for answer in answers if not answer.refused]
    wrong = sum(answer.case.kind == "other" or not answer.right for answer in answered)
    return {
        "curve": _curve(scores, digit, right),
        "roc_area_by_surest_mark": _curve(surest, digit, right)["roc_area"],
        "default_threshold": {
            "coverage": len(answered) / len(answers),
            "risk": wrong / max(len(answered), 1),
        },
    }


def _first_mark_calibration(answers: Sequence[Answer]) -> float:
    """Of each picture's first mark, refused or not; pictures without one are left out."""
    marks = [(answer.marks[0], answer.case.label) for answer in answers if answer.marks]
    confidence = np.array([mark.confidence for mark, _ in marks])
    return calibration_error(confidence, np.array([mark.label == label for mark, label in marks]))


def _by_style(answers: Sequence[Answer]) -> Figures:
    styles = Counter(answer.case.style for answer in answers)
    right = Counter(answer.case.style for answer in answers if answer.right)
    return {style: {"right": right[style], "n": total} for style, total in sorted(styles.items())}


def _curve(scores: np.ndarray, digit: np.ndarray, right: np.ndarray) -> Figures:
    counts = {"digits": int(digit.sum()), "others": int((~digit).sum())}
    return counts | Confidences(scores, digit, right).to_dict()


def measure_mnist(classifier: Classifier, test_set: ImageDataset) -> Figures:
    """The images as they are, and read as if they were any pictures."""
    probs = classifier.predict_proba(test_set.images)
    right = probs.argmax(axis=1) == test_set.labels
    readings = [read_picture(classifier, image).text for image in test_set.images]
    names = [test_set.class_names[label] for label in test_set.labels]
    return {
        "right": count(right),
        "calibration_error": calibration_error(probs.max(axis=1), right),
        "right_as_pictures": count([text == name for text, name in zip(readings, names, strict=True)]),
    }


def measure_naive(naive: Naive, cases: dict[str, list[Case]], test_set: ImageDataset) -> Figures:
    """The same figures, as far as it has them: it names one digit for every picture."""
    figures: Figures = {"epochs": naive.epochs, "training_seconds": naive.seconds}
    all_scores, all_right = [], []
    for kind in (*_DIGITS, "other"):
        probs = naive.read([case.path for case in cases[kind]])
        scores, names = probs.max(axis=1), [str(digit) for digit in probs.argmax(axis=1)]
        right = np.array([name == case.label for name, case in zip(names, cases[kind], strict=True)])
        if kind in _DIGITS:
            figures[kind] = {"right": count(right), "calibration_error": calibration_error(scores, right)}
        all_scores.append(scores)
        all_right.append(right)
    digit = np.repeat([True, True, False], [len(right) for right in all_right])
    figures["curve"] = _curve(np.concatenate(all_scores), digit, np.concatenate(all_right) & digit)
    probs = naive.probs(test_set.images)
    right = probs.argmax(axis=1) == test_set.labels
    error = calibration_error(probs.max(axis=1), right)
    return figures | {"mnist": {"right": count(right), "calibration_error": error}}


def find_misses(answers: dict[str, list[Answer]]) -> list[Answer]:
    """What was not exactly right, and letters that were answered."""
    return [
        answer
        for kind, read in answers.items()
        for answer in read
        if (not answer.refused if kind == "other" else not answer.right)
    ]


def show(entry: Figures) -> str:
    """share (interval)"""
    low, high = entry["interval_95"]
    return f"{entry['share']:.2%} ({low:.1%} to {high:.1%})".replace("%", " %")


def accuracy_table(ours: Figures, naive: Figures) -> str:
    mnist, field = ours["mnist"], ours["field"]
    refusals = (("digits on canvas refused", "canvas", "at most 2 %"), ("letters refused", "other", "85 %"))
    shares: list[tuple[str, Figures, str, str]] = [
        ("drawn on canvas, right", ours["canvas"]["right"], "98.5 %", show(naive["canvas"]["right"])),
        ("photographed paper, right", ours["photo"]["right"], "97.5 %", show(naive["photo"]["right"])),
        ("fields of 3 to 8 digits, all right", field["right"], "85 %", "-"),
        ("digits of the fields, right", field["digits"], "96 %", "-"),
        *((title, ours[kind]["refused"], asked, "0 %") for title, kind, asked in refusals),
        ("MNIST, test set", mnist["right"], "99.5 %", show(naive["mnist"]["right"])),
        ("MNIST, test set, read as pictures", mnist["right_as_pictures"], "-", "-"),
    ]
    rows = [(title, f"{entry['n']:,}", asked, show(entry), other) for title, entry, asked, other in shares]
    pairs: list[tuple[str, Figures, Figures, str, str]] = [
        ("digit against letter, area under the ROC", ours["curve"], naive["curve"], "roc_area", "0.97"),
        ("calibration error, MNIST", mnist, naive["mnist"], "calibration_error", "at most 0.01"),
        ("calibration error, canvas", ours["canvas"], naive["canvas"], "calibration_error", "at most 0.02"),
    ]
    counts = (ours["curve"]["n"], mnist["right"]["n"], ours["canvas"]["right"]["n"])
    rows += [
        (title, f"{n:,}", asked, f"{mine[key]:.4f}", f"{other[key]:.4f}")
        for (title, mine, other, key, asked), n in zip(pairs, counts, strict=True)
    ]
    return markdown_table(("what is read", "n", "asked", "tenfold", "naive pipeline"), rows)


def speed_table(speed: Figures) -> str:
    rows = []
    for title, key in (("folder of canvases", "canvas"), ("photos of 12 megapixels", "photo_12mp")):
        cost = speed[key]
        memory = f"{cost['peak_mib']:.0f} MiB"
        rate, wall, cpu = f"{cost['digits_a_second']:.1f}", f"{cost['wall']:.1f} s", f"{cost['cpu']:.1f} s"
        rows.append((title, f"{cost['n']:,}", rate, wall, cpu, memory))
    cold = speed["cold"]
    times = f"{cold['wall']:.2f} s", f"{cold['cpu']:.2f} s", f"{cold['peak_mib']:.0f} MiB"
    rows.append(("first answer of a cold process, median", str(cold["n"]), "-", *times))
    for title, key in (
        ("warm, one canvas, median", "warm_canvas"),
        ("warm, one photo, median", "warm_photo"),
    ):
        milliseconds = speed[key]["median_ms"]
        wall = f"{milliseconds:.1f} ms"
        rows.append((title, str(speed[key]["n"]), f"{1000 / milliseconds:.0f}", wall, "-", "-"))
    return markdown_table(("speed", "n", "digits a second", "wall", "CPU", "peak memory of a process"), rows)


def describe(naive: Figures, causes: dict[str, Counter[str]]) -> str:
    host = machine()
    missed = "; ".join(
        f"{kind}: " + (", ".join(f"{n} {cause}" for cause, n in found.most_common()) or "none")
        for kind, found in causes.items()
    )
    return (
        "95 % intervals (Wilson); a refused digit is not right. The naive pipeline is the CNN of PyTorch's "
        f"MNIST example ({naive['epochs']} epochs) behind grey, invert where bright, resize to 28x28; "
        "it names one digit for every picture, so it refuses none and reads no field. "
        f"Misses of tenfold: {missed}. "
        f"{host['processor']}, {host['cores']} cores, {host['threads']} thread(s), NumPy {host['numpy']}. "
        "Made by `python benchmarks/handwriting.py`."
    )


def describe_reader(reader: Classifier, model: str | None) -> Figures:
    card = reader.card
    thresholds = {"least_confidence": card.least_confidence, "most_none": card.most_none}
    return {
        "name": model or "shipped",
        "recipe": card.recipe.name,
        "temperature": card.temperature,
    } | thresholds


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", default=None, help="holds mnist/ and handwriting-dev/")
    parser.add_argument("--model", default=None, help="a run instead of the reader that ships")
    parser.add_argument("--naive-model", type=Path, default=NAIVE_MODEL, help="where it is kept")
    parser.add_argument("--limit", type=int, default=None, help="pictures a kind, for a trial")
    parser.add_argument("--no-speed", action="store_true", help="leave the timings out")
    parser.add_argument("--out", type=Path, default=None, help="folder of the results")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    if options.readme and (options.model or options.limit):
        parser.error("--readme is for the reader that ships, on all pictures")
    if options.out is None and options.model is None and options.limit is None:
        options.out = RESULTS
    return options


def main() -> None:
    options = parse_options()
    cases = find_cases(options.data_dir, options.limit)
    naive_model = load_naive(options.naive_model, options.data_dir)
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    if options.limit:
        test_set = test_set.subset(np.arange(options.limit))
    reader = Classifier.load(options.model, engine="numpy") if options.model else load_reader()
    speed = {} if options.no_speed else measure_speed(cases, reader, options.model)
    answers = {kind: answer_cases(reader, cases[kind]) for kind in cases}
    ours = measure_reader(answers) | {"mnist": measure_mnist(reader, test_set)}
    naive = measure_naive(naive_model, cases, test_set)
    misses = find_misses(answers)
    listed = [answer.to_dict() for answer in misses]
    causes = {kind: Counter(m["cause"] for m in listed if m["kind"] == kind) for kind in answers}
    table = accuracy_table(ours, naive) + (f"\n\n{speed_table(speed)}" if speed else "")
    note = describe(naive, causes)
    if options.out is None:
        print(f"{table}\n\n{note}")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    draw_misses(misses, options.out / "handwriting_misses.png")
    curves = {"tenfold": ours["curve"], "naive pipeline": naive["curve"]}
    draw_curves(curves, ours["default_threshold"], options.out / "coverage_risk.png")
    document: Figures = {
        "model": describe_reader(reader, options.model),
        "definitions": DEFINITIONS,
        "tenfold": ours,
        "naive": naive,
        "speed": speed,
        "causes": causes,
        "misses": listed,
    }
    publish("handwriting", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
