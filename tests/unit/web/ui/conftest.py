"""The dashboard on a store in memory, asked by Starlette's test client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub.store import Store, open_store
from hub.store.tables import User
from hub.types import now_us
from hub.web.login import COOKIE, Session, seal
from starlette.testclient import TestClient
from tests.unit.web.ui.seed import Seed
from tests.unit.web.ui.serving import make_app
from tests.unit.web.ui.workspace import fill

BASE = "http://localhost:4300"


def open_browser(store: Store, folder: Path, **settings: Any) -> TestClient:
    """A browser on this machine, where nobody logs in; it follows no redirects by itself."""
    app = make_app(store, folder, **settings)
    return TestClient(app, base_url=BASE, follow_redirects=False, headers={"accept": "text/html"})


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store in memory."""
    opened = open_store("sqlite://")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def seed(store: Store) -> Seed:
    """The same store with a whole workspace."""
    return fill(store)


@pytest.fixture
def browser(store: Store, tmp_path: Path) -> TestClient:
    """A browser for that store."""
    return open_browser(store, tmp_path)


@dataclass(frozen=True)
class Shown:
    """A workspace that tests only look at, and a browser for it."""

    browser: TestClient
    ids: dict[str, str]


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """One whole workspace for all tests that change nothing."""
    opened = open_store("sqlite://")
    opened.migrate()
    yield Shown(open_browser(opened, tmp_path_factory.mktemp("shown")), fill(opened).ids)
    opened.close()


@pytest.fixture
def browser_of(store: Store, tmp_path: Path) -> Callable[[str], TestClient]:
    """A browser whose user has the given role, on a hub that asks for a login."""
    app = make_app(store, tmp_path, web_login="always")
    # One for all users: two of the same millisecond would give the same ids.
    seed = Seed(store)

    def make(role: str) -> TestClient:
        user = seed.add(User, name=f"a {role}", role=role)
        cookies = {COOKIE: seal(store.keyring, Session(user, 0, now_us()))}
        headers = {"accept": "text/html", "origin": BASE}
        return TestClient(app, base_url=BASE, follow_redirects=False, cookies=cookies, headers=headers)

    return make


def send(browser: TestClient, page: str, action: str, **typed: Any) -> Any:
    """Open a page, take the hidden fields of its form for `action`, and send the form."""
    html = browser.get(page).text
    _, found, rest = html.partition(f'action="{action}"')
    assert found, f"{page} has no form for {action}"
    form = rest.partition("</form>")[0]
    hidden = {name: form.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("csrf", "command_id")}
    return browser.post(action, data={**hidden, **typed})
