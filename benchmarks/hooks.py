"""What asking plugins costs beside what they do: 20 that are trusted, 20 that are not, and none."""

from __future__ import annotations

import time
import types

import pluggy
from hub import hookspecs
from hub.hooks import Hooks
from hub.hookspecs import hookimpl

from benchmarks.row import Row, median

PLUGINS = 20
CALLS = 500


def measure(quick: bool) -> list[Row]:
    """Microseconds of one call of a hook that does nothing."""
    repeats = 5 if quick else 25
    return [
        Row("hook with 20 trusted plugins", _call(PLUGINS, repeats, trusted=True), "µs", budget=50.0),
        Row("hook with 20 plugins of others", _call(PLUGINS, max(2, repeats // 5), trusted=False), "µs",
            note="a thread each, so that one that hangs holds up nobody"),
        Row("hook that nobody implements", _call(0, repeats, trusted=True), "µs", budget=5.0),
    ]  # fmt: skip


def _call(plugins: int, repeats: int, *, trusted: bool) -> float:
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    names = [f"plugin-{number}" for number in range(plugins)]
    for name in names:
        module = types.ModuleType(name)
        module.hub_run_state = hookimpl(_nothing)  # type: ignore[attr-defined]
        manager.register(module, name=name)
    hooks = Hooks(manager, frozenset(names) if trusted else frozenset())
    calls = CALLS if trusted else CALLS // 10
    hooks.run_state({}, {})
    return median([_timed(hooks, calls) for _ in range(repeats)])


def _timed(hooks: Hooks, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        hooks.run_state({}, {})
    return (time.perf_counter() - began) / calls * 1_000_000


def _nothing(event: object, run: object) -> None:
    """What a plugin that is not concerned does."""
