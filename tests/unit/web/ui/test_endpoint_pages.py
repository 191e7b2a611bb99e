"""Endpoints by forms: keys are shown once, addresses never, and a viewer only looks."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hub.store import endpoints, outgoing
from hub.types import Scope, new_id
from sqlalchemy import Engine, event
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import send
from tests.unit.web.ui.seed import Seed

NEW = "/ui/endpoints/new"
TYPED = {"name": "books", "url": "https://books.example.com/in?token=hidden", "sign": "both"}


def fields(html: str, action: str) -> dict[str, str]:
    """The hidden fields of a form."""
    form = html.partition(f'method="post" action="{action}"')[2].partition("</form>")[0]
    return dict(re.findall(r'name="(csrf|command_id)" value="([^"]*)"', form))


def test_keys_are_shown_once_and_the_address_never(browser: TestClient, seed: Seed) -> None:
    hidden = fields(browser.get(NEW).text, NEW)
    first, again = (browser.post(NEW, data={**hidden, **TYPED}) for _ in range(2))
    assert first.headers["cache-control"] == "no-store"
    keys = re.findall(r"wh[sp]k?e?c?_[A-Za-z0-9+/=]{20,}", first.text)
    assert len(keys) == 2, "a secret and a public key"
    assert "This was done already." in again.text
    with seed.store.read() as tx:
        made = endpoints.get(tx, Scope(), "books")
    detail = browser.get(f"/ui/endpoints/{made['id']}").text
    secret, public = (next(key for key in keys if key.startswith(kind)) for kind in ("whsec_", "whpk_"))
    assert secret not in again.text + detail
    assert public in detail.replace("&#43;", "+")
    assert "token=" not in detail + first.text + again.text


@pytest.mark.parametrize(
    ("action", "typed", "field", "says"),
    [
        ("new", TYPED | {"name": "two words"}, "name", "should match pattern"),
        ("new", TYPED | {"name": "partner"}, "name", "there is an endpoint named"),
        ("new", TYPED | {"url": "file:///etc/passwd"}, "url", "the address cannot be called"),
        ("new", TYPED | {"secret": "short"}, "secret", "the secret is malformed"),
        ("new", TYPED | {"sign": "v9"}, "sign", "v1"),
        ("{endpoint}/edit", {"url": ""}, "url", "at least 1"),
        ("{endpoint}/rotate", {"overlap_s": "99d"}, "overlap_s", "less than or equal to 2592000"),
        ("{endpoint}/send", {"type": "no blanks", "data": "1"}, "type", "should match pattern"),
        ("{endpoint}/send", {"type": "a", "data": "NaN"}, "data", "not JSON"),
    ],
)
def test_a_fault_is_told_at_its_field_and_nothing_is_done(
    browser: TestClient, seed: Seed, action: str, typed: dict[str, str], field: str, says: str
) -> None:
    page = f"/ui/endpoints/{action.format(**seed.ids)}"
    answer = send(browser, page, page, **typed)
    assert answer.status_code in (409, 422)
    told = answer.text.partition(f'id="field-{field}-error">')[2].partition("</p>")[0]
    assert says in told.replace("&#39;", "'"), answer.text.partition('role="alert"')[2][:400]
    assert "token=" not in answer.text
    with seed.store.read() as tx:
        assert len(endpoints.listing(tx, Scope()).items) == 3
        assert len(outgoing.listing(tx, Scope()).items) == 9


def test_a_disabled_endpoint_is_not_sent_to_again(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/endpoints/{seed.ids['gone']}/resend"
    assert "switch it on first" in browser.get(page).text
    page = f"/ui/endpoints/{seed.ids['endpoint']}/resend"
    html = browser.get(page).text
    data = fields(html, page) | {"status": "failed", "at": "0"}
    answer = browser.post(f"/ui/endpoints/{seed.ids['gone']}/resend", data=data)
    assert answer.status_code == 403
    assert "is disabled" in answer.text


def test_a_viewer_sees_endpoints_and_changes_nothing(seed: Seed, browser_of: Callable[[str], TestClient]) -> None:
    viewer = browser_of("viewer")
    one, message = f"/ui/endpoints/{seed.ids['endpoint']}", f"/ui/outgoing/{seed.ids['message-failed']}"
    for page in ("/ui/endpoints", one, "/ui/outgoing", message):
        html = viewer.get(page).text
        assert html.count("<form") == html.count('action="/ui/theme"') + html.count('action="/ui/logout"'), page
    for page in (NEW, f"{one}/edit", f"{one}/rotate", f"{one}/send", f"{one}/resend", f"{one}/delete"):
        assert viewer.get(page).status_code == 403
        assert viewer.post(page, data={}).status_code == 403
    for action in (f"{one}/test", f"{one}/switch", f"{message}/resend"):
        assert viewer.post(action, data={}).status_code == 403


@pytest.mark.parametrize("address", ["/ui/endpoints/{}", "/ui/endpoints/{}/edit", "/ui/outgoing/{}"])
def test_what_is_not_there_answers_404(browser: TestClient, address: str) -> None:
    for name in (new_id(), "no-id", "%00"):
        assert browser.get(address.format(name)).status_code == 404


def test_a_list_asks_no_more_for_more_endpoints(browser: TestClient, seed: Seed) -> None:
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        browser.get("/ui/endpoints")
        few = len(asked)
        for number in range(20):
            send(browser, NEW, NEW, **TYPED | {"name": f"more-{number}"})
        asked.clear()
        assert browser.get("/ui/endpoints").text.count("more-") >= 20
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(asked) == few
