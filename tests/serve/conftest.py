"""The built-in reader and a classifier of images, and the applications that serve them in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from serving import AppClient, make_classifier, open_client

from tenfold.classifier import Classifier
from tenfold.reader.line_reader import AnyModel, LineReader, load_reader
from tenfold.serve.settings import ServeSettings


@pytest.fixture(scope="session")
def reader() -> LineReader:
    return load_reader()


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return make_classifier()


@pytest.fixture(scope="session")
def classifier_folder(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    classifier.save(folder)
    return folder


@pytest.fixture(scope="session")
def client(reader: LineReader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    with open_small(reader, tmp_path_factory.mktemp("corrections")) as opened:
        yield opened


@pytest.fixture(scope="session")
def image_client(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    with open_small(classifier, tmp_path_factory.mktemp("image-corrections")) as opened:
        yield opened


def open_small(model: AnyModel, collect: Path) -> AbstractContextManager[AppClient]:
    """With one worker, a folder for corrections, and low limits."""
    settings = ServeSettings(
        workers=1,
        collect=collect,
        max_body=2**20,
        max_pixels=4_000_000,
        max_pictures=4,
        max_images=20,
        timeout=60,
        access_log=False,
        allowed_hosts=("Allowed.example",),
    )
    return open_client(model, settings)
