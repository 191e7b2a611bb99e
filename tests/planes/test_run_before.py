"""The hook hub_run_before on every store: what a stranger's plugin makes of runs, and what its failures mean."""

from __future__ import annotations

from typing import Any

import pytest
from hub import hooks as callers
from hub.errors import ParameterError, RefusedError
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import Store, runs
from hub.types import Scope

SCOPE = Scope()


def hooks(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> callers.Hooks:
    """The plugins of this process are freshly loaded ones."""
    loaded = load_plugins(load_settings(settings, environ={}), process="web").hooks
    monkeypatch.setattr(contributed, "_installed", None)
    monkeypatch.setattr(contributed, "_hooks", None)
    contributed.install(loaded)
    return loaded


def start(store: Store, **args: Any) -> dict[str, Any]:
    """A run of a deployment with a parameter and a tag, as it was made."""
    deployment = {
        "name": "count", "flow_name": "f", "entrypoint": "f.py:f", "parameters": {"n": 1, "m": 2},
        "tags": ["own"], "parameter_schema": {},
    }  # fmt: skip
    apply(store, Command("deployment.set", SCOPE, "count", deployment))
    made = apply(store, Command("run.create", SCOPE, "count", args)).result
    with store.read() as tx:
        found = runs.row(tx, SCOPE, made["id"])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("gate", "parameters", "tags"),
    [
        ("", {"n": 1, "m": 2}, ["own", "x"]),
        ("tag", {"n": 1, "m": 2}, ["own", "seen", "x"]),
        ("change", {"n": 5, "m": 2}, ["own", "x"]),
        ("garbage", {"n": 1, "m": 2}, ["own", "x"]),
        ("raise", {"n": 1, "m": 2}, ["own", "x"]),
    ],
)
def test_a_run_is_made_as_the_plugin_has_it_and_as_it_was_where_that_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch, gate: str, parameters: dict[str, int], tags: list[str]
) -> None:
    loaded = hooks(monkeypatch)
    monkeypatch.setenv("ECHO_GATE", gate)
    row = start(store, tags=["x"])
    assert (row["parameters"], row["tags"]) == (parameters, tags)
    failed = {"garbage": "not a Patch", "raise": "told to raise"}.get(gate, "")
    assert failed in loaded.breakers["echo", "hub_run_before"].last_error
    assert bool(failed) == bool(loaded.breakers["echo", "hub_run_before"].total)


@pytest.mark.parametrize(
    ("gate", "plugins", "said"),
    [
        ("garbage", "", "no run is made without the plugin echo: it gave dict"),
        ("raise", "", "no run is made without the plugin echo: RuntimeError"),
        ("hang", "", "no run is made without the plugin echo: it did not end within 0.2 s"),
        ("", "-echo", "no run is made without the plugin echo: it is not loaded here"),
    ],
)
def test_where_a_plugin_must_be_asked_its_failure_is_a_no(
    store: Store, monkeypatch: pytest.MonkeyPatch, gate: str, plugins: str, said: str
) -> None:
    monkeypatch.setattr(callers, "GATE_S", 0.2 if gate == "hang" else callers.GATE_S)
    loaded = hooks(monkeypatch, plugins=plugins, plugins_fail_closed=("echo",))
    for mode in (gate,) * 6 if gate == "raise" else (gate,):  # once it is skipped, too
        monkeypatch.setenv("ECHO_GATE", mode)
        with pytest.raises(RefusedError, match="no run is made without the plugin echo") as caught:
            start(store)
        assert said in caught.value.detail or "is skipped" in caught.value.detail
    if not plugins:
        assert loaded.breakers["echo", "hub_run_before"].total
    with store.read() as tx:
        assert runs.listing(tx, SCOPE).items == []


def test_a_no_is_told_with_its_reason_and_what_was_changed_is_checked(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks(monkeypatch)
    monkeypatch.setenv("ECHO_GATE", "refuse")
    with pytest.raises(RefusedError, match="the plugin echo refuses this run: echo lets no f run") as caught:
        start(store)
    assert caught.value.code == "run-refused"
    monkeypatch.setenv("ECHO_GATE", "change")
    strict = {"name": "strict", "flow_name": "f", "entrypoint": "f.py:f"}
    schema = {"type": "object", "properties": {"n": {"type": "string", "enum": ["a"]}}}
    apply(store, Command("deployment.set", SCOPE, "strict", {**strict, "parameter_schema": schema}))
    with pytest.raises(ParameterError):
        apply(store, Command("run.create", SCOPE, "strict", {"parameters": {"n": "a"}}))
