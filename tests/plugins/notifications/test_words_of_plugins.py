"""Hooks hub_alert_render and hub_alert_sent on every store: a stranger's plugin writes messages and hears of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import Store
from hub.types import Scope

from hub_notifications import channels
from hub_notifications.deliver import Deliverer, tell_directly
from hub_notifications.plugin import hub_commands
from hub_notifications.rules import AlertEvent

SCOPE = Scope()


def delivered(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **modes: str) -> list[dict[str, Any]]:
    """What the plugin wrote down when an alert went to a channel of its own."""
    for name in ("_installed", "_hooks", "around_task"):
        monkeypatch.setattr(contributed, name, None)
    settings = load_settings({"home": tmp_path, "public_url": "https://hub.example"}, environ={})
    contributed.install(load_plugins(settings, process="upkeep", store=store).hooks)
    register(*hub_commands())
    for name, value in {"ECHO_FILE": str(tmp_path / "lines"), "ECHO_SENT": "1", **modes}.items():
        monkeypatch.setenv(name, value)
    apply(store, Command("channel.add", SCOPE, args={"name": "tape", "address": "echo://tape"}))
    with store.write() as tx:
        told = AlertEvent("firing", "x", "one", "run-failed", title="It broke", text="text")
        tell_directly(tx, SCOPE, told, channels.targeted(tx, SCOPE, []))
    Deliverer(store, settings).step()
    return [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]


@pytest.mark.parametrize(("mode", "title"), [("words", "echo: It broke"), ("garbage", "It broke"), ("", "It broke")])
def test_a_plugin_writes_the_message_and_else_the_hub_does(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, title: str
) -> None:
    message, sent = delivered(store, tmp_path, monkeypatch, ECHO_RENDER=mode)
    assert message["title"] == title
    assert (sent["sent"], sent["status"]) == ("tape", "sent")
    assert not any(sent["links"].values()), "whoever has them may act"


def test_it_hears_of_what_failed_too(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sent,) = delivered(store, tmp_path, monkeypatch, ECHO_SEND="busy")
    assert (sent["sent"], sent["status"]) == ("tape", "failed")
