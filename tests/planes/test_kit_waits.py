"""Flows that wait for others, under test: answered in the test, and killed at every commit."""

from __future__ import annotations

from typing import Any

import hub as sdk
import pytest
from hub import flow, task
from hub.testing import Hub, Run, harness, survives_crashes
from pydantic import BaseModel


class Approval(BaseModel):
    """What is asked for."""

    approved: bool


def test_a_flow_that_asks_is_answered_by_its_test() -> None:
    with harness() as hub:

        @flow
        def release() -> str:
            sdk.sleep(3600)
            return "out" if sdk.wait_for_input(Approval, key="approval").approved else "held back"

        run = hub.submit(release)
        assert run.state.name == "Suspended"
        (asked,) = hub.client.get(f"/runs/{run.id}/waits")
        assert asked["key"] == "approval"
        hub.client.post(f"/runs/{run.id}/answer", {"value": {"approved": True}})
        hub.settle()
        assert hub.run(run.id).result == "out"


def test_a_flow_that_waits_for_a_webhook_gets_it() -> None:
    with harness() as hub:

        @flow
        def deploy() -> str:
            push = sdk.wait_for_event("github.push", match="body.ref == 'refs/heads/main'")
            return f"{push.body['ref']} {push.headers['x-github-event']}"

        run = hub.submit(deploy)
        for ref in ("refs/heads/other", "refs/heads/main"):
            hub.deliver(hub.webhook("github", "push", body={"ref": ref}))
        hub.settle()
        assert hub.run(run.id).result == "refs/heads/main push"


@pytest.mark.long
def test_messages_survive_a_kill_at_every_commit() -> None:
    with harness():

        @task
        def sends(to: str, value: int) -> None:
            sdk.send(to, value, name="n")

        @flow
        def talks() -> list[Any]:
            context = sdk.runtime_context()
            assert context is not None
            sdk.send(context.run_id, 1, name="n")
            sends(context.run_id, 2)
            first = sdk.receive("n")
            sdk.sleep(100)
            return [first, sdk.receive("n"), sdk.receive("n", timeout=0.01, default="no third")]

        assert survives_crashes(talks) >= 10


@pytest.mark.long
def test_an_input_survives_a_kill_at_every_commit() -> None:
    """The flow is answered by itself, in the moment in which it leaves."""
    with harness() as hub:

        @task
        def mail(link: str) -> None:
            hub.notes.add(link)

        @flow
        def asks() -> list[Any]:
            context = sdk.runtime_context()
            assert context is not None
            mail(sdk.input_link("approval"))
            try:
                approval = sdk.wait_for_input(Approval, key="approval")
            finally:
                _answer(hub, context.run_id)
            return [approval.approved, sdk.wait_for_input(int, key="n", timeout=0.01, default=7)]

        def same_link(_run: Run) -> None:
            assert hub.notes == [next(iter(hub.notes))] * len(hub.notes), "it is one link, however often it is made"

        assert survives_crashes(asks, check=same_link) >= 6


def _answer(hub: Hub, run_id: str) -> None:
    if any(row["key"] == "approval" for row in hub.client.get(f"/runs/{run_id}/waits")):
        hub.client.post(f"/runs/{run_id}/answer", {"value": {"approved": True}, "key": "approval"})
