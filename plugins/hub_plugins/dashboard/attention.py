"""What a person should look at, worst first; nothing here means that all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hub.runtime.scopes import allows
from hub.store.base import Tx
from hub.store.tables import Channel, Delivery, RunRow, Source, Worker
from hub.types import Micros, Scope, first_id
from hub.web.ui import queries
from hub.web.ui.show import cut, plural
from hub.web.ui.templating import link

from hub_plugins.dashboard.counts import HOUR, HOURS

RUNS = RunRow.__table__
SOURCES = Source.__table__
CHANNELS = Channel.__table__
DELIVERIES = Delivery.__table__
WORKERS = Worker.__table__
MAX_RUNS = 6
HEAVY = ("parameters", "result", "error_trace", "retry_policy")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to look at. `kind` is a badge's kind or, for a run, its state."""

    kind: str
    word: str
    text: str
    address: str
    detail: str = ""
    at: Micros | None = None
    state: str = ""


def items(tx: Tx, scope: Scope, counts: Mapping[str, int]) -> list[Item]:
    """Everything worth a look, within what the reader may see."""
    found = [*_work(tx, scope, counts), *_failures(tx, scope)]
    if allows(scope.actor.scopes, "sources:read"):
        found += _sources(tx, scope)
    if allows(scope.actor.scopes, "alerts:read"):
        found += _alerts(tx, scope)
    return found


def _work(tx: Tx, scope: Scope, counts: Mapping[str, int]) -> Iterator[Item]:
    alive = queries.count(tx, scope, WORKERS, WORKERS.c.status != "gone", WORKERS.c.lease_until >= tx.now, limit=1)
    if not alive and counts["waiting"]:
        text = f"{plural(counts['waiting'], 'run')} wait and no worker is alive"
        yield Item("bad", "No worker", text, "/ui/workers", "Start one with: hub worker")
    elif counts["late"]:
        text = f"{plural(counts['late'], 'run')} should have begun more than a minute ago"
        yield Item("warn", "Late", text, link("/ui/runs", state="waiting"))


def _failures(tx: Tx, scope: Scope) -> Iterator[Item]:
    # The newest that failed, then those of them that ended lately: so old failures cost nothing, however many.
    states = [RUNS.c.state_type == state for state in ("FAILED", "CRASHED")]
    newest = queries.merged(tx, scope, RUNS, states, without=HEAVY).items
    for run in [run for run in newest if (run["ended_at"] or 0) >= tx.now - HOURS * HOUR][:MAX_RUNS]:
        detail = cut(run["error_message"] or run["state_message"] or "", 160)
        address, name = link("/ui/runs", run["id"]), run["name"] or run["id"]
        yield Item("bad", run["state_name"], name, address, detail, run["ended_at"], run["state_type"])


def _sources(tx: Tx, scope: Scope) -> Iterator[Item]:
    where = (SOURCES.c.verify_none.is_(True), SOURCES.c.enabled.is_(True), SOURCES.c.deleted_at.is_(None))
    for source in queries.listing(tx, scope, SOURCES, *where, limit=5).items:
        text = f"{source['name']} takes requests from anybody"
        yield Item("bad", "Not verified", text, link("/ui/sources", source["id"]), "Its source says verify: none.")


def _alerts(tx: Tx, scope: Scope) -> Iterator[Item]:
    off = (CHANNELS.c.enabled.is_(False), CHANNELS.c.disabled_reason != "")
    for channel in queries.listing(tx, scope, CHANNELS, *off, limit=5, without=("sealed",)).items:
        yield Item("warn", "Channel off", channel["name"], "/ui/channels", cut(channel["disabled_reason"], 160))
    since = first_id(tx.now - HOURS * HOUR)
    dead = queries.count(tx, scope, DELIVERIES, DELIVERIES.c.status == "dead", DELIVERIES.c.id >= since)
    if dead:
        text = f"{plural(dead, 'alert')} could not be delivered in the last 24 hours"
        yield Item("bad", "Given up", text, link("/ui/deliveries", status="dead"))
