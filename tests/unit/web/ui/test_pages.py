from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hub.store import Store
from hub.store.tables import RunRow
from hub.types import new_id
from starlette.testclient import TestClient
from tests.unit.web.ui.addresses import LISTS, PAGES
from tests.unit.web.ui.conftest import Shown, send
from tests.unit.web.ui.seed import Seed

VOID = {"meta", "link", "input", "br", "path", "rect", "line", "circle", "hr", "img"}


class Outline(HTMLParser):
    """Checks nesting, and keeps what a page promises: headings, labels, ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.scripts: list[dict[str, str | None]] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append(tag)
        if tag == "label" and given.get("for"):
            self.labelled.add(str(given["for"]))
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.fields.append(given)
        if tag == "script":
            self.scripts.append(given)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if given.get("href", "").startswith("javascript:"):  # type: ignore[union-attr]
            self.inline.append("href")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_well_formed_and_labelled(shown: Shown, name: str) -> None:
    answer = shown.browser.get(PAGES[name].format(**shown.ids))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    outline = Outline(answer.text)
    assert outline.open == []
    assert outline.headings.count("h1") == 1
    assert outline.headings[0] == "h1"
    assert len(outline.ids) == len(set(outline.ids)), "an id is given twice"
    assert outline.inline == [], "the content security policy refuses inline styles and handlers"
    assert all(script.get("src") for script in outline.scripts)
    for field in outline.fields:
        inside_label = field.get("type") == "checkbox" and field.get("id") == "log-tail"
        assert inside_label or field.get("id") in outline.labelled, field


def test_flow_control_is_shown_where_it_is_set(shown: Shown) -> None:
    deployment = shown.browser.get(PAGES["a deployment"].format(**shown.ids)).text
    assert "Flow control" in deployment
    assert "&#39;&lt;main&gt;&#39;" in deployment
    assert "body.ref" in shown.browser.get(PAGES["an automation"].format(**shown.ids)).text.partition("Flow control")[2]


def test_lists_of_an_empty_hub_say_what_to_type_next(browser: TestClient) -> None:
    for name in LISTS:
        html = browser.get(PAGES[name]).text
        assert 'class="empty"' in html, name
        assert "<code" in html.partition('class="empty"')[2], name
        assert "hub " in html.partition("<code")[2], name


def test_an_unknown_address_is_a_page_with_the_menu(browser: TestClient) -> None:
    answer = browser.get("/ui/nothing/here")
    assert answer.status_code == 404
    assert "there is no page /ui/nothing/here" in answer.text
    assert 'aria-label="Sections"' in answer.text


@pytest.mark.parametrize("address", ["/ui/runs/{}", "/ui/receipts/{}", "/ui/events/{}", "/ui/deployments/{}/run"])
def test_what_is_not_there_answers_404(browser: TestClient, address: str) -> None:
    for name in (new_id(), "no-id", "..%2f", "%00"):
        assert browser.get(address.format(name)).status_code == 404


def test_what_belongs_to_another_workspace_is_not_there(browser: TestClient, store: Store) -> None:
    foreign = Seed(store).add(RunRow, workspace_id=new_id(), name="theirs", state_type="RUNNING", state_name="Running")
    assert browser.get(f"/ui/runs/{foreign}").status_code == 404
    assert browser.get(f"/ui/runs/{foreign}/logs").status_code == 404
    assert "theirs" not in browser.get("/ui/runs").text


def test_a_wrong_host_answers_421_as_a_page(browser: TestClient) -> None:
    answer = browser.get("/ui", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert "text/html" in answer.headers["content-type"]


def test_a_wrong_cursor_is_told_not_a_crash(shown: Shown) -> None:
    answer = shown.browser.get("/ui/runs?cursor=%F0%9F%92%A9")
    assert answer.status_code == 422
    assert "cursor" in answer.text


def test_pages_follow_the_cursor_without_gaps(shown: Shown) -> None:
    seen: list[str] = []
    address: str | None = "/ui/runs"
    while address:
        html = shown.browser.get(address).text
        seen += [part.partition('"')[0] for part in html.split('data-label="Run" class="main-cell"><div><a href="')[1:]]
        _, found, rest = html.partition('rel="next" href="')
        address = rest.partition('"')[0].replace("&amp;", "&") if found else None
    assert len(seen) == len(set(seen)) == 143


def test_a_filter_of_two_states_is_one_list_in_order(shown: Shown) -> None:
    html = shown.browser.get("/ui/runs?state=failed").text
    assert "state-completed" not in html
    assert "state-failed" in html
    assert "state-crashed" in html


def test_nobody_is_sent_to_the_login_and_back(store: Store, browser_of: Callable[[str], TestClient]) -> None:
    nobody = browser_of("viewer")
    nobody.cookies.clear()
    answer = nobody.get("/ui/runs?state=failed")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/ui/login?next=%2Fui%2Fruns%3Fstate%3Dfailed"
    assert nobody.get("/ui/runs", headers={"x-hub-fragment": "1"}).status_code == 401


def test_a_viewer_sees_no_buttons_and_is_refused_behind_them(
    seed: Seed, browser_of: Callable[[str], TestClient]
) -> None:
    viewer, owner = browser_of("viewer"), browser_of("owner")
    page, action = f"/ui/runs/{seed.ids['running']}", f"/ui/runs/{seed.ids['running']}/cancel"
    assert action not in viewer.get(page).text
    assert action in owner.get(page).text
    answer = viewer.get(action)
    assert answer.status_code == 403
    assert "runs:write" in answer.text
    assert viewer.post(action, data={}).status_code == 403
    assert viewer.get("/ui/channels").status_code == 200
    assert viewer.get("/ui/channels/new").status_code == 403


def test_a_form_without_its_token_does_nothing(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/runs/{seed.ids['running']}"
    for data in ({}, {"csrf": "wrong"}):
        answer = browser.post(f"{page}/cancel", data=data)
        assert answer.status_code == 403
        assert "did not come from this dashboard" in answer.text
    assert "state-running" in browser.get(page).text


def test_a_form_of_another_site_does_nothing(browser: TestClient, seed: Seed) -> None:
    answer = browser.post(f"/ui/runs/{seed.ids['running']}/cancel", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


def test_a_run_is_cancelled_once_however_often_the_form_is_sent(browser: TestClient, seed: Seed) -> None:
    page = f"/ui/runs/{seed.ids['waiting']}"
    first = send(browser, f"{page}/cancel", f"{page}/cancel")
    assert (first.status_code, first.headers["location"]) == (303, f"{page}?done=cancelled")
    html = browser.get(first.headers["location"]).text
    assert "state-cancelled" in html
    assert "The run was told to stop." in html
    again = send(browser, f"{page}/cancel", f"{page}/cancel")
    assert again.status_code == 409


def test_the_way_back_to_the_request_is_linked(shown: Shown) -> None:
    html = shown.browser.get(f"/ui/runs/{shown.ids['failed']}").text
    for name, noun in (("automation", "automations"), ("event", "events"), ("receipt-accepted", "receipts")):
        assert f'href="/ui/{noun}/{shown.ids[name]}"' in html


def test_a_run_says_what_of_it_is_undone(shown: Shown) -> None:
    html = shown.browser.get(f"/ui/runs/{shown.ids['failed']}").text
    assert "rollback failed: 1 of 3 steps: lease_runner-0: OSError: the API of the cloud answered 503" in html
    assert html.index("lease_runner-0</strong>") < html.index("create_database-0</strong>")
    assert "Undone" in html
    assert 'id="undone"' not in shown.browser.get(f"/ui/runs/{shown.ids['waiting']}").text


def test_a_trigger_with_parts_is_told_in_words(shown: Shown) -> None:
    listed = shown.browser.get("/ui/automations").text
    assert "stripe.charge.succeeded, then (any of (shippo.sent, dhl.sent), post.*)" in listed
    html = shown.browser.get(f"/ui/automations/{shown.ids['sequence']}").text
    assert "stripe.charge.succeeded that match body.amount &gt; 100" in html
    assert "86400 s" in html


def test_a_waiting_run_says_why(shown: Shown) -> None:
    html = shown.browser.get(f"/ui/runs/{shown.ids['waiting']}").text
    assert "Why it waits" in html
    assert "queue heavy" in html


def test_a_run_page_draws_what_used_what_coloured_by_state(shown: Shown) -> None:
    text = shown.browser.get("/ui/runs/{failed}".format(**shown.ids)).text
    drawing = text[text.index('class="hub-graph"') : text.index("</svg>", text.index('class="hub-graph"'))]
    assert drawing.count('class="edge"') == 8
    assert drawing.count("node state-completed") == 5
    assert "node state-failed" in drawing
    assert "<style" not in drawing, "the page's own policy would refuse it"


def test_the_exact_bytes_come_as_a_file(shown: Shown) -> None:
    answer = shown.browser.get(f"/ui/receipts/{shown.ids['receipt-binary']}/body")
    assert answer.content == bytes(range(256)) * 300
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_log_lines_follow_a_point_and_a_level(shown: Shown) -> None:
    page = f"/ui/runs/{shown.ids['failed']}/logs"
    whole = shown.browser.get(f"{page}?level=0&after=0").text
    assert whole.count("<li ") == 6
    last = whole.partition('data-after="')[2].partition('"')[0]
    assert shown.browser.get(f"{page}?level=0&after={last}").text.count("<li ") == 0
    assert shown.browser.get(f"{page}?level=30&after=0").text.count("<li ") == 2
    assert shown.browser.get(f"{page}?level=x&after=x").text.count("<li ") == 6


def test_colours_are_kept_and_lead_back_inside_only(browser: TestClient) -> None:
    answer = send(browser, "/ui/runs", "/ui/theme", theme="dark", back="https://evil.example/")
    assert answer.headers["location"] == "/ui"
    assert 'data-theme="dark"' in browser.get("/ui").text


def test_static_files_are_kept_for_ever_under_their_digest_only(browser: TestClient) -> None:
    address = browser.get("/ui").text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    fixed, loose = browser.get(address), browser.get("/ui/static/hub.css")
    assert "immutable" in fixed.headers["cache-control"]
    assert loose.headers["cache-control"] == "no-cache"
    assert browser.get(address, headers={"if-none-match": fixed.headers["etag"]}).status_code == 304
    assert browser.get("/ui/static/../view.py").status_code == 404


def test_every_page_has_a_strict_policy(browser: TestClient) -> None:
    policy = browser.get("/ui").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_run_whose_tasks_are_with_other_runs_says_so(store: Store, browser: TestClient) -> None:
    seed = Seed(store)
    done = {"state_type": "COMPLETED", "state_name": "Completed", "ended_at": seed.now}
    run = seed.add(RunRow, name="words-1", flow_name="words", **done)
    assert "This run called no tasks." in browser.get(f"/ui/runs/{run}").text
    seed.add(RunRow, name="count-0 to count-3", flow_name="words", parent_run_id=run, **done)
    assert "No task of its own; those of the runs below are with them." in browser.get(f"/ui/runs/{run}").text


def test_an_automation_at_set_times_says_when_and_is_tried_ahead(shown: Shown) -> None:
    page = f"/ui/automations/{shown.ids['timed']}"
    detail = shown.browser.get(page).text
    assert "at 0 9 * * 1-5 (Europe/Berlin)" in detail
    assert "Set state: =event.subject to FAILED" in detail
    assert "That match" not in detail
    tried = shown.browser.get(f"{page}/test?last=3").text
    assert "3 would have fired" in tried
    assert "next set times" in tried


def test_a_source_says_whether_it_was_confirmed_and_why_not(shown: Shown) -> None:
    page = shown.browser.get(f"/ui/sources/{shown.ids['open']}").text
    assert "Confirmed" in page
    assert "the answer was 403" in page
    assert "Open again" in page
