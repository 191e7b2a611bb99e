"""Signing in at a certified OpenID provider (oidc-provider from npm), its keys rotating while people sign in."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hub.settings import Settings
from hub.store import Store, identity, open_store
from hub.types import Scope
from hub.web.app import build_app
from tests.unit.web.ui.serving import serve as served

PROVIDER = Path(__file__).parent / "oidc" / "provider.mjs"
PACKAGE = "oidc-provider@9.5"
PLACE = Path.home() / ".cache" / "hubspoke-tests" / "oidc"
SECRET = "a-secret-of-the-test-with-enough-letters"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which node finds the provider; installed once, kept between sessions."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not there; oidc-provider is a package of npm")
    PLACE.mkdir(parents=True, exist_ok=True)
    if not (PLACE / "node_modules" / "oidc-provider").exists():
        command = ["npm", "install", "--prefix", str(PLACE), "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-200:]}")
    shutil.copy(PROVIDER, PLACE / "provider.mjs")
    return PLACE


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class World:
    """A hub that trusts a provider."""

    url: str
    issuer: str
    store: Store

    def sign_in(self, person: str, *, tamper: Any = None) -> httpx2.Response:
        """Go through the whole of it in a browser of one's own; the answer of the last page."""
        with self.browser() as browser:
            return self.go(browser, person, tamper=tamper)

    @contextlib.contextmanager
    def browser(self) -> Iterator[httpx2.Client]:
        with httpx2.Client(follow_redirects=False, timeout=30) as client:
            yield client

    def go(self, browser: httpx2.Client, person: str, *, tamper: Any = None) -> httpx2.Response:
        answer = browser.get(f"{self.url}/ui/oidc/login?next=/ui/runs")
        while answer.has_redirect_location:
            where = str(answer.next_request.url) if answer.next_request else ""
            if "/interaction/" in where:
                where += f"?person={person}"
            if where.startswith(f"{self.url}/ui/oidc/callback") and tamper:
                where = tamper(browser, where)
            answer = browser.get(where)
            if answer.url.path == "/ui/runs":
                break
        return answer

    def account(self, subject: str) -> dict[str, Any] | None:
        with self.store.read() as tx:
            found = identity.users(tx, Scope()).items
        return next((row for row in found if str(row["subject"]).endswith(f" {subject}")), None)


@pytest.fixture(params=["secret", "key"])
def world(request: pytest.FixtureRequest, package: Path, tmp_path: Path) -> Iterator[World]:
    hub_port, port = free_port(), free_port()
    url, issuer = f"http://127.0.0.1:{hub_port}", f"http://127.0.0.1:{port}"
    store = open_store(f"sqlite:///{tmp_path}/hub.db")
    store.migrate()
    settings = Settings(
        home=tmp_path, public_url=url, web_login="always", plugins="only:dashboard", oidc_issuer=issuer,
        oidc_client_id="hub-key" if request.param == "key" else "hub", oidc_client_auth=request.param,
        oidc_client_secret=SECRET, oidc_roles=("hub-admins=admin", "devs=developer"),
    )  # fmt: skip
    arguments = [str(port), "hub", SECRET, f"{url}/ui/oidc/callback", f"{url}/.well-known/jwks.json"]
    command = ["node", "provider.mjs", *arguments]
    environment = {**os.environ, "NODE_NO_WARNINGS": "1"}
    log = (tmp_path / "provider.log").open("w")
    process = subprocess.Popen(command, cwd=package, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", (tmp_path / "provider.log").read_text()
        with served(build_app(settings, store), port=hub_port) as _:
            yield World(url, issuer, store)
    finally:
        process.kill()
        process.communicate()
        log.close()
        store.close()


def test_people_sign_in_with_the_role_of_their_groups_and_the_others_do_not(world: World) -> None:
    with world.browser() as browser:
        answer = world.go(browser, "ada")
        assert (answer.status_code, answer.url.path) == (200, "/ui/runs"), answer.text
        me = browser.get(f"{world.url}/api/v1/me").json()
        assert me["name"] == "ada"
        assert "users:write" in me["scopes"]
    assert world.sign_in("bob").status_code == 200
    roles = {subject: (world.account(subject) or {}).get("role") for subject in ("ada", "bob", "eve")}
    assert roles == {"ada": "admin", "bob": "developer", "eve": None}
    refused = world.sign_in("eve")
    assert (refused.status_code, "may not come in" in refused.text) == (403, True)
    with world.store.write() as tx:
        tx.conn.execute(identity.USERS.update().values(disabled_at=tx.now))
    assert "switched off" in world.sign_in("bob").text


@pytest.mark.long("key")
def test_an_answer_is_worth_nothing_elsewhere_twice_or_changed(world: World) -> None:
    stolen: list[str] = []

    def steal(_browser: httpx2.Client, where: str) -> str:
        stolen.append(where)
        return f"{world.url}/ui/login"

    def forget(browser: httpx2.Client, where: str) -> str:
        browser.cookies.clear()
        return where

    def change(_browser: httpx2.Client, where: str) -> str:
        code = parse_qs(urlsplit(where).query)["code"][0]
        return where.replace(code, code[:-4] + "AAAA")

    def swap(_browser: httpx2.Client, where: str) -> str:
        mine = parse_qs(urlsplit(where).query)["code"][0]
        theirs = parse_qs(urlsplit(stolen[0]).query)["code"][0]
        return where.replace(mine, theirs)

    world.sign_in("ada", tamper=steal)
    with world.browser() as browser:
        browser.get(f"{world.url}/ui/oidc/login")
        assert browser.get(stolen[0]).status_code == 401  # login CSRF: another browser's state
    for tamper in (forget, change, swap):
        assert world.sign_in("bob", tamper=tamper).status_code == 401, tamper
    assert world.account("ada") is None
    assert world.account("bob") is None


@pytest.mark.long("key")
def test_a_name_that_is_taken_here_is_not_taken_over(world: World) -> None:
    with world.store.write() as tx:
        row = {"id": "0" * 8 + "-0000-7000-8000-" + "0" * 12, "workspace_id": Scope().workspace_id, "name": "ann"}
        tx.insert(identity.USERS, {**row, "role": "owner", "session_epoch": 0, "created_at": tx.now})
    assert world.sign_in("ann").status_code == 200
    assert (world.account("ann") or {})["name"] == "ann 2"
    assert (world.account("ann") or {})["role"] == "developer"


@pytest.mark.long("key")
def test_people_sign_in_while_the_providers_keys_change(world: World) -> None:
    assert world.sign_in("bob").status_code == 200

    def one(number: int) -> int:
        if number % 5 == 2:
            httpx2.post(f"{world.issuer}/rotate").raise_for_status()
        return world.sign_in(("ada", "bob")[number % 2]).status_code

    # A rotation forgets logins that are on their way at the provider; each of those can be begun again.
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(20)))
    assert answers.count(200) >= 5, answers
    assert set(answers) <= {200, 400, 401, 404}, answers
    for person in ("ada", "bob"):
        httpx2.post(f"{world.issuer}/rotate").raise_for_status()
        assert world.sign_in(person).status_code == 200
    assert (world.account("ada") or {})["role"] == "admin"


@pytest.mark.long("key")
def test_a_provider_that_is_away_is_told_and_passwords_still_work(world: World, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, public_url="http://127.0.0.1:9", plugins="only:dashboard", web_login="always",
        oidc_issuer=f"http://127.0.0.1:{free_port()}", oidc_client_id="hub",
    )  # fmt: skip
    with served(build_app(settings, world.store)) as url:
        answer = httpx2.get(f"{url}/ui/oidc/login")
        assert (answer.status_code, "cannot be reached" in answer.text) == (503, True)
        assert "Sign in at your organization" in httpx2.get(f"{url}/ui/login").text
