"""What a source takes, keeps, compares and could not read: its settings, order, catalog and dead letters."""

from __future__ import annotations

import re

import httpx2
import pytest
from hub.plugins import Context, load_plugins
from hub.runtime.relay import carry_out
from hub.settings import load_settings
from hub.store import event_schemas, inbox, sources
from hub.store.inbox import Wanted
from hub.types import DEFAULT_WORKSPACE, Scope
from playwright.sync_api import expect
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.keys import press, tab_to, type_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WITH_AND_WITHOUT = pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
SOON = 15_000


@WITH_AND_WITHOUT
def test_a_source_is_set_by_mouse_and_answers_as_it_says(site: Site, javascript: bool) -> None:
    page = site.open("/ui/sources/{github}", javascript=javascript)
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Only from").fill("127.0.0.0/8\n127.0.0.300")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-allow_from-error")).to_contain_text("is no address or network")
    page.get_by_label("Answer", exact=True).select_option("own")
    page.get_by_label("Text", exact=True).fill("thanks")
    page.get_by_label("Only from").fill("127.0.0.0/8")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-answer_text-error")).to_contain_text("the text is not JSON")
    expect(page.get_by_label("Text", exact=True)).to_have_value("thanks")
    page.get_by_label("Content type").select_option("text/plain")
    page.get_by_label("Newest bodies").fill("5000000")
    page.get_by_label("Runs in the order of").fill("body.repository.full_name")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The source was changed.")).to_be_visible()
    expect(page.locator("#about")).to_contain_text("of bodies the newest 4.8 MiB")
    expect(page.locator("#about")).to_contain_text("127.0.0.0/8")
    expect(page.locator("#about")).to_contain_text("200 thanks")
    page.get_by_role("link", name="What waits").click()
    expect(page.get_by_text("Nothing waits here")).to_be_visible()


def test_a_source_is_set_and_its_secret_changed_by_keyboard_alone(site: Site) -> None:
    page = site.open("/ui/sources/{orders}")
    press(page, "What waits")
    expect(page.locator("#keys tbody tr")).to_have_count(3)
    press(page, "Settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    type_in(page, "Only from", "2001:db8::/32")
    type_in(page, "Runs in the order of", "body.total")
    page.keyboard.press("Enter")
    expect(page.locator("#about")).to_contain_text("body.total")
    with site.store.read() as tx:
        assert sources.row(tx, Scope(), "shop-orders")["allow_from"] == ["2001:db8::/32"]
    press(page, "New secret or address")
    expect(page.get_by_role("heading", name="New secret or address")).to_be_visible()
    tab_to(page, "Make a new secret")
    page.keyboard.press("Space")
    type_in(page, "The old ones hold for (hours)", "2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The source has new secrets")).to_be_visible()
    press(page, "To the source")
    expect(page.locator("#secrets li", has_text="ends in")).to_have_count(2)


@WITH_AND_WITHOUT
def test_what_came_is_proposed_accepted_and_enforced(site: Site, javascript: bool) -> None:
    page = site.open("/ui/sources/{github}", javascript=javascript)
    page.get_by_role("link", name="Catalog").click()
    expect(page.get_by_text("No schemas yet")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Look at what came").first.click()
    expect(page.get_by_role("heading", name="push")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text('"required"')
    page.get_by_role("button", name="Accept for push").click()
    expect(page.get_by_text("The schema is set")).to_be_visible()
    expect(page.locator("#mode")).to_contain_text("Observed")
    page.get_by_role("link", name="Look at what came").click()
    expect(page.get_by_text("As it holds")).to_be_visible()
    page.get_by_role("link", name="Leave it as it is").click()
    page.get_by_role("link", name="push", exact=True).click()
    page.get_by_role("link", name="Change").click()
    page.get_by_label("JSON schema").fill("{")
    page.get_by_role("button", name="Set the schema").click()
    expect(page.locator("#field-document-error")).to_contain_text("no JSON")
    page.get_by_label("JSON schema").fill('{"type": "object", "required": ["not-there"]}')
    page.get_by_role("button", name="Set the schema").click()
    came = httpx2.post(f"{site.url}/api/v1/sources/github-main/trigger", json={"event": "push"}).json()
    settings = load_settings({}, environ={})
    hooks = load_plugins(settings, process="upkeep").hooks
    effect = {"workspace_id": DEFAULT_WORKSPACE, "payload": {"receipt_id": came["receipt"]}}
    carry_out(Context(store=site.store, settings=settings, hooks=hooks, process="upkeep"), effect)
    if not javascript:
        page.reload()
    expect(page.locator("#drift")).to_contain_text("not-there", timeout=SOON)
    page.get_by_role("link", name=re.compile("^Open")).first.click()
    expect(page).to_have_url(re.compile(came["receipt"]))
    page.goto(f"{site.url}/ui/sources/{site.ids['github']}/catalog")
    page.get_by_role("button", name="Refuse what departs").click()
    expect(page.locator("#mode")).to_contain_text("Enforced")


def test_a_schema_is_removed_by_keyboard_after_a_question(site: Site) -> None:
    page = site.open("/ui/sources/{orders}/catalog")
    expect(page.locator("#drift tbody tr")).to_have_count(3)
    press(page, "order.paid")
    expect(page.get_by_role("heading", name="order.paid")).to_be_visible()
    press(page, "Remove")
    expect(page.get_by_role("dialog")).to_contain_text("Remove the schema of order.paid?")
    press(page, "Remove the schema")
    expect(page.get_by_text("The schema was removed.")).to_be_visible()
    with site.store.read() as tx:
        assert [row["event_type"] for row in event_schemas.listing(tx, site.ids["orders"])] == ["*"]


def replays(site: Site) -> int:
    with site.store.read() as tx:
        return len(inbox.search(tx, Scope(), Wanted(replays=True)).items)


def test_a_dead_letter_is_replayed_by_keyboard(site: Site) -> None:
    page = site.open("/ui/dead-letters")
    expect(page.locator("#dead-letters tbody tr")).to_have_count(3)
    press(page, "Replay")
    expect(page.get_by_role("dialog")).to_contain_text("Replay this request?")
    press(page, "Replay it")
    expect(page.get_by_text("Replay of")).to_be_visible()
    assert replays(site) == 1


@WITH_AND_WITHOUT
def test_all_dead_letters_of_a_source_are_replayed_after_a_count(site: Site, javascript: bool) -> None:
    page = site.open("/ui/dead-letters", javascript=javascript)
    page.get_by_label("Source").select_option("github-main")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("None of these")).to_be_visible()
    page.get_by_label("Source").select_option("shop-orders")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#dead-letters")).to_contain_text("The batch at body.items cannot be read")
    page.get_by_role("link", name="Replay these").click()
    expect(page.get_by_role("heading", name="3 requests would happen again")).to_be_visible()
    page.get_by_role("button", name="Replay 3 requests").click()
    expect(page.get_by_text("3 requests of 3 happened again.")).to_be_visible()
    assert replays(site) == 3
