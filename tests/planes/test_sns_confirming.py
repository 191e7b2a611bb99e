"""Subscriptions of SNS topics are confirmed by upkeep, where their owner wants it, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hub.store import Store, events, receipts
from hub.types import new_id, now_us
from tests.keyhost import KeyHost, Reply
from tests.keyhost import serve as serve_keys

from hub_plugins.webhooks.confirming import Confirmer, subscribe_url

from .doors import SCOPE, Made, change, make, source_row

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
QUERY = f"?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t0ken"
PLACE = f"sns.us-east-1.amazonaws.com/{QUERY}"


@pytest.fixture
def keys(tmp_path: Any) -> Iterator[KeyHost]:
    with serve_keys(tmp_path) as host:
        host.replies[PLACE] = Reply(b"<ConfirmSubscriptionResponse/>")
        yield host


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def confirmer(store: Store, keys: KeyHost, clock: Clock | None = None) -> Confirmer:
    return Confirmer(store, keys.caller(), clock=clock or Clock())


def source(store: Store, confirm: str = "yes", **more: Any) -> Made:
    return make(store, "aws-sns", secret=None, options={"topics": TOPIC, "confirm": confirm}, **more)


def body(**more: Any) -> bytes:
    said = {"Type": "SubscriptionConfirmation", "TopicArn": TOPIC, "Token": "t0ken", "SubscribeURL": f"https://{PLACE}"}
    return json.dumps({**said, **more}).encode()


def arrived(store: Store, made: Made, said: bytes, verdict: str = "accepted") -> None:
    row = {
        "id": new_id(), "workspace_id": SCOPE.workspace_id, "source_id": made.id, "received_at": now_us(),
        "body": said, "body_size": len(said), "verdict": verdict, "event_type": "SubscriptionConfirmation",
    }  # fmt: skip
    with store.write() as tx:
        receipts.insert(tx, [receipts.complete(row)])


def test_a_verified_confirmation_is_made_once(store: Store, keys: KeyHost) -> None:
    made, loop = source(store), confirmer(store, keys)
    assert not loop.step()
    arrived(store, made, body())
    assert loop.step()
    assert not loop.step()
    assert keys.seen == [("GET", PLACE)]
    row = source_row(store, "a-source")
    assert (row["confirmed_at"] is None, row["confirm_error"]) == (False, None)
    # One that has just started, or another process, looks at it again and tells nothing twice.
    assert confirmer(store, keys).step()
    assert told(store) == [("hub.source.confirmed", None)]


def test_why_it_could_not_be_confirmed_is_told_on_the_source_until_it_can_be(store: Store, keys: KeyHost) -> None:
    loop, made = confirmer(store, keys), source(store)
    keys.replies[PLACE] = Reply(b"", 403)
    arrived(store, made, body())
    loop.step()
    row = source_row(store, "a-source")
    assert (row["confirmed_at"], row["confirm_error"]) == (None, "the answer was 403")
    arrived(store, made, body(SubscribeURL="https://evil.tld/"))
    loop.step()
    assert source_row(store, "a-source")["confirm_error"] == "its address is not the one of the topic"
    keys.replies[PLACE] = Reply(b"", 200)
    arrived(store, made, body())
    loop.step()
    row = source_row(store, "a-source")
    assert (row["confirmed_at"] is None, row["confirm_error"]) == (False, None)
    assert [type_ for type_, _ in told(store)] == [*["hub.source.unconfirmed"] * 2, "hub.source.confirmed"]
    assert "t0ken" not in str(told(store))


def told(store: Store) -> list[tuple[str, str | None]]:
    with store.read() as tx:
        found = tx.conn.execute(events.TABLE.select().order_by(events.TABLE.c.at)).mappings().all()
    reasons = [((row["private"] or {}).get("errors") or {}).get("reason") for row in found]
    return [(row["type"], reason) for row, reason in zip(found, reasons, strict=True) if "confirmed" in row["type"]]


def test_it_is_opt_in(store: Store, keys: KeyHost) -> None:
    made = source(store, "no")
    arrived(store, made, body())
    assert not confirmer(store, keys).step()
    assert keys.resolved == []


@pytest.mark.parametrize("verdict", ["observed", "rejected", "handshake"])
def test_what_was_not_verified_is_not_confirmed(store: Store, keys: KeyHost, verdict: str) -> None:
    arrived(store, source(store), body(), verdict)
    assert not confirmer(store, keys).step()
    assert keys.resolved == []


def test_a_closed_source_confirms_nothing(store: Store, keys: KeyHost) -> None:
    arrived(store, source(store), body())
    change(store, "source.update", "a-source", enabled=False)
    assert not confirmer(store, keys).step()


@pytest.mark.parametrize(
    "more",
    [
        {"SubscribeURL": f"https://evil.tld/{QUERY}"},
        {"SubscribeURL": f"https://sns.us-east-1.amazonaws.com.evil.tld/{QUERY}"},
        {"SubscribeURL": f"https://sns.us-east-1.amazonaws.com@evil.tld/{QUERY}"},
        {"SubscribeURL": f"http://sns.us-east-1.amazonaws.com/{QUERY}"},
        {"SubscribeURL": f"https://sns.us-east-1.amazonaws.com:8443/{QUERY}"},
        {"SubscribeURL": f"https://sns.us-east-1.amazonaws.com/x{QUERY}"},
        {"SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=DeleteTopic&TopicArn=" + TOPIC + "&Token=t0ken"},
        {"SubscribeURL": f"https://{PLACE}&Endpoint=x"},
        {"SubscribeURL": f"https://{PLACE}1"},
        {"SubscribeURL": "http://169.254.169.254/"},
        {"SubscribeURL": None},
        {"TopicArn": TOPIC + "x"},
        {"Type": "Notification"},
    ],
    ids=range(13),
)
def test_an_address_that_does_something_else_is_not_opened(store: Store, keys: KeyHost, more: dict[str, Any]) -> None:
    arrived(store, source(store), body(**more))
    confirmer(store, keys).step()
    assert keys.seen == []
    assert keys.dialled == []


def test_an_escaped_topic_is_the_same_topic() -> None:
    url = f"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={quote(TOPIC)}&Token=t0ken"
    assert subscribe_url(body(SubscribeURL=url), TOPIC) == url
    assert subscribe_url(b"{", TOPIC) is None
    assert subscribe_url(b"[]", TOPIC) is None


def test_a_busy_service_is_asked_again_and_a_refusal_is_final(store: Store, keys: KeyHost) -> None:
    clock = Clock()
    loop, made = confirmer(store, keys, clock), source(store)
    keys.replies[PLACE] = Reply(b"", 503)
    arrived(store, made, body())
    for due in (0, 10, 70, 370, 2_170, 9_999):
        clock.now = due
        loop.step()
        loop.step()
    assert len(keys.seen) == 5, "the first and four more"
    keys.replies[PLACE] = Reply(b"", 403)
    arrived(store, made, body())
    loop.step()
    clock.now += 9_999
    loop.step()
    assert len(keys.seen) == 6


def test_an_old_confirmation_is_left_alone(store: Store, keys: KeyHost) -> None:
    arrived(store, source(store), body())
    with store.write() as tx:
        old = f"{(now_us() - 3_700_000_000) // 1_000:012x}"
        moved = {"id": f"{old[:8]}-{old[8:]}-7000-8000-000000000001"}
        tx.conn.execute(receipts.TABLE.update().values(moved))
    assert not confirmer(store, keys).step()
