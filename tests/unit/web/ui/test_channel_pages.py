"""Channels in the dashboard: made of fields, tried, changed; and nobody sees an address again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.settings import Settings
from hub.store import Store
from hub.types import Scope
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import open_browser, send
from tests.unit.web.ui.seed import Seed

from hub_notifications import channels, forms
from hub_notifications.deliver import Deliverer

NEW = "/ui/channels/new"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PROGRAM = {
    "scheme": "hub+https", "name": "program", "fields.host": "alerts.example.com", "fields.path": "a b?/c",
    "fields.secret": SECRET,
}  # fmt: skip


def row(store: Store, name: str) -> dict[str, object]:
    with store.read() as tx:
        return channels.find(tx, Scope(), name)


def address(store: Store, name: str) -> str:
    found = row(store, name)
    return channels.open_address(store.keyring, found, str(found["id"]))


def test_a_channel_is_made_of_fields_whose_secrets_never_come_back(browser: TestClient, store: Store) -> None:
    page = f"{NEW}?scheme=hub%2Bhttps"
    form = browser.get(page).text
    assert '<input type="password" value="" id="field-fields.secret"' in form
    for wrong, place in (
        ({"fields.path": ""}, "fields.path"), ({"fields.port": "many"}, "fields.port"), ({"name": "No"}, "name"),
        ({"rate": "x"}, "rate"), ({"tags": "a, B"}, "tags"),
    ):  # fmt: skip
        answer = send(browser, page, NEW, **{**PROGRAM, **wrong})
        assert answer.status_code == 422
        assert f'id="field-{place}-error"' in answer.text, place
        assert "alerts.example.com" in answer.text, "what is no secret stays"
        assert SECRET not in answer.text
    made = send(browser, page, NEW, **PROGRAM, tags="on-call, people", rate="7")
    assert made.headers["location"].endswith("?done=channel-created")
    assert address(store, "program") == f"hub+https://alerts.example.com/a%20b%3F/c?secret={SECRET}"
    assert (row(store, "program")["tags"], row(store, "program")["rate"]) == (["on-call", "people"], 7)
    again = send(browser, page, NEW, **PROGRAM)
    assert again.status_code == 409
    assert "already a channel named" in again.text.partition('id="field-name-error"')[2]
    one = made.headers["location"].partition("?")[0]
    for address_ in (one, f"{one}/edit", f"{one}/address", "/ui/channels", "/ui/events"):
        html = browser.get(address_).text
        assert SECRET not in html
        assert "a%20b" not in html


def test_a_form_shows_what_belongs_together_and_where_a_part_is_missing(browser: TestClient) -> None:
    page = f"{NEW}?scheme=slack"
    assert "Token A and Token B and Token C" in browser.get(page).text
    typed = {"scheme": "slack", "name": "room", "fields.token_a": "T1JJ3T3L2", "fields.token_b": "A1BRTD4JD"}
    assert 'id="field-fields.token_c-error"' in send(browser, page, NEW, **typed).text
    assert "it looks like" in send(browser, page, NEW, **{**typed, "fields.token_a": "a/b"}).text


def test_every_service_has_a_form(browser: TestClient) -> None:
    for service in ("mailtos", "pagerduty", "workflows", "ntfys", "jsons", "gchat"):
        scheme = forms.find_scheme(service)
        html = browser.get(f"{NEW}?scheme={service}").text
        assert all(f'name="fields.{one.name}"' in html for one in scheme.fields), service
    assert browser.get(f"{NEW}?scheme=nothing").status_code == 404
    assert "Pager Duty" in browser.get(f"{NEW}?q=pager").text
    assert "Pager Duty" not in browser.get(f"{NEW}?q=discord").text


def test_the_dashboard_leads_no_channel_where_the_api_does_not(store: Store, tmp_path: Path) -> None:
    browser = open_browser(store, tmp_path, alerts_reach="fixed")
    given: dict[str, Any]
    for given in (
        {"scheme": "jsons", "fields": {"host": "example.com"}},
        {"scheme": "mailtos", "fields": {"host": "example.com"}},
        {"address": "slack+http://chat.example.com/hooks/x"},
    ):
        refused = browser.post("/api/v1/channels", json={"name": "x", **given}, headers={"accept": "application/json"})
        assert refused.status_code == 422
        typed = {f"fields.{name}": text for name, text in given.get("fields", {}).items()}
        typed |= {"name": "x", "scheme": given.get("scheme", "address"), "address": given.get("address", "")}
        answer = send(browser, f"{NEW}?scheme={typed['scheme']}", NEW, **typed)
        assert answer.status_code == 422
        assert refused.json()["detail"] in answer.text
    made = send(browser, f"{NEW}?scheme=hub%2Bhttps", NEW, **PROGRAM)
    page = made.headers["location"].partition("?")[0] + "/address"
    other = {"scheme": "address", "address": "slack+http://chat.example.com/hooks/x"}
    assert send(browser, page, page, **other).status_code == 422
    assert "alerts.example.com" in address(store, "program")
    assert "not allowed here" in browser.get(NEW).text


def test_without_a_plugin_its_pages_are_not_in_the_menu(store: Store, tmp_path: Path) -> None:
    html = open_browser(store, tmp_path, plugins="-notifications").get("/ui/runs").text
    assert "Endpoints</a>" in html
    assert "Channels</a>" not in html
    assert "Alerts out" not in html
    assert open_browser(store, tmp_path, plugins="-dashboard").get("/ui/channels").status_code == 404


def test_settings_are_tried_before_they_are_saved(browser: TestClient, seed: Seed, store: Store) -> None:
    page = f"/ui/channels/{seed.ids['mail']}/edit"
    wrong = {"tags": "", "rate": "1", "burst": "1", "title_template": "", "body_template": "a\n{{ alert.titel }}"}
    refused = send(browser, page, page, **wrong)
    assert "line 2" in refused.text.partition('id="field-body_template-error"')[2]
    assert "did you mean" in refused.text
    right = {**wrong, "body_template": "{{ alert.title }} <b> & so on"}
    shown = send(browser, page, page, **right, preview="yes", sample="more")
    assert "nightly failed &lt;b&gt; &amp; so on" in shown.text
    assert row(store, "on-call-mail")["body_template"] == ""
    assert send(browser, page, page, **right).headers["location"].endswith("?done=channel-updated")
    assert (row(store, "on-call-mail")["body_template"], row(store, "on-call-mail")["rate"]) == (
        right["body_template"],
        1,
    )
    assert "its own body" in browser.get(page.removesuffix("/edit")).text


def test_a_test_shows_how_it_went_and_what_was_given_up_goes_again(
    browser: TestClient, store: Store, seed: Seed, tmp_path: Path
) -> None:
    nowhere = {"scheme": "address", "name": "nowhere", "address": "json://127.0.0.1:1/"}
    page = send(browser, f"{NEW}?scheme=address", NEW, **nowhere).headers["location"].partition("?")[0]
    assert send(browser, page, f"{page}/test").headers["location"] == f"{page}?done=channel-tested"
    assert "Pending" in browser.get(page).text
    Deliverer(store, Settings(home=tmp_path)).step()
    html = browser.get(page).text
    assert "Failed, tried again" in html
    assert "127.0.0.1:1" not in html.partition("Last attempts")[2], "an error text holds nothing of the address"
    for action in ("disable", "enable"):
        assert send(browser, page, f"{page}/{action}").status_code == 303
    gone = send(browser, f"{page}/delete", f"{page}/delete")
    assert gone.headers["location"] == "/ui/channels?done=channel-deleted"
    dead = f"/ui/deliveries/{seed.ids['delivery-dead']}"
    assert send(browser, dead, f"{dead}/retry").headers["location"] == f"{dead}?done=delivery-again"
    assert "Attempt 2" in browser.get(dead).text
    assert f"{dead}/retry" not in browser.get(dead).text


def test_a_delivery_says_what_was_sent_without_links_that_act(browser: TestClient, seed: Seed) -> None:
    html = browser.get(f"/ui/deliveries/{seed.ids['delivery']}").text
    assert "attempt 3 of 3" in html, "the log lines of the message"
    assert "1 time" in html or "3 times" in html
    assert "/acknowledge/" not in html
    merged = browser.get(f"/ui/deliveries/{seed.ids['delivery-merged']}").text
    assert "Told in a digest" in merged
    assert ">a digest</a>" in merged


def test_an_alert_is_looked_after_opened_again_and_ended(
    seed: Seed, browser_of: Callable[[str], TestClient], store: Store
) -> None:
    operator, page = browser_of("operator"), f"/ui/alerts/{seed.ids['alert']}"
    assert send(operator, page, f"{page}/acknowledge", **{"for": "4h"}).status_code == 303
    html = operator.get(page).text
    assert "<strong>a operator</strong> looks after it" in html
    assert send(operator, page, f"{page}/unacknowledge").status_code == 303
    assert "looks after it, since" not in operator.get(page).text
    assert send(operator, page, f"{page}/acknowledge", **{"for": "soon"}).status_code == 422
    assert send(operator, f"{page}/resolve", f"{page}/resolve").status_code == 303
    html = operator.get(page).text
    assert "by a operator" in html
    assert f"{page}/resolve" not in html
    assert html.count("its run</a>") + html.count("github-ci-9c41aa</a>") >= 3


def test_who_may_only_look_sees_all_of_it_and_changes_nothing(
    seed: Seed, browser_of: Callable[[str], TestClient]
) -> None:
    viewer = browser_of("viewer")
    channel, alert = f"/ui/channels/{seed.ids['mail']}", f"/ui/alerts/{seed.ids['alert']}"
    dead = f"/ui/deliveries/{seed.ids['delivery-dead']}"
    for page in (channel, alert, dead, "/ui/channels", "/ui/alerts", "/ui/deliveries"):
        answer = viewer.get(page)
        assert answer.status_code == 200
        main = answer.text.partition("<main")[2]
        assert 'method="post"' not in main, page
        assert "/delete" not in main
    for page in (NEW, f"{channel}/edit", f"{channel}/address", f"{channel}/delete", f"{alert}/resolve"):
        assert viewer.get(page).status_code == 403
    for action in (f"{channel}/test", f"{dead}/retry", f"{alert}/acknowledge"):
        assert viewer.post(action, data={}).status_code == 403
