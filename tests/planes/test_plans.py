"""How listings find their rows: by an index that gives them in order, never by looking at every row.

The plans are asked of the real databases with a hundred thousand rows, of which the wanted ones are few: only then is
a scan the wrong way, and a planner with statistics may take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.states import StateType
from hub.store import Store, Tx, artifacts, assets, event_log, inbox, open_store, outgoing, receipts, run_details, runs
from hub.store.inbox import Wanted
from hub.types import Scope, new_id
from sqlalchemy import event

from hub_notifications import firing, notices

ROWS = 100_000
RARE = 20_000
"""One row in so many is a wanted one."""
SCOPE = Scope()
SOURCE = new_id()

LISTINGS: dict[str, tuple[Callable[[Tx], Any], str]] = {
    "runs, newest": (lambda tx: runs.listing(tx, SCOPE), "ix_runs_ws"),
    "runs of a flow": (lambda tx: runs.listing(tx, SCOPE, flow_name="rare"), "ix_runs_ws_flow"),
    "runs of a name": (lambda tx: run_details.listing(tx, SCOPE, name="rare"), "ix_runs_ws_name"),
    "runs of a deployment": (lambda tx: runs.listing(tx, SCOPE, deployment_id=SOURCE), "ix_runs_ws_deployment"),
    "runs of a parent": (lambda tx: runs.listing(tx, SCOPE, parent_run_id=SOURCE), "ix_runs_ws_parent"),
    "events of a run": (lambda tx: event_log.listing(tx, SCOPE, run_id=SOURCE), "ix_events_ws_run"),
    "runs in a state": (lambda tx: runs.listing(tx, SCOPE, state=StateType.FAILED), "ix_runs_ws_state"),
    "receipts, newest": (lambda tx: inbox.search(tx, SCOPE, Wanted()), "ix_receipts_ws"),
    "receipts of a source": (lambda tx: inbox.search(tx, SCOPE, Wanted(SOURCE)), "ix_receipts_ws_source"),
    "receipts rejected": (lambda tx: inbox.search(tx, SCOPE, Wanted(verdict="rejected")), "ix_receipts_ws_rare"),
    "receipts rejected by a source": (
        lambda tx: inbox.search(tx, SCOPE, Wanted(SOURCE, verdict="rejected")), "ix_receipts_source_rare",
    ),
    "receipts replayed": (lambda tx: inbox.search(tx, SCOPE, Wanted(mended=True)), "ix_receipts_ws_mended"),
    "dead letters": (lambda tx: inbox.search(tx, SCOPE, Wanted(failed=True)), "ix_receipts_ws_failed"),
    "replays of a receipt": (lambda tx: receipts.replays_of(tx, SCOPE, SOURCE), "ix_receipts_replay_of"),
    "events, newest": (lambda tx: event_log.listing(tx, SCOPE), "ix_events_ws_seq"),
    "events of a type": (lambda tx: event_log.listing(tx, SCOPE, types=("hub.run.failed",)), "ix_events_ws_type"),
    "events of a type after one": (
        lambda tx: event_log.listing(tx, SCOPE, types=("hub.run.failed",), after=5), "ix_events_ws_type",
    ),
    "artifacts, newest": (lambda tx: artifacts.listing(tx, SCOPE), "ix_artifacts_ws"),
    "artifacts of a key": (lambda tx: artifacts.listing(tx, SCOPE, key="rare"), "ix_artifacts_ws_key"),
    "artifacts of a kind": (lambda tx: artifacts.listing(tx, SCOPE, kind="image"), "ix_artifacts_ws_kind"),
    "artifacts of a run": (lambda tx: artifacts.of_run(tx, SCOPE, SOURCE, limit=20), "ix_artifacts_ws_run"),
    "materializations of an asset": (
        lambda tx: assets.materializations(tx, SCOPE, SOURCE), "ix_materializations_asset",
    ),
    "materializations of a run": (
        lambda tx: assets.of_run(tx, SCOPE, SOURCE, limit=20), "ix_materializations_ws_run",
    ),
    "deliveries, newest": (
        lambda tx: notices.list_deliveries(tx, SCOPE, alert_id=None, limit=50, cursor=None), "ix_deliveries_ws",
    ),
    "messages sent, newest": (lambda tx: outgoing.listing(tx, SCOPE), "ix_outgoing_webhooks_newest"),
    "messages to an endpoint": (
        lambda tx: outgoing.listing(tx, SCOPE, endpoint_id=SOURCE), "ix_outgoing_webhooks_ws",
    ),
    "messages that failed": (lambda tx: outgoing.listing(tx, SCOPE, status="failed"), "ix_outgoing_webhooks_ws_rare"),
    "messages to an endpoint that failed": (
        lambda tx: outgoing.listing(tx, SCOPE, endpoint_id=SOURCE, status="failed"),
        "ix_outgoing_webhooks_endpoint_rare",
    ),
    "alerts that fire": (
        lambda tx: firing.list_alerts(tx, SCOPE, status="firing", limit=50, cursor=None), "ix_alerts_ws_status",
    ),
}  # fmt: skip

NUMBERS = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS}) "
VARIED: dict[str, dict[str, tuple[str, str | None]]] = {
    "runs": {"flow_name": ("rare", "common"), "name": ("rare", "common"), "state_type": ("FAILED", "COMPLETED")},
    "receipts": {
        "verdict": ("rejected", "accepted"),
        "source_id": (SOURCE, new_id()),
        "replay_of": (SOURCE, None),
        "replayed_by": (SOURCE, None),
        "error": ("no", None),
    },
    "events": {"type": ("hub.run.failed", "hub.run.completed")},
    "alerts": {"status": ("firing", "resolved")},
    "artifacts": {"key": ("rare", "common"), "kind": ("image", "table"), "run_id": (SOURCE, new_id())},
    "materializations": {"asset_id": (SOURCE, new_id()), "run_id": (SOURCE, new_id())},
    "deliveries": {"status": ("dead", "sent")},
    "outgoing_webhooks": {"status": ("failed", "delivered"), "endpoint_id": (SOURCE, new_id())},
}
"""Columns of tables with what a rare row and a common one have."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A SQLite database with many rows."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('plans')}/hub.db")
    yield from _filled(store)


def _filled(store: Store) -> Iterator[Store]:
    try:
        store.migrate()
        with store.write() as tx:
            for table, varied in VARIED.items():
                tx.conn.exec_driver_sql(_insert(table, varied))
        yield store
    finally:
        store.close()


@pytest.mark.parametrize("name", LISTINGS)
def test_sqlite_takes_the_index(filled: Store, name: str) -> None:
    listing, index = LISTINGS[name]
    with filled.read() as tx:
        (plan,) = _plans(tx, listing, "EXPLAIN QUERY PLAN ")
    first = plan.splitlines()[0]
    assert f"USING INDEX {index} " in first, plan
    assert "TEMP B-TREE" not in plan, plan


def test_postgresql_takes_the_indexes(own_postgres_url: str) -> None:
    for store in _filled(open_store(own_postgres_url)):
        with store.write() as tx:
            tx.conn.exec_driver_sql("SET LOCAL default_statistics_target = 2000")  # every row is looked at, no sample
            for table in VARIED:
                tx.conn.exec_driver_sql(f"ANALYZE {table}")
        wrong = {}
        for name, (listing, index) in LISTINGS.items():
            with store.read() as tx:
                (plan,) = _plans(tx, listing, "EXPLAIN ")
            # What has no filter may as well be read along the primary key, which has the same order.
            if "Sort" in plan or "Seq Scan on" in plan.replace("Seq Scan on channels", "") or (
                "newest" not in name and f" {index} on" not in plan
            ):  # fmt: skip
                wrong[name] = plan
        assert wrong == {}


def test_a_database_of_the_first_schema_gets_the_indexes(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hub.db")
    store.migrate()
    made = _indexes(store)
    with store.write() as tx:
        for name in ("ix_runs_ws_flow", "ix_receipts_ws_rare"):
            tx.conn.exec_driver_sql(f"DROP INDEX {name}")
        tx.conn.exec_driver_sql("CREATE INDEX ix_runs_deployment ON runs (deployment_id, id)")
        tx.conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    store.close()
    store = open_store(f"sqlite:///{tmp_path}/hub.db")
    store.migrate()
    assert _indexes(store) == made
    store.close()


def _indexes(store: Store) -> set[str]:
    with store.read() as tx:
        query = "SELECT coalesce(sql, name) FROM sqlite_master WHERE type = 'index'"
        return {text.replace(" IF NOT EXISTS", "") for text in tx.conn.exec_driver_sql(query).scalars()}


def _said(value: str | None) -> str:
    return "NULL" if value is None else f"'{value}'"


def _insert(table: str, varied: dict[str, tuple[str, str | None]]) -> str:
    """One statement that makes the rows: every column that must have a value gets one of its kind."""
    from hub.store.tables import metadata

    text = "CAST(n AS TEXT)"
    padded = f"'id-' || substr('0000000' || {text}, length({text}))"
    values: dict[str, str] = {}
    for column in metadata.tables[table].columns:
        if column.name in varied:
            rare, common = varied[column.name]
            values[column.name] = f"CASE WHEN mod(n, {RARE}) = 0 THEN '{rare}' ELSE {_said(common)} END"
        elif column.name == "workspace_id":
            values[column.name] = f"'{SCOPE.workspace_id}'"
        elif column.name in ("seq", "number"):
            values[column.name] = "n"
        elif column.primary_key or (column.unique or column.name in ("alert_id", "dedup_key", "idempotency_key")):
            values[column.name] = padded
        elif not column.nullable:
            kind = column.type.python_type
            values[column.name] = {int: "n", bool: "true", float: "0", bytes: "NULL"}.get(kind, "'[]'")
    return f"INSERT INTO {table} ({', '.join(values)}) {NUMBERS} SELECT {', '.join(values.values())} FROM numbers"


def _plans(tx: Tx, listing: Callable[[Tx], Any], explain: str) -> list[str]:
    """The plan of every statement that the listing sends, with its own parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        sent.append((statement, parameters))

    event.listen(tx.conn, "before_cursor_execute", note)
    listing(tx)
    event.remove(tx.conn, "before_cursor_execute", note)
    plans = []
    for statement, parameters in sent:
        rows = tx.conn.exec_driver_sql(explain + statement, parameters)
        plans.append("\n".join(str(row[-1]) for row in rows))
    return plans
