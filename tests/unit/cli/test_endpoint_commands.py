"""Endpoints and what was sent to them, typed as a person types it."""

from __future__ import annotations

import pytest
from hub.runtime.sending import Sender
from hub.settings import load_settings
from hub.store import open_hub
from hub.types import new_id
from tests.receivers import receiver

from .conftest import Shell


@pytest.fixture(autouse=True)
def _loopback_may_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_OUTBOUND_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("HUB_ENDPOINT_RETRY_DELAYS", "300")
    monkeypatch.setenv("HUB_ENDPOINT_TIMEOUT", "5")
    monkeypatch.setenv("HUB_ENDPOINT_DISABLE_AFTER", "3600")


def work() -> None:
    settings = load_settings()
    store = open_hub(settings)
    sender = Sender(store, settings)
    sender.step()
    sender.close()
    store.close()


def test_from_the_first_key_to_the_delivery(hub: Shell) -> None:
    with receiver(500, 204) as there:
        made = hub("endpoints", "create", "partner", stdin=f"{there.url}\n")
        assert "whsec_" in made
        assert "shown this once" in made
        (listed,) = hub.json("endpoints", "ls")
        assert (listed["name"], listed["label"]) == ("partner", f"http://127.0.0.1:{there.port}/...")
        assert "whsec_" not in hub("endpoints", "show", "partner")
        sent = hub.json("endpoints", "send", "partner", "order.paid", "--data", '{"order": 17}')
        work()
        (row,) = hub.json("endpoints", "deliveries", "partner", "--status", "pending")
        assert (row["id"], row["error"]) == (sent["id"], "it answered 500")
        assert "answered 500" in hub("endpoints", "delivery", sent["id"])
        hub("endpoints", "resend", sent["id"])
        work()
        shown = hub.json("endpoints", "delivery", sent["id"])
        assert [attempt["status_code"] for attempt in shown["tried"]] == [500, 204]
        assert '"order":17' in shown["body"]
        assert "1 messages" in hub("endpoints", "resend", "partner", "--all", "--status", "delivered")


def test_keys_and_addresses_are_changed(hub: Shell) -> None:
    hub("endpoints", "create", "partner", "https://example.com/hooks")
    rotated = hub.json("endpoints", "rotate", "partner", "--sign", "both", "--overlap", "60")
    assert [key["scheme"] for key in rotated["keys"]] == ["v1", "v1a"]
    assert len(hub.json("endpoints", "show", "partner")["keys"]) == 3
    hub("endpoints", "update", "partner", "https://other.example.com/hooks")
    assert hub.json("endpoints", "show", "partner")["label"] == "https://other.example.com/..."
    hub("endpoints", "disable", "partner")
    assert "switched off" in hub("endpoints", "show", "partner")
    hub("endpoints", "enable", "partner")
    hub("endpoints", "rm", "partner", "--yes")
    assert hub.json("endpoints", "ls") == []


def test_what_is_wrong_is_said(hub: Shell) -> None:
    assert "cannot be called" in hub("endpoints", "create", "partner", "ftp://example.com", code=2)
    hub("endpoints", "create", "partner", "https://example.com/hooks")
    assert "there is an endpoint named" in hub("endpoints", "create", "partner", "https://example.com/", code=4)
    assert "not JSON" in hub("endpoints", "send", "partner", "a", "--data", "{", code=2)
    assert "no endpoint" in hub("endpoints", "send", "nobody", "a", code=3)
    assert "no delivery" in hub("endpoints", "delivery", new_id(), code=3)
    assert "No attempt" in hub("endpoints", "test", "partner", "--wait", "0", code=1)
