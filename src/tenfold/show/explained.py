"""Explanations of both kinds of models: in words, as JSON, and written as a page or a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

from tenfold.classifier import Classifier
from tenfold.explain.explanation import Subject
from tenfold.reader.explain import explain_reading
from tenfold.reader.line_reader import LineReader
from tenfold.reader.many import SheetFolder
from tenfold.reader.reading import Reading
from tenfold.show.answers import tell_reading
from tenfold.show.explanation import check_target, print_explanations, write_explanation
from tenfold.show.terminal import stdout

__all__ = ["Explained"]


class Explained(NamedTuple):
    """document: what JSON holds of it. notes: what a reader should know, such as why there are no neighbours.
    save: writes it to a file. tell: prints it in words."""

    name: str
    document: dict[str, Any]
    notes: list[str]
    save: Callable[[Path], Any]
    tell: Callable[[], None]

    @staticmethod
    def check_target(path: Path) -> None:
        """Raises UsageError where the name is neither that of a page nor of a picture."""
        check_target(path)

    @classmethod
    def reading(cls, reader: LineReader, reading: Reading, name: str, only: int | None) -> Self:
        """Of a picture's reading, or one character of it, from 1. Saved as a PNG, as by `read --explain`."""
        save = partial(SheetFolder.write, explain_reading(reading, reader, name=name, only=only))
        tell = partial(stdout.say, tell_reading(reading), style="bold")
        return cls(name, {"reading": reading.to_dict()}, [], save, tell)

    @classmethod
    def predictions(
        cls, classifier: Classifier, subject: Subject, model: str, notes: list[str], **how: Any
    ) -> Self:
        """Of a classifier. model: its name. how: see `Subject.explain`."""
        found = subject.explain(classifier, **how)
        document = {"explanations": [each.to_dict() for each in found]}
        subject = replace(subject, model=model, notes=tuple(notes))
        save = partial(write_explanation, explanations=found, subject=subject)
        tell = partial(print_explanations, found, subject, stdout.console)
        return cls(subject.name, document, notes, save, tell)
