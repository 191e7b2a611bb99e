"""Searching what came in, and letting it happen again, on every store."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import RefusedError, UsageError
from hub.plugins import Context, load_plugins
from hub.runtime import relay
from hub.runtime.commands import Command, apply
from hub.runtime.commands.receipts import once
from hub.runtime.receipts import Incoming, Kept, commit
from hub.settings import Settings
from hub.store import Store, bookmarks, inbox, receipts, trimming
from hub.store.tables import Event
from hub.types import SECOND, new_id, now_us

from .doors import PUSH, SCOPE, Made, change, make, rows, source_row
from .doors import effects as outbox


def keep(store: Store, source: Made, **row: Any) -> str:
    """Commit a request as the door would; gives its receipt's id."""
    body = row.setdefault("body", PUSH)
    row = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "source_id": source.id, "received_at": now_us()} | row
    whole = receipts.complete({"event_type": "push", "headers": [["X-GitHub-Event", "push"]]} | row)
    starts = row.get("verdict", "accepted") in ("accepted", "observed")
    version = source_row(store, source.name)["updated_at"]
    (kept,) = commit(store, [Incoming(source.id, version, whole | {"body_size": len(body)}, starts=starts)])
    assert isinstance(kept, Kept)
    return kept.receipt_id


def find(store: Store, **wanted: Any) -> list[str]:
    """All pages of a search, the newest first."""
    found, cursor = [], None
    with store.read() as tx:
        for _ in range(100):
            page = inbox.search(tx, SCOPE, inbox.Wanted(**wanted), limit=2, cursor=cursor)
            found += [row["id"] for row in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found
    raise AssertionError("the search does not end")


def again(store: Store, receipt_id: str, request: str | None = None, **args: Any) -> dict[str, Any]:
    more = {"id": once(SCOPE.workspace_id, receipt_id, request)} if request else {}
    return apply(store, Command("receipt.replay", SCOPE, receipt_id, args | {"request": request}, **more)).result


def test_requests_are_found_by_all_that_is_known_of_them(store: Store) -> None:
    one, two = make(store, name="one"), make(store, name="two")
    old = keep(store, one, received_at=now_us() - 3600 * SECOND, delivery_id="d-1")
    issue = keep(store, one, event_type="issues.opened", body='{"who":"Zoë%_"}'.encode())
    other = keep(store, two, body=b"\x00\xff\x00needle")
    refused = keep(store, one, verdict="rejected", reason="no signature")
    everything = [refused, other, issue, old]
    assert find(store) == everything
    assert find(store, source_id=one.id) == [refused, issue, old]
    assert find(store, verdict="rejected") == [refused]
    assert find(store, type="issues.opened") == find(store, type="issues.*") == [issue]
    assert find(store, type="issues") == find(store, type="iss%*") == []
    assert find(store, delivery="d-1") == find(store, until=now_us() - 1800 * SECOND) == [old]
    assert find(store, since=now_us() - 1800 * SECOND) == [refused, other, issue]
    assert find(store, text="Zoë%_") == [issue]
    assert find(store, text="needle") == [other]
    assert find(store, text="NEEDLE") == []
    assert find(store, text="%") == [issue]
    assert find(store, text="needle", source_id=one.id) == []
    with store.read() as tx:
        page = inbox.search(tx, SCOPE, inbox.Wanted(), order="oldest")
        assert [row["id"] for row in page.items] == everything[::-1]
        assert "body" not in page.items[0]
        with pytest.raises(UsageError, match="cursor"):
            inbox.search(tx, SCOPE, inbox.Wanted(text="x"), cursor="!")


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_search_looks_at_so_many_a_page_and_misses_none(
    store: Store, monkeypatch: pytest.MonkeyPatch, order: Any
) -> None:
    source = make(store)
    kept = [keep(store, source, body=b"needle" if place % 3 == 0 else b"straw") for place in range(20)]
    monkeypatch.setattr(inbox, "WINDOW", 4)
    monkeypatch.setattr(inbox, "WINDOW_BYTES", 18)
    found: list[str] = []
    pages = 0
    cursor: str | None = ""
    with store.read() as tx:
        while cursor is not None:
            page = inbox.search(tx, SCOPE, inbox.Wanted(text="needle"), limit=50, cursor=cursor, order=order)
            assert len(page.items) <= 4
            pages, found, cursor = pages + 1, found + [row["id"] for row in page.items], page.next_cursor
    assert pages >= 5
    assert sorted(found) == kept[::3]
    assert found == sorted(found, reverse=order == "newest")


def test_a_replay_happens_once_for_its_request_even_when_its_outcome_is_forgotten(store: Store) -> None:
    source = make(store)
    old, request = keep(store, source), new_id()
    first = again(store, old, request)
    assert first["replay_of"] == old
    assert again(store, old, request)["id"] == first["id"]
    args = {"request": request}
    forgotten = apply(store, Command("receipt.replay", SCOPE, old, args)).result  # another command id: nobody knows
    assert forgotten == {"id": first["id"], "replay_of": old, "repeated": True}
    assert again(store, old, new_id())["id"] != first["id"]
    assert sorted(outbox(store)) == sorted(row["id"] for row in rows(store))
    assert len(rows(store)) == 3


def test_a_replay_is_read_with_the_options_of_now_and_its_event_says_what_it_repeats(store: Store) -> None:
    source = make(store, "token", options={"type": "json:kind"})
    old = keep(store, source, event_type="event", body=b'{"kind":"a","sort":"b"}', headers=[])
    change(store, "source.update", source.name, options={"type": "json:sort"})
    made = again(store, old)["id"]
    ctx = Context("upkeep", Settings(), load_plugins(Settings(plugins="only:webhooks"), process="web").hooks, store)
    relay.carry_out(ctx, {"workspace_id": SCOPE.workspace_id, "payload": {"receipt_id": made}})
    with store.read() as tx:
        events = tx.conn.execute(Event.__table__.select()).mappings().all()  # type: ignore[attr-defined]
    (event,) = [row for row in events if row["type"] == "token.b"]
    assert event["body"]["replay_of"] == old
    assert event["body"]["receipt_id"] == made
    (row,) = rows(store, id=made)
    assert row["event_type"] == "b"


def test_a_refused_request_is_replayed_only_by_who_says_so(store: Store) -> None:
    source = make(store)
    bad = keep(store, source, verdict="rejected", reason="no signature")
    with pytest.raises(RefusedError, match="no signature"):
        again(store, bad, new_id())
    assert again(store, bad, unverified=True)["replay_of"] == bad


def test_retention_passes_over_what_is_bookmarked(store: Store) -> None:
    source = make(store, keep_s=3600)
    ids = [keep(store, source, received_at=now_us() - 7200 * SECOND) for _ in range(3)]
    for name, receipt in (("a", ids[0]), ("b", ids[0]), ("c", ids[1])):
        apply(store, Command("bookmark.set", SCOPE, name, {"receipt": receipt}))
    with store.write() as tx:
        assert receipts.trim(tx, limit=1) == 1
        assert trimming.receipts(tx, before=tx.now, limit=10) == 0
    apply(store, Command("bookmark.delete", SCOPE, "a"))
    apply(store, Command("bookmark.set", SCOPE, "c", {"receipt": ids[0]}))
    with store.write() as tx:
        assert receipts.trim(tx) == 1
        assert [row["name"] for row in bookmarks.listing(tx, SCOPE).items] == ["c", "b"]
    assert [row["id"] for row in rows(store)] == [ids[0]]
    with pytest.raises(UsageError, match="no name"):
        apply(store, Command("bookmark.set", SCOPE, "a b", {"receipt": ids[0]}))
