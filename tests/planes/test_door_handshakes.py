"""What providers ask the door before they send: challenges, pings and empty batches; and answers of their own form."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hub.store import Store, events
from hub.types import SECOND, now_us

from .doors import Made, Served, change, make, rows, serve, source_row

SECRET = "s3cret of a test"
KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def door(store: Store) -> Iterator[Served]:
    with serve(store) as served:
        yield served


def knock(door: Served, made: Made, method: str = "POST", query: str = "", body: bytes = b"", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return door.post(f"{made.path}?{query}" if query else made.path, body, named, method)


def mac(message: bytes) -> bytes:
    return hmac.new(SECRET.encode(), message, hashlib.sha256).digest()


def zoom(door: Served, made: Made, token: str, *, signed: bool = True) -> Any:
    body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()
    stamp = str(now_us() // SECOND)
    signature = "v0=" + mac(f"v0:{stamp}:".encode() + body).hex() if signed else "v0=00"
    return knock(door, made, body=body, x_zm_signature=signature, x_zm_request_timestamp=stamp)


def test_zoom_is_answered_with_the_hash_of_its_token(door: Served) -> None:
    made = make(door.store, "zoom", secret=SECRET)
    answer = zoom(door, made, "qgg8vlvZRS6UYooatFL8Aw")
    assert answer.status_code == 200
    assert answer.json() == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": mac(b"qgg8vlvZRS6UYooatFL8Aw").hex(),
    }
    assert [row["verdict"] for row in rows(door.store)] == ["handshake"]


@pytest.mark.parametrize("token", ['v0:1795200000:{"event":"meeting.started"}', '{"a":1}', "a b", "a.b", "x" * 129, ""])
def test_no_challenge_of_zoom_is_a_signing_oracle(door: Served, token: str) -> None:
    made = make(door.store, "zoom", secret=SECRET)
    assert zoom(door, made, token).status_code == 401
    assert zoom(door, made, "plain", signed=False).status_code == 401


def test_x_is_answered_with_the_response_token(door: Served) -> None:
    made = make(door.store, "x", secret=SECRET)
    answer = knock(door, made, "GET", "crc_token=9b4507b3-9040-4669-9ca3-6b94edb50553")
    expected = "sha256=" + base64.b64encode(mac(b"9b4507b3-9040-4669-9ca3-6b94edb50553")).decode()
    assert (answer.status_code, answer.json()) == (200, {"response_token": expected})


def test_no_challenge_of_x_gives_the_signature_of_an_event(door: Served) -> None:
    made = make(door.store, "x", secret=SECRET)
    for token in ('{"for_user_id":"1"}', "[]", "a b", "x" * 129):
        assert knock(door, made, "GET", "crc_token=" + quote(token)).status_code == 401
    signature = knock(door, made, "GET", "crc_token=123").json()["response_token"]
    answer = knock(door, made, body=b"123", X_Twitter_Webhooks_Signature=signature)
    assert answer.status_code == 400, "a plain token is no event, although it verifies"


def test_meta_gets_its_challenge_for_the_right_verify_token_only(door: Served) -> None:
    made = make(door.store, "meta", secret=SECRET, options={"verify_token": "let-me-in"})
    query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    answer = knock(door, made, "GET", query + "let-me-in")
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert knock(door, made, "GET", query + "other").status_code == 401
    assert SECRET not in json.dumps(rows(door.store), default=str)
    assert "let-me-in" not in json.dumps([row["query"] for row in rows(door.store)])


def test_graph_gets_its_decoded_validation_token_as_text(door: Served) -> None:
    made = make(door.store, "microsoft-graph", secret=SECRET)
    token = "Validation: Testing client application reachability for subscription Request-Id: 4a1f+x=="
    answer = knock(door, made, query="validationToken=" + quote(token))
    assert (answer.status_code, answer.text) == (200, token)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert knock(door, made, query="validationToken=" + quote("a\r\nb: c")).status_code == 401


def test_okta_must_show_its_secret_before_it_is_answered(door: Served) -> None:
    made = make(door.store, "okta", secret=SECRET)
    challenge = {"X_Okta_Verification_Challenge": "IbZMgXqNMGGHjFjxKJXhVGFeZ6QdQNhFbxTZ"}
    answer = knock(door, made, "GET", Authorization=SECRET, **challenge)
    assert answer.json() == {"verification": challenge["X_Okta_Verification_Challenge"]}
    assert knock(door, made, "GET", Authorization="other", **challenge).status_code == 401


META = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=let-me-in"


def confirmations(store: Store) -> list[tuple[str, str]]:
    with store.read() as tx:
        found = tx.conn.execute(events.TABLE.select().order_by(events.TABLE.c.id)).mappings()
        return [(row["type"], row["body"]["by"]) for row in found if "confirmed" in row["type"]]


@pytest.mark.parametrize(
    ("preset", "method", "query", "headers"),
    [
        ("meta", "GET", META, {}),
        ("dropbox", "GET", "challenge=abc", {}),
        ("asana", "POST", "", {"X_Hook_Secret": "b537207f"}),
        ("cloudevents", "OPTIONS", "", {"WebHook_Request_Origin": "example.com"}),
    ],
)
def test_a_handshake_that_proves_nothing_is_closed_by_its_first_success(
    door: Served, preset: str, method: str, query: str, headers: dict[str, str]
) -> None:
    options = {"verify_token": "let-me-in"} if preset == "meta" else {}
    made = make(door.store, preset, secret=SECRET, options=options)

    def ask() -> int:
        return int(knock(door, made, method, query, b"{}" if method == "POST" else b"", **headers).status_code)

    assert source_row(door.store, "a-source")["handshake"] == "open"
    assert [ask(), ask(), ask()] == [200, 401, 401]
    row = source_row(door.store, "a-source")
    assert (row["handshake"], row["confirmed_at"] is None) == ("closed", False)
    assert "closed" in rows(door.store)[-1]["reason"]
    change(door.store, "source.update", "a-source", handshake="open")
    assert [ask(), ask()] == [200, 401]
    change(door.store, "source.rotate", "a-source", new_token=True)
    assert source_row(door.store, "a-source")["handshake"] == "open", "the provider asks at the new address"
    assert confirmations(door.store) == [("hub.source.confirmed", "handshake")] * 2


def test_whoever_asks_again_is_answered_again(door: Served) -> None:
    """X every hour, Zoom every three days, Graph for each subscription; that it is confirmed is told once."""
    x = make(door.store, "x", name="x", secret=SECRET)
    graph = make(door.store, "microsoft-graph", name="graph", secret=SECRET)
    signed = make(door.store, "zoom", name="zoom", secret=SECRET)
    for number in range(3):
        assert knock(door, x, "GET", f"crc_token=abc{number}").status_code == 200
        assert knock(door, graph, query=f"validationToken=abc{number}").status_code == 200
        assert zoom(door, signed, f"abc{number}").status_code == 200
    for name in ("x", "graph", "zoom"):
        row = source_row(door.store, name)
        assert (row["handshake"], row["confirmed_at"] is None) == ("open", False)
    assert confirmations(door.store) == [("hub.source.confirmed", "handshake")] * 3


def test_a_handshake_that_fails_confirms_nothing(door: Served) -> None:
    made = make(door.store, "meta", secret=SECRET, options={"verify_token": "let-me-in"})
    assert knock(door, made, "GET", META + "x").status_code == 401
    row = source_row(door.store, "a-source")
    assert (row["handshake"], row["confirmed_at"], confirmations(door.store)) == ("open", None, [])


@pytest.mark.parametrize("preset", ["trello", "intercom"])
def test_head_is_answered_without_a_body(door: Served, preset: str) -> None:
    answer = knock(door, make(door.store, preset, secret=SECRET), "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")


def test_asana_gets_its_secret_back_in_a_header_and_nothing_is_believed(door: Served) -> None:
    made = make(door.store, "asana", secret=SECRET)
    answer = knock(door, made, body=b"{}", X_Hook_Secret="b537207f20cbfa02357cf448134da559e8bd39d6")
    assert answer.status_code == 200
    assert answer.headers["x-hook-secret"] == "b537207f20cbfa02357cf448134da559e8bd39d6"
    theirs = hmac.new(b"b537207f20cbfa02357cf448134da559e8bd39d6", b'{"events":[]}', hashlib.sha256).hexdigest()
    assert knock(door, made, body=b'{"events":[]}', X_Hook_Signature=theirs).status_code == 401
    assert knock(door, made, body=b'{"events":[]}', X_Hook_Signature=mac(b'{"events":[]}').hex()).status_code == 200


def test_notion_leaves_its_token_in_a_receipt_and_nothing_is_believed(door: Served) -> None:
    made = make(door.store, "notion", secret=SECRET)
    body = b'{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}'
    assert knock(door, made, body=body).status_code == 200
    (row,) = rows(door.store)
    assert (row["verdict"], row["body"]) == ("handshake", body)


def test_dropbox_gets_its_challenge_as_text(door: Served) -> None:
    answer = knock(door, make(door.store, "dropbox", secret=SECRET), "GET", "challenge=abc123")
    assert (answer.status_code, answer.text) == (200, "abc123")


def test_an_empty_batch_of_line_is_only_answered(door: Served) -> None:
    body = b'{"destination":"U1","events":[]}'
    signature = base64.b64encode(mac(body)).decode()
    made = make(door.store, "line", secret=SECRET)
    assert knock(door, made, body=body, x_line_signature=signature).status_code == 200
    assert knock(door, made, body=body, x_line_signature="AAAA").status_code == 401
    assert [row["verdict"] for row in rows(door.store)] == ["handshake", "rejected"]


def test_a_sender_of_cloudevents_may_ask_first(door: Served) -> None:
    made = make(door.store, "cloudevents", secret=SECRET)
    answer = knock(door, made, "OPTIONS", WebHook_Request_Origin="eventemitter.example.com")
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert answer.headers["webhook-allowed-rate"] == "120"


def discord(door: Served, made: Made, document: Any) -> Any:
    body, stamp = json.dumps(document).encode(), str(now_us() // SECOND)
    signature = KEY.sign(stamp.encode() + body).hex()
    return knock(door, made, body=body, X_Signature_Ed25519=signature, X_Signature_Timestamp=stamp)


def test_discord_pings_are_answered_each_in_its_way_and_events_with_nothing(door: Served) -> None:
    made = make(door.store, "discord", secret=KEY.public_key().public_bytes_raw().hex())
    ping = discord(door, made, {"type": 1, "id": "1", "token": "abc", "version": 1})
    assert (ping.status_code, ping.json()) == (200, {"type": 1})
    ping = discord(door, made, {"type": 0, "version": 1, "application_id": "1"})
    assert (ping.status_code, ping.content) == (204, b"")
    event = discord(door, made, {"type": 1, "version": 1, "event": {"type": "ENTITLEMENT_CREATE", "data": {}}})
    assert (event.status_code, event.content) == (204, b"")
    assert "content-length" not in event.headers
    assert [row["event_type"] for row in rows(door.store)] == [None, None, "ENTITLEMENT_CREATE"]
