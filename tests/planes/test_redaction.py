"""What a source does not want kept never reaches the store: verified as it came, stored without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hub.errors import RefusedError, UsageError
from hub.plugins import Context, load_plugins
from hub.runtime import relay
from hub.runtime.payloads import variables_of
from hub.settings import Settings
from hub.store import Store, events
from sqlalchemy import text

from .doors import EVENT, SCOPE, Served, change, make, rows, serve, source_row

PAN = "4111-1111-1111-1111"
BODY = json.dumps({"ref": "main", "card": {"number": PAN, "kind": "visa"}, "items": [{"ssn": PAN}]}).encode()
PLACES = ["json:card.number", "field:ssn", "header:X-Customer", "query:email"]


@pytest.fixture
def door(store: Store) -> Iterator[Served]:
    with serve(store, door_read_timeout=3.0) as served:
        yield served


def everything(store: Store) -> str:
    """All that the store holds, of every table."""
    with store.read() as tx:
        from hub.store.tables import metadata

        return repr([tx.conn.execute(text(f"SELECT * FROM {table.name}")).all() for table in metadata.sorted_tables])


def relayed(store: Store, receipt_id: str) -> dict[str, Any]:
    """Carry out the relay of a receipt; gives what automations see of its event."""
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    ctx = Context("upkeep", Settings(), loaded.hooks, store)
    relay.carry_out(ctx, {"workspace_id": SCOPE.workspace_id, "payload": {"receipt_id": receipt_id}})
    with store.read() as tx:
        (event,) = [
            dict(row)
            for row in tx.conn.execute(events.TABLE.select()).mappings()
            if row["body"].get("receipt_id") == receipt_id
        ]
    return variables_of(store, event)


def test_values_never_reach_the_store_and_the_signature_is_that_of_what_came(door: Served) -> None:
    source = make(door.store, redact=PLACES)
    answer = door.post(
        f"{source.path}?email={PAN}&page=2", BODY, dict(source.signed(BODY, EVENT | {"X-Customer": PAN}).headers)
    )
    assert answer.status_code == 202
    (row,) = rows(door.store)
    assert (row["verdict"], row["body_size"], row["redacted"]) == (
        "accepted",
        len(BODY),
        [*PLACES[2:], *PLACES[:2]],
    )
    assert row["secret_id"]
    assert json.loads(row["body"])["card"] == {"number": "[redacted]", "kind": "visa"}
    assert row["query"] == "email=[redacted]&page=2"
    assert PAN not in everything(door.store)
    seen = relayed(door.store, row["id"])
    assert seen["body"] == json.loads(row["body"])
    assert PAN not in everything(door.store)


def test_a_repeat_is_known_by_what_came_not_by_what_is_stored(door: Served) -> None:
    source = make(door.store, "generic-hmac", options={"unique_body": "yes"}, redact=["json:card"])
    for card, kept in (("1", 1), ("1", 1), ("2", 2)):
        body = json.dumps({"type": "a", "card": card}).encode()
        assert door.knock(source, body, {"Content-Type": "application/json"}).status_code == 202
        assert len(rows(door.store)) == kept
    assert len({row["body"] for row in rows(door.store)}) == 1


@pytest.mark.parametrize("how", ["unsigned", "no-json"])
def test_of_a_refused_request_no_body_is_kept(door: Served, how: str) -> None:
    source = make(door.store, redact=["json:card.number"])
    body = BODY if how == "unsigned" else PAN.encode()
    answer = door.knock(source, body, EVENT, secret="wrong" if how == "unsigned" else None)
    assert answer.status_code == (401 if how == "unsigned" else 400)
    (row,) = rows(door.store)
    assert (row["verdict"], row["redacted"], row["body"] or b"", row["body_size"]) == (
        "rejected",
        ["body"],
        b"",
        len(body),
    )
    assert PAN not in everything(door.store)
    with pytest.raises(RefusedError, match="was not kept"):
        change(door.store, "receipt.replay", row["id"], unverified=True)


def test_in_mode_observe_what_is_not_verified_is_redacted_too(door: Served) -> None:
    source = make(door.store, mode="observe", redact=["json:card.number", "json:items"])
    assert door.knock(source, BODY, EVENT, secret="wrong").status_code == 202
    (row,) = rows(door.store)
    assert (row["verdict"], row["redacted"]) == ("observed", ["json:card.number", "json:items"])
    assert PAN not in everything(door.store)


@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=x", "text/plain"])
def test_a_body_that_cannot_be_read_is_accepted_and_not_kept(door: Served, kind: str) -> None:
    source = make(door.store, "cloudevents", redact=["json:card"])
    body = f"<card>{PAN}</card>".encode()
    headers = {"Content-Type": kind, "ce-type": "paid", "ce-source": "s", "ce-id": "1"}
    assert door.knock(source, body, headers).status_code == 202
    (row,) = rows(door.store)
    assert (row["verdict"], row["event_type"], row["redacted"]) == ("accepted", "paid", ["body"])
    assert "nothing of the body is kept" in row["reason"]
    assert PAN not in everything(door.store)
    assert relayed(door.store, row["id"])["body"] == {"text": ""}


def test_nothing_of_the_body_is_kept_where_that_is_wanted(door: Served) -> None:
    source = make(door.store, redact=["body"])
    assert door.knock(source, BODY, EVENT).status_code == 202
    (row,) = rows(door.store)
    assert (row["body"] or b"", row["body_size"], row["redacted"], row["reason"]) == (b"", len(BODY), ["body"], "")
    assert (row["event_type"], row["delivery_id"]) == ("push", "d-1")


def test_a_replay_has_the_redacted_body_and_loses_what_is_redacted_now(door: Served) -> None:
    source = make(door.store, redact=["json:card.number"])
    assert door.knock(source, BODY, EVENT).status_code == 202
    first = rows(door.store)[0]
    change(door.store, "source.update", source.name, redact=["field:ssn", "header:X-GitHub-Hook-ID"])
    again = change(door.store, "receipt.replay", first["id"])["id"]
    row = rows(door.store, id=again)[0]
    assert PAN not in repr(row)
    assert (row["redacted"], row["body_size"]) == (["json:card.number", "field:ssn"], len(BODY))
    assert relayed(door.store, again)["body"]["card"]["number"] == "[redacted]"


def test_a_bookmark_sends_what_is_kept_and_refuses_where_that_is_nothing(door: Served) -> None:
    source = make(door.store, redact=["json:card.number"])
    assert door.knock(source, BODY, EVENT).status_code == 202
    change(door.store, "bookmark.set", "it", receipt=rows(door.store)[0]["id"])
    signed = change(door.store, "source.sign", source.name, url="https://hub.example/in/trigger", bookmark="it")
    assert signed["body"] == rows(door.store)[0]["body"]
    change(door.store, "source.update", source.name, redact=["body"])
    assert door.knock(source, BODY, EVENT | {"X-GitHub-Delivery": "d-2"}).status_code == 202
    change(door.store, "bookmark.set", "empty", receipt=rows(door.store)[1]["id"])
    with pytest.raises(RefusedError, match="was not kept"):
        change(door.store, "source.sign", source.name, url="https://hub.example/in/trigger", bookmark="empty")


def test_what_the_preset_reads_is_refused_when_it_is_set_or_becomes_so(store: Store) -> None:
    with pytest.raises(UsageError, match="reads the event's type"):
        make(store, "stripe", redact=["json:type"])
    made = make(store, "generic-hmac", redact=["json:kind"])
    with pytest.raises(UsageError, match="json:kind cannot be redacted"):
        change(store, "source.update", made.name, options={"type": "json:kind"})
    assert source_row(store, made.name)["options"] == {}
    with pytest.raises(UsageError, match="only JSON and forms"):
        change(store, "source.update", made.name, redact=["xml:a"])
    change(store, "source.update", made.name, redact=[])
    change(store, "source.update", made.name, options={"type": "json:kind"})
