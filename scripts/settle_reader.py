"""Fits the line reader's temperature and threshold on held-out writers, and writes the shipped model.

    scripts/settle_reader.py WEIGHTS STRIPS DATA_DIR OUT

WEIGHTS: `weights.safetensors` of scripts/train_reader.py. STRIPS: the folder of shards, which holds those of
held-out writers ("held-..."), for the temperature. DATA_DIR: the folder of the sources, whose real numbers by
held-out writers give the threshold. OUT gets model.safetensors, model.json and card.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from reader_strips import read_shard, shard_path
from safetensors.numpy import load_file

from tenfold.evaluation.evaluate import calibration_error
from tenfold.numerics import log_softmax
from tenfold.pictures.lines import find_views, make_strip
from tenfold.reader.decode import DIGITS, OTHER, decode
from tenfold.reader.line_reader import LineReader, ReaderCard, read_recipe
from tenfold.reader.reading import read_line
from tenfold.synthesis.sources import RealStrip, load_sources

MOST_WRONG = 0.03  # of the real numbers held out: may be answered wrong without "?"
TEMPERATURES = (0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
FITTED = 1000  # strips for the temperature


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("strips", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    reader = LineReader.from_weights(ReaderCard(read_recipe()), load_file(given.weights))
    strips, texts = read_shard(shard_path(given.strips, "held", 0))
    real = [strip for strip in load_sources(given.data_dir, "held").real if strip.text != OTHER]
    reader, figures = settle(reader, strips[:FITTED], texts[:FITTED], real)
    reader.save(given.out)
    template = Path(__file__).with_name("reader_card.md").read_text(encoding="utf-8")
    (given.out / "card.md").write_text(write_card(template, reader, figures), encoding="utf-8")
    print(json.dumps(figures, indent=2))


def settle(
    reader: LineReader, strips: list[np.ndarray], texts: list[str], real: list[RealStrip]
) -> tuple[LineReader, dict[str, float]]:
    """With a temperature, fitted on drawn strips, and a threshold, chosen on real ones; and the figures."""
    logits = [reader.engine.logits(strip[None])[0] for strip in strips]
    judged = {value: judge(logits, texts, value) for value in TEMPERATURES}
    temperature = min(judged, key=lambda value: log_loss(*judged[value]))
    reader = reader.with_card(temperature=temperature)
    wanted = np.array([any(c in DIGITS for c in text) for text in texts])
    confidence, right = read_real(reader, real)
    least = choose_threshold(confidence, right)
    answered = confidence >= least
    figures = {
        "temperature": temperature,
        "least_confidence": least,
        "real numbers": len(real),
        "real numbers, all digits right": float(right.mean()),
        "real numbers, answered without ? and right": float((answered & right).mean()),
        "real numbers, answered without ? and wrong": float((answered & ~right).mean()),
        "drawn numbers": int(wanted.sum()),
        "drawn numbers, all digits right": float(judged[temperature][1][wanted].mean()),
        "drawn numbers, calibration error of the confidence": calibration_error(
            judged[temperature][0][wanted], judged[temperature][1][wanted]
        ),
        "drawn strips without a number": int((~wanted).sum()),
        "drawn strips without a number, no digit answered": float(judged[temperature][1][~wanted].mean()),
    }
    return reader.with_card(least_confidence=least), figures


def read_real(reader: LineReader, real: list[RealStrip]) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each real number, read as a picture, and whether its digits are right."""
    confidence, right = [], []
    for strip in real:
        views = [make_strip(strip.grey, box) for box in find_views(strip.grey)[0]]
        decoded = read_line(reader, views).decoded
        confidence.append(decoded.confidence)
        right.append(only_digits(decoded.text or "") == only_digits(strip.text))
    return np.array(confidence), np.array(right)


def judge(logits: list[np.ndarray], texts: list[str], temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each strip, and whether its digits are right."""
    confidence, right = [], []
    for scores, text in zip(logits, texts, strict=True):
        decoded = decode(log_softmax(scores / np.float32(temperature)))
        confidence.append(decoded.confidence)
        right.append(only_digits(decoded.text or "") == only_digits(text))
    return np.array(confidence), np.array(right)


def only_digits(text: str) -> str:
    """Digits, and words between them."""
    return "".join(c for c in text.strip(OTHER + ".,-/:+×÷=") if c in DIGITS + OTHER)


def log_loss(confidence: np.ndarray, right: np.ndarray) -> float:
    clipped = np.clip(confidence, 1e-4, 1 - 1e-4)
    return float(-np.where(right, np.log(clipped), np.log(1 - clipped)).mean())


def choose_threshold(confidence: np.ndarray, right: np.ndarray) -> float:
    """The smallest confidence from which on at most `MOST_WRONG` of all are answered wrong."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order]) / len(order)
    allowed = np.flatnonzero(wrong <= MOST_WRONG)
    return float(confidence[order[allowed[-1]]]) if len(allowed) else 1.0


def write_card(template: str, reader: LineReader, figures: dict[str, float]) -> str:
    shown = {key: value for key, value in figures.items() if " " in key}
    rows = [
        f"| {key} | {value:,} |" if isinstance(value, int) else f"| {key} | {100 * value:.2f} % |"
        for key, value in shown.items()
    ]
    return template.format(
        parameters=reader.network.parameter_count,
        megabytes=2 * reader.network.parameter_count / 1e6,
        figures="\n".join(rows),
        temperature=reader.card.temperature,
        least_confidence=reader.card.least_confidence,
        most_wrong=MOST_WRONG,
    )


if __name__ == "__main__":
    main()
