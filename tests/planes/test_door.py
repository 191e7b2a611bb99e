"""The webhook door on every store, served by a real uvicorn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub.store import Store
from hub.types import SECOND, now_us

from .doors import EVENT, PUSH, Made, Served, change, effects, make, rows, serve


@pytest.fixture
def door(store: Store) -> Iterator[Served]:
    with serve(store, door_read_timeout=3.0) as served:
        yield served


def test_a_signed_request_is_kept_before_it_is_answered(door: Served) -> None:
    source = make(door.store)
    answer = door.knock(source, PUSH, EVENT)
    assert answer.status_code == 202
    (row,) = rows(door.store)
    assert answer.json() == {"receipt": row["id"]}
    assert (row["verdict"], row["event_type"], row["delivery_id"]) == ("accepted", "push", "d-1")
    assert (row["body"], row["body_size"], row["remote"]) == (PUSH, len(PUSH), "127.0.0.1")
    assert row["secret_id"]
    assert effects(door.store) == [row["id"]]


def test_a_duplicate_is_answered_with_the_first_receipt_and_starts_nothing(door: Served) -> None:
    source = make(door.store)
    first, second = door.knock(source, PUSH, EVENT), door.knock(source, PUSH, EVENT)
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    (row,) = rows(door.store)
    assert row["duplicates"] == 1
    assert len(effects(door.store)) == 1


def test_the_same_request_from_50_senders_at_once_is_one_receipt(door: Served) -> None:
    source = make(door.store)
    ready = threading.Barrier(50)

    def knock(_: int) -> str:
        ready.wait(20)
        answer = door.knock(source, PUSH, EVENT)
        assert answer.status_code == 202
        return str(answer.json()["receipt"])

    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(knock, range(50)))) == 1
    (row,) = rows(door.store)
    assert row["duplicates"] == 49
    assert len(effects(door.store)) == 1


def test_a_replayed_signature_under_another_id_is_a_duplicate_where_a_time_is_signed(door: Served) -> None:
    source = make(door.store, "slack")
    body = b'{"type":"event_callback","event":{"type":"message"},"event_id":"Ev1"}'
    request = source.signed(body, {"Content-Type": "application/json"})
    answers = [door.post(source.path, body, dict(request.headers) | {"X-Slack-Retry-Num": str(n)}) for n in range(2)]
    later = door.knock(source, body, {"Content-Type": "application/json"}, now=now_us() + 2 * SECOND)
    # Slack shows people what is answered, so nothing is.
    assert [(answer.status_code, answer.content) for answer in (*answers, later)] == [(200, b"")] * 3
    (only,) = rows(door.store)
    assert only["duplicates"] == 2


def test_unknown_disabled_deleted_and_secretless_sources_give_the_same_404(door: Served) -> None:
    disabled, deleted = make(door.store, name="disabled"), make(door.store, name="deleted")
    assert door.knock(disabled, PUSH, EVENT).status_code == 202
    assert door.knock(deleted, PUSH, EVENT).status_code == 202
    change(door.store, "source.update", "disabled", enabled=False)
    change(door.store, "source.delete", "deleted")
    nothing = change(door.store, "source.create", "", name="no-secret-yet", preset="stripe")
    assert not nothing["ready"]
    unknown = Made("", "", "github", "x" * 32, "s3cret", {})
    empty = Made("", "", "github", nothing["token"], "s3cret", {})
    answers = [door.knock(one, PUSH, EVENT) for one in (disabled, deleted, unknown, empty)]
    answers += [door.post("/in/a", PUSH), door.post("/in/" + "%00" * 20, PUSH), door.post("/in/" + "z" * 500, PUSH)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert len(rows(door.store)) == 2


def test_a_changed_source_counts_from_the_next_request_on(door: Served) -> None:
    source = make(door.store)
    assert door.knock(source, PUSH, EVENT).status_code == 202
    new = change(door.store, "source.rotate", source.name, secret="newer", overlap_s=3600)
    assert new["secret"] is None
    for number, secret in enumerate(("newer", "s3cret")):
        headers = EVENT | {"X-GitHub-Delivery": f"r-{number}"}
        assert door.knock(source, PUSH, headers, secret=secret).status_code == 202
    change(door.store, "source.rotate", source.name, secret="newest", overlap_s=0)
    assert door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": "z"}, secret="newer").status_code == 401
    assert door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": "z"}, secret="newest").status_code == 202


def test_an_old_address_holds_for_its_overlap_only(door: Served) -> None:
    source = make(door.store)
    token = change(door.store, "source.rotate", source.name, new_token=True, overlap_s=3600)["token"]
    moved = Made(source.id, source.name, source.preset, token, source.secret, {})
    assert door.knock(source, PUSH, EVENT).status_code == 202
    assert door.knock(moved, PUSH, EVENT).status_code == 202
    token = change(door.store, "source.rotate", source.name, new_token=True, overlap_s=0)["token"]
    assert door.knock(moved, PUSH, EVENT).status_code == 404
    assert door.knock(source, PUSH, EVENT).status_code == 404


def test_nul_and_lone_surrogates_do_no_harm(door: Served) -> None:
    source = make(door.store, "standard-webhooks", secret="whsec_" + "a" * 32)
    body = b'{"type":"a\\u0000b\\ud800","data":{"\\u0000":"\\u0000","x":"\\udfff"}}'
    assert door.knock(source, body, {"Content-Type": "application/json"}).status_code == 202
    (row,) = rows(door.store)
    assert row["body"] == body
    assert row["event_type"] == "a_b"


def test_a_large_body_in_chunks_is_put_together(door: Served) -> None:
    source = make(door.store, max_body=3_000_000)
    body = b'{"a":"' + b"x" * 2_000_000 + b'"}'
    request = source.signed(body, EVENT)
    pieces = (body[at : at + 7_777] for at in range(0, len(body), 7_777))
    answer = door.post(source.path, pieces, dict(request.headers))
    assert answer.status_code == 202
    assert rows(door.store)[0]["body"] == body


def test_refused_requests_are_kept_up_to_a_limit(store: Store) -> None:
    with serve(store, door_rejected_per_minute=12) as door:
        source = make(door.store)
        for _ in range(6):
            assert door.post(source.path, b"x" * 100_000, EVENT).status_code == 401
        kept = rows(door.store)
    assert [row["verdict"] for row in kept] == ["rejected"] * 2
    assert len(kept[0]["body"]) == 65_536
    assert kept[0]["body_size"] == 100_000
