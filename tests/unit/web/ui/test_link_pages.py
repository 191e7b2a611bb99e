"""Planes and the addresses there: who may only look sees no buttons, and what cannot be published says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hub.store.tables import Link, Source
from hub.types import new_id
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import send
from tests.unit.web.ui.seed import Seed

PLANE = "/ui/links/cloud"
PUBLISH = f"{PLANE}/publish"


def test_a_viewer_sees_addresses_and_changes_nothing(seed: Seed, browser_of: Callable[[str], TestClient]) -> None:
    viewer, developer = browser_of("viewer"), browser_of("developer")
    source, taken = f"/ui/sources/{seed.ids['github']}", f"{PLANE}/addresses/{seed.ids['address']}/withdraw"
    for page, told in (("/ui/links", "Connected"), (PLANE, "github-main"), (source, "Addresses at planes")):
        html = viewer.get(page).text
        assert told in html
        assert "/publish" not in html, page
        assert "/withdraw" not in html, page
        assert html.count("<form") == html.count('action="/ui/theme"') + html.count('action="/ui/logout"'), page
    for page in (PUBLISH, taken):
        for browser in (viewer, developer):
            assert browser.get(page).status_code == 403
            assert browser.post(page, data={}).status_code == 403


def test_what_cannot_be_published_is_told_at_the_field(browser: TestClient, seed: Seed) -> None:
    seed.ids["slack"] = seed.add(Source, name="talk", preset="slack", token_digest="t1")
    form = browser.get(PUBLISH).text
    assert ">talk</option>" not in form
    assert ">github-main</option>" in form
    assert 'value="lab-sensor" selected' in browser.get(f"{PUBLISH}?source={seed.ids['open']}").text
    for name, says in (("talk", "asks an address to answer"), ("nobody", "nobody"), ("", "source")):
        answer = send(browser, PUBLISH, PUBLISH, source=name)
        assert answer.status_code in (404, 422), name
        assert says in answer.text.partition("field-source-error")[2], name
    assert "Addresses at planes" not in browser.get(f"/ui/sources/{seed.ids['slack']}").text


@pytest.mark.parametrize("address", ["/ui/links/{}", "/ui/links/{}/publish", PLANE + "/addresses/{}/withdraw"])
def test_what_is_not_there_answers_404(browser: TestClient, seed: Seed, address: str) -> None:
    foreign = seed.add(Link, workspace_id=new_id(), name="theirs", url="https://plane.example.org")
    for name in (new_id(), foreign, "no-id", "%00"):
        assert browser.get(address.format(name)).status_code == 404
