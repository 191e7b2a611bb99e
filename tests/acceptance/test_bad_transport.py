"""Bad requests 1 to 21, by the bytes on the wire, against the running hub: a clear status, and nothing lost or kept."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from .receiver import PUSH, READ_TIMEOUT_S, Answer, Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
Try: TypeAlias = Callable[[Receiver], Answer]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One for all: what a request does to the next one is part of the test."""
    with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


def whole(receiver: Receiver, lines: str, body: bytes = PUSH) -> Answer:
    """A correctly signed request with more header lines, its length among them where they give none."""
    source = receiver.source("github")
    given = "".join(f"{name}: {value}\r\n" for name, value in receiver.signed(source, body).items())
    length = (
        ""
        if "content-length" in lines.lower() or "transfer-encoding" in lines.lower()
        else f"Content-Length: {len(body)}\r\n"
    )
    return receiver.talk(receiver.head(source, given + length + lines) + body)


def dripped(receiver: Receiver, head: bytes, drops: bytes) -> Answer:
    """A head at once, then a byte every 100 ms until the hub has had enough."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        connection.sendall(head)
        done = threading.Event()

        def drip() -> None:
            for drop in drops:
                if done.wait(0.1):
                    return
                try:
                    connection.sendall(bytes([drop]))
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        said = b""
        try:
            while chunk := connection.recv(65_536):
                said += chunk
        except ConnectionError:
            pass
        done.set()
        dripping.join(10)
    return Answer(said)


def limit(receiver: Receiver, more: int) -> Answer:
    source = receiver.source("github", max_body=4096)
    body = b'{"a":"%s"}' % (b"x" * (4096 - 8 + more))
    assert len(body) == 4096 + more
    return receiver.send(source, body)


def unlimited_chunks(receiver: Receiver) -> Answer:
    head = receiver.head(receiver.source("github", max_body=4096), "Transfer-Encoding: chunked\r\n")
    return receiver.talk(head + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 64)


def never_ending_chunks(receiver: Receiver) -> Answer:
    return receiver.talk(receiver.head(receiver.source("github"), "Transfer-Encoding: chunked\r\n") + b"5\r\nabcde\r\n")


def expecting(receiver: Receiver) -> Answer:
    source = receiver.source("github", max_body=4096)
    return receiver.talk(receiver.head(source, "Expect: 100-continue\r\nContent-Length: 99999999\r\n"))


def by(method: str) -> Try:
    def send(receiver: Receiver) -> Answer:
        source = receiver.source("github")
        given = {**receiver.signed(source, PUSH), "Content-Length": str(len(PUSH))}
        return receiver.talk(receiver.head(source, given, method=method) + PUSH)

    return send


def at(path: str) -> Try:
    """At a path that is made of the source's own; `{token}` stands for the token."""

    def send(receiver: Receiver) -> Answer:
        source = receiver.source("github")
        given = {**receiver.signed(source, PUSH), "Content-Length": str(len(PUSH))}
        token = {"token": source.token, "swapped": source.token.swapcase(), "near": source.token[:-1] + "~"}
        return receiver.talk(receiver.head(source, given, path=path.format(**token)) + PUSH)

    return send


def headers(count: int, size: int) -> Try:
    return lambda receiver: whole(receiver, "".join(f"X-{number}: {'x' * size}\r\n" for number in range(count)))


def lines(text: str) -> Try:
    return lambda receiver: whole(receiver, text)


TRIES: dict[str, tuple[Try, set[int]]] = {
    "1 a length over the body": (lines(f"Content-Length: {len(PUSH) + 5}\r\n"), {408}),
    "2 a length under the body": (lines(f"Content-Length: {len(PUSH) - 5}\r\n"), {401}),
    "3 a negative length": (lines("Content-Length: -5\r\n"), {400}),
    "4 two lengths": (lines(f"Content-Length: {len(PUSH)}\r\nContent-Length: 3\r\n"), {400}),
    "5 chunks without end": (unlimited_chunks, {413}),
    "5 chunks that stop": (never_ending_chunks, {408}),
    "6 a byte at a time": (
        lambda receiver: dripped(
            receiver, receiver.head(receiver.source("github"), "Content-Length: 900\r\n"), b"x" * 900
        ),
        {408},
    ),
    "8 ten thousand headers": (headers(10_000, 1), {431}),
    "9 a header of 1 MB": (headers(1, 1_000_000), {431}),
    "10 a bare CR in a header": (lines("X-Bad: a\rb\r\n"), {400}),
    "10 a bare LF in a header": (lines("X-Bad: a\nb\r\n"), {400}),
    "10 a NUL in a header": (lines("X-Bad: a\x00b\r\n"), {400}),
    "11 a folded header": (lines("X-Folded: a\r\n b\r\n"), {202, 400}),
    "12 header bytes beyond ASCII": (lines("X-Name: \xe4\xf6\xfc\xff\r\n"), {202}),
    "13 chunked and a length": (lines(f"Content-Length: {len(PUSH)}\r\nTransfer-Encoding: chunked\r\n"), {400}),
    "14 an oversize length that waits for 100": (expecting, {413}),
    "15 a body of the limit": (lambda receiver: limit(receiver, 0), {202}),
    "15 a body over the limit": (lambda receiver: limit(receiver, 1), {413}),
    "16 GET with a body": (by("GET"), {405}),
    "17 HEAD": (by("HEAD"), {405}),
    "17 TRACE": (by("TRACE"), {405}),
    "17 PATCH": (by("PATCH"), {405}),
    "18 dots in the path": (at("/in/x/../{token}"), {404}),
    "18 escaped dots": (at("/in/%2e%2e/{token}"), {404}),
    "18 an escaped NUL": (at("/in/{token}%00"), {404}),
    "18 two slashes": (at("/in//{token}"), {404}),
    "18 a slash at the end": (at("/in/{token}/"), {404, 307}),
    "19 the token in another case": (at("/in/{swapped}"), {404}),
    "20 a token that is nearly right": (at("/in/{near}"), {404}),
}


@pytest.mark.parametrize("name", TRIES)
def test_it_is_answered_and_the_hub_goes_on(running: Receiver, name: str) -> None:
    send, statuses = TRIES[name]
    running.source("github"), running.source("github", max_body=4096)
    before = running.accepted()
    answer = send(running)
    assert answer.status in statuses, answer.said[:400]
    assert running.accepted() - before == (answer.status == 202)
    assert b"100 Continue" not in answer.said
    running.check()


@pytest.mark.long
def test_7_headers_that_come_one_a_second_are_not_waited_for(running: Receiver) -> None:
    answer = dripped(running, b"POST /in/x HTTP/1.1\r\nHost: hub\r\n", b"X-A: b\r\n" * 200)
    assert answer.status == 408
    running.check()


def test_19_and_20_tell_no_more_than_an_unknown_address(running: Receiver) -> None:
    answers = {at(path)(running).body for path in ("/in/{swapped}", "/in/{near}", "/in/no-such-address")}
    assert len(answers) == 1


@pytest.mark.parametrize("waits", [0.0, 0.002, 0.05])
def test_21_a_sender_that_leaves_before_the_answer_is_kept_once_or_not_at_all(running: Receiver, waits: float) -> None:
    source = running.source("github")
    given = {**running.signed(source, PUSH), "Content-Length": str(len(PUSH))}
    data = running.head(source, given) + PUSH
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        connection.sendall(data)
        time.sleep(waits)
    # Whoever got no answer sends again: it is there once, then.
    assert running.talk(data).status in (200, 202)
    ident = given["X-GitHub-Delivery"]
    kept = [row["verdict"] for row in running.kept() if row["delivery_id"] == ident]
    assert kept.count("accepted") == 1
    running.check()


def test_the_read_timeout_of_these_tests_is_the_one_that_counts(running: Receiver) -> None:
    begun = time.monotonic()
    assert never_ending_chunks(running).status == 408
    assert time.monotonic() - begun >= READ_TIMEOUT_S - 0.1
