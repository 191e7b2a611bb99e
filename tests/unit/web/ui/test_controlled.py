"""A deployment's page says which controls are set, what they count, what waits and why."""

from __future__ import annotations

from typing import Any

from hub.runtime.commands import Command, apply
from hub.store import Store
from hub.store.tables import Deployment
from hub.types import Scope
from starlette.testclient import TestClient
from tests.unit.web.ui.seed import Seed


def deployed(store: Store, flow_control: dict[str, Any], **more: Any) -> str:
    return Seed(store).add(
        Deployment, name="sync", flow_name="sync", entrypoint="sync.py:sync", flow_control=flow_control,
        parameter_schema={"type": "object"}, **more,
    )  # fmt: skip


def ask(store: Store, deployment: str, **parameters: Any) -> dict[str, Any]:
    return dict(apply(store, Command("run.create", Scope(), deployment, {"parameters": parameters})).result)


def card(browser: TestClient, deployment: str, name: str) -> str:
    html = browser.get(f"/ui/deployments/{deployment}").text
    return html.partition(f'id="{name}" data-live>')[2].partition("</section>")[0]


def test_controls_stand_in_the_order_of_their_application(store: Store, browser: TestClient) -> None:
    controls = {"debounce": {"period": 90.0, "key": "params.customer"}, "rate_limit": {"limit": 4, "period": 60.0}}
    sync = deployed(store, controls, concurrency=2, concurrency_key="params.customer")
    told = card(browser, sync, "control")
    assert told.index("1. rate_limit") < told.index("2. debounce") < told.index("3. concurrency")
    assert "<code>1 min 30 s</code>" in told
    assert "A request beyond limit in a period is dropped." in told


def test_what_is_counted_and_what_waits_is_said_by_key(store: Store, browser: TestClient) -> None:
    controls = {"debounce": {"period": 90.0, "key": "params.customer"}, "rate_limit": {"limit": 4, "period": 60.0}}
    sync = deployed(store, controls)
    assert "Nothing: every run that was asked for has started." in card(browser, sync, "waits")
    waiting = ask(store, sync, customer="Ada <b>")
    ask(store, sync, customer="Ada <b>")
    told = card(browser, sync, "control")
    assert "2 of 4 let through" in told
    assert 'aria-label="50 percent"' in told
    assert "<code>Ada &lt;b&gt;</code>: 2 requests so far, the last one counts" in told
    waits = card(browser, sync, "waits")
    assert f"/ui/runs/{waiting['id']}" in waits
    assert "debounce" in waits


def test_a_batch_says_how_full_it_is(store: Store, browser: TestClient) -> None:
    sync = deployed(store, {"batch": {"max_size": 10, "timeout": 60.0}})
    for number in range(3):
        ask(store, sync, row=number)
    assert "3 of 10 collected" in card(browser, sync, "control")


def test_a_deployment_without_controls_says_how_to_set_one(store: Store, browser: TestClient) -> None:
    assert "--flow-control" in card(browser, deployed(store, {}), "control")


def test_few_of_many_that_wait_are_explained(store: Store, browser: TestClient) -> None:
    sync = deployed(store, {})
    for number in range(8):
        ask(store, sync, row=number)
    waits = card(browser, sync, "waits")
    assert waits.count("<li>") == 5
    assert "All that wait" in waits
