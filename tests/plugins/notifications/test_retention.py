"""Old alerts and messages are removed; what fires, and what is still to be brought, stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub import types
from hub.runtime.commands import Command, apply, register
from hub.runtime.retention import Retention
from hub.settings import load_settings
from hub.store import Store
from hub.types import SECOND, Id, Scope
from sqlalchemy import select

from hub_notifications import firing, groups, notices
from hub_notifications.content import content
from hub_notifications.plugin import hub_commands
from hub_notifications.rules import AlertEvent

SCOPE = Scope()
DAY = 86_400 * SECOND


def tell(store: Store, about: str, status: str, *runs: str) -> Id:
    """An alert with some occurrences, and a message about it whose attempt has this status."""
    with store.write() as tx:
        for run_id in ("", *runs):
            told = AlertEvent("firing", about, run_id or "by itself", "test", run_id=run_id, title=about)
            alert_id = str(firing.fire(tx, SCOPE, told))
        pair = [{"alert_id": alert_id, "status": "firing", "occurrences": 1}]
        document = content("firing", [firing.find(tx, SCOPE, alert_id)], pair, tx.now)
        message = notices.plan(tx, SCOPE, document, pair, ["channel"])
        mine = notices.DELIVERIES.c.notification_id == message
        tx.conn.execute(notices.DELIVERIES.update().where(mine).values(status=status))
    return alert_id


def left(store: Store, *columns: Any) -> list[tuple[Any, ...]]:
    with store.read() as tx:
        return [tuple(row) for row in tx.conn.execute(select(*columns).order_by(columns[0]))]


def test_what_is_over_goes_and_what_fires_stays(store: Store, tmp_path: Path) -> None:
    register(*hub_commands())
    over, fires, waits = tell(store, "over", "sent"), tell(store, "fires", "sent", "run-1"), tell(store, "w", "pending")
    apply(store, Command("alert.end", SCOPE, over))
    for ends in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        args = {"match": "true", "comment": "x", "starts": "2019-01-01T00:00:00Z", "ends": "2999-01-01T00:00:00Z"}
        silence = apply(store, Command("silence.create", SCOPE, args=args)).result["id"]
        if ends < "2999":
            apply(store, Command("silence.end", SCOPE, silence))
    retention = Retention(store, load_settings({"home": tmp_path}, environ={}))
    retention.step()
    assert len(left(store, notices.ALERTS.c.id)) == 3
    types.move_clock(100 * DAY)
    try:
        retention.step()
    finally:
        types.move_clock(-100 * DAY)
    assert {row[0] for row in left(store, notices.ALERTS.c.id)} == {fires, waits}
    assert left(store, notices.DELIVERIES.c.status) == [("pending",)]
    assert [row[0] for row in left(store, notices.TOLD.c.alert_id)] == [waits]
    assert len(left(store, notices.NOTIFICATIONS.c.id)) == 1
    kept = left(store, firing.OCCURRENCES.c.alert_id, firing.OCCURRENCES.c.occurrence)
    assert sorted(kept) == sorted([(fires, "by itself"), (waits, "by itself")])
    with store.read() as tx:
        assert len(tx.conn.execute(select(groups.SILENCES.c.id)).all()) == 1
