"""The page as the server sends it, and as a bundle on a static host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Page
from page_hand import Hand
from page_hosts import Served, at
from page_screenshots import serve
from web_host import host

from tenfold.export.web import export_web
from tenfold.reader.line_reader import load_reader


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("corrections")
    with serve("--collect", str(folder)) as address:
        yield Served(f"{address}/", folder)


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an exported page."""
    folder = export_web(load_reader(), tmp_path_factory.mktemp("page") / "bundle")
    with host({"/": folder.parent}) as address:
        yield f"{address}/bundle/"


@pytest.fixture(params=["server", "bundle"])
def hand(request: pytest.FixtureRequest, browser_page: Page) -> Iterator[Hand]:
    """On an empty page of each kind; whatever the browser complains of fails the test."""
    kind = request.param
    address = (
        request.getfixturevalue("served").address if kind == "server" else request.getfixturevalue("bundled")
    )
    yield from at(browser_page, address)


@pytest.fixture
def server_hand(served: Served, browser_page: Page) -> Iterator[Hand]:
    yield from at(browser_page, served.address)
