"""Carrying out what must follow a commit: claimed by row, at least once, given up after eight tries."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from hub.errors import HubError, UnavailableError
from hub.plugins import Context, Loop
from hub.runtime import process
from hub.store import effects, events, runs
from hub.store.base import Store
from hub.types import Id

log = logging.getLogger("hub.effects")
Deed: TypeAlias = Callable[[], None]
"""Carries out one effect. Idempotent: it may be called again for the same row. Raises to be tried again."""
Handler: TypeAlias = Callable[[Context, Sequence[Mapping[str, Any]]], Sequence[Deed | None]]
"""(context, effect rows) -> a deed for each, in their order; None where it is done and noted as done already. What they
need from the database it reads at once."""

HOMES = {
    "run_state": "hub.runtime.effects:run_states",
    "receipt": "hub.runtime.relay:receipts_of",
    "state_hook": "hub.runtime.hookruns:owed",
    "alert": "hub.runtime.alerting:asked",
}
"""Where the handler of each kind lives; imported when the first effect of the kind is due."""
ENDS = {"receipt": "hub.runtime.relay:given_up"}
"""What is to be noted when an effect of a kind is given up: (transaction, effect row, problem)."""
BATCH = 50
LEASE_S = 60.0
_DELAYS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(slots=True)
class Effects:
    """One per upkeep process; any number may run, a row is claimed by one of them at a time."""

    ctx: Context
    kinds: tuple[str, ...] = tuple(HOMES)
    interval: float = 1.0
    pace: float = 0.0
    linger: float = 0.0
    holder: str = field(default_factory=process.holder)

    def step(self) -> bool:
        """Claim a batch, carry it out, note what came of it. True when there may be more."""
        store: Store = self.ctx.store
        if store.dialect == "sqlite":
            with store.read() as tx:
                if not effects.any_due(tx, self.kinds):
                    return False
        # A claim is a lease: one that a power cut takes back does no harm.
        with store.write(durable=False) as tx:
            claimed = effects.ask_claim(tx, self.kinds, self.holder, limit=BATCH, lease_s=LEASE_S)
        rows = claimed()
        done: list[Id] = []
        failed: list[tuple[dict[str, Any], str]] = []
        for row, deed in self._deeds(rows):
            problem = _problem(row, deed)
            if problem:
                failed.append((row, problem))
            else:
                done.append(row["id"])
        if done or failed:
            self._note(store, done, failed)
        return len(rows) == BATCH

    def _deeds(self, rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Deed]]:
        for kind in self.kinds:
            same = [row for row in rows if row["kind"] == kind]
            if same:
                for row, deed in zip(same, handler(kind)(self.ctx, same), strict=True):
                    if deed is not None:
                        yield row, deed

    def _note(self, store: Store, done: list[Id], failed: list[tuple[dict[str, Any], str]]) -> None:
        # What a power cut takes back is carried out once more.
        with store.write(durable=False) as tx:
            effects.finish(tx, done)
            for row, problem in failed:
                delay = _DELAYS[min(row["tries"], len(_DELAYS) - 1)]
                if effects.fail(tx, row, problem, retry_in_s=delay):
                    log.error("effect %s %s is given up: %s", row["kind"], row["key"], problem)
                    if row["kind"] in ENDS:
                        _named(ENDS[row["kind"]])(tx, row, problem)

    def loop(self) -> Loop:
        """As an upkeep loop."""
        name, topics = f"effects {'+'.join(self.kinds)}", tuple({effects.topic(kind) for kind in self.kinds})
        return Loop(name, self.step, topics=topics, interval=self.interval, pace=self.pace, linger=self.linger)


def handler(kind: str) -> Handler:
    """What carries out effects of a kind."""
    found: Handler = _named(HOMES[kind])
    return found


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _problem(row: Mapping[str, Any], deed: Deed) -> str:
    """What went wrong, as a text; empty when it is done."""
    try:
        deed()
    except HubError as error:
        return error.detail
    except Exception as error:
        log.exception("effect %s %s failed", row["kind"], row["key"])
        return f"{type(error).__name__}: {error}"
    return ""


def run_states(ctx: Context, rows: Sequence[Mapping[str, Any]]) -> list[Deed]:
    """Tell the plugins of transitions of runs."""
    with ctx.store.read() as tx:
        happened = events.by_ids(tx, {row["payload"]["event_id"] for row in rows})
        changed = runs.by_ids(tx, {row["payload"]["run_id"] for row in rows})
    return [
        partial(_tell, ctx, happened.get(row["payload"]["event_id"]), changed.get(row["payload"]["run_id"]))
        for row in rows
    ]


def _tell(ctx: Context, event: Mapping[str, Any] | None, run: Mapping[str, Any] | None) -> None:
    if event is None or run is None:
        return  # removed by retention
    failed = [result for result in ctx.hooks.run_state(event=event, run=run) if not result.ok]
    # A stranger's plugin that fails is reported where plugins are listed; it must not have the others called again.
    own = [f"{result.plugin}: {result.error}" for result in failed if result.plugin in ctx.hooks.trusted]
    if own:
        raise UnavailableError("; ".join(own))
