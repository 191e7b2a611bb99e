"""Carrying out what must follow a commit: claimed by row, at least once, given up after eight tries."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hub.errors import HubError, UnavailableError
from hub.plugins import Context, Loop
from hub.runtime import process
from hub.store import effects, events, runs
from hub.store.base import Store
from hub.types import Id, Scope, new_id

log = logging.getLogger("hub.effects")
Handler: TypeAlias = Callable[[Context, Mapping[str, Any]], None]
"""(context, effect row) -> None. Idempotent: it may be called again for the same row. Raises to be tried again."""

HOMES = {"run_state": "hub.runtime.effects:run_state", "receipt": "hub.runtime.relay:carry_out"}
"""Where the handler of each kind lives; imported when the first effect of the kind is due."""
BATCH = 50
LEASE_S = 60.0
_DELAYS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(slots=True)
class Effects:
    """One per upkeep process; any number may run, a row is claimed by one of them at a time."""

    ctx: Context
    kinds: tuple[str, ...] = tuple(HOMES)
    interval: float = 1.0
    holder: str = field(default_factory=lambda: f"{process.identity()}#{new_id()}")

    def step(self) -> bool:
        """Claim a batch, carry it out, note what came of it. True when there may be more."""
        store: Store = self.ctx.store
        with store.read() as tx:
            if not effects.any_due(tx, self.kinds):
                return False
        with store.write() as tx:
            rows = effects.claim(tx, self.kinds, self.holder, limit=BATCH, lease_s=LEASE_S)
        done: list[Id] = []
        failed: list[tuple[dict[str, Any], str]] = []
        for row in rows:
            problem = self._carry_out(row)
            if problem:
                failed.append((row, problem))
            else:
                done.append(row["id"])
        if rows:
            self._note(store, done, failed)
        return len(rows) == BATCH

    def _carry_out(self, row: dict[str, Any]) -> str:
        """The problem as a text; empty when it is done."""
        try:
            handler(row["kind"])(self.ctx, row)
        except HubError as error:
            return error.detail
        except Exception as error:
            log.exception("effect %s %s failed", row["kind"], row["key"])
            return f"{type(error).__name__}: {error}"
        return ""

    def _note(self, store: Store, done: list[Id], failed: list[tuple[dict[str, Any], str]]) -> None:
        with store.write() as tx:
            effects.finish(tx, done)
            for row, problem in failed:
                delay = _DELAYS[min(row["tries"], len(_DELAYS) - 1)]
                if effects.fail(tx, row, problem, retry_in_s=delay):
                    log.error("effect %s %s is given up: %s", row["kind"], row["key"], problem)

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop(f"effects {'+'.join(self.kinds)}", self.step, topics=("effects",), interval=self.interval)


def handler(kind: str) -> Handler:
    """What carries out effects of a kind."""
    module, _, name = HOMES[kind].partition(":")
    found: Handler = getattr(importlib.import_module(module), name)
    return found


def run_state(ctx: Context, effect: Mapping[str, Any]) -> None:
    """Tell the plugins of a run's transition."""
    scope = Scope(effect["workspace_id"])
    with ctx.store.read() as tx:
        event = events.get(tx, scope, effect["payload"]["event_id"])
        run = runs.row(tx, scope, effect["payload"]["run_id"])
    if event is None or run is None:
        return  # removed by retention
    failed = [result for result in ctx.hooks.run_state(event=event, run=run) if not result.ok]
    # A stranger's plugin that fails is reported where plugins are listed; it must not have the others called again.
    own = [f"{result.plugin}: {result.error}" for result in failed if result.plugin in ctx.hooks.trusted]
    if own:
        raise UnavailableError("; ".join(own))
