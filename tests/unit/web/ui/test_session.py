from __future__ import annotations

from pathlib import Path

import pytest
from hub.store import Store
from hub.store.tables import User
from hub.web.login import COOKIE, Passwords
from hub.web.ui import csrf
from hub.web.ui.pages.session import inside
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import BASE, send
from tests.unit.web.ui.seed import Seed
from tests.unit.web.ui.serving import make_app

PASSWORD = "correct horse battery"


@pytest.fixture
def guarded(store: Store, tmp_path: Path) -> TestClient:
    """A browser on a hub that asks for a login and knows one owner."""
    Seed(store).add(User, name="ada", role="owner", password_hash=Passwords().hash(PASSWORD))
    app = make_app(store, tmp_path, web_login="always")
    headers = {"accept": "text/html", "origin": BASE}
    return TestClient(app, base_url=BASE, follow_redirects=False, headers=headers)


def test_signing_in_leads_where_one_wanted_to_go(guarded: TestClient) -> None:
    answer = send(guarded, "/ui/login", "/ui/login", name="ada", password=PASSWORD, next="/ui/runs?state=failed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/runs?state=failed")
    assert guarded.get("/ui/runs").status_code == 200
    assert guarded.get("/ui/login").headers["location"] == "/ui"


def test_a_wrong_password_says_no_more_than_a_wrong_name(guarded: TestClient) -> None:
    texts = []
    for name, password in (("ada", "not hers at all"), ("nobody", PASSWORD)):
        answer = send(guarded, "/ui/login", "/ui/login", name=name, password=password, next="")
        assert answer.status_code == 401
        assert password not in answer.text
        texts.append(answer.text.partition('role="alert"')[2].partition("</div>")[0])
    assert texts[0] == texts[1]
    assert COOKIE not in guarded.cookies


def test_signing_out_ends_the_session_everywhere(guarded: TestClient) -> None:
    send(guarded, "/ui/login", "/ui/login", name="ada", password=PASSWORD, next="")
    stolen = guarded.cookies[COOKIE]
    answer = send(guarded, "/ui", "/ui/logout")
    assert answer.headers["location"] == "/ui/login?done=signed-out"
    assert "You are signed out." in guarded.get(answer.headers["location"]).text
    guarded.cookies.set(COOKIE, stolen)
    assert guarded.get("/ui").status_code == 303


def test_a_form_of_before_the_login_is_worth_nothing_after_it(guarded: TestClient) -> None:
    html = guarded.get("/ui/login").text
    token = html.partition('name="csrf" value="')[2].partition('"')[0]
    send(guarded, "/ui/login", "/ui/login", name="ada", password=PASSWORD, next="")
    assert guarded.post("/ui/logout", data={"csrf": token}).status_code == 403


def test_the_form_cookie_is_strict(guarded: TestClient) -> None:
    given = guarded.get("/ui/login").headers["set-cookie"]
    assert given.startswith(csrf.COOKIE)
    assert "HttpOnly" in given
    assert "samesite=strict" in given.lower()


@pytest.mark.parametrize(
    ("address", "leads"),
    [
        ("/ui", "/ui"), ("/ui/runs?state=failed#x", "/ui/runs?state=failed"), ("", "/ui"), ("/", "/ui"),
        ("https://evil.example/ui", "/ui"), ("//evil.example/ui", "/ui"), ("/\\evil.example", "/ui"),
        ("/uievil", "/ui"), ("javascript:alert(1)", "/ui"), ("/api/v1/me", "/ui"), ("http://[", "/ui"),
        ("/ui/../in/x", "/ui"), ("/ui//evil.example", "/ui//evil.example"),
    ],
)  # fmt: skip
def test_nobody_is_sent_out_of_the_dashboard(address: str, leads: str) -> None:
    assert inside(address) == leads
