"""A plugin among others: what it is given stays as it was for those after it, and what others raise is theirs."""

from __future__ import annotations

import copy
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from hub import hookspecs
from hub.hooks import Hooks
from hub.plugins import load_plugins
from hub.sdk.flows import flow
from hub.store import events, runs
from hub.testing.conformance.rules import Broken
from hub.testing.conformance.subject import Subject
from hub.testing.kit import harness

_NAME = "hub_faulty_neighbour"
_MANIFEST = 'name = "faulty-neighbour"\nsummary = "Everything of it fails."\nruns_in = ["{where}"]\n'
_HOOK = "@hookimpl(tryfirst=True)\ndef {name}():\n    raise RuntimeError('the neighbour fails')\n"
_DECLARING = (
    "hub_actions", "hub_channel_kinds", "hub_connection_kinds", "hub_consumers", "hub_presets", "hub_result_stores",
    "hub_serializers",
)  # fmt: skip


@flow(name="conformance")
def _a_flow() -> int:
    return 1


def lives_beside_others(subject: Subject) -> None:
    """C16: Its hooks leave what they are given as it was, and give the same beside a plugin whose hooks all raise."""
    where = subject.loaded.context.process
    with _faulty(where) as neighbour, harness(plugins="none") as kit:
        settings = kit.settings.model_copy(update={"plugins": ""})
        loaded = load_plugins(
            settings, process=where, store=kit.store, found=[subject.point, neighbour], stored=subject.configured()
        )
        rows = {row.name: row for row in loaded.table}
        if not rows[subject.point.name].works:
            raise Broken(f"it is not loaded beside another plugin: {rows[subject.point.name].problem}")
        for hook in _DECLARING:
            if subject.has(hook) and len(subject.given(hook)) != len(_given(loaded.hooks, hook)):
                raise Broken(f"{hook} gives something else beside a plugin that fails")
        kit.submit(_a_flow)
        for hook, arguments in _samples(kit.store):
            _untouched(loaded.hooks, subject.point.name, hook, arguments)


def _given(hooks: Hooks, hook: str) -> list[Any]:
    found = getattr(hooks, hook.removeprefix("hub_"))()
    return list(found.values() if isinstance(found, Mapping) else found)


def _samples(store: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    with store.read() as tx:
        told = [dict(event) for event in events.after(tx, seq=0, limit=100)]
        ran = [event for event in told if event["type"].startswith("hub.run.")]
        run = dict(runs.by_ids(tx, {ran[0]["run_id"]})[ran[0]["run_id"]])
    flow_ = {"name": "conformance", "deployment": "conformance", "parameter_schema": {}}
    asked = {"id": run["id"], "name": "a", "parameters": {"n": 1}, "tags": ["a"], "origin": "api", "actor": "local"}
    alert = {"title": "A title", "text": "A text", "status": "firing", "severity": "error", "alerts": [], "links": {}}
    channel = {"name": "ops", "scheme": "mailtos", "format": "text"}
    yield "hub_run_state", {"event": ran[0], "run": run}
    yield "hub_run_before", {"run": asked, "flow": flow_}
    yield "hub_export_redact", {"events": told}
    yield "hub_trigger_match", {"event": {**ran[0], "data": {}}, "automation": {"name": "a", "plugin": "x"}}
    yield "hub_alert_render", {"alert": alert, "channel": channel}
    yield "hub_alert_sent", {"alert": alert, "channel": channel, "result": {"status": "sent", "error": ""}}


def _untouched(hooks: Hooks, plugin: str, hook: str, arguments: dict[str, Any]) -> None:
    for one in hooks._implementations(hook):
        if one.plugin != plugin:
            continue
        given = copy.deepcopy(arguments)
        hooks._one(one, given, 5)
        changed = [name for name, value in arguments.items() if given[name] != value]
        if changed:
            raise Broken(f"{hook} changes {', '.join(changed)}, which the plugins after it get too: change a copy")


@contextmanager
def _faulty(where: str) -> Iterator[EntryPoint]:
    """A plugin each of whose hooks raises."""
    with tempfile.TemporaryDirectory(prefix="hub-neighbour-") as folder:
        package = Path(folder) / _NAME
        package.mkdir()
        names = [name for name in vars(hookspecs) if name.startswith("hub_")]
        code = "from hub import hookimpl\n" + "".join(_HOOK.format(name=name) for name in names)
        (package / "__init__.py").write_text("")
        (package / "plugin.py").write_text(code)
        (package / "manifest.toml").write_text(_MANIFEST.format(where=where))
        sys.path.insert(0, folder)
        try:
            yield EntryPoint("faulty-neighbour", f"{_NAME}.plugin", "hub.plugins")
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.split(".")[0] == _NAME]:
                del sys.modules[name]
