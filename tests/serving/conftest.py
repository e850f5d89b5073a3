"""Servers of their own process on 127.0.0.1, with the tiny translator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve has it")

from tests.serving.browser import Page
from tests.serving.running import Server


@pytest.fixture(scope="session")
def server(tiny_run: Path) -> Iterator[Server]:
    """A server with the usual limits; not to be stopped by tests."""
    with Server(tiny_run) as running:
        yield running


@pytest.fixture(scope="session")
def strict_server(tiny_run: Path) -> Iterator[Server]:
    """A server with small limits and keys, which protects texts."""
    limits = ("waiting=4", "seconds=2", "arrival_seconds=1", "connections=40", "held_bytes=300000", "body_bytes=200000")
    options = [word for limit in limits for word in ("--limit", limit)]
    options += ["--limit", "text_characters=60000", "--limit", "request_characters=60000", "--limit", "lines=5000"]
    with Server(tiny_run, "--protect", *options, keys=["a-key-of-16-chars", "another-key-of-it"]) as running:
        yield running


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Page]:
    """A browser at the server; one for all tests, since it takes a while to start."""
    with Page(f"{server.url}/") as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The page, loaded anew, of which the browser must not complain."""
    browser.open()
    yield browser
    assert browser.errors() == []
