"""From the wizard to a replay: a provider is chosen, a request arrives, is looked at, and happens again."""

from __future__ import annotations

import re

import httpx2
import pytest
from hub.plugins import Context, load_plugins
from hub.runtime.presets import installed
from hub.runtime.relay import carry_out
from hub.settings import load_settings
from hub.store.receipts import TABLE
from hub.types import DEFAULT_WORKSPACE, now_us
from hub.webhooks.signing import sample_request, sign
from playwright.sync_api import Page, expect
from sqlalchemy import func, select
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.keys import focused, tab_to
from tests.acceptance.ui.looks import faults

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WITH_AND_WITHOUT = pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
SOON = 10_000


def send_push(site: Site, address: str, secret: str, *, sample: str = "push") -> httpx2.Response:
    """What GitHub would send to that address, signed with that secret."""
    preset = installed().get("github")
    request = sign(preset, secret, sample_request(preset, sample, ""), now=now_us())
    url = f"{site.url}/in/{address.rpartition('/')[2]}"
    return httpx2.post(url, content=request.body, headers=list(request.headers))


def process(site: Site, receipt_id: str) -> None:
    """Let a receipt become its events, as the hub's upkeep does."""
    settings = load_settings({}, environ={})
    hooks = load_plugins(settings, process="upkeep").hooks
    effect = {"workspace_id": DEFAULT_WORKSPACE, "payload": {"receipt_id": receipt_id}}
    carry_out(Context(store=site.store, settings=settings, hooks=hooks, process="upkeep"), effect)


def made_once(page: Page) -> tuple[str, str]:
    """The address and the secret that the wizard shows."""
    expect(page.get_by_role("heading", name="The source was created")).to_be_visible()
    address, secret = page.locator(".secret-once code").all_inner_texts()
    return address, secret


def id_in(page: Page) -> str:
    found = re.search(r"/ui/receipts/([0-9a-f-]{36})", page.url)
    assert found, page.url
    return found[1]


def test_from_the_wizard_to_a_replay_by_mouse(site: Site) -> None:
    page = site.open("/ui/sources")
    page.get_by_role("link", name="New source").click()
    page.get_by_label("Find a provider").fill("gith")
    expect(page.locator("[data-finder-said]")).to_have_text("1 provider")
    page.get_by_role("link", name=re.compile("^GitHub")).click()
    expect(page.get_by_label("Name")).to_have_value("github")
    page.get_by_label("Name").fill("hooks")
    page.get_by_role("button", name="Create the source").click()
    address, secret = made_once(page)
    expect(page.locator("#first")).to_contain_text("Waiting")
    page.evaluate("window.same_page = true")
    assert send_push(site, address, secret).status_code == 202
    expect(page.locator("#first")).to_contain_text("push came in", timeout=SOON)
    assert page.evaluate("window.same_page"), "the page with the secret was left"
    expect(page.locator(".secret-once")).to_contain_text(secret)

    page.get_by_role("link", name="Open it in the inspector").click()
    expect(page.get_by_text("It is genuine: it fits the secret first")).to_be_visible()
    expect(page.locator("pre")).to_contain_text('"ref": "refs/heads/main"')
    process(site, id_in(page))
    expect(page.locator("#events")).to_contain_text("github.push", timeout=SOON)
    page.get_by_role("link", name="Replay").click()
    expect(page.get_by_role("dialog")).to_contain_text("ci-on-push")
    expect(page.get_by_role("dialog")).to_contain_text("run.create github-ci")
    page.get_by_role("button", name="Replay it").click()
    expect(page.get_by_text("Replay of")).to_be_visible()
    expect(page.get_by_text("nothing was verified again")).to_be_visible()


def test_from_the_wizard_to_a_replay_by_keyboard_alone(site: Site) -> None:
    page = site.open("/ui/sources/new")
    expect(page.get_by_label("Find a provider")).to_be_focused()
    all_of_them = page.locator("[data-finder-said]").inner_text()
    page.keyboard.type("git")
    expect(page.locator("[data-finder-said]")).not_to_have_text(all_of_them)
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith("GitHub")
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("GitLab")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Find a provider")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New source for GitHub")).to_be_visible()
    tab_to(page, "Name")
    page.keyboard.press("Control+a")
    page.keyboard.type("keys")
    page.keyboard.press("Enter")
    made_once(page)
    tab_to(page, "Send a sample")
    page.keyboard.press("Enter")
    expect(page.locator("#sample-said")).to_contain_text("The request was signed and came in", timeout=SOON)
    expect(page.locator("#first")).to_contain_text("ping came in", timeout=SOON)
    tab_to(page, "Open it in the inspector")
    page.keyboard.press("Enter")
    expect(page.locator("#receipt-state")).to_contain_text("Accepted")
    first = id_in(page)
    tab_to(page, "Replay")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("What it would start now")
    tab_to(page, "Replay it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Replay of")).to_be_visible()
    assert id_in(page) != first


@WITH_AND_WITHOUT
def test_a_form_of_the_wizard_comes_back_with_the_fault_at_its_field(site: Site, javascript: bool) -> None:
    page = site.open("/ui/sources/new?preset=generic-hmac", javascript=javascript)
    page.get_by_label("Name").fill("no spaces please")
    page.get_by_role("button", name="Create the source").click()
    expect(page.get_by_label("Name")).to_have_value("no spaces please")
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Name").fill("github-main")
    page.get_by_role("button", name="Create the source").click()
    expect(page.locator("#field-name-error")).to_contain_text("there is a webhook source named 'github-main'")


def test_a_secret_that_comes_later_is_given_in_the_wizard(site: Site) -> None:
    page = site.open("/ui/sources/new?preset=stripe")
    page.get_by_label("Name").fill("pay")
    page.get_by_role("button", name="Create the source").click()
    expect(page.locator("#first")).to_contain_text("No secret yet")
    page.get_by_label("Secret of Stripe").fill("whsec_" + "ab" * 16)
    page.get_by_role("button", name="Keep the secret").click()
    expect(page.get_by_text("The source has the secret")).to_be_visible()
    expect(page.locator("#first")).to_contain_text("Waiting")
    page.get_by_role("button", name="Send a sample").click()
    expect(page.locator("#first")).to_contain_text("payment_intent.succeeded came in", timeout=SOON)


def test_a_request_of_another_provider_is_refused_and_its_preset_is_suggested(site: Site) -> None:
    page = site.open("/ui/sources/new?preset=gitlab")
    page.get_by_label("Name").fill("wrong-one")
    page.get_by_label("Secret").fill("0f" * 16)
    page.get_by_role("button", name="Create the source").click()
    (address,) = page.locator(".secret-once code").all_inner_texts()
    assert send_push(site, address, "0f" * 16).status_code == 401
    expect(page.locator("#first")).to_contain_text("Its headers are those of GitHub", timeout=SOON)
    page.get_by_role("link", name="Open it in the inspector").click()
    expect(page.locator("#receipt-state")).to_contain_text("this source expects GitLab")
    assert faults(page) == []
    page.get_by_role("link", name="Make a source for GitHub").click()
    expect(page.get_by_role("heading", name="New source for GitHub")).to_be_visible()


def test_the_inbox_is_live_and_keeps_the_place_of_whoever_reads(site: Site) -> None:
    page = site.open("/ui/receipts")
    page.set_viewport_size({"width": 1280, "height": 420})
    page.evaluate("window.same_page = true; scrollTo(0, 500)")
    reading = page.locator("#receipts tr[data-key]").nth(9)
    key, before = reading.get_attribute("data-key"), reading.bounding_box()
    trigger = httpx2.post(f"{site.url}/api/v1/sources/github-main/trigger", json={"event": "push"})
    assert trigger.status_code == 200, trigger.text
    expect(page.locator("#arrivals")).to_have_text("1 new since you opened this page", timeout=SOON)
    after = page.locator(f'#receipts tr[data-key="{key}"]').bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2
    assert page.evaluate("window.same_page")


@WITH_AND_WITHOUT
def test_the_inbox_is_filtered_in_its_address(site: Site, javascript: bool) -> None:
    page = site.open("/ui/receipts", javascript=javascript)
    page.get_by_label("Source").select_option("github-main")
    page.get_by_label("Type").fill("pu*")
    page.get_by_label("Since").fill("yesterday")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#field-since-error")).to_contain_text("is no time")
    expect(page.get_by_label("Type")).to_have_value("pu*")
    page.get_by_label("Since").fill("7d")
    page.get_by_role("button", name="Filter").click()
    assert "source=github-main&type=pu*" in page.url.replace("%2A", "*")
    expect(page.locator("#receipts tr[data-key]")).to_have_count(14)
    page.get_by_role("link", name="Rejected").click()
    expect(page.locator("#receipts tr[data-key]")).to_have_count(2)


@WITH_AND_WITHOUT
def test_all_of_a_filter_is_replayed_in_steps_after_a_count(site: Site, javascript: bool) -> None:
    for _ in range(60):
        httpx2.post(f"{site.url}/api/v1/sources/github-main/trigger", json={"event": "push"}).raise_for_status()
    page = site.open("/ui/receipts?source=github-main&type=push", javascript=javascript)
    page.get_by_role("link", name="Replay these").click()
    expect(page.get_by_role("heading", name="70 requests would happen again")).to_be_visible()
    page.get_by_role("button", name="Replay 70 requests").click()
    if not javascript:
        expect(page.get_by_text("50 requests of 70 happen again so far.")).to_be_visible()
        page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("70 requests of 70 happened again.")).to_be_visible()
    with site.store.read() as tx:
        replays = select(func.count()).where(TABLE.c.replay_of.is_not(None))
        assert tx.conn.execute(replays).scalar_one() == 70


@WITH_AND_WITHOUT
def test_a_request_is_bookmarked_and_sent_again(site: Site, javascript: bool) -> None:
    page = site.open("/ui/receipts/{receipt-accepted}", javascript=javascript)
    page.get_by_label("Keep it under a name").fill("not a name")
    page.get_by_role("button", name="Bookmark").click()
    expect(page.locator("#field-name-error")).to_contain_text("is no name for a bookmark")
    expect(page.get_by_label("Keep it under a name")).to_have_value("not a name")
    page.get_by_label("Keep it under a name").fill("a-push")
    page.get_by_role("button", name="Bookmark").click()
    expect(page.get_by_text("The request is kept under this name.")).to_be_visible()
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Bookmarks").click()
    row = page.locator("#bookmarks tr", has_text="a-push")
    row.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("The request was signed and came in")).to_be_visible()
    expect(page.locator("#receipt-state")).to_contain_text("It is genuine")
    page.goto(site.url + "/ui/bookmarks")
    row.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("The bookmark was removed.")).to_be_visible()
    expect(row).to_have_count(0)


def test_the_inspector_shows_bytes_in_three_ways_and_leads_to_its_neighbours(site: Site) -> None:
    page = site.open("/ui/receipts/{receipt-accepted}")
    expect(page.locator("pre")).to_contain_text('"full_name": "octocat/hello-world"')
    page.get_by_role("link", name="Text", exact=True).click()
    expect(page.locator("pre")).to_contain_text(' "ref": "refs/heads/main"')
    page.get_by_role("link", name="Hex", exact=True).click()
    expect(page.locator("pre")).to_contain_text("00000000  7b 0a 20 22 72 65 66")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the exact bytes").click()
    assert download.value.path().read_bytes().startswith(b'{\n "ref"')
    here = id_in(page)
    page.get_by_role("link", name="Older", exact=True).click()
    assert id_in(page) != here
    page.get_by_role("link", name="Newer", exact=True).click()
    assert id_in(page) == here


@WITH_AND_WITHOUT
def test_a_source_is_held_limited_and_deleted_on_its_page(site: Site, javascript: bool) -> None:
    page = site.open("/ui/sources", javascript=javascript)
    expect(page.locator("#sources tr", has_text="github-main")).to_contain_text("12 in, 2 refused")
    page.get_by_role("link", name="github-main").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("The source is paused: it takes and answers")).to_be_visible()
    httpx2.post(f"{site.url}/api/v1/sources/github-main/trigger", json={}).raise_for_status()
    if not javascript:
        page.reload()
    expect(page.locator("#source-state")).to_contain_text("1 request held", timeout=20_000)
    page.get_by_role("button", name="Resume: let 1 happen").click()
    expect(page.get_by_text("The source goes on")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Receipts are kept for").fill("a while")
    page.get_by_label("Requests a minute").fill("60")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-keep_s-error")).to_contain_text("no length of time")
    expect(page.get_by_label("Requests a minute")).to_have_value("60")
    page.get_by_label("Receipts are kept for").fill("7d")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#about")).to_contain_text("60 requests a minute")
    expect(page.locator("#about")).to_contain_text("7 days")
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("Forgotten with it: 1 secret.")).to_be_visible()
    page.get_by_role("button", name="Delete the source").click()
    expect(page.get_by_text("The source was deleted.")).to_be_visible()
    expect(page.locator("#sources")).not_to_contain_text("github-main")


@WITH_AND_WITHOUT
def test_an_automation_is_tried_on_stored_events_switched_and_its_evaluations_filtered(
    site: Site, javascript: bool
) -> None:
    page = site.open("/ui/automations", javascript=javascript)
    page.get_by_role("link", name="ci-on-push").click()
    expect(page.locator("#firings > ul > li")).to_have_count(3)
    page.get_by_role("link", name="Counted").click()
    expect(page.locator("#firings > ul > li")).to_have_count(1)
    expect(page.locator("#firings")).to_contain_text("2 of 3 within 600 s")
    page.get_by_role("link", name="Try it on stored events").click()
    page.get_by_label("Last events").fill("a few")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#field-last-error")).to_contain_text("whole number from 1 to 1000")
    expect(page.get_by_label("Last events")).to_have_value("a few")
    page.get_by_label("Last events").fill("5")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("1 would have fired")).to_be_visible()
    expect(page.get_by_role("cell", name="run.create github-ci")).to_be_visible()
    page.get_by_label("or one event").fill(site.ids["event"])
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("This event was fed to it")).to_be_visible()
    page.get_by_role("link", name="ci-on-push").click()
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("The automation is disabled.")).to_be_visible()
