"""Sources are held, limited, given secrets and deleted by forms, as by the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.store import Store, sources
from hub.types import Scope
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import Shown, send
from tests.unit.web.ui.seed import Seed

pytestmark = pytest.mark.usefixtures("every_plugin")

FORM = {
    "max_body": "1048576", "rate_per_minute": "6000", "keep_s": "30d", "alert_after_s": "off", "redact": "",
    "mode": "enforce", "verify": "preset", "option.unique_body": "preset",
}  # fmt: skip


def row(store: Store, name: str = "github-main") -> dict[str, Any]:
    with store.read() as tx:
        return sources.row(tx, Scope(), name)


def test_limits_are_changed_where_they_differ(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/sources/{seed.ids['github']}/edit"
    before = row(seed.store)
    typed = FORM | {
        "keep_s": "12h",
        "alert_after_s": "2h",
        "redact": " header:X-Name\r\njson:pusher.email ",
        "max_body": "5",
    }
    assert send(browser, page, page, **typed).headers["location"].endswith("done=source-updated")
    after = row(seed.store)
    assert {name for name in after if after[name] != before[name]} == {
        "keep_s", "alert_after_s", "redact", "max_body", "heard_at", "updated_at",
    }  # fmt: skip
    assert (after["keep_s"], after["alert_after_s"], after["max_body"]) == (43_200, 7200, 5)
    assert after["redact"] == ["header:X-Name", "json:pusher.email"]
    assert send(browser, page, page, **typed).status_code == 303
    assert row(seed.store)["updated_at"] == after["updated_at"], "what does not differ is no change"


def test_a_proposal_is_dismissed_and_taken_back_by_forms(browser: TestClient, seed: Seed) -> None:
    source = f"/ui/sources/{seed.ids['orders']}"
    page = f"{source}/catalog/proposals"
    proposal = {"kind": "schema", "about": "order.paid", "back": page}
    assert "Accept in place of it for order.paid" in browser.get(page).text
    assert send(browser, page, f"{source}/dismiss", **proposal).headers["location"] == f"{page}?done=dismissed"
    shown = browser.get(page).text
    assert "Accept in place of it for order.paid" not in shown
    assert "Propose order.paid again" in shown
    assert send(browser, page, f"{source}/reconsider", **proposal).headers["location"] == f"{page}?done=reconsidered"
    assert "Accept in place of it for order.paid" in browser.get(page).text
    away = {**proposal, "back": "//elsewhere.example/x"}
    assert send(browser, page, f"{source}/dismiss", **away).headers["location"].startswith("/ui")


def test_everything_else_is_set_and_taken_back(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/sources/{seed.ids['github']}/edit"
    before = row(seed.store)
    answer = {"answer": "own", "answer_status": "201", "answer_type": "text/plain", "answer_text": "thanks, {receipt}"}
    more = {"allow_from": "192.0.2.7\r\n 2001:db8::/32", "order_by": "body.repository.id", "keep_bytes": "5000"}
    assert send(browser, page, page, **FORM, **answer, **more).status_code == 303
    after = row(seed.store)
    assert after["answer"] == {"status": 201, "type": "text/plain", "text": "thanks, {receipt}"}
    assert after["allow_from"] == ["192.0.2.7", "2001:db8::/32"]
    assert (after["order_by"], after["keep_bytes"]) == ("body.repository.id", 5000)
    none = {"answer": "preset", "allow_from": "", "order_by": "", "keep_bytes": "0"}
    assert send(browser, page, page, **FORM, **none).status_code == 303
    assert {name for name, value in row(seed.store).items() if value != before[name]} == {"updated_at"}


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"answer_status": "404"}, "answer_status", "less than or equal to 299"),
        ({"answer_status": "soon"}, "answer_status", "valid integer"),
        ({"answer_text": "no JSON"}, "answer_text", "the text is not JSON, as its type says"),
        ({"answer_status": "204", "answer_text": "{}"}, "answer_text", "an answer with status 204 cannot hold a text"),
        ({"answer_type": "text/html"}, "answer_type", "text/plain"),
    ],
)
def test_a_wrong_answer_is_told_at_its_field(
    browser: TestClient, seed: Seed, typed: dict[str, str], field: str, says: str
) -> None:
    page = f"/ui/sources/{seed.ids['github']}/edit"
    given = {"answer": "own", "answer_status": "200", "answer_type": "application/json", "answer_text": "{}"}
    answer = send(browser, page, page, **FORM, **given | typed)
    assert answer.status_code == 422
    told = answer.text.partition(f'id="field-{field}-error">')[2].partition("</p>")[0]
    assert says in told.replace("&#39;", "'"), answer.text.partition('role="alert"')[2][:600]
    assert row(seed.store)["answer"] is None


def test_an_order_says_what_each_key_waits_for(shown: Shown) -> None:
    html = shown.browser.get(f"/ui/sources/{shown.ids['orders']}/order").text
    ada = html.partition("<code>Ada</code>")[2].partition("</tr>")[0]
    assert f"/ui/runs/{shown.ids['running']}" in ada
    assert "The next one goes on when it has ended." in ada
    assert (
        "It has ended: the next one goes on in a moment." in html.partition("Grace &lt;b&gt;")[2].partition("</tr>")[0]
    )
    assert "There is no deployment" in html
    assert (
        "hub webhooks update github-main --order-by"
        in shown.browser.get(f"/ui/sources/{shown.ids['github']}/order").text
    )


def test_options_of_the_preset_are_kept_without_its_defaults(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/sources/{seed.ids['open']}/edit"
    fields = re.findall(r'name="(option\.[a-z_]+)"', browser.get(page).text)
    assert {"option.header", "option.hash", "option.unique_body"} <= set(fields)
    typed = FORM | {"verify": "none", "option.header": "X-Mine", "option.hash": "sha512"}
    assert send(browser, page, page, **typed).status_code == 303
    assert row(seed.store, "lab-sensor")["options"] == {"header": "X-Mine", "hash": "sha512"}


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("max_body", "many", "whole number of bytes"),
        ("max_body", "-1", "whole number"),
        ("max_body", "0", "greater than or equal to 1"),
        ("max_body", "99999999999", "less than or equal to 26214400"),
        ("rate_per_minute", "٣", "whole number of requests a minute"),
        ("keep_s", "soon", "no length of time"),
        ("keep_s", "5m", "greater than or equal to 3600"),
        ("alert_after_s", "5s", "60 s at least"),
        ("redact", "everything", "no place that can be redacted"),
        ("keep_bytes", "much", "whole number of bytes"),
        ("allow_from", "192.0.2.0/24\n192.0.2.300", "is no address or network"),
        ("order_by", "body..id", "body..id"),
        ("mode", "ignore", "&#39;enforce&#39; or &#39;observe&#39;"),
        ("option.unique_body", "perhaps", "must be one of"),
    ],
)
def test_a_wrong_limit_is_told_at_its_field_and_everything_typed_stays(
    browser: TestClient, seed: Seed, field: str, text: str, says: str
) -> None:
    page = f"/ui/sources/{seed.ids['github']}/edit"
    before = row(seed.store)
    answer = send(browser, page, page, **(FORM | {"rate_per_minute": "17", field: text}))
    assert answer.status_code == 422
    told = answer.text.partition(f'id="field-{field}-error">')[2].partition("</p>")[0]
    assert says in told, answer.text
    if field != "rate_per_minute":
        assert 'value="17"' in answer.text
    assert row(seed.store) == before


def test_a_source_is_paused_and_resumed_and_says_how_much_it_holds(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/sources/{seed.ids['github']}"
    send(browser, page, f"{page}/pause")
    for _ in range(2):
        made = browser.post("/api/v1/sources/github-main/trigger", json={}, headers={"origin": str(browser.base_url)})
        assert made.status_code == 200
    html = browser.get(page).text
    assert "2 requests held" in html
    assert "Resume: let 2 happen" in html
    assert "2 held" in browser.get("/ui/sources").text
    assert "Held back and never to happen: 2 requests." in browser.get(f"{page}/delete").text
    assert send(browser, page, f"{page}/resume").headers["location"].endswith("done=source-resumed")
    assert row(seed.store)["paused_at"] is None
    assert "held" not in browser.get(page).text


def test_a_deletion_says_first_what_goes(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/sources/{seed.ids['github']}"
    html = browser.get(f"{page}/delete").text
    assert "Forgotten with it: 1 secret." in html
    assert "but not to be replayed: 14 receipts." in html
    send(browser, f"{page}/delete", f"{page}/delete")
    assert browser.get(page).status_code == 404


def test_who_may_only_look_changes_nothing(browser_of: Callable[[str], TestClient], seed: Seed) -> None:
    viewer = browser_of("viewer")
    page = f"/ui/sources/{seed.ids['github']}"
    html = viewer.get(page).text
    for what in ("edit", "pause", "rotate", "delete"):
        assert f"{page}/{what}" not in html
    for path in (f"{page}/edit", "/ui/sources/new", "/ui/replays/new?verdict=accepted"):
        assert viewer.get(path).status_code == 403
    for path in (f"{page}/pause", f"{page}/secret", f"{page}/sample", "/ui/replays", "/ui/bookmarks/push-to-main/send"):
        assert viewer.post(path, data={}).status_code == 403
    setup = viewer.get(f"{page}/setup")
    assert setup.status_code == 200
    assert "/sample" not in setup.text
    receipt = viewer.get(f"/ui/receipts/{seed.ids['receipt-accepted']}").text
    assert "/replay" not in receipt
    assert "/bookmark" not in receipt.replace("/ui/bookmarks", "")


def test_a_secret_is_shown_once_even_when_the_form_is_sent_twice(browser: TestClient) -> None:
    page = "/ui/sources/new"
    html = browser.get(f"{page}?preset=github").text
    hidden = {name: html.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("csrf", "command_id")}
    first = browser.post(page, data={**hidden, "preset": "github", "name": "twice"})
    assert first.headers["cache-control"] == "no-store"
    token = re.search(r"/in/([\w-]{32})", first.text)
    secret = re.search(r"<h3>Secret</h3>.*?>([0-9a-f]{64})<", first.text, re.DOTALL)
    assert token
    assert secret
    again = browser.post(page, data={**hidden, "preset": "github", "name": "twice"})
    assert again.status_code == 200
    assert "The form was sent twice" in again.text
    assert token[1] not in again.text
    assert secret[1] not in again.text


def test_a_step_of_a_replay_that_is_sent_again_replays_nothing_twice(browser: TestClient, seed: Seed) -> None:
    page = "/ui/replays/new?source=github-main"
    html = browser.get(page).text
    form = html.partition('action="/ui/replays"')[2].partition("</form>")[0]
    hidden = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form))
    assert hidden["total"] == "10"
    for _ in range(2):
        answer = browser.post("/ui/replays", data=hidden)
        assert "10 requests of 10 happened again." in answer.text
    found = browser.get("/api/v1/receipts?replays=true&limit=200").json()["items"]
    assert len(found) == len({one["replay_of"] for one in found}) == 10


@pytest.mark.parametrize(
    "data",
    [{"request": "no-id"}, {}, {"request": "01a21b22-e23b-700d-83c8-776d6cad4a26"},
     {"request": "01a21b22-e23b-700d-83c8-776d6cad4a26", "source": "nobody"}],
)  # fmt: skip
def test_a_replay_of_nothing_in_particular_is_refused(browser: TestClient, seed: Seed, data: dict[str, str]) -> None:
    page = "/ui/replays/new?source=github-main"
    html = browser.get(page).text
    csrf = html.partition('name="csrf" value="')[2].partition('"')[0]
    answer = browser.post("/ui/replays", data={"csrf": csrf, "total": "99", **data})
    assert answer.status_code == 422
    assert "Begin again from the inbox" in answer.text
    assert browser.get("/api/v1/receipts?replays=true").json()["items"] == []


def test_a_source_of_messages_has_neither_an_address_nor_a_verification_to_choose(
    browser: TestClient, store: Store
) -> None:
    settings = {"kind": "rabbitmq", "fields": {"host": "127.0.0.1"}}
    apply(store, Command("connection.set", Scope(), "broker", {"name": "broker", **settings}))
    new = "/ui/sources/new"
    typed = {"preset": "rabbitmq", "name": "jobs", "connection": "nowhere", "option.queue": "jobs"}
    refused = send(browser, f"{new}?preset=rabbitmq", new, **typed)
    assert "nowhere" in refused.text.partition('id="field-connection-error">')[2].partition("</p>")[0]
    assert 'value="jobs"' in refused.text
    made = send(browser, f"{new}?preset=rabbitmq", new, **(typed | {"connection": "broker"}))
    assert "The source was created" in made.text
    assert "/in/" not in made.text
    assert "Copy" not in made.text
    assert "/sample" not in made.text
    page = f"/ui/sources/{row(store, 'jobs')['id']}"
    html = browser.get(f"{page}/edit").text
    assert 'name="verify"' not in html
    assert 'name="mode"' not in html
    limits = {"max_body": "4096", "rate_per_minute": "6000", "keep_s": "30d", "alert_after_s": "off", "redact": ""}
    options = {"option.queue": "jobs", "option.type": "json:type", "option.id": "header:message-id"}
    assert send(browser, f"{page}/edit", f"{page}/edit", **limits, **options).status_code == 303
    after = row(store, "jobs")
    assert (after["max_body"], after["options"], after["verify_none"]) == (4096, {"queue": "jobs"}, False)
