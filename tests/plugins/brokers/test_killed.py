"""The consuming process killed with SIGKILL while messages come: none is lost, none is two events."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hub.store import Store, consumers, events, receipts
from sqlalchemy import func, select
from tests.processes import shared_store, until, upkeep

from .brokers import ALL, Broker, order

SHORT, ALL_OF_IT = "1000-killed-once", "10000-killed-5-times"
IN_SUITE = {f"redis-stream-{SHORT}-sqlite", f"mqtt-{SHORT}-sqlite", f"rabbitmq-{SHORT}-postgresql"}
LONG = {
    f"{kind}-{many}-{database}" for kind in ALL for many in (SHORT, ALL_OF_IT) for database in ("sqlite", "postgresql")
} - IN_SUITE
WINDOW = 300
"""How many messages may wait. (Mosquitto drops what is more than a thousand, unless it is told otherwise.)"""


def kept(store: Store) -> int:
    with store.read() as tx:
        return int(tx.conn.execute(select(func.count()).select_from(receipts.TABLE)).scalar_one())


def happened(store: Store, type_: str) -> list[str]:
    """The ids of the messages behind the events of a type."""
    with store.read() as tx:
        rows = tx.conn.execute(select(events.TABLE.c.body).where(events.TABLE.c.type == type_)).scalars().all()
    return [str(body["delivery_id"]) for body in rows]


def running(store: Store, source_id: str) -> bool:
    with store.read() as tx:
        found = consumers.states(tx, [source_id]).get(source_id)
    return found is not None and found["state"] == "running"


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(600)
@pytest.mark.long(*LONG)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("messages", "kills"), [(1_000, 1), (10_000, 5)], ids=[SHORT, ALL_OF_IT])
def test_a_kill_loses_no_message_and_doubles_none(
    broker: Broker, messages: int, kills: int, database: str, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    store = shared_store(database, request, monkeypatch, tmp_path)
    source_id = broker.source(store, options={"id": "json:id"})

    def publish() -> None:
        for number in range(messages):
            # So that each kill finds messages on their way, and no broker is asked to keep more than it does.
            while number % 50 == 0 and number - kept(store) > WINDOW:
                time.sleep(0.01)
            broker.send(order(number), {})

    publisher = threading.Thread(target=publish)
    for kill in range(kills):
        with upkeep() as process:
            if not kill:
                until(lambda: running(store, source_id))  # MQTT keeps nothing for a session that never was
                publisher.start()
            wanted = (kill + 1) * messages // (kills + 1)
            until(lambda wanted=wanted: kept(store) >= wanted or process.poll() is not None, 120)
            assert process.poll() is None
    with upkeep():
        publisher.join(120)
        until(lambda: len(happened(store, f"{broker.kind}.order.created")) >= messages, 300)
        until(lambda: broker.left() == 0)
    ids = happened(store, f"{broker.kind}.order.created")
    assert sorted(ids) == sorted(f"m-{number}" for number in range(messages))
    assert kept(store) == messages
    store.close()
