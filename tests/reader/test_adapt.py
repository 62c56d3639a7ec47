"""Learning one person's hand: what must come better, what must not be lost, and honest figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hands import draw_hand, small_memory, tiny_reader
from template_reader import template_reader, write

from tenfold.errors import DataError, UsageError
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.pictures.lines import Strip, make_strip
from tenfold.reader import adapt
from tenfold.reader.adapt import AdaptSettings, Example, adapt_reader, unfold_weights
from tenfold.reader.adaptation import (
    Adaptation,
    Answer,
    Forgetting,
    Memory,
    Score,
    gather_memory,
    read_views,
    score,
)
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.synthesis import sources
from tenfold.synthesis.sources import package_sources

SHORT = AdaptSettings(steps=24, batch_size=8, folds=2)


@pytest.fixture(scope="module")
def memory() -> Memory:
    return small_memory()


@pytest.fixture(scope="module")
def tiny() -> LineReader:
    return tiny_reader()


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_strange_hand_is_read_better_and_little_is_forgotten(memory: Memory, engine: str) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    reader = load_reader()
    untouched = reader.engine.weights()
    done = adapt_reader(reader, draw_hand(12, seed=0), engine=engine, memory=memory, settings=SHORT)
    assert done.before.n == done.after.n == 12 and done.before.digits == 48 and done.folds == 2
    assert done.after.digits_right >= done.before.digits_right + 8
    assert done.forgetting.lost <= 0.1
    others = draw_hand(6, seed=1)  # that no training saw
    labels = [example.text for example in others]
    old, new = (
        score([read_views(model, each.views) for each in others], labels) for model in (reader, done.reader)
    )
    assert new.digits_right >= old.digits_right + 4
    assert all(np.array_equal(value, untouched[name]) for name, value in reader.engine.weights().items())
    assert done.reader.card == reader.card and done.reader.engine.name == reader.engine.name


def test_wrong_labels_are_found_out(memory: Memory) -> None:
    """Lines that were held out show that shuffled labels teach nothing."""
    examples = draw_hand(10, seed=0, mirrored=False)
    texts = np.random.default_rng(3).permutation([example.text for example in examples])
    shuffled = [replace(each, text=str(text)) for each, text in zip(examples, texts, strict=True)]
    few = AdaptSettings(steps=8, batch_size=8, folds=2)
    done = adapt_reader(load_reader(), shuffled, engine="numpy", memory=memory, settings=few)
    assert done.objection


def test_a_single_wrong_label_is_named(memory: Memory) -> None:
    reader, lines = load_reader(), draw_hand(10, seed=0, mirrored=False)
    known = [each for each in lines if read_views(reader, each.views).text == each.text]
    surest = max(range(len(known)), key=lambda i: read_views(reader, known[i].views).confidence)
    known[surest] = replace(known[surest], text=known[surest].text[::-1])
    few = AdaptSettings(steps=2, batch_size=4, folds=2, learning_rate=1e-6)
    done = adapt_reader(reader, known, engine="numpy", memory=memory, settings=few)
    assert len(known) >= 8 and done.doubtful == (surest,)


def test_no_line_is_measured_by_a_reader_that_saw_it(
    tiny: LineReader, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers that have memorised what they learned, and nothing else."""
    known: list[tuple[LineReader, list[Example]]] = []

    def learn(course: object, examples: list[Example]) -> LineReader:
        known.append((tiny.with_card(), examples))
        return known[-1][0]

    def answer(reader: LineReader, views: tuple[np.ndarray, ...]) -> Answer:
        seen = [each.text for own, lines in known if own is reader for each in lines if each.views is views]
        return Answer("".join(seen), 1.0, False)

    examples = draw_hand(10, seed=0)
    monkeypatch.setattr(adapt._Course, "learn", learn)
    monkeypatch.setattr(adapt, "read_views", answer)
    done = adapt_reader(tiny, examples, memory=memory, settings=AdaptSettings(folds=3))
    assert done.after.n == 10 and done.after.right == 0
    assert [len(lines) for _, lines in known] == [6, 7, 7, 10]
    assert done.reader is known[-1][0]


def test_the_same_seed_gives_the_same_reader(tiny: LineReader, memory: Memory) -> None:
    examples, few = draw_hand(4, seed=0), AdaptSettings(steps=2, batch_size=6, folds=2)

    def weights(seed: int) -> dict[str, np.ndarray]:
        done = adapt_reader(tiny, examples, seed=seed, engine="numpy", memory=memory, settings=few)
        return done.reader.engine.weights()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_both_engines_learn_the_same(tiny: LineReader, memory: Memory) -> None:
    pytest.importorskip("torch")
    examples, few = draw_hand(4, seed=0), AdaptSettings(steps=3, batch_size=6, folds=2)
    by = [
        adapt_reader(tiny, examples, engine=engine, memory=memory, settings=few).reader
        for engine in ("numpy", "torch")
    ]
    assert by[1].engine.name == "numpy"  # as it was given
    strip = examples[0].views[0][None]
    assert np.abs(by[0].engine.logits(strip) - tiny.engine.logits(strip)).max() > 1e-3
    np.testing.assert_allclose(by[0].engine.logits(strip), by[1].engine.logits(strip), atol=1e-3)


def test_batch_norm_is_folded_away_and_comes_back() -> None:
    """Behind a convolution without and with a bias, and where it cannot be folded."""
    rng = np.random.default_rng(0)
    layers = [
        "pixel-unshuffle 4", "conv 6 3x3 padding same no-bias", "batch-norm", "relu", "batch-norm",
        "conv 6 8x1", "batch-norm", "conv classes 1x1", "columns",
    ]  # fmt: skip
    reader = tiny_reader(layers=layers)
    weights = {
        name: rng.uniform(0.5, 2, value.shape).astype(np.float32) if "norm" in name else value
        for name, value in reader.engine.weights().items()
    }
    reader = reader.with_weights(weights)
    folded, values = fold_network(reader.network, weights)
    assert sum(layer.spec.kind == "batch-norm" for layer in folded.layers) == 1
    again = reader.with_weights(unfold_weights(reader.network, values))
    strips = rng.integers(0, 256, (2, 32, 64), dtype=np.uint8)
    np.testing.assert_allclose(again.engine.logits(strips), reader.engine.logits(strips), atol=1e-4)


def test_what_cannot_be_learned_from_the_others_is_not_held_out(tiny: LineReader, memory: Memory) -> None:
    few = AdaptSettings(steps=1, batch_size=4, folds=3)
    strip = np.full((32, 64), Strip.PAPER, np.uint8)

    def learn(*texts: str) -> Adaptation:
        examples = [Example("", text, (strip,)) for text in texts]
        return adapt_reader(tiny, examples, engine="numpy", memory=memory, settings=few)

    once = learn(*"0123456789")
    assert once.folds == once.before.n == once.after.n == 0 and once.before.accuracy is None
    assert "changes nothing" not in once.objection
    json.dumps(once.to_dict(), allow_nan=False)
    mixed = learn("1234", "1243", "2134", "5")
    assert mixed.before.n == 3 and mixed.folds == 3 and mixed.counts == (0, 3, 3, 3, 3, 1, 0, 0, 0, 0)


def test_too_few_characters(tiny: LineReader, memory: Memory) -> None:
    with pytest.raises(DataError, match="8 labelled characters; expected at least 10"):
        adapt_reader(tiny, draw_hand(2, seed=0), memory=memory)
    with pytest.raises(DataError, match="0 labelled characters"):
        adapt_reader(tiny, [Example("", "?", (np.zeros((32, 32), np.uint8),))] * 20, memory=memory)


def test_scores_count_lines_and_digits() -> None:
    """12,5 read as 12.5 is a wrong line with right digits; 1049 as 109 lacks one; words are to be silent."""
    answers = [
        Answer("12.5", 0.9, False), Answer("109", 0.6, True), Answer("", 0.9, True), Answer("77", 0.9, False)
    ]  # fmt: skip
    found = score(answers, ["12,5", "1049", "?", "77"])
    assert found == Score(n=4, right=2, refused=2, read=1, digits=9, digits_right=8)
    assert score([Answer("123456", 0.9, False)], ["9"]).digits_right == 0


def test_a_line_is_answered_as_in_its_picture() -> None:
    reader = template_reader()
    strip, other = (make_strip(np.asarray(write(text))) for text in ("204", "205"))
    answer = read_views(reader, [strip])
    assert answer.text == "204" and answer.confidence > 0.9 and not answer.refused
    assert read_views(reader, [strip, other]).confidence <= 0.5  # two views that disagree
    assert read_views(reader.with_card(least_confidence=1.0), [strip]).refused
    assert read_views(reader, [np.full((32, 64), Strip.PAPER, np.uint8)]) == Answer("", 1.0, True)


def _adaptation(tiny: LineReader, before: int, after: int, *, lost: int = 0, read: int = 0) -> Adaptation:
    old, new = Score(100, 90, 5, 88, 1000, 990), Score(100, 90, 5, 88, 1000, 990 - lost)
    scores = Score(20, before, 2, before, 80, 60), Score(20, after, 2, after - read, 80, 60)
    forgetting = Forgetting("old numbers", old, new, 10, 9, 8)
    return Adaptation(tiny, *scores, forgetting, folds=4, counts=(2,) * 10, doubtful=(), seed=0)


def test_objections(tiny: LineReader) -> None:
    assert not _adaptation(tiny, 15, 16).objection
    assert "makes it worse" in _adaptation(tiny, 16, 15).objection
    assert "changes nothing" in _adaptation(tiny, 16, 16).objection
    assert "makes it worse" in _adaptation(tiny, 16, 16, read=1).objection
    assert "costs 3.1 points of the digits of old numbers" in _adaptation(tiny, 15, 20, lost=31).objection
    assert not _adaptation(tiny, 15, 20, lost=30).objection
    words = replace(_adaptation(tiny, 15, 16).forgetting, others_after=6)
    assert "(9 of 10 before, 6 after)" in replace(_adaptation(tiny, 15, 16), forgetting=words).objection
    few = replace(_adaptation(tiny, 1, 2), after=Score(20, 2, 2, 2, 80, 39))
    assert "are the labels right?" in few.objection


def test_a_saved_reader_answers_the_same_and_nothing_is_replaced(tiny: LineReader, tmp_path: Path) -> None:
    place = _adaptation(tiny, 15, 16).save(tmp_path / "mine", {"began_with": "tiny"})
    strips = np.random.default_rng(0).integers(0, 256, (2, 32, 64), dtype=np.uint8)
    again = load_reader(place).engine.logits(strips)
    np.testing.assert_allclose(again, tiny.engine.logits(strips), atol=0.02)  # float16
    figures = json.loads((place / "adaptation.json").read_text())
    assert figures["before"]["right"] == 15 and figures["began_with"] == "tiny"
    held = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(UsageError, match="mine is there already"):
        _adaptation(tiny, 15, 20).save(place)
    assert held == {path.name: path.read_bytes() for path in place.iterdir()}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is there already"):
        _adaptation(tiny, 15, 20).save(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be"):
        _adaptation(tiny, 15, 20).save(tmp_path / "file" / "below")


def test_the_memory_is_drawn_anew_from_what_the_package_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.DataRequest, "find", lambda self: None)
    one, two = (gather_memory(seed=1, rehearsed=12, held=12) for _ in range(2))
    assert len(one.rehearsed) == len(one.held) == 12
    for (strip, text), (same, again) in zip(one.rehearsed + one.held, two.rehearsed + two.held, strict=True):
        assert strip.shape[0] == 32 and strip.shape[1] <= 192 and strip.dtype == np.uint8
        assert text == again and np.array_equal(strip, same)
    assert {text for _, text in one.rehearsed} != {text for _, text in one.held}


def test_what_is_measured_is_of_glyphs_that_are_not_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.DataRequest, "find", lambda self: None)
    train, held = package_sources("train"), package_sources("held")
    (ours,), (theirs,) = train.hands, held.hands
    assert set(ours.glyphs) == set(theirs.glyphs) == set("0123456789")

    def shapes(glyphs: list) -> set[bytes]:
        return {b"".join(stroke.tobytes() for stroke in glyph) for glyph in glyphs}

    for digit in "0123456789":
        assert ours.glyphs[digit] and theirs.glyphs[digit]
        assert not shapes(ours.glyphs[digit]) & shapes(theirs.glyphs[digit])
    assert train.letters and held.letters and not shapes(train.letters) & shapes(held.letters)
    assert train.fonts and all(font.is_file() for font in train.fonts)
