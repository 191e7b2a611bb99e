"""Where requests may come from, what they are answered, how much is kept, and what could not become events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hub.errors import UsageError
from hub.plugins import Context, load_plugins
from hub.runtime import relay
from hub.runtime.effects import Effects
from hub.runtime.presets import installed
from hub.settings import Settings
from hub.store import Store, bookmarks, effects, inbox, receipts
from hub.store.tables import Event
from hub.web.door.inside import admit
from hub.webhooks.signers import Signature

from .doors import EVENT, PUSH, SCOPE, Made, change, make, rows, serve, source_row
from .doors import effects as outbox
from .test_inbox import keep

EVENTS: Any = Event.__table__


def numbered(number: int) -> dict[str, str]:
    return EVENT | {"X-GitHub-Delivery": f"d-{number}"}


def test_only_allowed_addresses_are_taken_and_others_are_kept_as_refused(store: Store) -> None:
    source = make(store, allow_from=["192.0.2.0/24"])
    with serve(store) as door:
        answer = door.knock(source, PUSH, EVENT)
        assert (answer.status_code, answer.json()["code"]) == (403, "address-not-allowed")
        forged = door.knock(source, PUSH, EVENT | {"X-Forwarded-For": "192.0.2.7"})
        assert forged.status_code == 403, "nobody said that there is a proxy"
        change(store, "source.update", source.name, allow_from=["192.0.2.0/24", "127.0.0.1"])
        assert door.knock(source, PUSH, EVENT).status_code == 202
        change(store, "source.update", source.name, allow_from=["192.0.2.0/24"], mode="observe")
        assert door.knock(source, PUSH, numbered(2)).status_code == 403, "to observe is about signatures"
        change(store, "source.update", source.name, allow_from=[])
        assert door.knock(source, PUSH, numbered(3)).status_code == 202
    refused = rows(store, verdict="rejected")
    assert {row["reason"] for row in refused} == {"sent from 127.0.0.1, which is not allowed"}
    assert len(outbox(store)) == 2


def test_behind_a_proxy_the_address_that_it_saw_counts_and_no_other_peer_is_believed(store: Store) -> None:
    source = make(store, allow_from=["192.0.2.0/24"])
    for peers, said, status in (
        ((), "192.0.2.7", 202), ((), "192.0.2.7, 203.0.113.1", 403), ((), "", 403), ((), "garbage", 403),
        (("127.0.0.0/8",), "192.0.2.7", 202), (("10.0.0.0/8",), "192.0.2.7", 403),
    ):  # fmt: skip
        with serve(store, web_trusted_proxies=1, web_proxy_networks=peers) as door:
            headers = EVENT | ({"X-Forwarded-For": said} if said else {})
            assert door.knock(source, PUSH, headers).status_code == status, (peers, said)
    assert "an unknown address" in rows(store, verdict="rejected")[1]["reason"]


def test_what_the_hub_itself_has_signed_comes_from_nowhere(store: Store) -> None:
    source = make(store, allow_from=["192.0.2.0/24"])
    request = source.signed(PUSH, EVENT)
    assert admit(store, installed(), {}, SCOPE, source.id, Signature(request)).verdict == "accepted"


def test_a_wrong_network_is_refused_when_it_is_set(store: Store) -> None:
    with pytest.raises(UsageError, match="is no address or network"):
        make(store, allow_from=["example.com"])


def test_the_owner_says_what_is_answered_and_no_sender_can_write_into_it(store: Store) -> None:
    source = make(store, answer={"status": 201, "text": '{"id": "{receipt}", "kind": "{type}"}'})
    with serve(store) as door:
        evil = EVENT | {"X-GitHub-Event": '"}<script>{receipt}'}
        answer = door.knock(source, PUSH, evil)
        assert answer.status_code == 201
        (row,) = rows(store)
        assert answer.json() == {"id": row["id"], "kind": "script_receipt"}
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert row["answer_status"] == 201
        assert door.knock(source, PUSH, evil).json()["id"] == row["id"], "a repeat has the first one's"
        change(store, "source.update", source.name, answer={"status": 204})
        empty = door.knock(source, PUSH, numbered(2))
        assert (empty.status_code, empty.content) == (204, b"")
        assert door.knock(source, PUSH, EVENT, secret="wrong").status_code == 401, "refusals stay as they are"
        change(store, "source.update", source.name, answer="preset")
        assert door.knock(source, PUSH, numbered(3)).json() == {"receipt": rows(store, verdict="accepted")[-1]["id"]}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 302}, "status"), ({"status": 500}, "status"), ({"status": 204, "text": "x"}, "204"),
        ({"text": "no json"}, "is not JSON"), ({"type": "text/html", "text": "x"}, "type"),
        ({"type": "text/plain\r\nx: y", "text": "x"}, "type"), ({"text": "x" * 4_097, "type": "text/plain"}, "text"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_sent_is_refused(store: Store, answer: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        make(store, answer=answer)


def trim(store: Store) -> int:
    with store.write() as tx:
        return receipts.trim(tx, limit=100)


def sizes(store: Store, **where: Any) -> list[int]:
    return [len(row["body"]) for row in rows(store, **where)]


def test_the_newest_bytes_are_kept_and_refused_requests_push_out_nothing(store: Store) -> None:
    source, other = make(store, keep_bytes=1_000), make(store, name="other")
    for size in (400, 300, 500, 200):
        keep(store, source, body=b"x" * size)
    keep(store, other, body=b"x" * 5_000)
    for _ in range(30):
        keep(store, source, body=b"y" * 50, verdict="rejected")
    with store.write() as tx:
        tx.conn.execute(receipts.TABLE.update().values(processed_at=1))
    trim(store)
    assert sizes(store, source_id=source.id, verdict="accepted") == [300, 500, 200]
    assert sizes(store, source_id=source.id, verdict="rejected") == [50, 50]
    assert sizes(store, source_id=other.id) == [5_000]
    assert trim(store) == 0


def test_what_waits_or_is_bookmarked_is_kept_whatever_the_bytes(store: Store) -> None:
    source = make(store, keep_bytes=100)
    marked, waiting, done = (keep(store, source, body=b"x" * 90) for _ in range(3))
    newest = keep(store, source, body=b"x" * 90)
    with store.write() as tx:
        where = receipts.TABLE.c.id != waiting
        tx.conn.execute(receipts.TABLE.update().where(where).values(processed_at=1))
        bookmarks.put(tx, SCOPE, "it", receipts.row(tx, SCOPE, marked))
    trim(store)
    assert [row["id"] for row in rows(store)] == [marked, waiting, newest]
    assert done not in {row["id"] for row in rows(store)}


def failed(store: Store) -> list[str]:
    with store.read() as tx:
        return [row["id"] for row in inbox.search(tx, SCOPE, inbox.Wanted(failed=True)).items]


def test_a_request_that_is_given_up_is_a_dead_letter_and_can_be_replayed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(store)
    lost, fine = keep(store, source), keep(store, source)
    with store.write() as tx:
        where = effects.TABLE.c.id == lost
        tx.conn.execute(effects.TABLE.update().where(where).values(tries=effects.MAX_TRIES - 1))
    real = relay.provider_events_of

    def breaks(preset: Any, source: Any, receipt: Any) -> Any:
        if receipt["id"] == lost:
            raise RuntimeError("a bug of ours")
        return real(preset, source, receipt)

    monkeypatch.setattr(relay, "provider_events_of", breaks)
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    loop = Effects(Context("upkeep", Settings(), loaded.hooks, store), ("receipt",))
    while loop.step():
        pass
    assert failed(store) == [lost]
    (row,) = rows(store, id=lost)
    assert (row["error"], row["events"]) == ("RuntimeError: a bug of ours", 0)
    assert row["processed_at"]
    with store.read() as tx:
        (told,) = tx.conn.execute(EVENTS.select().where(EVENTS.c.type == "hub.receipt.failed")).mappings().all()
    assert (told["subject"], told["body"]["source_id"]) == (lost, source.id)
    again = change(store, "receipt.replay", lost)["id"]
    while loop.step():
        pass
    assert rows(store, id=again)[0]["events"] == rows(store, id=fine)[0]["events"] == 1
    assert failed(store) == []
    assert rows(store, id=lost)[0]["replayed_by"] == again


def test_a_batch_that_cannot_be_read_any_more_is_a_dead_letter(store: Store) -> None:
    source = make(store, "cloudevents")
    items = json.dumps([{"type": "a", "source": "s", "id": str(n)} for n in range(1_001)]).encode()
    lost = keep(store, source, body=items, headers=[["Content-Type", "application/cloudevents-batch+json"]])
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    Effects(Context("upkeep", Settings(), loaded.hooks, store), ("receipt",)).step()
    assert failed(store) == [lost]
    assert "at most 1000" in rows(store, id=lost)[0]["error"]
    assert source_row(store, source.name)["keep_bytes"] == 0
    assert isinstance(source, Made)
