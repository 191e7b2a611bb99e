"""The short way to the door: whatever piece by piece or at once comes in, the answers and the receipts are the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hub.store import Store, open_store
from hub.testing.demo.site import until
from hub.web.door.short import Place

from .doors import EVENT, PUSH, Made, Served, change, make, read_all, rows, serve

OWN = ("id", "received_at", "delivery_id", "headers")
"""What two receipts of the same request may differ in."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'hub.db'}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def door(store: Store) -> Iterator[Served]:
    with serve(store, door_read_timeout=3.0) as served:
        yield served


def raw(source: Made, ident: str, body: bytes = PUSH, more: str = "") -> bytes:
    """A signed request as bytes."""
    signed = source.signed(body, EVENT | {"X-GitHub-Delivery": ident, "Host": "hub.example"})
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers)
    return f"POST {source.path} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n{more}\r\n".encode() + body


def said(door: Served, *pieces: bytes, answers: int = 1) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
    """Send pieces one by one, and read so many answers: status, headers but for the time, body."""
    found = []
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                threading.Event().wait(0.05)  # so that it does not come with the one before
            conn.sendall(piece)
        stream = conn.makefile("rb")
        for _ in range(answers):
            status = stream.readline().split()[1]
            lines = iter(stream.readline, b"\r\n")
            headers = dict(line.rstrip().lower().split(b": ", 1) for line in lines)
            assert headers.pop(b"date", None)
            found.append((status, headers, stream.read(int(headers.get(b"content-length", b"0")))))
    return found


def alike(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in OWN}


def test_a_request_in_pieces_is_answered_and_kept_like_one_in_one_piece(door: Served) -> None:
    source = make(door.store)
    whole, cut = raw(source, "a"), raw(source, "b")
    head = cut.index(b"\r\n\r\n") + 4
    (short,) = said(door, whole)
    (long,) = said(door, cut[:40], cut[40:head], cut[head : head + 5], cut[head + 5 :])
    assert short[0] == long[0] == b"202"
    assert short[1] == long[1]
    first, second = rows(door.store)
    assert (first["delivery_id"], second["delivery_id"]) == ("a", "b")
    assert alike(first) == alike(second)
    assert first["id"].encode() in short[2]


@pytest.mark.parametrize("more", ["Connection: close\r\n", "Expect: 100-continue\r\n", "Upgrade: h2c\r\n"])
def test_a_request_that_asks_for_something_special_is_kept_as_well(door: Served, more: str) -> None:
    source = make(door.store)
    answer = door.talk(raw(source, "a", more=more))
    assert b" 202 " in answer
    assert [row["delivery_id"] for row in rows(door.store)] == ["a"]


def test_requests_behind_one_another_are_answered_in_their_order(door: Served) -> None:
    source = make(door.store)
    names = ["a", "b", "a", "c"]
    found = said(door, b"".join(raw(source, name) for name in names), answers=4)
    kept = {row["delivery_id"]: row["id"].encode() for row in rows(door.store)}
    assert [status for status, _, _ in found] == [b"202"] * 4
    assert [body for _, _, body in found] == [b'{"receipt": "%b"}' % kept[name] for name in names]
    assert len(kept) == 3


def test_a_changed_source_is_judged_anew_on_the_short_way(door: Served) -> None:
    source = make(door.store)
    assert said(door, raw(source, "a"))[0][0] == b"202"
    change(door.store, "source.update", source.name, enabled=False)
    assert said(door, raw(source, "b"))[0][0] == b"404"
    change(door.store, "source.update", source.name, enabled=True)
    assert said(door, raw(source, "c"))[0][0] == b"202"
    forged = raw(source, "d").replace(b"sha256=", b"sha256=0")
    assert said(door, forged)[0][0] == b"401"
    assert [row["verdict"] for row in rows(door.store)] == ["accepted", "accepted", "rejected"]


def test_what_waits_for_its_commit_when_the_server_stops_is_answered(store: Store) -> None:
    with ExitStack() as stack:
        served = stack.enter_context(serve(store))
        source = make(store)
        said(served, raw(source, "a"))
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as conn:
            with store.write():  # so that the commit has to wait
                conn.sendall(raw(source, "b"))
                until("the body to be held", lambda: served.door._bodies.held)
                leaving = threading.Thread(target=stack.pop_all().close)
                leaving.start()
                until("the server to stop", lambda: not _listens(served.port))
            answer = read_all(conn)
            assert b" 202 " in answer
            assert b"connection: close" in answer.lower()
        leaving.join(30)
    assert [row["delivery_id"] for row in rows(store)] == ["a", "b"]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


class _Connection:
    """Stands for the server's side of a connection: notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.transport = self.server_state = self
        self.default_headers = [(b"date", b"now")]
        self.send = self.sent.append

    def is_closing(self) -> bool:
        return False

    def on_response_complete(self) -> None:
        self.sent.append(b"")


@pytest.mark.parametrize("header", [(b"x-a", b"b\r\nx-evil: d"), (b"x-a\r\nx-evil", b"d")])
def test_no_header_of_an_answer_can_bring_another_one(header: tuple[bytes, bytes]) -> None:
    connection = _Connection()
    Place(connection).answer((200, b"text", [header]))
    assert connection.sent[0].startswith(b"HTTP/1.1 500 ")
    assert b"x-evil" not in connection.sent[0]
    assert connection.sent[1:] == [b""], "the connection goes on"


def test_a_status_without_a_name_is_answered_as_well() -> None:
    connection = _Connection()
    Place(connection).answer((250, b"text", []))
    assert connection.sent[0].startswith(b"HTTP/1.1 250 \r\n")
