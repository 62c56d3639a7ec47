"""The built-in reader, and the application that serves it in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import AppClient, open_client

from tenfold.classifier import Classifier
from tenfold.reader.load import load_reader
from tenfold.serve.settings import ServeSettings


@pytest.fixture(scope="session")
def reader() -> Classifier:
    return load_reader()


@pytest.fixture(scope="session")
def client(reader: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    """With one worker, a folder for corrections, and room for little."""
    settings = ServeSettings(
        workers=1,
        collect=tmp_path_factory.mktemp("corrections"),
        max_body=2**20,
        max_pixels=4_000_000,
        max_pictures=4,
        max_images=20,
        access_log=False,
    )
    with open_client(reader, settings) as opened:
        yield opened
