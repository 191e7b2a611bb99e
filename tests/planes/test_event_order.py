"""What a source sent is in the stream in the order in which it came, however late it is stamped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hub.runtime.receipts import Incoming, commit
from hub.store import Store, events, receipts, stream
from hub.types import new_id, now_us

from .doors import EVENT, PUSH, SCOPE, make, serve, source_row
from .test_held_sources import carry_out


def bodies(store: Store, limit: int) -> list[dict[str, Any]]:
    """The bodies of the source's events in the order of the stream, stamped so many at a time."""
    more = 1
    while more:
        with store.write() as tx:
            more = stream.stamp(tx, limit=limit)
    with store.read() as tx:
        return [row["body"] for row in events.after(tx, seq=0, limit=1000) if "receipt_id" in row["body"]]


@pytest.mark.parametrize("limit", [7, 1000])
@pytest.mark.long("postgresql-7", "sqlite-1000")
def test_requests_stay_in_their_order(store: Store, limit: int) -> None:
    source = make(store)
    with serve(store) as served:
        kept = [
            served.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": f"d-{number}"}).json()["receipt"]
            for number in range(60)
        ]
    carry_out(store)
    assert [body["receipt_id"] for body in bodies(store, limit)] == kept


def test_a_group_that_was_committed_as_one_stays_in_its_order(store: Store) -> None:
    source = make(store)
    version = source_row(store, source.name)["updated_at"]
    same = {"workspace_id": SCOPE.workspace_id, "source_id": source.id, "event_type": "push", "received_at": now_us()}
    batch = [Incoming(source.id, version, receipts.complete({"id": new_id(), **same})) for _ in range(130)]
    commit(store, batch)
    carry_out(store)
    assert [body["receipt_id"] for body in bodies(store, 1000)] == [one.receipt["id"] for one in batch]


def test_the_items_of_batches_stay_in_theirs(store: Store) -> None:
    source = make(store, "cloudevents")
    sent = []
    with serve(store) as served:
        for batch in range(3):
            items = [
                {"specversion": "1.0", "id": f"{batch}-{place}", "source": "/here", "type": "made", "data": place}
                for place in range(20)
            ]
            sent += [f"/here#{item['id']}" for item in items]
            answer = served.knock(
                source, json.dumps(items).encode(), {"Content-Type": "application/cloudevents-batch+json"}
            )
            assert answer.is_success, answer.text
    carry_out(store)
    assert [body["delivery_id"] for body in bodies(store, 1000)] == sent
