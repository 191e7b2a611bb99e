"""Bad requests 41 to 56 and 62 to 66: signatures, times and repeats, against the running hub."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.types import Scope

from .receiver import PUSH, Answer, Receiver, long_ago, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SIGNATURE = "X-Hub-Signature-256"
STRIPE = b'{"id":"evt_1","type":"charge.refunded","created":1795166130}'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One for all: what a request does to the next one is part of the test."""
    with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


def digest(body: bytes, secret: str = "s3cret", hash_: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, hash_).hexdigest()


GITHUB: dict[str, str | None] = {
    "41 none": None,
    "42 empty": "",
    "43 the right length": "sha256=" + "0" * 64,
    "43 bytes that are no ASCII": "sha256=" + "\xe4" * 64,
    "45 base64 in place of hex": "sha256=" + "A" * 43 + "=",
    "46 the prefix twice": "sha256=sha256=" + digest(PUSH),
    "46 another algorithm": "sha1=" + digest(PUSH, hash_="sha1"),
    "46 no prefix": digest(PUSH),
    "47 thousands of them": ",".join(["sha256=" + "0" * 6] * 4_000),
    "49 of the parsed and rewritten body": "sha256=" + digest(json.dumps(json.loads(PUSH)).encode()),
    "50 of another source": "sha256=" + digest(PUSH, "another"),
    "52 with an empty secret": "sha256=" + digest(PUSH, ""),
}


@pytest.mark.parametrize("name", GITHUB)
def test_a_wrong_signature_is_401_without_a_reason(running: Receiver, name: str) -> None:
    source, wrong = running.source("github"), GITHUB[name]
    given = {**running.signed(source, PUSH), "Content-Length": str(len(PUSH))}
    given = {header: value for header, value in given.items() if header.lower() != SIGNATURE.lower()}
    if wrong is not None:
        given[SIGNATURE] = wrong
    _refused(running, running.talk(running.head(source, given) + PUSH))


def test_44_upper_case_hex_is_the_same_signature(running: Receiver) -> None:
    answer = running.send(running.source("github"), PUSH, over={SIGNATURE: "sha256=" + digest(PUSH).upper()})
    assert answer.status == 202


def test_48_a_signature_that_comes_twice(running: Receiver) -> None:
    source = running.source("github")
    lines = "".join(f"{name}: {value}\r\n" for name, value in running.signed(source, PUSH).items())
    twice = f"{lines}{SIGNATURE}: sha256={digest(PUSH)}\r\nContent-Length: {len(PUSH)}\r\n"
    _refused(running, running.talk(running.head(source, twice) + PUSH))


def test_51_a_retired_secret(running: Receiver) -> None:
    source = running.source("github", max_body=5000)
    assert running.send(source, PUSH).status == 202
    change(running, source.name, "new-secret")
    _refused(running, running.send(source, PUSH, secret="s3cret"))
    assert running.send(source, PUSH, secret="new-secret").status == 202


STAMPS = {
    "0": "0", "negative": "-1", "scientific": "1e9", "hexadecimal": "0x65", "Arabic digits": "\u0661\u0662",
    "2^63": str(2**63), "far future": "99999999999", "a text": "now", "with a sign": "+1", "long": "1" * 300,
    "milliseconds": str(long_ago(0) // 1000),
}  # fmt: skip


@pytest.mark.parametrize("name", STAMPS)
def test_53_a_time_that_is_none_or_elsewhere(running: Receiver, name: str) -> None:
    source, stamp = running.source("stripe"), STAMPS[name]
    signature = digest(stamp.encode() + b"." + STRIPE)
    header = f"t={stamp},v1={signature}".encode().decode("latin-1")
    _refused(running, running.send(source, STRIPE, over={"Stripe-Signature": header}))


def test_53_no_time(running: Receiver) -> None:
    header = "v1=" + digest(b"." + STRIPE)
    _refused(running, running.send(running.source("stripe"), STRIPE, over={"Stripe-Signature": header}))


def test_54_two_times(running: Receiver) -> None:
    now = str(long_ago(0) // 1_000_000)
    header = f"t=1,t={now},v1=" + digest(now.encode() + b"." + STRIPE)
    _refused(running, running.send(running.source("stripe"), STRIPE, over={"Stripe-Signature": header}))


def test_55_an_id_with_full_stops_shifts_nothing(running: Receiver) -> None:
    secret = "whsec_" + "c2VjcmV0" * 4
    source = running.source("standard-webhooks", secret=secret)
    body = b'{"type":"a","data":1}'
    signed = running.signed(source, body, {"Content-Type": "application/json"})
    lower = {name.lower(): value for name, value in signed.items()}
    shifted = {**lower, "webhook-id": lower["webhook-id"] + "." + lower["webhook-timestamp"]}
    given = {**shifted, "webhook-timestamp": lower["webhook-timestamp"], "content-length": str(len(body))}
    _refused(running, running.talk(running.head(source, given) + body))


def test_61_a_challenge_is_answered_only_when_it_is_signed(running: Receiver) -> None:
    source = running.source("slack")
    body = b'{"type":"url_verification","challenge":"abc"}'
    assert running.send(source, body).body == b"abc"
    answer = running.talk(running.head(source, f"Content-Length: {len(body)}\r\n") + body)
    assert answer.status == 401
    assert b"abc" not in answer.said


# --- repeats --------------------------------------------------------------------------------------------------------


def test_62_the_same_request_a_hundred_times_at_once(running: Receiver) -> None:
    source = running.source("github")
    given = {**running.signed(source, PUSH), "Content-Length": str(len(PUSH))}
    data = running.head(source, given) + PUSH
    before, statuses = running.accepted(), list[int]()
    threads = [threading.Thread(target=lambda: statuses.append(running.talk(data).status)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(statuses) == 100
    assert set(statuses) <= {200, 202}
    assert running.accepted() - before == 1


def test_63_the_same_body_under_another_id_is_no_news_where_a_time_is_signed(running: Receiver) -> None:
    source = running.source("stripe")
    body = b'{"id":"evt_63","type":"charge.refunded"}'
    signed = {**running.signed(source, body), "Content-Length": str(len(body))}
    assert running.talk(running.head(source, signed) + body).status == 200
    before = running.accepted()
    again = running.talk(running.head(source, {**signed, "Idempotency-Key": "other", "X-Request-Id": "other"}) + body)
    assert again.status in (200, 202)
    assert running.accepted() == before


def test_64_the_same_id_with_another_body_is_a_repeat(running: Receiver) -> None:
    source = running.source("github")
    first = running.send(source, PUSH, over={"X-GitHub-Delivery": "one-and-the-same"})
    before = running.accepted()
    second = running.send(source, PUSH.replace(b"abc", b"def"), over={"X-GitHub-Delivery": "one-and-the-same"})
    assert (first.status, second.status) == (202, 200) or second.body == first.body
    assert running.accepted() == before


@pytest.mark.parametrize(("age", "status"), [(298, 200), (302, 401), (-298, 200), (-302, 401)])
def test_65_at_both_ends_of_the_window(running: Receiver, age: int, status: int) -> None:
    body = b'{"id":"evt_65_%d","type":"charge.refunded"}' % age
    answer = running.send(running.source("stripe"), body, now=long_ago(age))
    assert answer.status == status
    repeated = running.send(running.source("stripe"), body, now=long_ago(age))
    assert repeated.status == status


PAYLOADS = ("{{ 7*7 }}", "${jndi:ldap://x}", "<!channel>", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "../../x")


@pytest.mark.parametrize("text", PAYLOADS)
def test_66_what_a_payload_says_is_data(running: Receiver, text: str) -> None:
    body = json.dumps({"ref": text, "after": text, "name": text}).encode()
    assert running.send(running.source("github"), body, {"X-GitHub-Event": "push"}).status == 202
    assert running.send(running.source("github"), body, over={"X-GitHub-Event": text}).status == 202
    running.check()


# --- helpers --------------------------------------------------------------------------------------------------------


def change(running: Receiver, name: str, secret: str) -> None:
    """Replace the secret of a source; the old one is retired at once."""
    apply(running.store, Command("source.rotate", Scope(), name, {"secret": secret, "overlap_s": 0}))


def _refused(running: Receiver, answer: Answer) -> None:
    assert answer.status == 401, answer.said[:300]
    said: dict[str, Any] = json.loads(answer.body)
    assert set(said) == {"type", "title", "status", "code"}, "the reason is for the log, not for strangers"
    running.check()
