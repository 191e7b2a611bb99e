"""Schemas of a source: departures are noted after the answer, or refused at the door, on every store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hub.errors import ConflictError, NotFoundError, UsageError
from hub.plugins import Context, load_plugins
from hub.runtime import drifting
from hub.runtime.effects import Effects
from hub.runtime.presets import installed
from hub.settings import Settings
from hub.store import Store, event_schemas
from hub.store.tables import AuditEntry, Event
from hub.types import SECOND, now_us

from .doors import EVENT, Made, change, effects, make, rows, serve, source_row
from .test_inbox import keep

EVENTS: Any = Event.__table__
AUDIT: Any = AuditEntry.__table__
PUSH: dict[str, Any] = {
    "type": "object",
    "required": ["ref"],
    "properties": {"ref": {"type": "string"}, "commits": {"type": "array", "items": {"properties": {"id": {}}}}},
}


@pytest.fixture
def source(store: Store) -> Made:
    made = make(store)
    change(store, "source.schema_set", made.name, type="push", document=PUSH)
    return made


def relay(store: Store) -> None:
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    loop = Effects(Context("upkeep", Settings(), loaded.hooks, store), ("receipt",))
    while loop.step():
        pass


def send(store: Store, source: Made, *bodies: Any, **more: Any) -> None:
    for body in bodies:
        keep(store, source, body=json.dumps(body).encode(), **more)
    relay(store)


def drift(store: Store, source: Made) -> dict[tuple[str, str, str], int]:
    with store.read() as tx:
        return {
            (row["event_type"], row["path"], row["kind"]): row["count"] for row in event_schemas.drifts(tx, source.id)
        }


def told(store: Store) -> list[tuple[str, str]]:
    query = EVENTS.select().where(EVENTS.c.type == "hub.source.drifted").order_by(EVENTS.c.at)
    with store.read() as tx:
        return [(row["body"]["kind"], row["private"]["params"]["path"]) for row in tx.conn.execute(query).mappings()]


def test_departures_are_counted_and_each_is_told_once(store: Store, source: Made) -> None:
    send(store, source, {"ref": "main"})
    assert drift(store, source) == {}
    send(store, source, {"ref": 1, "more": {}})
    send(store, source, {"ref": 1}, {}, {"ref": "a", "commits": [{"id": 1, "m": 1}, {"m": 2}]})
    assert drift(store, source) == {
        ("push", "ref", "type"): 2, ("push", "more", "new"): 1, ("push", "ref", "missing"): 1,
        ("push", "commits.*.m", "new"): 1,
    }  # fmt: skip
    assert sorted(told(store)) == [("missing", "ref"), ("new", "commits.*.m"), ("new", "more"), ("type", "ref")]
    with store.read() as tx:
        (one,) = [row for row in event_schemas.drifts(tx, source.id) if row["kind"] == "type"]
    assert one["detail"] == "integer in place of string"
    assert one["first_at"] < one["last_at"]
    assert one["receipt_id"] == rows(store)[2]["id"]


def test_other_types_are_compared_with_the_schema_of_all_others_or_with_none(store: Store, source: Made) -> None:
    send(store, source, {}, event_type="issues")
    assert drift(store, source) == {}
    change(store, "source.schema_set", source.name, type="*", document={"required": ["action"]})
    send(store, source, {}, event_type="issues")
    assert drift(store, source) == {("issues", "action", "missing"): 1}


def test_a_new_schema_forgets_what_departed_from_the_old_one(store: Store, source: Made) -> None:
    send(store, source, {"ref": 1})
    change(store, "source.schema_set", source.name, type="push", document={"properties": {"ref": {"type": "integer"}}})
    assert drift(store, source) == {}
    send(store, source, {"ref": 1}, {"ref": "a"})
    assert drift(store, source) == {("push", "ref", "type"): 1}
    change(store, "source.schema_remove", source.name, type="push")
    assert drift(store, source) == {}
    with pytest.raises(NotFoundError, match="no schema of 'push'"):
        change(store, "source.schema_remove", source.name, type="push")


def test_items_of_a_batch_are_compared_one_by_one(store: Store) -> None:
    source = make(store, "cloudevents")
    change(store, "source.schema_set", source.name, type="a", document={"properties": {"data": {"type": "integer"}}})
    items = [{"type": "a", "source": "s", "id": str(n), "data": n if n % 2 else "x"} for n in range(6)]
    with serve(store) as door:
        door.knock(source, json.dumps(items).encode(), {"Content-Type": "application/cloudevents-batch+json"})
    relay(store)
    assert drift(store, source)["a", "data", "type"] == 3


def test_off_pays_no_heed_and_observe_lets_pass(store: Store, source: Made) -> None:
    assert source_row(store, source.name)["schema_mode"] == "observe"
    with serve(store) as door:
        assert door.knock(source, b'{"ref":1}', EVENT).status_code == 202
    change(store, "source.update", source.name, schema_mode="off")
    send(store, source, {"ref": 1})
    assert drift(store, source) == {}


def test_enforce_refuses_what_violates_and_keeps_it_with_the_reason(store: Store, source: Made) -> None:
    change(store, "source.update", source.name, schema_mode="enforce")
    with serve(store) as door:
        for number, (body, status) in enumerate(
            [(b'{"ref":"a","more":1}', 202), (b'{"ref":"a","commits":4111}', 400), (b"{}", 400), (b'{"x":1}', 202)]
        ):
            kind = "issues" if status == 202 and number else "push"
            headers = EVENT | {"X-GitHub-Event": kind, "X-GitHub-Delivery": f"d-{number}"}
            answer = door.knock(source, body, headers)
            assert answer.status_code == status, number
            assert status == 202 or answer.json()["code"] == "invalid-body"
        # A changed schema counts from the next request on.
        change(store, "source.schema_set", source.name, type="push", document={})
        assert door.knock(source, b"{}", EVENT | {"X-GitHub-Delivery": "d-9"}).status_code == 202
    refused = rows(store, verdict="rejected")
    assert [row["reason"] for row in refused] == [
        "it does not fit the schema of push: commits: integer in place of array",
        "it does not fit the schema of push: ref: it is missing",
    ]
    assert "4111" not in repr([row["reason"] for row in refused])
    assert len(effects(store)) == 3


def test_enforce_looks_at_every_item_of_a_batch(store: Store) -> None:
    source = make(store, "cloudevents")
    change(store, "source.schema_set", source.name, type="*", document={"required": ["data"]})
    change(store, "source.update", source.name, schema_mode="enforce")
    items: list[dict[str, Any]] = [{"type": "a", "source": "s", "id": str(n), "data": n} for n in range(3)]
    with serve(store) as door:
        for more, status in (([], 202), ([{"type": "b", "source": "s", "id": "9"}], 400)):
            body = json.dumps(items + more).encode()
            answer = door.knock(source, body, {"Content-Type": "application/cloudevents-batch+json"})
            assert answer.status_code == status
    assert rows(store)[-1]["reason"] == "it does not fit the schema of b: data: it is missing"


def test_redacted_values_depart_from_nothing(store: Store) -> None:
    source = make(store, redact=["json:ref", "field:n"])
    change(store, "source.schema_set", source.name, type="push", document={"properties": {"ref": {"type": "integer"}}})
    with serve(store) as door:
        assert door.knock(source, b'{"ref":1}', EVENT).status_code == 202
    relay(store)
    assert drift(store, source) == {}


def test_departures_of_a_source_are_bounded(store: Store, source: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_schemas, "MAX_DRIFTS", 60)
    send(store, source, *({"ref": "a", **{f"n{part}-{n}": 1 for n in range(45)}} for part in range(3)))
    assert len(drift(store, source)) == 60
    send(store, source, {"ref": "a", "n0-0": 1})
    assert drift(store, source)["push", "n0-0", "new"] == 2


def test_schemas_of_a_source_are_bounded_and_stay_out_of_the_audit_trail(
    store: Store, source: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_schemas, "MAX_SCHEMAS", 2)
    change(store, "source.schema_set", source.name, type="b", document={"title": "needle"})
    change(store, "source.schema_set", source.name, type="b", document={})
    with pytest.raises(ConflictError, match="2 schemas"):
        change(store, "source.schema_set", source.name, type="c", document={})
    with pytest.raises(UsageError, match="pattern is not supported"):
        change(store, "source.schema_set", source.name, type="c", document={"pattern": "x"})
    with store.read() as tx:
        assert "needle" not in repr(tx.conn.execute(AUDIT.select()).all())


def test_what_goes_with_a_source_goes_and_old_departures_are_forgotten(store: Store, source: Made) -> None:
    send(store, source, {"ref": 1})
    with store.write() as tx:
        assert event_schemas.trim(tx, before=now_us() - 3600 * SECOND, limit=10) == 0
        assert event_schemas.trim(tx, before=now_us() + SECOND, limit=10) == 1
    send(store, source, {"ref": 1})
    change(store, "source.delete", source.name)
    assert drift(store, source) == {}
    with store.read() as tx:
        assert event_schemas.texts(tx, source.id) == {}


def test_schemas_are_proposed_from_the_last_events(store: Store, source: Made) -> None:
    for n in range(4):
        keep(store, source, body=json.dumps({"ref": "a", "n": n if n else None}).encode())
    keep(store, source, event_type="issues", body=b'{"action":"opened"}', headers=[["X-GitHub-Event", "issues"]])
    keep(store, source, verdict="rejected", body=b'{"bad":1}')
    keep(store, source, body=b"{", headers=[["Content-Type", "application/json"], ["X-GitHub-Event", "push"]])
    preset, row = installed().get("github"), source_row(store, source.name)
    with store.read() as tx:
        found = drifting.propose(tx, row, preset, event_type=None, last=100)
        pushes = drifting.propose(tx, row, preset, event_type="push", last=3)
    assert [(one["type"], one["samples"]) for one in found] == [("issues", 1), ("push", 4)]
    assert found[1]["document"]["properties"]["n"] == {"type": ["integer", "null"]}
    assert pushes[0]["samples"] == 3
    assert pushes[0]["document"]["properties"]["n"] == {"type": "integer"}
    assert "bad" not in repr(found)
