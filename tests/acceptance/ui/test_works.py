from __future__ import annotations

import re

import pytest
from hub.engine.run import Cancel, Claim, Dispatch
from hub.runtime import orchestrator
from hub.store.tables import Log
from hub.types import Scope, new_id
from playwright.sync_api import Page, expect
from tests.acceptance.ui.conftest import Site
from tests.unit.web.ui.seed import Seed

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WITH_AND_WITHOUT = pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
SOON = 10_000


@WITH_AND_WITHOUT
def test_a_run_is_cancelled_after_a_question(site: Site, javascript: bool) -> None:
    page = site.open("/ui/runs/{waiting}", javascript=javascript)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancel github-ci-late?")).to_be_visible()
    assert page.locator("dialog").count() == (1 if javascript else 0)
    page.get_by_role("link", name="Go back").click()
    expect(page.locator("#run-state")).to_contain_text("Late")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#run-state")).to_contain_text("Cancelled")
    expect(page.get_by_text("The run was told to stop.")).to_be_visible()
    expect(page.get_by_role("link", name="Cancel", exact=True)).to_have_count(0)


@WITH_AND_WITHOUT
def test_the_run_form_refuses_a_wrong_type_and_keeps_what_was_typed(site: Site, javascript: bool) -> None:
    page = site.open("/ui/deployments/{ci}/run", javascript=javascript)
    page.get_by_label("repository").fill("octocat/hello-world")
    page.get_by_label("target").fill('{"host": "ci.example.org"}')
    retries = page.get_by_label("retries")
    retries.fill("many")
    page.get_by_role("button", name="Start the run").click()
    expect(retries).to_have_value("many")
    expect(retries).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-p\\.retries-error")).to_contain_text("whole number")
    expect(page.get_by_label("repository")).to_have_value("octocat/hello-world")
    retries.fill("5")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_text("The run was created.")).to_be_visible()
    expect(page.locator("#parameters")).to_contain_text('"retries": 5')


def test_a_change_appears_without_a_reload(site: Site) -> None:
    page = marked(site.open("/ui/runs/{waiting}"))
    expect(page.locator("#run-state")).to_contain_text("Late")
    moved = orchestrator.handle(site.store, Scope(), site.ids["waiting"], Dispatch(new_id()))
    expect(page.locator("#run-state")).to_contain_text("Pending", timeout=SOON)
    claim = Claim(attempt=moved.attempt, epoch=moved.epoch)
    orchestrator.handle(site.store, Scope(), site.ids["waiting"], claim)
    expect(page.locator("#run-state")).to_contain_text("Running", timeout=SOON)
    expect(page.locator("#history")).to_contain_text("Running")
    assert "Running" in page.title()
    assert page.evaluate("window.same_page"), "the page was loaded again"


def test_a_list_of_runs_stays_fresh(site: Site) -> None:
    page = marked(site.open("/ui/runs?state=waiting"))
    expect(page.locator("#runs")).to_contain_text("github-ci-late")
    orchestrator.handle(site.store, Scope(), site.ids["waiting"], Cancel("gone"))
    expect(page.locator("#runs")).not_to_contain_text("github-ci-late", timeout=SOON)
    assert page.evaluate("window.same_page")


def test_logs_are_followed_and_hostile_lines_stay_text(site: Site) -> None:
    page = site.open("/ui/runs/{running}")
    seed = Seed(site.store)
    for number in range(3):
        seed.add(Log, run_id=site.ids["running"], at=seed.now, level=20, message=f"line {number} <b>bold</b>")
        site.store.wake(["logs"])
        expect(page.locator("ol.log")).to_contain_text(f"line {number} <b>bold</b>", timeout=SOON)
    assert page.locator("ol.log > li").count() == 3
    assert page.locator("ol.log b").count() == 0


def test_an_open_detail_survives_a_refresh(site: Site) -> None:
    page = site.open("/ui")
    page.locator("#day-table > summary").click()
    orchestrator.handle(site.store, Scope(), site.ids["waiting"], Cancel("gone"))
    expect(page.locator(".tile.wait .tile-value")).to_have_text("0", timeout=SOON)
    assert page.locator("#day-table").get_attribute("open") is not None


def test_the_focus_survives_a_refresh_and_a_selection_holds_it_off(site: Site) -> None:
    page = site.open("/ui/runs")
    page.get_by_role("link", name="github-ci-77e0b2").focus()
    orchestrator.handle(site.store, Scope(), site.ids["waiting"], Cancel("gone"))
    expect(page.locator("#runs tr", has_text="github-ci-late")).to_contain_text("Cancelled", timeout=SOON)
    assert page.evaluate("document.activeElement.textContent") == "github-ci-77e0b2"
    page.evaluate("getSelection().selectAllChildren(document.activeElement)")
    before = page.locator("#runs").inner_html()
    orchestrator.handle(site.store, Scope(), site.ids["running"], Cancel("gone"))
    with page.expect_response(lambda answer: answer.url.endswith("/ui/runs")):
        pass
    page.wait_for_timeout(200)
    assert page.locator("#runs").inner_html() == before


def test_a_hub_that_goes_away_is_told_in_the_page(site: Site) -> None:
    page = site.open("/ui/runs")
    page.route("**/ui/stream*", lambda route: route.abort())
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.locator("#live-sign")).to_contain_text("Not live")
    site.complaints[:] = [one for one in site.complaints if "ERR_FAILED" not in one]


def test_text_can_be_copied(site: Site) -> None:
    page = site.open("/ui/runs/{failed}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#parameters").get_by_role("button", name="Copy").click()
    expect(page.locator("#parameters button")).to_have_text("Copied")
    assert '"octocat/hello-world"' in page.evaluate("navigator.clipboard.readText()")


@WITH_AND_WITHOUT
def test_a_source_is_made_and_its_secret_is_shown_once(site: Site, javascript: bool) -> None:
    page = site.open("/ui/sources", javascript=javascript)
    page.get_by_role("link", name="New source").click()
    page.get_by_role("link", name=re.compile("^GitHub")).click()
    page.get_by_label("Name").fill("github-main")
    page.get_by_role("button", name="Create the source").click()
    expect(page.get_by_text("there is a webhook source named")).to_be_visible()
    page.get_by_label("Name").fill("github-docs")
    page.get_by_role("button", name="Create the source").click()
    expect(page.get_by_text("Copy them now")).to_be_visible()
    address, secret = page.locator(".copyable code").all_inner_texts()
    assert "/in/" in address
    assert len(secret) >= 32
    page.get_by_role("link", name="To the source").click()
    expect(page.locator("#source-state")).to_contain_text("Verified")
    assert secret not in page.content()
    assert address.rpartition("/")[2] not in page.content()


@WITH_AND_WITHOUT
def test_a_receipt_happens_again_after_a_question(site: Site, javascript: bool) -> None:
    page = site.open("/ui/receipts/{receipt-accepted}", javascript=javascript)
    page.get_by_role("link", name="Replay").click()
    page.get_by_role("button", name="Replay it").click()
    expect(page.get_by_text("The receipt is being processed again.")).to_be_visible()
    expect(page.get_by_text("Replay of")).to_be_visible()


def marked(page: Page) -> Page:
    """The page with a mark that a reload would wipe."""
    page.evaluate("window.same_page = true")
    return page
