"""Messages of real brokers as receipts: what is read, what is refused, what is waited for."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hub.errors import UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.consumers import Consumers
from hub.runtime.presets import installed
from hub.store import Store, consumers, events, leaders, receipts, sources
from hub.web.door.known import opened
from sqlalchemy import select
from tests.processes import until

from .brokers import SCOPE, Broker, order, rabbitmq, redis_stream

pytestmark = pytest.mark.services


@pytest.fixture
def running(store: Store) -> Iterator[Consumers]:
    made = Consumers(store)
    yield made
    made.close()


def said(store: Store, source_id: str) -> dict[str, Any]:
    with store.read() as tx:
        return consumers.states(tx, [source_id]).get(source_id, {"state": "", "reason": ""})


def rows(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        found = tx.conn.execute(select(receipts.TABLE).order_by(receipts.TABLE.c.id)).mappings()
        return [dict(row) for row in found]


def started(running: Consumers, store: Store, source_id: str) -> None:
    running.step()
    until(lambda: said(store, source_id)["state"] == "running")


def change(store: Store, op: str, name: str = "orders", **args: Any) -> dict[str, Any]:
    return dict(apply(store, Command(op, SCOPE, name, args)).result)


def send_all(broker: Broker, *messages: tuple[bytes, Mapping[str, str]]) -> None:
    for body, headers in messages:
        broker.send(body, headers)


def test_a_message_becomes_a_receipt_with_its_headers(store: Store, running: Consumers, broker: Broker) -> None:
    source_id = broker.source(store)
    started(running, store, source_id)
    send_all(broker, (order(1), {"tenant": "acme", "x-api-token": "s3cret"}), (order(2), {"tenant": "zeta"}))
    first, second = until(lambda: len(rows(store)) == 2 and rows(store))
    assert (first["body"], second["body"]) == (order(1), order(2))
    assert (first["method"], first["remote"], first["verdict"]) == ("MESSAGE", "bus", "accepted")
    assert first["event_type"] == "order.created"
    headers = dict(first["headers"])
    assert (headers["tenant"], headers["x-api-token"]) == ("acme", "[redacted]")
    until(lambda: broker.left() == 0)


def test_the_same_id_twice_is_one_receipt(store: Store, running: Consumers, broker: Broker) -> None:
    source_id = broker.source(store, options={"id": "json:id"})
    started(running, store, source_id)
    send_all(broker, (order(1), {}), (order(1), {}), (order(2), {}))
    until(lambda: len(rows(store)) == 2 and rows(store)[0]["duplicates"] == 1)
    assert [row["delivery_id"] for row in rows(store)] == ["m-1", "m-2"]


def test_what_cannot_be_taken_is_kept_as_rejected_and_blocks_nobody(
    store: Store, running: Consumers, broker: Broker
) -> None:
    source_id = broker.source(store, max_body=100)
    started(running, store, source_id)
    send_all(broker, (b"x" * 101, {}), (b"\xff\x00 no text", {}), (order(3), {}))
    large, binary, last = until(lambda: len(rows(store)) == 3 and rows(store))
    assert (large["verdict"], large["body_size"]) == ("rejected", 101)
    assert "101 bytes, at most 100" in large["reason"]
    assert (binary["verdict"], binary["body"], binary["event_type"]) == ("accepted", b"\xff\x00 no text", "event")
    assert last["verdict"] == "accepted"
    until(lambda: broker.left() == 0)


def test_what_is_not_to_be_kept_is_blotted_out(store: Store, running: Consumers, broker: Broker) -> None:
    source_id = broker.source(store, redact=["json:card", "header:tenant"])
    started(running, store, source_id)
    broker.send(order(1, card="4242"), {"tenant": "acme"})
    row = until(lambda: rows(store))[0]
    assert b"4242" not in row["body"]
    assert dict(row["headers"])["tenant"] == "[redacted]"


def test_a_type_may_be_made_of_several_places(store: Store, running: Consumers, broker: Broker) -> None:
    source_id = broker.source(store, options={"type": "{header:tenant}.{json:type}"})
    started(running, store, source_id)
    broker.send(order(1), {"tenant": "acme"})
    assert until(lambda: rows(store))[0]["event_type"] == "acme.order.created"


def test_a_source_that_rests_leaves_messages_at_the_broker(store: Store, running: Consumers, broker: Broker) -> None:
    source_id = broker.source(store)
    started(running, store, source_id)
    change(store, "source.update", enabled=False)
    running.step()
    until(lambda: said(store, source_id)["state"] == "stopped")
    broker.send(order(1), {})
    assert rows(store) == []
    change(store, "source.update", enabled=True)
    until(lambda: running.step() or rows(store))


def test_a_paused_source_takes_messages_and_holds_their_events(
    store: Store, running: Consumers, broker: Broker
) -> None:
    source_id = broker.source(store)
    change(store, "source.pause")
    started(running, store, source_id)
    broker.send(order(1), {})
    until(lambda: rows(store))
    assert change(store, "source.resume")["drained"] == 1


def test_one_process_at_a_time_consumes(store: Store, running: Consumers, broker: Broker) -> None:
    source_id = broker.source(store)
    started(running, store, source_id)
    other = Consumers(store)
    other.step()
    assert not other.alive()
    running.close()
    other.step()
    assert other.alive() == {source_id}
    other.close()
    with store.read() as tx:
        assert [name for name, _, _ in leaders.held(tx) if name.startswith(consumers.LOCK)] == []


def test_a_broker_that_is_away_is_said_and_tried_again(store: Store, running: Consumers) -> None:
    with redis_stream() as broker, socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
        nobody.close()
        source_id = broker.source(store)
        broker.connect(store, port=port)
        running.step()
        told = until(lambda: said(store, source_id) if said(store, source_id)["state"] == "waiting" else None)
        assert f"127.0.0.1:{port} does not answer" in told["reason"]
        assert told["retry_at"] > told["since"]
        broker.connect(store)  # what is changed is tried at once
        until(lambda: said(store, source_id)["state"] == "running")
        running.close()
    with store.read() as tx:
        types = tx.conn.execute(select(events.TABLE.c.type).order_by(events.TABLE.c.id)).scalars().all()
    assert [type_ for type_ in types if type_.endswith("connected")] == [
        "hub.source.disconnected", "hub.source.connected",
    ]  # fmt: skip


def test_a_queue_that_is_not_there_and_a_wrong_password_say_so(store: Store, running: Consumers) -> None:
    with rabbitmq() as broker:
        source_id = broker.source(store, options={"queue": "hub-test-no-such"})
        running.step()
        until(lambda: "no queue" in said(store, source_id)["reason"])
        broker.connect(store, password="wrong-s3cret")
        told = until(lambda: said(store, source_id) if "ACCESS_REFUSED" in said(store, source_id)["reason"] else None)
        assert "wrong-s3cret" not in told["reason"]


def test_an_entry_without_its_field_and_one_that_was_removed(store: Store, running: Consumers) -> None:
    with redis_stream() as broker:
        source_id = broker.source(store, options={"field": "payload"})
        started(running, store, source_id)
        broker.send(order(1), {})
        row = until(lambda: rows(store))[0]
        assert (row["verdict"], row["reason"]) == ("rejected", "the entry has no field 'payload'")


def test_all_fields_of_an_entry_as_json(store: Store, running: Consumers) -> None:
    with redis_stream() as broker:
        source_id = broker.source(store, options={"field": ""})
        started(running, store, source_id)
        broker.send(b"b", {"type": "t", "n": "1"})
        row = until(lambda: rows(store))[0]
        assert (row["body"], row["event_type"]) == (b'{"body": "b", "type": "t", "n": "1"}', "t")
        assert row["delivery_id"].count("-") == 1


def test_a_header_cannot_stand_in_for_the_id_of_the_broker(store: Store, running: Consumers) -> None:
    with redis_stream() as broker:
        source_id = broker.source(store)
        started(running, store, source_id)
        send_all(broker, (order(1), {"Entry-Id": "1-1"}), (order(2), {"entry-id": "1-1"}))
        assert len(until(lambda: len(rows(store)) == 2 and rows(store))) == 2


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"connection": None}, "needs a connection"),
        ({"connection": "other"}, "is of the kind files"),
        ({"secret": "s3cret"}, "login of its connection"),
        ({"verify": "none"}, "login of its connection"),
        ({"mode": "observe"}, "login of its connection"),
        ({"options": {}}, "needs the option queue"),
        ({"options": {"queue": "q", "type": "nonsense"}}, "not a reference"),
        ({"options": {"queue": "q", "window": "soon"}}, "option window"),
        ({"preset": "github"}, "takes no connection"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(store: Store, more: dict[str, Any], wrong: str) -> None:
    other = {"name": "other", "kind": "files", "fields": {"path": "/tmp"}}
    apply(store, Command("connection.set", SCOPE, "other", other))
    bus = {"name": "bus", "kind": "rabbitmq", "fields": {}}
    apply(store, Command("connection.set", SCOPE, "bus", bus))
    args = {"name": "orders", "preset": "rabbitmq", "connection": "bus", "options": {"queue": "q"}, **more}
    with pytest.raises(UsageError, match=wrong):
        apply(store, Command("source.create", SCOPE, "", args))


def test_a_consumer_has_neither_address_nor_secret(store: Store) -> None:
    bus = {"name": "bus", "kind": "rabbitmq", "fields": {}}
    apply(store, Command("connection.set", SCOPE, "bus", bus))
    args = {"name": "orders", "preset": "rabbitmq", "connection": "bus", "options": {"queue": "q"}}
    made = apply(store, Command("source.create", SCOPE, "", args)).result
    assert (made["token"], made["secret"], made["ready"]) == (None, None, True)
    with store.read() as tx:
        row = sources.row(tx, SCOPE, "orders")
    assert row["rate_per_minute"] == 1_000_000
    assert opened(row, installed(), (), texts={}) is None, "nothing answers by HTTP"
    with pytest.raises(UsageError, match="neither a secret nor an address"):
        change(store, "source.rotate", new_secret=True)
    with pytest.raises(UsageError, match="come by a connection"):
        change(store, "source.sign", url="http://localhost/")
    change(store, "source.delete")


def test_a_password_that_is_refused_stands_in_no_log(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with rabbitmq() as broker:
        broker.secrets["password"] = "wrong-s3cret"
        source_id = broker.source(store)
        made = Consumers(store)
        made.step()
        until(lambda: said(store, source_id)["state"] == "waiting")
        made.close()
    assert "wrong-s3cret" not in caplog.text
