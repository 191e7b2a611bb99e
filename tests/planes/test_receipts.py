"""Group commit of receipts, and what becomes of them, on every store."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hub.errors import UnavailableError
from hub.plugins import Context, load_plugins
from hub.runtime import presets, relay
from hub.runtime.effects import Effects
from hub.runtime.receipts import Answer, Incoming, Kept, Outdated, ReceiptWriter, commit
from hub.settings import Settings
from hub.store import Store, effects, open_store, receipts
from hub.store.tables import Event
from hub.types import SECOND, new_id, now_us
from hub.webhooks.presets import Presets
from sqlalchemy import event as alchemy

from .doors import EVENT, PUSH, SCOPE, Made, change, make, rows, serve, source_row
from .doors import effects as outbox

BATCH_PRESET = """
{id: batches, name: Batches, summary: s, docs: "https://a.example", where: w, verify: {kind: none},
 event: {type: "json:kind", id: "json:id", split: items, delivery: "json:batch"}}
"""


def incoming(store: Store, source: Made, *keys: str, **row: Any) -> Incoming:
    """A judged request as the door would hand it over."""
    values = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "source_id": source.id, "received_at": now_us()}
    version = source_row(store, source.name)["updated_at"]
    return Incoming(source.id, version, receipts.complete(values | row), keys)


def test_a_batch_is_one_commit_and_repeats_in_it_are_one_receipt(store: Store) -> None:
    source = make(store)
    batch = [incoming(store, source, "id:1"), incoming(store, source, "id:1"), incoming(store, source, "id:2")]
    first, again, other = commit(store, batch)
    assert isinstance(first, Kept)
    assert again == Kept(first.receipt_id, duplicate=True)
    assert isinstance(other, Kept)
    assert [row["duplicates"] for row in rows(store)] == [1, 0]
    assert sorted(outbox(store)) == sorted([first.receipt_id, other.receipt_id])


def test_either_key_makes_a_repeat_and_ties_the_other_key_to_the_first(store: Store) -> None:
    source = make(store)
    (first,) = commit(store, [incoming(store, source, "id:1", "signed:a")])
    assert isinstance(first, Kept)
    for keys in (("id:2", "signed:a"), ("id:2", "signed:b"), ("signed:b",)):
        assert commit(store, [incoming(store, source, *keys)]) == [Kept(first.receipt_id, duplicate=True)]
    (row,) = rows(store)
    assert row["duplicates"] == 3


def test_keys_of_one_source_mean_nothing_to_another(store: Store) -> None:
    one, two = make(store, name="one"), make(store, name="two")
    commit(store, [incoming(store, one, "id:1"), incoming(store, two, "id:1")])
    assert len(rows(store)) == 2


def test_a_key_is_forgotten_after_its_window(store: Store) -> None:
    source = make(store)
    old = incoming(store, source, "id:1")
    commit(store, [Incoming(old.source_id, old.source_version, old.receipt, old.keys, window_s=0)])
    commit(store, [incoming(store, source, "id:1")])
    assert len(rows(store)) == 2
    with store.write() as tx:
        assert receipts.forget_keys(tx) == 0
        tx.conn.execute(receipts.KEYS.update().values(expires_at=tx.now))
        assert receipts.forget_keys(tx) == 1


def test_a_receipt_is_kept_as_long_as_its_source_says(store: Store) -> None:
    brief, long = make(store, name="brief", keep_s=3600), make(store, name="long")
    old = now_us() - 7200 * SECOND
    commit(
        store, [incoming(store, brief, received_at=old), incoming(store, brief), incoming(store, long, received_at=old)]
    )
    with store.write() as tx:
        assert receipts.trim(tx) == 1
        assert receipts.trim(tx) == 0
    assert sorted(row["source_id"] for row in rows(store)) == sorted([brief.id, long.id])


def test_a_request_judged_by_an_older_version_of_its_source_is_given_back(store: Store) -> None:
    source = make(store)
    stale = incoming(store, source, "id:1")
    change(store, "source.update", source.name, mode="observe")
    fresh = incoming(store, source, "id:2")
    assert [type(answer) for answer in commit(store, [stale, fresh])] == [Outdated, Kept]
    change(store, "source.update", source.name, enabled=False)
    assert commit(store, [fresh]) == [Outdated()]


def test_one_row_that_cannot_be_written_does_not_take_the_others_with_it(store: Store) -> None:
    source = make(store)
    good, bad = incoming(store, source), incoming(store, source, headers=[["x", object()]])
    answers = commit(store, [good, bad, incoming(store, source)])
    assert [isinstance(answer, Kept) for answer in answers] == [True, False, True]
    assert isinstance(answers[1], UnavailableError)
    assert len(rows(store)) == 2


def test_writers_of_several_processes_agree_on_the_first(store: Store) -> None:
    source = make(store)
    answers: list[tuple[Any, Answer]] = []
    ready = threading.Barrier(4)
    writers = [ReceiptWriter(store, answers.extend) for _ in range(4)]

    def knock(writer: ReceiptWriter) -> None:
        ready.wait(20)
        for number in range(25):
            writer.submit(number, incoming(store, source, f"id:{number}", f"signed:{25 - number}"))

    for writer in writers:
        writer.start()
    threads = [threading.Thread(target=knock, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for writer in writers:
        writer.close(60)
    assert len(answers) == 100
    kept = rows(store)
    by_key = {}
    for number, answer in answers:
        assert isinstance(answer, Kept), answer
        assert by_key.setdefault(number, answer.receipt_id) == answer.receipt_id
    assert sum(row["duplicates"] for row in kept) == 100 - len(kept)
    assert len(outbox(store)) == len(kept)


def test_a_closed_writer_has_committed_what_was_queued(store: Store) -> None:
    source = make(store)
    answers: list[tuple[Any, Answer]] = []
    writer = ReceiptWriter(store, answers.extend)
    for number in range(600):
        writer.submit(number, incoming(store, source, f"id:{number}"))
    writer.start()
    writer.close(60)
    assert len(answers) == len(rows(store)) == 600


# --- receipts become events ----------------------------------------------------------------------------------------


@pytest.fixture
def ctx(store: Store, monkeypatch: pytest.MonkeyPatch) -> Context:
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    monkeypatch.setattr(presets, "_installed", Presets([*presets.install(loaded.hooks), batches()]))
    return Context("upkeep", Settings(), loaded.hooks, store)


def batches() -> Any:
    from hub.webhooks.preset import load_preset

    return load_preset(BATCH_PRESET, "batches.yaml")


def carry_out(ctx: Context, *, times: int = 1) -> None:
    with ctx.store.write() as tx:
        found = effects.claim(tx, ["receipt"], "test")
    for row in found:
        for _ in range(times):
            relay.carry_out(ctx, row)
    with ctx.store.write() as tx:
        effects.finish(tx, [row["id"] for row in found])


def events(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        table = Event.__table__  # type: ignore[attr-defined]
        found = tx.conn.execute(table.select().order_by(table.c.id)).mappings().all()
    return [dict(row) for row in found if not row["type"].startswith("hub.source")]


def test_a_receipt_becomes_one_event_however_often_it_is_carried_out(ctx: Context) -> None:
    source = make(ctx.store)
    receipt = incoming(ctx.store, source, event_type="push", delivery_id="d-1")
    commit(ctx.store, [receipt])
    carry_out(ctx, times=3)
    (event,) = events(ctx.store)
    assert (event["type"], event["source"], event["subject"]) == ("github.push", "source:a-source", source.id)
    assert event["body"] == {
        "receipt_id": receipt.receipt["id"],
        "source_id": source.id,
        "source_name": "a-source",
        "preset": "github",
        "provider_type": "push",
        "delivery_id": "d-1",
        "index": 0,
    }
    (row,) = rows(ctx.store)
    assert (row["events"], row["error"]) == (1, None)
    assert row["processed_at"]


def test_a_batch_becomes_an_event_for_each_item_and_an_item_happens_once(ctx: Context) -> None:
    source = make(ctx.store, "batches", verify="none", secret=None)
    for number, ids in enumerate(("12", "23", "4")):
        items = [{"kind": f"k{id}", "id": id} for id in ids]
        body = json.dumps({"batch": number, "items": items}).encode()
        commit(ctx.store, [incoming(ctx.store, source, body=body, body_size=len(body))])
    carry_out(ctx, times=2)
    assert sorted(event["type"] for event in events(ctx.store)) == [f"batches.k{n}" for n in (1, 2, 3, 4)]
    assert [row["events"] for row in rows(ctx.store)] == [2, 1, 1]
    replayed = change(ctx.store, "receipt.replay", rows(ctx.store)[0]["id"])
    carry_out(ctx)
    assert rows(ctx.store, id=replayed["id"])[0]["events"] == 2


def test_a_batch_that_cannot_be_read_is_noted_and_told(ctx: Context) -> None:
    source = make(ctx.store, "batches", verify="none", secret=None)
    commit(ctx.store, [incoming(ctx.store, source, body=b"{", body_size=1)])
    carry_out(ctx, times=2)
    (row,) = rows(ctx.store)
    assert (row["events"], "not JSON" in row["error"]) == (0, True)
    (event,) = events(ctx.store)
    assert event["type"] == "hub.receipt.failed"
    assert "not JSON" in event["private"]["errors"]["error"]


def test_a_receipt_whose_preset_is_missing_is_tried_again(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(ctx.store)
    commit(ctx.store, [incoming(ctx.store, source, event_type="push")])
    monkeypatch.setattr(presets, "_installed", Presets([batches()]))
    with pytest.raises(UnavailableError, match="github"):
        carry_out(ctx)
    assert rows(ctx.store)[0]["processed_at"] is None


def test_receipts_become_events_together_but_for_one_that_cannot(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    source, other = make(ctx.store), make(ctx.store, "batches", name="other", verify="none", secret=None)
    commit(ctx.store, [incoming(ctx.store, source, event_type="push", delivery_id=f"d-{n}") for n in range(25)])
    commit(ctx.store, [incoming(ctx.store, other, body=b'{"items": []}', body_size=13)])
    kept = [row["id"] for row in rows(ctx.store, source_id=source.id)]
    github = presets.install(ctx.hooks).find("github")
    assert github is not None
    monkeypatch.setattr(presets, "_installed", Presets([github]))
    Effects(ctx, ("receipt",)).step()
    made = events(ctx.store)
    assert sorted(event["body"]["receipt_id"] for event in made) == kept
    assert len({event["at"] for event in made}) == 25  # they have an order
    assert all(row["processed_at"] for row in rows(ctx.store, source_id=source.id))
    assert rows(ctx.store, source_id=other.id)[0]["processed_at"] is None
    with ctx.store.read() as tx:
        left = [row for row in tx.conn.execute(effects.TABLE.select()).mappings() if row["done_at"] is None]
    assert ["batches is not installed" in row["error"] for row in left] == [True]


# --- the database in trouble ---------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Any) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/hub.db")
    opened.migrate()
    yield opened
    opened.close()


def pragma(store: Any, text: str) -> None:
    """Set a pragma on every connection: those that stand by, and those to come."""
    for conn in list(store._idle["FULL"]):
        conn.connection.dbapi_connection.execute(f"PRAGMA {text}").close()
    alchemy.listen(store._engine("FULL"), "checkout", lambda conn, *_: conn.execute(f"PRAGMA {text}").close())


def test_a_full_disk_is_503_and_nothing_is_kept(on_disk: Store) -> None:
    source = make(on_disk)
    with serve(on_disk) as door:
        assert door.knock(source, PUSH, EVENT).status_code == 202
        pragma(on_disk, "max_page_count=1")
        big = b'{"a":"' + b"x" * 500_000 + b'"}'
        answer = door.knock(source, big, EVENT | {"X-GitHub-Delivery": "2"})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        pragma(on_disk, "max_page_count=1000000")
        assert door.knock(source, big, EVENT | {"X-GitHub-Delivery": "2"}).status_code == 202
    assert len(rows(on_disk)) == 2


def test_a_locked_database_is_503_until_it_is_free(on_disk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(on_disk)
    monkeypatch.setattr(on_disk._turns, "_timeout_s", 0.2)
    other = sqlite3.connect(on_disk._path, isolation_level=None)
    with serve(on_disk) as door:
        other.execute("BEGIN IMMEDIATE")
        answer = door.knock(source, PUSH, EVENT)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        other.execute("ROLLBACK")
        assert door.knock(source, PUSH, EVENT).status_code == 202
    other.close()
    assert len(rows(on_disk)) == 1


def test_a_database_that_is_away_is_503(own_postgres_url: str) -> None:
    import psycopg

    store = open_store(own_postgres_url)
    store.migrate()
    source = make(store)
    base, _, name = own_postgres_url.rpartition("/")
    with serve(store) as door:
        assert door.knock(source, PUSH, EVENT).status_code == 202
        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        answer = door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": "2"})
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        unknown = door.post("/in/" + "x" * 32, PUSH, EVENT)
        assert unknown.status_code == 503
        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        answers = [door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": "2"}).status_code for _ in range(8)]
        assert answers[-1] == 202
    assert len(rows(store)) == 2
    store.close()


def test_an_expired_secret_is_not_used_even_from_memory(on_disk: Store) -> None:
    source = make(on_disk)
    with serve(on_disk) as door:
        assert door.knock(source, PUSH, EVENT).status_code == 202
        change(on_disk, "source.rotate", source.name, secret="new", overlap_s=3600)
        request = {"X-GitHub-Delivery": "2"}
        assert door.knock(source, PUSH, EVENT | request).status_code == 202
        with on_disk.write() as tx:
            table = receipts.TABLE.metadata.tables["source_secrets"]
            tx.conn.execute(table.update().where(table.c.expires_at.is_not(None)).values(expires_at=tx.now - SECOND))
        change(on_disk, "source.update", source.name, mode="enforce")
        assert door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": "3"}).status_code == 401
