"""Webhooks of our own in the dashboard: an endpoint from its making to its end, and messages that go again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hub.runtime.sending import Sender
from hub.settings import Settings
from hub.store import outgoing
from hub.types import Scope
from playwright.sync_api import Page, expect
from tests.acceptance.ui.conftest import Site
from tests.acceptance.ui.keys import press, tab_to, type_in
from tests.acceptance.ui.looks import faults
from tests.receivers import Receiver, holds, receiver

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WITH_AND_WITHOUT = pytest.mark.parametrize("javascript", [True, False], ids=["with the script", "without the script"])
SOON = 15_000
LOCAL = Settings(outbound_networks=("127.0.0.0/8",))


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def work(site: Site) -> None:
    """Send what is due, as the hub's upkeep does."""
    sender = Sender(site.store, LOCAL)
    sender.step()
    sender.close()


def fill_in(page: Page, name: str, url: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Address").fill(url)
    page.get_by_role("button", name="Create the endpoint").click()


def delivered(page: Page, *, live: bool) -> None:
    if not live:
        page.reload()
    expect(page.locator("#message-state")).to_contain_text("The receiver took it", timeout=SOON)


@WITH_AND_WITHOUT
def test_an_endpoint_by_mouse_from_its_making_to_its_end(site: Site, there: Receiver, javascript: bool) -> None:
    page = site.open("/ui/endpoints", javascript=javascript)
    page.get_by_role("link", name="New endpoint").click()
    fill_in(page, "not a name", there.url)
    expect(page.locator("#field-name-error")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("not a name")
    fill_in(page, "partner", there.url)
    expect(page.locator("#field-name-error")).to_contain_text("there is an endpoint named 'partner'")
    fill_in(page, "books", "ftp://example.org/x")
    expect(page.locator("#field-url-error")).to_contain_text("the address cannot be called")
    fill_in(page, "books", there.url)
    (secret,) = page.locator(".secret-once code").all_inner_texts()
    assert secret.startswith("whsec_")
    if javascript:
        assert faults(page) == []
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The message is on its way")).to_be_visible()
    work(site)
    delivered(page, live=javascript)
    assert holds({"scheme": "v1", "key": secret}, there.got[0].headers, there.got[0].body)

    page.get_by_role("link", name="books").click()
    expect(page.locator("#endpoint-state")).to_contain_text("Nothing waits, and nothing has failed.")
    assert secret not in page.content(), "a secret is shown once"
    keys = [{"scheme": "v1", "key": secret}, *changed_keys(page, secret)]
    message = sent_while_off(page)
    page.get_by_role("link", name="books").click()
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("what waited for it is sent now")).to_be_visible()
    page.goto(message)
    work(site)
    delivered(page, live=javascript)
    assert all(holds(key, there.got[-1].headers, there.got[-1].body) for key in keys)

    page.get_by_role("link", name="books").click()
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove the endpoint").click()
    expect(page.get_by_text("The endpoint was removed.")).to_be_visible()
    expect(page.locator("#endpoints")).not_to_contain_text("books")
    page.goto(message)
    expect(page.get_by_text("to a removed endpoint")).to_be_visible()


def changed_keys(page: Page, secret: str) -> list[dict[str, str]]:
    """Give the endpoint new keys of both kinds; the old one signs as well."""
    page.get_by_role("link", name="New keys").click()
    page.get_by_label("Signatures").select_option("both")
    page.get_by_label("The old ones sign as well for").fill("a day")
    page.get_by_role("button", name="Make new keys").click()
    expect(page.locator("#field-overlap_s-error")).to_contain_text("no length of time")
    page.get_by_label("The old ones sign as well for").fill("2h")
    page.get_by_role("button", name="Make new keys").click()
    new, public = page.locator(".secret-once code").all_inner_texts()
    assert new != secret
    page.get_by_role("link", name="To the endpoint").click()
    expect(page.locator("#keys li")).to_have_count(3)
    expect(page.locator("#keys")).to_contain_text(public)
    assert new not in page.content()
    return [{"scheme": "v1", "key": new}, {"scheme": "v1a", "key": public}]


def sent_while_off(page: Page) -> str:
    """Switch the endpoint off and send to it; gives the address of the message's page."""
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("The endpoint is switched off: what is sent to it waits.")).to_be_visible()
    page.get_by_role("link", name="Send a message").click()
    page.get_by_label("Type").fill("order.paid")
    page.get_by_label("Data").fill("{order: 17}")
    page.get_by_role("button", name="Send it").click()
    expect(page.locator("#field-data-error")).to_contain_text("no JSON")
    page.get_by_label("Data").fill('{"order": 17}')
    page.get_by_role("button", name="Send it").click()
    expect(page.locator("#message-state")).to_contain_text("it waits until that is switched on")
    return page.url


def test_an_endpoint_by_keyboard_alone(site: Site, there: Receiver) -> None:
    there.answer = lambda number: (503, {}, b"later") if number == 1 else (204, {}, b"")
    page = site.open("/ui/endpoints")
    press(page, "New endpoint")
    expect(page.get_by_role("heading", name="New endpoint")).to_be_visible()
    type_in(page, "Name", "keys")
    type_in(page, "Address", there.url)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The endpoint was created")).to_be_visible()
    press(page, "Send a test")
    expect(page.get_by_text("The message is on its way")).to_be_visible()
    work(site)
    expect(page.locator("#message-state")).to_contain_text("It answered 503. The next attempt is", timeout=SOON)
    tab_to(page, "What it answered")
    page.keyboard.press("Enter")
    expect(page.locator("#attempts pre")).to_have_text("later")
    press(page, "Send it now")
    expect(page.get_by_text("The message is sent again, under its id.")).to_be_visible()
    work(site)
    expect(page.locator("#message-state")).to_contain_text("The receiver took it", timeout=SOON)
    expect(page.locator("#attempts tbody tr")).to_have_count(2)
    assert there.got[0].headers["webhook-id"] == there.got[1].headers["webhook-id"]
    press(page, "keys")
    expect(page.get_by_role("heading", name="keys", exact=True)).to_be_visible()
    press(page, "Remove")
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be undone.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    press(page, "Remove")
    press(page, "Remove the endpoint")
    expect(page.get_by_text("The endpoint was removed.")).to_be_visible()


@WITH_AND_WITHOUT
def test_what_failed_since_then_goes_again_after_a_count(site: Site, javascript: bool) -> None:
    page = site.open("/ui/endpoints/{endpoint}", javascript=javascript)
    page.get_by_role("link", name="1 failed").click()
    expect(page.locator("#sent tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Send again").click()
    page.get_by_label("Made since").fill("lately")
    page.get_by_role("button", name="Count").click()
    expect(page.locator("#field-since-error")).to_contain_text("is no time")
    page.get_by_label("Made since").fill("1h")
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("No message fits")).to_be_visible()
    page.get_by_label("Made since").fill("7d")
    page.get_by_role("button", name="Count").click()
    page.get_by_role("button", name="Send 1 message again").click()
    expect(page.get_by_text("The messages are sent again, under their ids.")).to_be_visible()
    with site.store.read() as tx:
        row = outgoing.get(tx, Scope(), site.ids["message-failed"])
    assert (row["status"], row["tries"]) == ("pending", 0)


def test_messages_are_found_by_status(site: Site) -> None:
    page = site.open("/ui/outgoing")
    expect(page.locator("#sent tbody tr")).to_have_count(9)
    page.get_by_role("link", name="Waiting", exact=True).click()
    page.get_by_role("link", name="stock.changed").click()
    expect(page.locator("#message-state")).to_contain_text(re.compile("It answered 503. The next attempt is in 2. min"))
