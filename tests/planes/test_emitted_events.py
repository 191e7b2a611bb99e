"""Events that users write themselves: once, whatever is retried or killed, and seen like any other event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import hub
import pytest
from hub import flow, task
from hub.errors import HubError, NotFoundError, UsageError
from hub.runtime.automations import Automations
from hub.runtime.commands import Command, apply
from hub.runtime.executor import emitting
from hub.runtime.executor.replayed import note
from hub.runtime.sequencer import Sequencer
from hub.store import events, outgoing
from hub.types import Scope, new_id
from sqlalchemy import select

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()


def emitted(plane: Plane) -> list[dict[str, Any]]:
    with plane.store.read() as tx:
        query = select(events.TABLE).where(events.TABLE.c.source == "emitted").order_by(events.TABLE.c.id)
        return [dict(row) for row in tx.conn.execute(query).mappings()]


def test_it_says_what_it_is_about_and_what_happened(plane: Plane) -> None:
    labels = {"hub.resource.id": "order-17", "shop": "berlin"}
    made = hub.emit_event("order.paid", labels, {"amount": 20.5}, related=[{"hub.resource.id": "customer-3"}])
    (row,) = emitted(plane)
    assert (row["id"], row["type"], row["subject"], row["run_id"]) == (made, "order.paid", "order-17", None)
    assert row["body"] == {"resource": labels, "related": [{"hub.resource.id": "customer-3"}]}
    assert row["private"] == {"params": {"payload": {"amount": 20.5}}}, "what it carries does not leave by itself"


def test_a_flow_and_its_tasks_write_it_once_however_often_they_are_retried(plane: Plane) -> None:
    tries = []

    @task(retries=2)
    def pays(order: str) -> None:
        hub.emit_event("order.paid", order)
        tries.append(order)
        if len(tries) < 3:
            raise ValueError("again")

    @flow
    def whole() -> tuple[str, str]:
        first, second = hub.emit_event("order.made", "o-1"), hub.emit_event("order.made", "o-1")
        pays("o-1")
        return first, second

    first, second = whole()
    assert len(tries) == 3
    assert first != second, "two calls are two events"
    assert sorted(row["type"] for row in emitted(plane)) == ["order.made", "order.made", "order.paid"]
    assert {row["run_id"] for row in emitted(plane)} == {plane.only("whole")["id"]}


def test_what_was_killed_between_writing_and_noting_has_written_once(plane: Plane) -> None:
    """Its process dies after the event was written and before the step was kept."""
    file = plane.file("""
import hub
from hub.engine.run import Lose
from hub.runtime import inline
from hub.runtime.executor import emitting
from hub.runtime.orchestrator import handle
from hub.types import Scope
real = emitting.note

def lost(context, *args):
    if context.attempt == 1:
        handle(inline.home().store, Scope(), context.run_id, Lose(1, 1, "killed"))
    return real(context, *args)

emitting.note = lost

@flow
def whole(): return hub.emit_event("order.made", payload={"n": 1})
""")
    run_id = plane.run(f"{file}:whole")
    try:
        plane.attempt(run_id)
    finally:
        emitting.note = note  # type: ignore[attr-defined]
    (row,) = emitted(plane)
    plane.attempt(run_id)
    assert [one["id"] for one in emitted(plane)] == [row["id"]]
    assert (plane.row(run_id)["attempt"], plane.row(run_id)["result"]) == (2, f'"{row["id"]}"'.encode())


def test_it_is_awaited_in_a_coroutine(plane: Plane) -> None:
    @flow
    async def whole() -> str:
        return str(await hub.emit_event("order.made"))

    assert asyncio.run(whole()) == emitted(plane)[0]["id"]


def test_an_id_of_ones_own_is_written_once(plane: Plane) -> None:
    own = new_id()
    assert hub.emit_event("order.made", id=own) == hub.emit_event("order.made", id=own) == own
    assert [row["id"] for row in emitted(plane)] == [own]


def test_an_automation_sees_the_payload_as_body(plane: Plane) -> None:
    file = plane.file("@flow\ndef ships(order, amount): return [order, amount]\n")
    full = {"name": "ships", "flow_name": "ships", "entrypoint": f"{file}:ships"}
    apply(plane.store, Command("deployment.set", SCOPE, "ships", full))
    rule = {
        "name": "ship", "trigger": {"types": ["order.paid"], "match": "body.amount > 10"},
        "actions": [{"run_deployment": "ships", "parameters": {"order": "=event.subject", "amount": "=body.amount"}}],
    }  # fmt: skip
    apply(plane.store, Command("automation.create", SCOPE, "", rule))
    sequencer, rules = Sequencer(plane.store), Automations(plane.store)
    for amount in (5, 20):
        hub.emit_event("order.paid", f"o-{amount}", {"amount": amount})
    while sequencer.step() or rules.step():
        continue
    assert [row["parameters"] for row in plane.rows("ships")] == [{"order": "o-20", "amount": 20}]


@pytest.mark.parametrize(
    "given",
    [
        {"event": "hub.run.failed"}, {"event": "hub"}, {"event": ""}, {"event": "with space"}, {"event": "x" * 200},
        {"event": "a", "payload": "x" * 70_000}, {"event": "a", "payload": object()},
        {"event": "a", "resource": {"a": 1}},
        {"event": "a", "related": {"a": "b"}}, {"event": "a", "related": ["b"]}, {"event": "a", "id": "7"},
        {"event": "a", "resource": {str(n): "x" for n in range(60)}}, {"event": "a", "resource": "\x00"},
    ],
    ids=lambda given: "-".join(given) + f"-{type(list(given.values())[-1]).__name__}",
)  # fmt: skip
def test_what_is_none_is_refused_with_a_reason(plane: Plane, given: dict[str, Any]) -> None:
    with pytest.raises(HubError) as refused:
        hub.emit_event(**given)
    assert len(refused.value.detail) > 10
    assert emitted(plane) == []


def test_labels_that_are_none_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="names and values that are texts"):
        hub.emit_event("a", resource={"a": 1})  # type: ignore[dict-item]


def test_a_webhook_is_sent_once_however_often_a_flow_is_retried(plane: Plane) -> None:
    made = {"name": "partner", "url": "https://partner.example.com/"}
    apply(plane.store, Command("endpoint.create", SCOPE, "", made))
    tries = []

    @flow(retries=1)
    def paid() -> tuple[str, str]:
        sent = hub.send_webhook("partner", "order.paid", {"order": 17}), hub.send_webhook("partner", "order.paid")
        tries.append(sent)
        if len(tries) < 2:
            raise ValueError("again")
        return sent

    first, second = paid()
    assert tries == [(first, second)] * 2
    with plane.store.read() as tx:
        sent = outgoing.listing(tx, SCOPE).items
    assert sorted(row["id"] for row in sent) == sorted((first, second))
    assert all(row["origin"].startswith("run:") for row in sent)
    with pytest.raises(NotFoundError, match="no endpoint 'nobody'"):
        hub.send_webhook("nobody", "order.paid")
