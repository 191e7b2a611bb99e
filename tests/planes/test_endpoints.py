"""Webhooks of our own: signed, tried until they are taken, under one id, by the schedule and never beyond the guard."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.crypto import Keyring, new_key
from hub.errors import NotFoundError, RefusedError, UsageError
from hub.runtime import sending
from hub.runtime.automations import Automations
from hub.runtime.commands import Command, apply
from hub.runtime.sending import Sender
from hub.runtime.sequencer import Sequencer
from hub.settings import Settings
from hub.store import Store, endpoints, events, open_store, outgoing
from hub.store.tables import Alert
from hub.types import SECOND, Scope, new_id, now_us
from sqlalchemy import select, update
from tests.receivers import Receiver, holds, receiver

SCOPE = Scope()
OPEN = Settings(outbound_networks=("127.0.0.0/8",), endpoint_retry_delays=(5.0, 300.0))


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def change(store: Store, op: str, target: str = "partner", /, **args: Any) -> dict[str, Any]:
    return dict(apply(store, Command(f"endpoint.{op}", SCOPE, target, args)).result)


def make(store: Store, url: str, **more: Any) -> dict[str, Any]:
    return change(store, "create", "", name="partner", url=url, **more)


def send(store: Store, type_: str = "order.paid", data: Any = None, **more: Any) -> str:
    return str(change(store, "send", type=type_, data=data, **more)["id"])


def work(store: Store, settings: Settings = OPEN) -> None:
    """Send what is due now, and wait for it."""
    sender = Sender(store, settings)
    sender.step()
    sender.close()


def row(store: Store, webhook: str) -> dict[str, Any]:
    with store.read() as tx:
        return outgoing.get(tx, SCOPE, webhook)


def tried(store: Store, webhook: str) -> list[dict[str, Any]]:
    with store.read() as tx:
        return outgoing.attempts(tx, webhook)


def now_due(store: Store) -> None:
    """Let the time of the next try come."""
    with store.write() as tx:
        tx.conn.execute(update(outgoing.TABLE).values(due_at=tx.now))


def endpoint(store: Store) -> dict[str, Any]:
    with store.read() as tx:
        return endpoints.get(tx, SCOPE, "partner")


def types(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.conn.execute(select(events.TABLE.c.type).order_by(events.TABLE.c.id)).scalars())


@pytest.mark.parametrize("sign", ["v1", "v1a", "both"])
def test_a_message_is_signed_as_standard_webhooks_says(store: Store, there: Receiver, sign: str) -> None:
    made = make(store, there.url, sign=sign)
    webhook = send(store, data={"order": 17, "text": "grün"})
    work(store)
    (got,) = there.got
    assert got.headers["webhook-id"] == webhook
    assert json.loads(got.body)["data"] == {"order": 17, "text": "grün"}
    assert json.loads(got.body)["type"] == "order.paid"
    assert len(made["keys"]) == (2 if sign == "both" else 1)
    assert all(holds(key, got.headers, got.body) for key in made["keys"])
    assert not any(holds(key, got.headers, got.body + b" ") for key in made["keys"])
    found = row(store, webhook)
    assert (found["status"], found["attempts"]) == ("delivered", 1)
    assert tried(store, webhook)[0]["status_code"] == 204


def test_both_keys_sign_while_they_are_changed(store: Store, there: Receiver) -> None:
    old = make(store, there.url)["keys"][0]
    new = change(store, "rotate", overlap_s=3600)["keys"][0]
    send(store)
    work(store)
    assert holds(old, there.got[0].headers, there.got[0].body)
    assert holds(new, there.got[0].headers, there.got[0].body)
    newest = change(store, "rotate", sign="v1a", overlap_s=0)["keys"][0]
    send(store)
    work(store)
    assert holds(newest, there.got[1].headers, there.got[1].body)
    assert not holds(new, there.got[1].headers, there.got[1].body)


def test_it_is_tried_again_by_the_schedule_and_given_up(store: Store) -> None:
    with receiver(500) as there:
        make(store, there.url)
        webhook = send(store)
        for number, delay in ((1, 5), (2, 300)):
            work(store)
            found = row(store, webhook)
            assert (found["status"], found["attempts"]) == ("pending", number)
            left = (found["due_at"] - now_us()) / SECOND
            assert delay - 2 < left < delay * 1.2 + 1
            work(store)
            assert len(there.got) == number, "not before its time"
            now_due(store)
        work(store)
    found = row(store, webhook)
    assert (found["status"], found["attempts"], found["error"]) == ("failed", 3, "it answered 500")
    assert len({got.headers["webhook-id"] for got in there.got}) == 1
    assert [attempt["number"] for attempt in tried(store, webhook)] == [1, 2, 3]
    assert types(store).count("hub.webhook.failed") == 3


def test_a_retry_after_is_never_undercut(store: Store) -> None:
    with receiver(503, retry_after="600") as there:
        make(store, there.url)
        webhook = send(store)
        work(store)
        assert row(store, webhook)["due_at"] - now_us() > 590 * SECOND


def test_a_redirect_is_a_failure(store: Store, there: Receiver) -> None:
    with receiver(302, location=there.url) as first:
        make(store, first.url)
        webhook = send(store)
        work(store)
    assert there.got == []
    assert row(store, webhook)["error"] == "it answered 302"


def test_410_disables_at_once_and_says_so(store: Store) -> None:
    with receiver(410) as there:
        make(store, there.url)
        gone, waits = send(store), send(store)
        with store.write() as tx:
            tx.conn.execute(update(outgoing.TABLE).where(outgoing.TABLE.c.id == waits).values(due_at=tx.now + SECOND))
        work(store)
    assert row(store, gone)["status"] == "failed"
    assert not endpoint(store)["enabled"]
    assert "410" in endpoint(store)["disabled_reason"]
    assert "hub.endpoint.disabled" in types(store)
    with pytest.raises(RefusedError, match="is disabled"):
        change(store, "resend", id=gone)
    held = send(store)
    with store.read() as tx:
        assert not outgoing.any_due(tx), "nobody looks at what waits"
        assert [shown["due_at"] for shown in outgoing.listing(tx, SCOPE).items] == [None] * 3
    now_due(store)
    work(store)
    assert row(store, waits)["attempts"] == row(store, held)["attempts"] == 0, "what is sent to it waits"
    with receiver() as mended:
        change(store, "update", url=mended.url, enabled=True)
        work(store)
        assert row(store, waits)["status"] == row(store, held)["status"] == "delivered"
        change(store, "resend", id=gone)
        work(store)
        assert row(store, gone)["status"] == "delivered"


def test_an_endpoint_that_takes_nothing_for_days_is_disabled(store: Store) -> None:
    with receiver(500, 200, 500) as there:
        make(store, there.url)
        send(store)
        work(store)
        assert endpoint(store)["failing_since"] is not None
        now_due(store)
        work(store)
        assert endpoint(store)["failing_since"] is None
        send(store)
        work(store)
        with store.write() as tx:
            long_ago = tx.now - int(5 * 86_400 * SECOND)
            tx.conn.execute(update(endpoints.TABLE).values(failing_since=long_ago))
        now_due(store)
        work(store)
    assert not endpoint(store)["enabled"]
    assert "500" in endpoint(store)["disabled_reason"]


def test_the_guard_stands_before_every_attempt(store: Store, there: Receiver) -> None:
    make(store, there.url)
    webhook = send(store)
    work(store, Settings())
    assert there.got == []
    assert "not one that the hub may call" in row(store, webhook)["error"]
    metadata = Settings(outbound_networks=("169.254.0.0/16",))
    change(store, "update", url="http://169.254.169.254/latest")
    now_due(store)
    work(store, metadata)
    assert "not one that the hub may call" in row(store, webhook)["error"]


@pytest.mark.parametrize("url", ["http://example.com/x", "https://example.com:8444/x"])
def test_what_private_networks_may_is_not_for_others(store: Store, url: str) -> None:
    caller = sending.caller_of(OPEN)
    caller = type(caller)(caller.rule, caller.limits, resolve=lambda _host, _port: ["93.184.216.34"], dial=_no_dial)
    with pytest.raises(Exception, match="only private networks"):
        caller.call("POST", url)


def _no_dial(*_args: Any) -> Any:
    raise AssertionError("it was dialled")


def test_a_secret_of_the_receivers_own_signs(store: Store, there: Receiver) -> None:
    own = "whsec_" + base64.b64encode(b"k" * 32).decode()
    assert make(store, there.url, secret=own)["keys"] == [{"scheme": "v1", "key": own}]
    send(store)
    work(store)
    assert holds({"scheme": "v1", "key": own}, there.got[0].headers, there.got[0].body)
    for wrong in ("whsec_" + base64.b64encode(b"short").decode(), "whpk_" + base64.b64encode(b"k" * 32).decode(), "x"):
        with pytest.raises(UsageError) as refused:
            change(store, "rotate", secret=wrong)
        assert wrong not in refused.value.detail


def test_an_automation_sends_once_what_an_event_carried(store: Store, there: Receiver) -> None:
    make(store, there.url)
    with pytest.raises(NotFoundError, match="nobody"):
        automation(store, {"send_webhook": "nobody"})
    automation(store, {"send_webhook": "partner", "data": {"order": "=body.order", "of": "${event.type}"}})
    args = {"type": "order.paid", "payload": {"order": 17}}
    apply(store, Command("event.emit", SCOPE, "", args))
    sequencer, automations = Sequencer(store), Automations(store)
    sequencer.step()
    for _ in range(3):
        automations.step()
    work(store)
    (got,) = there.got
    sent = json.loads(got.body)
    assert (sent["type"], sent["data"]) == ("order.paid", {"order": 17, "of": "order.paid"})
    with store.read() as tx:
        assert outgoing.listing(tx, SCOPE).items[0]["origin"].startswith("automation:")


def automation(store: Store, action: dict[str, Any]) -> None:
    args = {"name": "tell", "trigger": {"types": ["order.*"]}, "actions": [action]}
    apply(store, Command("automation.set", SCOPE, "", args))


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("ftp://example.com/", "scheme"), ("https://user:s3cret@example.com/", "user name"), ("nonsense", "scheme"),
        ("http://127.1/", "no IPv4 address"), ("https://example.com/#x", "fragment"), ("http://0x7f.1/", "number"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_called_is_refused_without_repeating_it(store: Store, url: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong) as refused:
        make(store, url)
    assert "s3cret" not in refused.value.detail


def test_the_same_id_is_sent_once(store: Store, there: Receiver) -> None:
    make(store, there.url)
    ident = new_id()
    assert not change(store, "send", type="a", id=ident)["repeated"]
    assert change(store, "send", type="a", id=ident)["repeated"]
    work(store)
    assert len(there.got) == 1


@pytest.mark.parametrize(
    ("args", "wrong"),
    [
        ({"type": "no type"}, "type"), ({"type": "a", "data": "x" * 262_145}, "at most 262144"),
        ({"type": "a", "data": float("nan")}, "not JSON"), ({"type": "a", "data": "\ud800"}, "not JSON"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_sent_is_refused(store: Store, args: dict[str, Any], wrong: str) -> None:
    make(store, "https://example.com/")
    with pytest.raises(UsageError, match=wrong):
        change(store, "send", **args)
    with pytest.raises(NotFoundError):
        change(store, "send", "nobody", type="a")


def test_many_are_sent_again(store: Store) -> None:
    with receiver(500, 500, 500, 200) as there:
        make(store, there.url)
        settings = Settings(outbound_networks=("127.0.0.0/8",), endpoint_retry_delays=())
        sent = [send(store) for _ in range(3)]
        work(store, settings)
        assert {row(store, webhook)["status"] for webhook in sent} == {"failed"}
        assert change(store, "resend", status="failed")["count"] == 3
        work(store, settings)
        assert {row(store, webhook)["status"] for webhook in sent} == {"delivered"}
        assert sorted(got.headers["webhook-id"] for got in there.got) == sorted(sent * 2)


def test_what_happens_to_an_endpoint_is_an_event(store: Store, there: Receiver) -> None:
    make(store, there.url)
    change(store, "update", url=there.url)
    change(store, "rotate")
    send(store)
    work(store)
    change(store, "delete")
    assert [type_ for type_ in types(store) if type_.startswith(("hub.endpoint.", "hub.webhook."))] == [
        "hub.endpoint.created", "hub.endpoint.updated", "hub.endpoint.rotated", "hub.webhook.delivered",
        "hub.endpoint.deleted",
    ]  # fmt: skip


def test_a_removed_endpoint_gets_nothing_more(store: Store, there: Receiver) -> None:
    make(store, there.url)
    webhook = send(store)
    change(store, "delete")
    work(store)
    assert there.got == []
    assert row(store, webhook)["status"] == "failed"


def test_a_slow_endpoint_does_not_hold_up_others(store: Store, there: Receiver) -> None:
    make(store, there.url)
    for _ in range(50):
        send(store)
    with receiver() as other:
        change(store, "create", "", name="other", url=other.url)
        late = change(store, "send", "other", type="a")["id"]
        with store.write() as tx:
            taken = outgoing.claim(tx, "somebody", {}, limit=16, lease_s=60)
    assert late in {found["id"] for found in taken}
    assert len(taken) == outgoing.PER_ENDPOINT + 1


def test_what_a_lost_sender_was_at_is_sent_again(store: Store, there: Receiver) -> None:
    make(store, there.url)
    webhook = send(store)
    with store.write() as tx:
        outgoing.claim(tx, "elsewhere", {}, limit=1, lease_s=0.0)
    work(store)
    assert [got.headers["webhook-id"] for got in there.got] == [webhook]


def test_neither_address_nor_keys_are_told(store: Store, there: Receiver) -> None:
    secret = make(store, f"{there.url}/t0ken-in-path")["keys"][0]["key"]
    with store.read() as tx:
        for table in ("audit", "command_outcomes", "events", "endpoints", "endpoint_keys"):
            found = str([dict(one) for one in tx.conn.exec_driver_sql(f"SELECT * FROM {table}").mappings()])
            assert "t0ken-in-path" not in found, table
            assert secret not in found, table


def test_the_alert_of_a_disabled_endpoint(store: Store) -> None:
    from hub.runtime.commands import register_given

    from hub_notifications.plugin import hub_commands

    register_given(hub_commands())
    with receiver(410) as there:
        make(store, there.url)
        send(store)
        work(store)
    with store.read() as tx:
        titles = list(tx.conn.execute(select(Alert.__table__.c.title)).scalars())  # type: ignore[attr-defined]
    assert titles == ["The endpoint partner was disabled"]


def test_rotation_seals_addresses_and_keys_anew(tmp_path: Path, there: Receiver) -> None:
    old, new = (base64.urlsafe_b64decode(new_key()) for _ in range(2))
    url = f"sqlite:///{tmp_path}/hub.db"
    first = open_store(url, Keyring((old,)))
    first.migrate()
    make(first, there.url, sign="both")
    first.close()
    both = open_store(url, Keyring((new, old)))
    assert apply(both, Command("secret.rotate", SCOPE)).result["resealed"] == 3
    both.close()
    again = open_store(url, Keyring((new,)))
    send(again)
    work(again)
    assert len(there.got) == 1
    again.close()
