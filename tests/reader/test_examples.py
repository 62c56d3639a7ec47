"""Labelled pictures as strips: those that the reader sees, with the text of the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hands import draw_line
from template_reader import template_reader, write

from tenfold.errors import UsageError
from tenfold.reader.adapt import Labelled, collect_examples, label_pictures


def test_the_strips_are_those_that_the_reader_sees(tmp_path: Path) -> None:
    path = tmp_path / "line.png"
    write("2049").save(path)
    (example,), left_out = collect_examples([Labelled(str(path), "2049")])
    (line,) = template_reader().read(path).lines
    assert not left_out and example.path == str(path) and example.text == line.text == "2049"
    assert any(np.array_equal(line.strip, view) for view in example.views)


def test_labels_may_hold_separators_and_what_is_no_number_teaches_silence(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        draw_line("1257", np.random.default_rng(0)).save(path)
    texts = ["12,57", "1 257.-", "07/11", "not a digit"]
    steps: list[tuple[str, int, int]] = []
    examples, left_out = collect_examples(
        [Labelled(str(path), text) for path, text in zip(paths, texts, strict=True)],
        progress=lambda *step: steps.append(step),
    )
    assert [example.text for example in examples] == ["12,57", "1257.-", "07/11", "?"] and not left_out
    assert steps == [("pictures", number, 4) for number in (1, 2, 3, 4)]


def test_a_list_of_labels_is_not_taken_for_a_file() -> None:
    labelled = label_pictures(["a.png", "b.png", "c.png"], "1049, 07/11,1.5")
    assert labelled == [("a.png", "1049"), ("b.png", "07/11"), ("c.png", "1.5")]
    with pytest.raises(UsageError, match="1 labels for 2 pictures"):
        label_pictures(["a.png", "b.png"], "7")
