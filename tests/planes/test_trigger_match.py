"""The hook hub_trigger_match on every store: a stranger's plugin says which events an automation means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hub.errors import UsageError
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import Store
from tests.planes import automating as a


@pytest.fixture(autouse=True)
def with_echo(store: Store) -> Iterator[None]:
    with contributed.apart():
        settings = load_settings({"plugins": "only:webhooks,storage,echo"}, environ={})
        contributed.install(load_plugins(settings, process="upkeep", store=store).hooks)
        yield


def automation(store: Store, **trigger: Any) -> str:
    a.make_deployment(store)
    return a.automate(store, types=["hub.worker.lost"], plugin="echo", **trigger)


def test_the_plugin_passes_over_what_it_does_not_mean(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_MATCH", "w9")
    rule = automation(store)
    for name in ("w1", "w9", "w2"):
        a.happen(store, name=name)
    a.work(store)
    assert (a.outcomes(store, rule), len(a.made_runs(store))) == (["fired"], 1)


@pytest.mark.parametrize("mode", ["raise", "garbage"])
def test_a_failure_is_seen_and_starts_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("ECHO_MATCH", mode)
    rule = automation(store)
    a.happen(store)
    a.work(store)
    (row,) = a.evaluations(store, rule)
    assert (row["outcome"], row["error"].startswith("plugin echo: "), a.made_runs(store)) == ("error", True, [])


def test_a_plugin_that_is_gone_is_named(store: Store) -> None:
    rule = automation(store)
    with contributed.apart():
        settings = load_settings({"plugins": "only:webhooks,storage"}, environ={})
        contributed.install(load_plugins(settings, process="upkeep", store=store).hooks)
        a.happen(store)
        a.work(store)
    (row,) = a.evaluations(store, rule)
    assert row["error"] == "the plugin echo is not loaded here, or does not implement hub_trigger_match"


def test_no_plugin_is_asked_of_parts(store: Store) -> None:
    part = {"types": ["hub.worker.lost"]}
    whole = {"kind": "compound", "triggers": [part, {**part, "plugin": "echo"}]}
    args = {"name": "whole", "trigger": whole, "actions": [{"run_deployment": "ci"}]}
    with pytest.raises(UsageError, match="part 2: no plugin is asked of parts"):
        apply(store, Command("automation.set", a.SCOPE, args=args))
