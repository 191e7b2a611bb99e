"""The pages of variables."""

from __future__ import annotations

from collections.abc import Callable

from hub.store import Store, variables
from hub.types import Scope
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import send
from tests.unit.web.ui.seed import Seed


def value(store: Store, name: str) -> object:
    with store.read() as tx:
        return variables.get(tx, Scope(), name)["value"]


def test_a_variable_is_set_changed_and_removed_with_forms(browser: TestClient, store: Store) -> None:
    new = "/ui/variables/new"
    answer = send(browser, new, new, name="size", value='{"a": [1]}', tags="x, y,")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/variables?done=variable-set")
    assert value(store, "size") == {"a": [1]}
    edit = "/ui/variables/size/edit"
    html = browser.get(edit).text
    assert "x, y" in html
    assert "&#34;a&#34;" in html
    assert send(browser, edit, edit, value="5", tags="").status_code == 303
    assert value(store, "size") == 5
    again = send(browser, new, new, name="size", value="6", tags="")
    assert again.status_code == 409
    assert "already" in again.text
    gone = "/ui/variables/size/delete"
    assert send(browser, gone, gone).status_code == 303
    assert browser.get(edit).status_code == 404


def test_what_was_typed_stays_after_a_mistake(browser: TestClient) -> None:
    new = "/ui/variables/new"
    for typed, says in (
        ({"name": "a b", "value": "1"}, "name"),
        ({"name": "a", "value": "just text"}, "stands in quotes"),
        ({"name": "a", "value": "NaN"}, "no JSON"),
    ):
        answer = send(browser, new, new, **typed, tags="kept-tag")
        assert answer.status_code == 422
        assert says in answer.text
        assert "kept-tag" in answer.text


def test_who_may_only_look_changes_nothing(browser_of: Callable[[str], TestClient], seed: Seed) -> None:
    viewer = browser_of("viewer")
    html = viewer.get("/ui/variables").text
    assert "batch-size" in html
    assert "/edit" not in html
    assert viewer.get("/ui/variables/batch-size/edit").status_code == 403
    assert viewer.get("/ui/variables/new").status_code == 403
