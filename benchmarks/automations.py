"""What one event costs where there are 1,000 automations: spread over types, and all on its type with filters that
say no, beside the bare filters."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

from hub.runtime.automations import Automations
from hub.runtime.expressions import compile_expression, prepare
from hub.settings import load_settings
from hub.store import Store, automations, events
from hub.store.opening import open_hub
from hub.store.tables import Event
from hub.types import Scope, new_id

from benchmarks.row import Row, median, percentile

SCOPE = Scope()
COUNT = 1_000
BUDGET = 5.0
EVENTS: Any = Event.__table__


def measure(quick: bool) -> list[Row]:
    """SQLite; one event in a batch, from looking for it to having noted the position behind it."""
    rounds = 50 if quick else 200
    spread = _measure(lambda number: {"types": [f"provider{number % 100}.push"]}, rounds)
    same = _measure(lambda _: {"types": ["provider0.push"]}, rounds)
    floor = _bare_filters(rounds)
    return [
        Row("1,000 automations over 100 types, one event", median(spread), "ms", BUDGET, note=_note(spread)),
        Row(
            "1,000 automations on its type, one event", median(same), "ms", BUDGET, floor, "1,000 bare filters",
            note=_note(same),
        ),
    ]  # fmt: skip


def _note(times: list[float]) -> str:
    return f"no filter matches; p99 {percentile(times, 0.99):.1f} ms"


def _measure(trigger: Callable[[int], dict[str, Any]], rounds: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        store = open_hub(load_settings({"home": folder, "log_level": "WARNING"}, environ={}))
        store.migrate()
        try:
            _fill(store, trigger)
            process = Automations(store)
            return [_once(store, process, number) for number in range(1, rounds + 10)][9:]
        finally:
            store.close()


def _fill(store: Store, trigger: Callable[[int], dict[str, Any]]) -> None:
    with store.write() as tx:
        for number in range(COUNT):
            row = {
                "id": new_id(), "workspace_id": SCOPE.workspace_id, "name": f"rule-{number}", "description": "",
                "enabled": True, "trigger": {"kind": "event", "match": _filter(number), **trigger(number)},
                "actions": [{"run_deployment": "ci", "parameters": {}}], "version": 1, "created_at": tx.now,
                "updated_at": tx.now,
            }  # fmt: skip
            tx.insert(automations.TABLE, row)


def _filter(number: int) -> str:
    return f"event.delivery_id == 'number-{number}' && event.preset == 'github'"


def _once(store: Store, process: Automations, seq: int) -> float:
    fields = {"preset": "github", "delivery_id": f"d{seq}", "source_name": "code"}
    with store.write(durable=False) as tx:
        event_id = events.append(tx, SCOPE, "provider0.push", source="source:code", **fields)
        tx.conn.execute(EVENTS.update().where(EVENTS.c.id == event_id).values(seq=seq, hash=""))
    began = time.perf_counter()
    if not process.step():
        raise RuntimeError("the event was not seen")
    return (time.perf_counter() - began) * 1000


def _bare_filters(rounds: int) -> float:
    filters = [compile_expression(_filter(number)) for number in range(COUNT)]
    event = {"preset": "github", "delivery_id": "d1"}
    times = []
    for _ in range(rounds):
        ready = prepare({"event": event})
        began = time.perf_counter()
        if any(one.matches(ready) for one in filters):
            raise RuntimeError("a filter matched")
        times.append((time.perf_counter() - began) * 1000)
    return median(times)
