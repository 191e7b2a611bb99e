"""Routes, silences and inhibitions in the dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hub.store import Store
from hub.types import Scope
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import send
from tests.unit.web.ui.seed import Seed

from hub_notifications import groups
from hub_notifications.muting import silence_state

NEW = "/ui/routes/new"
TYPED = {
    "name": "night", "match": 'labels.flow == "nightly"', "channels": "on-call-mail, tag:people", "group_by": "flow",
    "group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h", "enabled": "true", "repeat_steps": "1",
    "quiet.1.from": "22:00", "quiet.1.to": "07:00", "quiet.1.timezone": "Europe/Berlin",
    "steps.0.after": "15m", "steps.0.channels": "tag:on-call",
}  # fmt: skip


def routes(store: Store) -> dict[str, dict[str, Any]]:
    with store.read() as tx:
        return {row["name"]: row for row in groups.list_routes(tx, Scope())}


def silences(store: Store) -> dict[str, str]:
    with store.read() as tx:
        rows = groups.list_silences(tx, Scope(), ended=True)
        return {row["comment"]: silence_state(row, tx.now) for row in rows}


def test_a_route_is_made_changed_moved_and_deleted(browser: TestClient, seed: Seed, store: Store) -> None:
    made = send(browser, NEW, NEW, **TYPED)
    assert made.headers["location"] == "/ui/routes?done=route-set", made.text
    row = routes(store)["night"]
    spec = row["spec"]
    assert (spec["channels"], spec["group_interval_s"], spec["send_resolved"]) == (
        ["on-call-mail", "tag:people"],
        300,
        False,
    )
    assert [hours["timezone"] for hours in spec["quiet"]] == ["Europe/Berlin"]
    assert [(step["after_s"], step["hours"]) for step in spec["steps"]] == [(900, None)]
    assert list(routes(store)) == ["platform", "old-team", "night", "default"]
    for to, order in (("up", ["platform", "night", "old-team"]), ("down", ["platform", "old-team", "night"])):
        page = f"/ui/routes/{row['id']}"
        html = browser.get("/ui/routes").text
        form = next(one for one in html.split("<form")[1:] if f"{page}/move" in one and f'value="{to}"' in one)
        hidden = dict(re.findall(r'name="(csrf|command_id|to)" value="([^"]*)"', form))
        assert browser.post(f"{page}/move", data=hidden).status_code == 303
        assert list(routes(store))[:3] == order
    edit = f"{page}/edit"
    for name in ("quiet.0.from", "steps.0.after"):
        assert f'id="field-{name}"' in browser.get(edit).text
    as_it_is = {**TYPED, "quiet.0.from": "", "quiet.1.from": "", "quiet.1.to": "", "quiet.1.timezone": ""}
    assert send(browser, edit, edit, **as_it_is, send_resolved="true").status_code == 303
    assert routes(store)["night"]["spec"]["quiet"] == []
    assert send(browser, f"{page}/delete", f"{page}/delete").status_code == 303
    assert "night" not in routes(store)


def test_what_is_wrong_with_a_route_stands_at_its_field(browser: TestClient, seed: Seed, store: Store) -> None:
    for wrong, place in (
        ({"name": "platform"}, "name"), ({"name": "A b"}, "name"), ({"match": "labels.flow =="}, "match"),
        ({"group_wait": "soon"}, "group_wait"), ({"group_interval": "0s"}, "group_interval"),
        ({"channels": "nobody"}, "channels"), ({"steps.0.channels": "tag:none"}, "steps.0.channels"),
        ({"steps.0.after": "1s"}, "steps.0.after"), ({"quiet.1.to": "25:00"}, "quiet.0.to"),
        ({"quiet.1.to": "22:00"}, "quiet.0.from"), ({"quiet.1.timezone": "Mars"}, "quiet.0.timezone"),
        ({"steps.0.days": "someday", "steps.0.from": "1:00", "steps.0.to": "2:00"}, "steps.0.days"),
        ({"repeat_steps": "9"}, "repeat_steps"),
    ):  # fmt: skip
        answer = send(browser, NEW, NEW, **{**TYPED, **wrong})
        assert answer.status_code == 422, wrong
        assert f'id="field-{place}-error"' in answer.text, (wrong, place)
        assert "Europe/Berlin" in answer.text or "timezone" in str(wrong), "what was typed stays"
    more = send(browser, NEW, NEW, **TYPED, more="quiet")
    assert 'id="field-quiet.1.from"' in more.text
    assert "night" not in routes(store)


def test_the_default_route_is_changed_and_set_back_but_never_removed(
    browser: TestClient, seed: Seed, store: Store
) -> None:
    default = routes(store)["default"]["id"]
    assert f"/ui/routes/{default}/delete" not in browser.get("/ui/routes").text
    edit = f"/ui/routes/{default}/edit"
    assert 'name="match"' not in browser.get(edit).text
    assert send(browser, edit, edit, **{**TYPED, "match": "", "enabled": ""}).status_code == 303
    assert routes(store)["default"]["spec"]["group_by"] == ["flow"]
    delete = f"/ui/routes/{default}/delete"
    assert delete in browser.get("/ui/routes").text
    assert send(browser, delete, delete).status_code == 303
    assert routes(store)["default"]["spec"]["group_by"] == ["about"]
    assert send(browser, delete, delete).status_code == 409


def test_who_would_get_it_is_asked_without_sending(browser: TestClient, seed: Seed) -> None:
    html = browser.get("/ui/routes/test?kind=run-failed&severity=error&labels=team%3Dplatform").text
    assert "<strong>platform</strong>: on-call-mail" in html
    assert "<strong>default</strong>: on-call-mail" in html, "platform asks on"
    html = browser.get(f"/ui/routes/test?alert={seed.ids['alert-acknowledged']}").text
    assert "The lab moves to another floor" in html
    for wrong, place in (("labels=team&kind=x", "labels"), ("alert=none", "alert")):
        answer = browser.get(f"/ui/routes/test?{wrong}")
        assert answer.status_code in (404, 422)
        assert f'id="field-{place}-error"' in answer.text


def test_a_silence_begins_with_the_matchers_of_its_alert_and_is_ended(
    browser: TestClient, seed: Seed, store: Store
) -> None:
    alert = f"/ui/alerts/{seed.ids['alert']}"
    page = f"/ui/silences/new?alert={seed.ids['alert']}"
    assert page in browser.get(alert).text
    html = browser.get(page).text
    assert "labels.about == &#34;github_ci/github-ci&#34; &amp;&amp; labels.kind == &#34;run-failed&#34;" in html
    match = 'labels.about == "github_ci/github-ci" && labels.kind == "run-failed"'
    new = "/ui/silences/new"
    typed = {"match": match, "comment": "known", "ends": "2h", "alert": seed.ids["alert"]}
    for wrong, place in (
        ({"ends": "later"}, "ends"), ({"ends": ""}, "ends"), ({"match": "a =="}, "match"), ({"comment": ""}, "comment")
    ):  # fmt: skip
        assert f'id="field-{place}-error"' in send(browser, page, new, **{**typed, **wrong}).text, wrong
    assert send(browser, page, new, **typed).headers["location"] == f"{alert}?done=silenced"
    assert silences(store)["known"] == "active"
    html = browser.get("/ui/silences").text
    assert "1 alert" in html.partition("known")[2]
    end = re.findall(r'action="(/ui/silences/[^"]*/end)"', html)[0]
    assert send(browser, "/ui/silences", end).status_code == 303
    assert silences(store)["known"] == "ended"
    assert "known" in browser.get("/ui/silences?state=ended").text
    assert "known" not in browser.get("/ui/silences").text


def test_a_maintenance_window_comes_again(browser: TestClient, store: Store) -> None:
    page, new = "/ui/silences/new?kind=window", "/ui/silences/new"
    typed = {"kind": "window", "match": "true", "comment": "updates", "cron": "0 2 29 2 *", "duration": "2h"}
    for wrong, place in (
        ({"cron": "often"}, "cron"),
        ({"duration": "1s"}, "duration"),
        ({"timezone": "Mars"}, "timezone"),
    ):
        assert f'id="field-{place}-error"' in send(browser, page, new, **{**typed, **wrong}).text, wrong
    assert send(browser, page, new, **typed).status_code == 303
    assert silences(store) == {"updates": "planned"}


def test_an_inhibition_is_made_changed_and_deleted(browser: TestClient, store: Store) -> None:
    new = "/ui/inhibitions/new"
    typed = {"name": "why", "source": "true", "target": "false", "equal": "source, site"}
    assert 'id="field-source-error"' in send(browser, new, new, **{**typed, "source": "a =="}).text
    assert send(browser, new, new, **typed).status_code == 303
    page = f"{new}?name=why"
    assert page in browser.get("/ui/inhibitions").text
    assert send(browser, page, new, **{**typed, "equal": ""}, there="yes").status_code == 303
    with store.read() as tx:
        (row,) = groups.inhibitions_of(tx, Scope().workspace_id)
    assert row["equal"] == []
    delete = f"/ui/inhibitions/{row['id']}/delete"
    assert send(browser, delete, delete).status_code == 303
    assert "No inhibitions" in browser.get("/ui/inhibitions").text


def test_who_may_only_look_changes_no_route_and_no_silence(seed: Seed, browser_of: Callable[[str], TestClient]) -> None:
    viewer, operator = browser_of("viewer"), browser_of("operator")
    for page in ("/ui/routes", "/ui/silences", "/ui/inhibitions", "/ui/routes/test"):
        answer = viewer.get(page)
        assert answer.status_code == 200
        assert 'method="post"' not in answer.text.partition("<main")[2], page
    route = f"/ui/routes/{seed.ids['route']}"
    for page in (NEW, f"{route}/edit", f"{route}/delete", "/ui/silences/new", "/ui/inhibitions/new"):
        assert viewer.get(page).status_code == 403, page
    assert viewer.post(f"{route}/move", data={}).status_code == 403
    assert viewer.post(f"/ui/silences/{seed.ids['silence']}/end", data={}).status_code == 403
    assert operator.get("/ui/silences/new").status_code == 200
    assert operator.get(NEW).status_code == 403
