"""Webhooks as providers send them, through the hub's own door, without a server."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hub import flow
from hub.errors import NotFoundError, UsageError
from hub.runtime.presets import installed
from hub.testing import harness, webhook


@flow
def build(ref: str) -> str:
    return f"built {ref}"


PRESETS = (
    "basic",
    "generic-hmac",
    "github",
    "gitlab",
    "shopify",
    "slack",
    "standard-webhooks",
    "stripe",
    "svix",
    "token",
)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_presets_samples_are_taken_by_the_door(preset: str) -> None:
    with harness() as hub:
        for sample in installed().get(preset).samples:
            sent = hub.webhook(preset, sample.name)
            found = hub.deliver(sent)
            assert 200 <= found.status < 300, (sample.name, found)
            assert found.receipt is not None
            assert found.receipt["verdict"] in ("accepted", "handshake"), sample.name
            if found.receipt["verdict"] == "accepted":
                assert [event["type"] for event in found.events] == [f"{preset}.{sent.event}"]
            second = hub.deliver(hub.webhook(preset, sample.name))
            assert second.status == found.status


def test_a_delivery_starts_runs_and_a_repeated_one_does_not() -> None:
    with harness() as hub:
        hub.on("github.push", build, {"ref": "=body.ref"})
        push = hub.webhook("github", "push", body={"ref": "main"})
        found = hub.deliver(push)
        assert (found.status, found.run.result, found.run.origin) == (202, "built main", "automation")
        again = hub.deliver(push)
        assert (again.status, again.runs, again.events) == (202, (), ())
        assert again.answer == found.answer
        assert again.receipt is not None
        assert again.receipt["duplicates"] == 1
        with pytest.raises(UsageError, match="started 0 runs"):
            _ = again.run


def test_a_forgery_is_refused_and_says_why() -> None:
    with harness() as hub:
        push = hub.webhook("github", "push")
        found = hub.deliver(dataclasses.replace(push, body=b"{}"))
        assert (found.status, found.events) == (401, ())
        assert found.receipt is not None
        assert found.receipt["reason"] == "the signature does not match"


def test_an_old_delivery_is_outside_its_window() -> None:
    with harness() as hub:
        old = hub.webhook("stripe", "payment_intent.succeeded")
        hub.clock.move(3600)
        found = hub.deliver(old)
        assert found.status == 401
        assert found.receipt is not None
        assert "time" in found.receipt["reason"] or "old" in found.receipt["reason"]


@pytest.mark.parametrize(
    ("preset", "event", "body"),
    [
        ("github", "star", {"action": "created"}),
        ("stripe", "charge.refunded", {"object": "event"}),
        ("slack", "team_join", {}),
    ],
)
def test_events_without_a_sample_are_made_of_a_body(preset: str, event: str, body: Any) -> None:
    with harness() as hub:
        sent = hub.webhook(preset, event, body=body)
        assert sent.event == event
        assert [found["type"] for found in hub.deliver(sent).events] == [f"{preset}.{event}"]


def test_what_cannot_be_made_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="no sample 'nothing'"):
        webhook("github", "nothing")
    with pytest.raises(NotFoundError, match="no preset 'gitbub'"):
        webhook("gitbub", "push")
    with pytest.raises(UsageError, match="says no event type"):
        webhook("stripe", "charge.refunded", body=b"not json")


def test_without_a_hub_it_is_a_signed_request() -> None:
    made = webhook("github", "push", secret="s3cret", id="d-7", url="https://example.org/in")
    assert (made.method, made.url, made.event) == ("POST", "https://example.org/in", "push")
    assert made.headers["X-GitHub-Delivery"] == "d-7"
    assert made.headers["X-Hub-Signature-256"].startswith("sha256=")
    assert made.json()["ref"].startswith("refs/")
    assert "s3cret" not in repr(made)


def test_a_source_may_be_named() -> None:
    with harness() as hub:
        hub.deliver(hub.webhook("github", "ping", source="ci"))
        assert [source["name"] for source in hub.client.get("/sources")["items"]] == ["ci"]
