"""A real Chromium on a real hub."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hub.store import Store
from playwright.sync_api import Browser, Page, sync_playwright
from tests.unit.web.ui.serving import make_app, make_store, serve
from tests.unit.web.ui.workspace import fill

CHROMIUM = "/usr/bin/chromium"
EXPECTED = ("status of 4", "verbose: [DOM] Multiple forms should be contained")
"""A refusal (4xx) that a test provokes; and what Chromium's password manager guesses of the form of a channel whose
address has several secrets, which stay password fields so that they are hidden and remembered by nothing."""
ARGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


@contextmanager
def _running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Playwright's sync API leaves its loop running in this thread; only the tests of the browser may see it."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)


@dataclass(frozen=True)
class _Driven:
    browser: Browser
    loop: asyncio.AbstractEventLoop | None


@pytest.fixture(scope="session")
def driven() -> Iterator[_Driven]:
    """Debian's Chromium. Skips without it, fails where HUB_TEST_REQUIRE_SERVICES=1."""
    if shutil.which(CHROMIUM) is None:
        reason = f"{CHROMIUM} is not installed (apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("HUB_TEST_REQUIRE_SERVICES") == "1" else pytest.skip(reason)
    with _running(None), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        loop = asyncio._get_running_loop()
        with _running(None):
            yield _Driven(browser, loop)
        browser.close()


@pytest.fixture
def chromium(driven: _Driven) -> Iterator[Browser]:
    """The browser, for one test."""
    with _running(driven.loop):
        yield driven.browser


@dataclass(frozen=True)
class Site:
    """A served hub: its address, its store, its seeded ids, how to open pages on it, what the browser said."""

    url: str
    store: Store
    ids: dict[str, str]
    open: Callable[..., Page]
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def site(chromium: Browser, tmp_path: Path) -> Iterator[Site]:
    """A hub with a whole workspace. The test fails when the browser complained about anything."""
    store = make_store(tmp_path)
    ids = fill(store).ids
    with serve(make_app(store, tmp_path)) as url:
        yield from _site(chromium, url, store, ids)
    store.close()


def _site(chromium: Browser, url: str, store: Store, ids: dict[str, str]) -> Iterator[Site]:
    complaints: list[str] = []
    contexts = []

    def open_(path: str, *, width: int = 1280, theme: str = "light", javascript: bool = True) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text} on {page.url}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error} on {page.url}"))
        page.goto(url + path.format(**ids))
        return page

    yield Site(url, store, ids, open_, complaints)
    for context in contexts:
        context.close()
    assert [one for one in complaints if not any(said in one for said in EXPECTED)] == []
