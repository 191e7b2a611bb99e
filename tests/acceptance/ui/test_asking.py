from __future__ import annotations

import pytest
from hub.store import Store
from playwright.sync_api import Page, expect
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.looks import faults
from tests.unit.web.ui.asking import ask, asking_run, state_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 10_000


@pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
def test_a_run_is_answered_on_its_page(site: Site, javascript: bool) -> None:
    run_id, _ = asking_run(site.store)
    page = site.open(f"/ui/runs/{run_id}", javascript=javascript)
    fill(page, "lots")
    expect(page.locator("#field-p\\.amount-error")).to_contain_text("whole number")
    expect(page.get_by_label("reason")).to_have_value("because")
    fill(page, "7")
    expect(page.get_by_text("The answer was given")).to_be_visible()
    assert answers(site.store, run_id) == [{"approved": True, "amount": 7, "reason": "because"}]


def test_what_is_typed_stays_while_the_page_is_kept_fresh(site: Site) -> None:
    run_id, _ = asking_run(site.store)
    page = site.open(f"/ui/runs/{run_id}")
    page.get_by_label("reason").fill("half a sen")
    ask(site.store, run_id, key="second")
    site.store.wake(["runs"])
    expect(page.get_by_label("reason")).to_have_value("half a sen", timeout=SOON)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 360)])
@pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
def test_a_link_is_answered_by_somebody_without_a_login(site: Site, javascript: bool, theme: str, width: int) -> None:
    run_id, token = asking_run(site.store)
    page = site.open(f"/ui/answers/{token}", javascript=javascript, theme=theme, width=width)
    expect(page.get_by_text("May release 7 go out?")).to_be_visible()
    if javascript:
        assert faults(page) == []
    fill(page, "5")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    if javascript:
        assert faults(page) == []
    assert answers(site.store, run_id) == [{"approved": True, "amount": 5, "reason": "because"}]
    answer = page.goto(site.url + f"/ui/answers/{token}")
    assert answer is not None
    assert answer.status == 410
    expect(page.get_by_role("heading", name="This has been answered")).to_be_visible()


def fill(page: Page, amount: str) -> None:
    page.get_by_label("approved").check()
    page.get_by_label("amount").fill(amount)
    page.get_by_label("reason").fill("because")
    page.get_by_role("button", name="Answer").click()


def answers(store: Store, run_id: str) -> list[object]:
    return [answer for _, answer, _ in state_of(store, run_id)]
