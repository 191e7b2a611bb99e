"""Answering a run: the form on its page, and the signed link that needs no login."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hub.crypto import Keyring
from hub.runtime import links
from hub.runtime.commands import Command, apply
from hub.store import Store
from hub.types import Scope, new_id
from starlette.testclient import TestClient
from tests.unit.web.ui.asking import ask, asking_run, link_to, state_of
from tests.unit.web.ui.conftest import open_browser, send

GIVEN = {"approved": True, "amount": 5, "reason": ""}


def test_the_runs_page_asks_and_takes_the_answer(browser: TestClient, store: Store) -> None:
    run_id, _ = asking_run(store)
    page, form = f"/ui/runs/{run_id}", f"/ui/runs/{run_id}/answer"
    html = browser.get(page).text
    assert "May release 7 go out?" in html
    assert ">Resume<" not in html, "resuming is not what it waits for"
    answer = send(browser, page, form, **{"p.approved": "true", "p.amount": "many", "p.reason": "why not"})
    assert answer.status_code == 422
    assert "expected a whole number" in answer.text
    assert "why not" in answer.text, "what was typed stays"
    assert state_of(store, run_id)[0][0] == "open"
    answer = send(browser, form, form, **{"p.approved": "true", "p.amount": "5"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{page}?done=answered")
    assert state_of(store, run_id) == [("answered", {"approved": True, "amount": 5}, "local")]
    assert "May release" not in browser.get(page).text
    assert browser.get(form).status_code == 409
    assert browser.get(f"/ui/runs/{new_id()}/answer").status_code == 404


def test_several_are_asked_apart_and_a_refused_answer_says_why(browser: TestClient, store: Store) -> None:
    run_id, _ = asking_run(store)
    ask(store, run_id, key="second", problem="reason: be kind")
    html = browser.get(f"/ui/runs/{run_id}").text
    assert "It asks for approval" in html
    address = html.split(f'href="/ui/runs/{run_id}/answer?point=')[1].split('"')[0]
    html = browser.get(f"/ui/runs/{run_id}/answer?point={address}").text
    assert "reason: be kind" in html
    assert ">second<" in html


def test_who_may_only_look_is_not_asked(browser_of: Callable[[str], TestClient], store: Store) -> None:
    run_id, _ = asking_run(store)
    viewer = browser_of("viewer")
    assert "/answer" not in viewer.get(f"/ui/runs/{run_id}").text
    assert viewer.get(f"/ui/runs/{run_id}/answer").status_code == 403


@pytest.fixture
def stranger(store: Store, tmp_path: Path) -> TestClient:
    """A browser of somebody without a login, on a hub that asks for one."""
    return open_browser(store, tmp_path, web_login="always")


def test_a_link_shows_the_form_and_looking_changes_nothing(stranger: TestClient, store: Store) -> None:
    run_id, token = asking_run(store)
    for _ in range(3):
        answer = stranger.get(f"/ui/answers/{token}")
        assert answer.status_code == 200
        assert "May release 7 go out?" in answer.text
        assert "Flow release asks." in answer.text
        assert "/ui/runs" not in answer.text, "a stranger sees nothing else of the hub"
    assert stranger.head(f"/ui/answers/{token}").status_code == 200
    assert state_of(store, run_id) == [("open", None, None)]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_a_link_answers_once(stranger: TestClient, store: Store) -> None:
    run_id, token = asking_run(store)
    path = f"/ui/answers/{token}"
    wrong = send(stranger, path, path, **{"p.approved": "true", "p.amount": "1000"})
    assert wrong.status_code == 422
    assert "at most 100" in wrong.text
    done = send(stranger, path, path, **{"p.approved": "true", "p.amount": "5"})
    assert (done.status_code, done.headers["location"]) == (303, f"{path}?thanks=yes")
    assert "Thank you" in stranger.get(done.headers["location"]).text
    assert state_of(store, run_id) == [("answered", {"approved": True, "amount": 5}, "link-holder")]
    again = stranger.get(path)
    assert again.status_code == 410
    assert "has been answered" in again.text
    csrf = {"csrf": "x"}
    assert stranger.post(path, data=csrf).status_code == 403


def test_an_answer_by_a_link_needs_the_form_of_this_hub(stranger: TestClient, store: Store) -> None:
    run_id, token = asking_run(store)
    path, given = f"/ui/answers/{token}", {"p.approved": "true"}
    assert stranger.post(path, data=given).status_code == 403
    cross = stranger.post(path, data=given, headers={"origin": "https://evil.example"})
    assert cross.status_code == 403
    assert stranger.get(path, headers={"host": "evil.example"}).status_code == 421
    assert state_of(store, run_id) == [("open", None, None)]


def test_an_answer_that_the_flow_refused_is_asked_again_by_the_same_link(stranger: TestClient, store: Store) -> None:
    run_id, token = asking_run(store)
    apply(store, Command("run.answer", Scope(), run_id, {"value": GIVEN}))
    point_id = links.read(store.keyring, token)
    assert point_id is not None
    ask(store, run_id, key="approval", problem="reason: say why", again_of=point_id.point_id)
    answer = stranger.get(f"/ui/answers/{token}")
    assert answer.status_code == 200
    assert "reason: say why" in answer.text


def test_links_that_lead_nowhere_say_so_kindly(stranger: TestClient, store: Store) -> None:
    run_id, token = asking_run(store)
    point = links.read(store.keyring, token)
    assert point is not None
    for bad, status, says in (
        (token[:-1] + ("0" if token[-1] != "0" else "1"), 404, "not valid"),
        (token.replace(".", ""), 404, "not valid"),
        ("x" * 5000, 404, "not valid"),
        (links.sign(Keyring((b"y" * 32,)), point), 404, "not valid"),
        (link_to(store, point.point_id, seconds=-1), 410, "too old"),
        (link_to(store, new_id()), 404, "not asked yet"),
    ):
        answer = stranger.get(f"/ui/answers/{bad}")
        assert (answer.status_code, says in answer.text) == (status, True), bad
    apply(store, Command("run.cancel", Scope(), run_id))
    answer = stranger.get(f"/ui/answers/{token}")
    assert (answer.status_code, "not asked any more" in answer.text) == (410, True)
    _, late = asking_run(store, key="late", timeout=-1)
    assert stranger.get(f"/ui/answers/{late}").status_code == 410


def test_guessing_links_is_slowed_down(stranger: TestClient, store: Store) -> None:
    _, token = asking_run(store)
    statuses = [stranger.get(f"/ui/answers/{number}").status_code for number in range(25)]
    assert statuses[:20] == [404] * 20
    assert statuses[-1] == 429
    assert stranger.get(f"/ui/answers/{token}").status_code == 429


def test_a_link_outlives_a_rotation_of_the_keys_until_the_old_one_goes() -> None:
    old, new = b"o" * 32, b"n" * 32
    link = links.Link(new_id(), 1_800_000_000_000_000)
    token = links.sign(Keyring((old,)), link)
    assert links.read(Keyring((new, old)), token) == link
    assert links.read(Keyring((new,)), token) is None
