"""How a user tests flows: with fixtures that are there because the hub is installed."""

import pytest
from billing import bill
from hub.testing import survives_crashes


def test_the_bill_is_right(hub, hub_home):
    assert bill(["tea", "cake"]) == 7.5
    assert hub.run(bill).task("price-1").result == 4.0
    assert (hub_home / "hub.db").exists()


def test_each_test_has_a_hub_of_its_own(hub):
    assert hub.runs() == []


def test_an_unknown_item_is_asked_for_again_for_hours(hub, hub_clock):
    with pytest.raises(KeyError):
        bill(["bread"])
    assert hub.run(bill).task("price").attempt == 4
    assert hub_clock.skipped.total_seconds() > 3 * 3600 - 1


def test_an_order_is_billed(hub, webhook):
    hub.on("github.push", bill, {"items": "=body.items"})
    assert hub.deliver(webhook("github", "push", body={"items": ["tea"]})).run.result == 3.5


def test_it_survives_kills(hub):
    assert survives_crashes(bill, [["tea"]]) >= 6
