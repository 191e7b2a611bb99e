"""Addresses of sources at a plane, in the dashboard: published, used and taken back at a plane that is really there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hub.store.tables import Link, LinkAddress
from hub.testing.demo.site import until
from playwright.sync_api import Page, expect
from sqlalchemy import delete
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.keys import press, tab_to
from tests.acceptance.ui.looks import faults
from tests.unit.web.ui.serving import make_app, make_store, serve

from hub_hybrid.supervisor import Pace, Supervisor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WITH_AND_WITHOUT = pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
SOON = 15_000


@dataclass(frozen=True)
class Plane:
    """A plane to which the site reports as `upstairs`. `connect` begins the link's work."""

    url: str
    connect: Callable[[], Any]


@pytest.fixture
def plane(site: Site, tmp_path: Path) -> Iterator[Plane]:
    folder = tmp_path / "plane"
    folder.mkdir()
    store = make_store(folder)
    with site.store.write() as tx:  # those that were put there have no plane
        tx.conn.execute(delete(LinkAddress.__table__))  # type: ignore[attr-defined]
        tx.conn.execute(delete(Link.__table__))  # type: ignore[attr-defined]
    supervisor = Supervisor(site.store, Pace(beat=0.2, poll=1.0, longest=0.5))
    with serve(make_app(store, folder)) as url:
        token = posted(url, "sites", {"name": "here"})["token"]
        posted(site.url, "links", {"name": "upstairs", "url": url, "token": token})
        yield Plane(url, supervisor.step)
        supervisor.stop()
    store.close()


def posted(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx2.post(f"{url}/api/v1/{path}", json=body, headers={"origin": url}, timeout=20)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def status_of(address: str) -> int:
    """What the plane answers there."""
    return int(httpx2.post(address, content=b"{}", timeout=20).status_code)


def shown(page: Page, state: str, *, live: bool) -> None:
    for _ in range(1 if live else 50):
        if not live:
            page.reload()
            if state not in page.locator("#addresses").inner_text():
                page.wait_for_timeout(200)
                continue
        expect(page.locator("#addresses")).to_contain_text(state, timeout=SOON)
        return
    raise AssertionError(f"it never says {state!r}")


@WITH_AND_WITHOUT
def test_an_address_by_mouse_from_its_making_to_its_end(site: Site, plane: Plane, javascript: bool) -> None:
    page = site.open("/ui/links", javascript=javascript)
    page.get_by_role("link", name="upstairs").click()
    expect(page.locator("#addresses")).to_contain_text("No addresses yet")
    expect(page.locator("#addresses")).to_contain_text("hub cloud publish SOURCE --link upstairs")
    page.locator(".heading").get_by_role("link", name="Publish a source").click()
    page.get_by_label("Source").select_option("github-main")
    page.get_by_role("button", name="Publish it").click()
    (address,) = page.locator(".secret-once code").all_inner_texts()
    assert address.startswith(f"{plane.url}/in/")
    if javascript:
        assert faults(page) == []
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").click()
        assert page.evaluate("navigator.clipboard.readText()") == address

    page.get_by_role("link", name="To the plane").click()
    shown(page, "Opening", live=javascript)
    assert status_of(address) == 404
    plane.connect()
    shown(page, "Open\n" if not javascript else "Open", live=javascript)
    until("the plane to take it", lambda: status_of(address) == 202)
    expect(page.locator("#addresses")).to_contain_text("github-main")
    assert address not in page.content(), "an address is shown once"

    page.get_by_role("link", name="github-main").click()
    panel = page.locator("section", has_text="Addresses at planes")
    expect(panel).to_contain_text("Open")
    panel.get_by_role("link", name="Publish at upstairs").click()
    expect(page.get_by_label("Source")).to_have_value("github-main")
    page.get_by_role("link", name="Go back").click()

    page.get_by_role("link", name="Take back").click()
    page.get_by_role("link", name="Go back").click()
    page.get_by_role("link", name="Take back").click()
    page.get_by_role("button", name="Take the address back").click()
    expect(page.get_by_text("The address is taken back")).to_be_visible()
    expect(page.locator("#addresses")).to_contain_text("No addresses yet")
    until("the plane to hear of it", lambda: status_of(address) == 404)


def test_an_address_by_keyboard_alone(site: Site, plane: Plane) -> None:
    plane.connect()
    page = site.open("/ui/sources/{github}")
    expect(page.get_by_text("At a plane it can take requests")).to_be_visible()
    press(page, "Publish at upstairs")
    expect(page.get_by_role("heading", name="Publish a source")).to_be_visible()
    tab_to(page, "Source")
    page.keyboard.type("git")
    press(page, "Publish it")
    expect(page.get_by_role("heading", name="The source is published")).to_be_visible()
    (address,) = page.locator(".secret-once code").all_inner_texts()
    press(page, "Copy")
    press(page, "To the plane")
    shown(page, "Open", live=True)
    until("the plane to take it", lambda: status_of(address) == 202)
    press(page, "Take back")
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be undone.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    press(page, "Take back")
    press(page, "Take the address back")
    expect(page.get_by_text("The address is taken back")).to_be_visible()
    until("the plane to hear of it", lambda: status_of(address) == 404)


def test_a_form_that_is_sent_twice_shows_the_address_once(site: Site) -> None:
    page = site.open("/ui/links/{link-cloud}/publish")
    page.get_by_role("button", name="Publish it").click()
    expect(page.locator(".secret-once")).to_contain_text("https://plane.example.org/in/")
    page.reload()
    expect(page.get_by_text("The address was shown the first time")).to_be_visible()
    assert "/in/" not in page.locator("main").inner_text()
    page.goto(f"{site.url}/ui/links/cloud")
    expect(page.locator("#addresses tbody tr")).to_have_count(4)
