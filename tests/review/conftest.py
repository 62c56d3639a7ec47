"""The browser's page, for the tests of the pages that one person uses."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from browser import Page


@pytest.fixture
def page(browser_page: Page) -> Iterator[Page]:
    """It must not complain, and ask nobody else."""
    browser_page.events.clear()
    yield browser_page
    assert browser_page.complaints() == []
    hosts = {urlsplit(url).hostname for url in browser_page.requests() if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
