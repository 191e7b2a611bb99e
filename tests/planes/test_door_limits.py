"""What the door refuses before or after it looks at a signature; the store behind it does not matter here."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from hub.store import Store, open_store
from hub.types import SECOND, now_us
from hub.webhooks.request import FORM

from .doors import EVENT, PUSH, Served, change, effects, make, read_all, rows, serve, source_row


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def door(store: Store) -> Iterator[Served]:
    with serve(store, door_read_timeout=3.0) as served:
        yield served


def test_the_kept_headers_hold_no_secret(door: Served) -> None:
    source = make(door.store)
    extra = {"Authorization": "Bearer abc", "Cookie": "a=b", "X-Api-Key": "abc", "Accept-Language": "de"}
    assert door.post(source.path + "?token=abc&ok=1", PUSH, dict(source.signed(PUSH, EVENT | extra).headers)).is_success
    (row,) = rows(door.store)
    kept = {name.lower(): value for name, value in row["headers"]}
    assert kept["x-github-event"] == "push"
    for name in ("authorization", "cookie", "x-api-key", "x-hub-signature-256"):
        assert kept[name] == "[redacted]"
    assert "accept-language" not in kept
    assert row["query"] == "token=[redacted]&ok=1"


def test_headers_that_the_preset_reads_are_kept_and_each_place_of_a_signature_is_hidden(door: Served) -> None:
    sentry = make(door.store, "sentry", name="sentry")
    named = {"Sentry-Hook-Resource": "issue", "Request-ID": "r-1", "Content-Type": "application/json", "Other": "x"}
    assert door.knock(sentry, b'{"action":"created"}', named).is_success
    box = make(door.store, "box", name="box")
    second = {"box-signature-secondary": "c2Vjb25k", "box-delivery-id": "b-1", "Content-Type": "application/json"}
    assert door.knock(box, b'{"trigger":"FILE.MOVED"}', second).is_success
    kept = [{name.lower(): value for name, value in row["headers"]} for row in rows(door.store)]
    assert (kept[0]["sentry-hook-resource"], kept[0]["request-id"]) == ("issue", "r-1")
    assert "other" not in kept[0]
    assert kept[1]["box-delivery-id"] == "b-1"
    assert kept[1]["box-signature-secondary"] == kept[1]["box-signature-primary"] == "[redacted]"


def test_a_wrong_a_missing_and_an_expired_signature_are_401_without_a_reason(door: Served) -> None:
    source = make(door.store, "slack")
    headers = {"Content-Type": "application/json"}
    refused = [
        door.knock(source, b'{"type":"a"}', headers, secret="other"),
        door.post(source.path, b'{"type":"a"}', headers),
        door.knock(source, b'{"type":"a"}', headers, now=now_us() - 400 * SECOND),
        door.knock(source, b'{"type":"a"}', headers, now=now_us() + 400 * SECOND),
    ]
    assert [answer.status_code for answer in refused] == [401] * 4
    assert len({answer.content for answer in refused}) == 1
    assert b"sign" not in refused[0].content
    reasons = [row["reason"] for row in rows(door.store, verdict="rejected")]
    assert "does not match" in reasons[0]
    assert "missing" in reasons[1]
    assert "in the past" in reasons[2]
    assert "in the future" in reasons[3]
    assert effects(door.store) == []


def test_observe_lets_pass_what_enforce_would_refuse_and_says_so(door: Served) -> None:
    source = make(door.store, mode="observe")
    assert door.post(source.path, PUSH, EVENT).status_code == 202
    (row,) = rows(door.store)
    assert row["verdict"] == "observed"
    assert "missing" in row["reason"]
    assert effects(door.store) == [row["id"]]


def test_a_source_that_verifies_nothing_was_made_so_in_writing(door: Served) -> None:
    made = change(door.store, "source.create", "", name="open", preset="generic-hmac", verify="none")
    assert source_row(door.store, "open")["verify_none"]
    assert door.post(f"/in/{made['token']}", b"anything").status_code == 202


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b'"text"', b"[1e5", b'{"a":NaN}', "{}".encode("utf-16"), b"[" * 5000]
)
def test_a_signed_body_that_is_no_json_object_is_400_and_kept(door: Served, body: bytes) -> None:
    source = make(door.store)
    assert door.knock(source, body, EVENT).status_code == 400
    (row,) = rows(door.store)
    assert (row["verdict"], row["body"]) == ("rejected", body)
    assert row["reason"]


@pytest.mark.parametrize("size", [1_000, 1_001])
def test_a_batch_of_more_than_1000_items_is_refused_at_the_door(
    door: Served, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    source = make(door.store, "cloudevents")
    body = json.dumps([{"type": "a", "source": "s", "id": str(number)} for number in range(size)]).encode()
    with caplog.at_level("INFO", logger="hub.door"):
        answer = door.knock(source, body, {"Content-Type": "application/cloudevents-batch+json"})
    (row,) = rows(door.store)
    refused = size > 1_000
    assert (answer.status_code, row["verdict"]) == ((400, "rejected") if refused else (202, "accepted"))
    assert effects(door.store) == ([] if refused else [row["id"]])
    assert row["reason"] == ("the batch holds 1001 items, at most 1000 are taken" if refused else "")
    assert ("the batch holds 1001 items" in caplog.text) is refused


def test_github_forms_are_verified_over_the_raw_form(door: Served) -> None:
    source = make(door.store)
    body = b"payload=%7B%22ref%22%3A%22main%22%7D"
    assert door.knock(source, body, EVENT | {"Content-Type": FORM}).status_code == 202
    assert rows(door.store)[0]["body"] == body


def test_slack_url_verification_is_answered_only_when_it_is_signed(door: Served) -> None:
    source = make(door.store, "slack")
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}).encode()
    headers = {"Content-Type": "application/json"}
    answer = door.knock(source, body, headers)
    assert (answer.status_code, answer.text) == (200, "3eZbrw1a")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert door.knock(source, body, headers, secret="other").status_code == 401
    assert [row["verdict"] for row in rows(door.store)] == ["handshake", "rejected"]
    assert effects(door.store) == []


def test_only_the_methods_of_the_preset_are_taken(door: Served) -> None:
    source = make(door.store)
    for method in ("GET", "PUT", "HEAD", "OPTIONS", "TRACE"):
        answer = door.post(source.path, b"", method=method)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    assert door.post("/in/" + "x" * 32, b"", method="GET").status_code == 404
    assert rows(door.store) == []


def test_a_body_of_the_limit_passes_and_one_byte_more_is_413(door: Served) -> None:
    source = make(door.store, max_body=2000)
    fits = b'{"a":"' + b"x" * (2000 - 8) + b'"}'
    assert len(fits) == 2000
    assert door.knock(source, fits, EVENT).status_code == 202
    assert door.knock(source, fits + b" ", EVENT).status_code == 413
    huge = f"POST {source.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".encode()
    assert b" 413 " in door.talk(huge)
    assert len(rows(door.store)) == 1


def test_a_chunked_body_without_end_is_cut_off_at_the_limit(door: Served) -> None:
    source = make(door.store, max_body=100_000)
    head = f"POST {source.path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    assert b" 413 " in door.talk(head + chunk * 30)
    assert rows(door.store) == []


def test_a_sender_of_one_byte_a_second_is_cut_off(door: Served) -> None:
    source = make(door.store)
    with socket.create_connection(("127.0.0.1", door.port), timeout=60) as conn:
        conn.sendall(f"POST {source.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n".encode())
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.3):
                try:
                    conn.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = read_all(conn)
        stop.set()
        dripping.join(5)
    assert b" 408 " in answer
    assert rows(door.store) == []


def test_a_sender_that_leaves_half_way_leaves_nothing(door: Served) -> None:
    source = make(door.store)
    with socket.create_connection(("127.0.0.1", door.port), timeout=15) as conn:
        conn.sendall(f"POST {source.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhalf".encode())
    assert door.knock(source, PUSH, EVENT).status_code == 202
    assert len(rows(door.store)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Long", "x" * 2_000_000)],
        [(f"X-{number}", "1") for number in range(10_000)],
        [("X-A", "x" * 30_000), ("X-B", "x" * 30_000), ("X-C", "x" * 30_000)],
    ],
    ids=["one of 2 MB", "10,000 of them", "90 kB in all"],
)
def test_headers_that_are_too_large_are_refused(door: Served, headers: list[tuple[str, str]]) -> None:
    source = make(door.store)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    answer = door.talk(f"POST {source.path} HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: 2\r\n\r\n{{}}".encode())
    assert answer == b"" or answer.split(b" ")[1] in (b"431", b"400")
    assert rows(door.store) == []


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: -5",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Content-Length: 2\r\nX-Bad: a\rb",
        "Content-Length: 2\r\nX-Nul: a\x00b",
        "Content-Length: abc",
    ],
)
def test_smuggled_and_malformed_requests_are_refused(door: Served, lines: str) -> None:
    source = make(door.store, verify="none")
    answer = door.talk(f"POST {source.path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{{}}".encode(), timeout=5)
    assert b" 202 " not in answer
    assert rows(door.store) == []


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip", "deflate"])
def test_an_encoded_body_is_refused(door: Served, encoding: str) -> None:
    source = make(door.store)
    assert door.knock(source, PUSH, EVENT | {"Content-Encoding": encoding}).status_code == 415
    assert door.knock(source, PUSH, EVENT | {"Content-Encoding": "identity"}).status_code == 202


def test_too_many_requests_are_429_with_a_time_to_wait(door: Served) -> None:
    source = make(door.store, rate_per_minute=12)
    answers = [door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": str(n)}) for n in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 6
    other = make(door.store, name="other")
    assert door.knock(other, PUSH, EVENT).status_code == 202


def test_a_full_queue_is_503_with_a_time_to_wait(store: Store) -> None:
    with serve(store, door_queue=1) as door:
        source = make(door.store)
        assert door.knock(source, PUSH, EVENT).status_code == 202
        door.door._writer._limit = 0
        answer = door.knock(source, PUSH, EVENT)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"


def test_a_host_header_of_strangers_changes_nothing(door: Served) -> None:
    source = make(door.store)
    headers = EVENT | {"Host": "evil.example", "X-Forwarded-For": "6.6.6.6", "Origin": "https://evil.example"}
    assert door.knock(source, PUSH, headers).status_code == 202
    assert rows(door.store)[0]["remote"] == "127.0.0.1"


def test_behind_a_trusted_proxy_the_senders_own_address_is_kept(store: Store) -> None:
    with serve(store, web_trusted_proxies=1) as door:
        source = make(door.store)
        assert door.knock(source, PUSH, EVENT | {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}).status_code == 202
        assert door.knock(source, PUSH, EVENT | {"X-Forwarded-For": "<x>", "X-GitHub-Delivery": "2"}).status_code == 202
    assert [row["remote"] for row in rows(store)] == ["203.0.113.9", ""]
