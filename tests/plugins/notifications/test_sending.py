"""What a receiver, a service or a lost row can do to the sender, and what it must not come to."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message as Mail
from pathlib import Path
from typing import Any

import pytest
from hub.channels import Outgoing
from hub.errors import PermanentError, TransientError, UsageError
from hub.runtime.commands import Command, apply, register
from hub.settings import Settings, load_settings
from hub.store import Store
from hub.types import Scope
from sqlalchemy import delete, select

from hub_notifications import channels, notices, send
from hub_notifications.address import check_allowed
from hub_notifications.answers import failure
from hub_notifications.deliver import Deliverer, tell_directly
from hub_notifications.plugin import hub_commands
from hub_notifications.reach import make_reach
from hub_notifications.rules import AlertEvent, judge

SCOPE = Scope()
OPEN = make_reach("open")
HOSTILE = "first line\nsecond <img src=http://127.0.0.1:1/seen> & <b>bold</b>"


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path}, environ={})


@contextmanager
def raw_server(answer: bytes, *, endless: bytes = b"") -> Iterator[tuple[int, list[bytes]]]:
    """Speaks bytes: `answer` to each request, then `endless` again and again until the peer leaves."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(10)
                try:
                    seen.append(whole_request(peer))
                    peer.sendall(answer)
                    while endless:
                        peer.sendall(endless)
                        time.sleep(0.05)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def whole_request(peer: socket.socket) -> bytes:
    """Head and body, which arrive in pieces."""
    got = b""
    while not (found := re.search(rb"content-length: (\d+)\r\n(?s:.*?)\r\n\r\n|\r\n\r\n", got, re.IGNORECASE)):
        got += peer.recv(65_536)
    while len(got) < found.end() + int(found[1] or 0):
        got += peer.recv(65_536)
    return got


def mailed(title: str, text: str, **more: Any) -> Mail:
    from aiosmtpd.controller import Controller

    mails: list[bytes] = []

    class Handler:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
            mails.append(envelope.content)
            return "250 OK"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        address = f"mailto://127.0.0.1:{port}?from=hub@example.com&to=you@example.com&smtp=127.0.0.1"
        send.send(Outgoing(address, title, text, **more), OPEN)
    finally:
        controller.stop()
    (mail,) = mails
    return message_from_bytes(mail)


def part(mail: Mail, kind: str) -> str:
    (found,) = [one for one in mail.walk() if one.get_content_type() == kind]
    payload = found.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def test_what_a_run_wrote_is_text_in_a_mail_never_markup() -> None:
    mail = mailed("title", HOSTILE)
    kinds = [one.get_content_type() for one in mail.walk()]
    if "text/html" in kinds:
        assert "<img" not in part(mail, "text/html")
        assert "<b>bold" not in part(mail, "text/html")
    assert "<img src=http://127.0.0.1:1/seen> & <b>bold</b>" in part(mail, "text/plain")
    assert "first line\n" in part(mail, "text/plain").replace("\r", "")


def test_alerts_are_sent_under_the_name_that_is_set() -> None:
    assert mailed("title", "text", sender="Night watch")["X-Application"] == "Night watch"
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n") as (port, seen):
        send.send(Outgoing(f"slack+http://127.0.0.1:{port}/x", "title", "text", sender="Night watch"), OPEN)
    assert b'"username":"Night watch"' in b"".join(seen)


def test_an_answer_without_end_does_not_hold_the_sender() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"
    with raw_server(head, endless=b"x" * 10) as (port, _):  # for days, were it read to its end
        send.send(Outgoing(f"slack+http://127.0.0.1:{port}/x", "title", "text"), OPEN)


@pytest.mark.parametrize("status", [301, 308, 400, 404])
def test_what_is_refused_for_good_is_permanent(status: int) -> None:
    assert isinstance(failure(status), PermanentError)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_transient(status: int) -> None:
    assert isinstance(failure(status), TransientError)


def test_only_schemes_that_are_set_are_allowed() -> None:
    check_allowed("json://host/secretpath", OPEN)
    check_allowed("JSON://host/secretpath", make_reach("open", schemes=("json",)))
    with pytest.raises(UsageError) as caught:
        check_allowed("json://host/secretpath", make_reach("open", schemes=("mailtos",)))
    assert "secretpath" not in str(caught.value)


def an_alert(store: Store, name: str) -> None:
    with store.write() as tx:
        told = AlertEvent("firing", "x", name, "run-failed", title="title", text="text")
        tell_directly(tx, SCOPE, told, channels.targeted(tx, SCOPE, []))


def rows(store: Store) -> list[tuple[str, str | None]]:
    with store.read() as tx:
        table = notices.DELIVERIES
        found = tx.conn.execute(select(table.c.status, table.c.error_class).order_by(table.c.id)).all()
    return [(status, kind) for status, kind in found]


def test_a_channel_of_a_forbidden_scheme_sends_nothing(store: Store, tmp_path: Path) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (port, seen):
        args = {"name": "chat", "address": f"slack+http://127.0.0.1:{port}/x"}
        apply(store, Command("channel.add", SCOPE, args=args))
        an_alert(store, "one")
        strict = load_settings({"home": tmp_path, "alerts_schemes": ("mailtos",)}, environ={})
        Deliverer(store, strict).step()
    assert seen == []
    assert rows(store)[0] == ("dead", "permanent")


def test_an_address_that_cannot_be_unsealed_leaves_the_channel_on(store: Store, settings: Settings) -> None:
    apply(store, Command("channel.add", SCOPE, args={"name": "chat", "address": "slack+http://127.0.0.1:1/x"}))
    with store.write() as tx:
        tx.conn.execute(channels.CHANNELS.update().values(sealed=b"of another key"))
    an_alert(store, "one")
    Deliverer(store, settings).step()
    assert sorted(rows(store), key=str) == [("failed", "transient"), ("pending", None)]
    with store.read() as tx:
        assert channels.find(tx, SCOPE, "chat")["enabled"]


def test_attempts_whose_channel_is_gone_end_and_hold_up_nobody(store: Store, settings: Settings) -> None:
    apply(store, Command("channel.add", SCOPE, args={"name": "chat", "address": "slack+http://127.0.0.1:1/x"}))
    for number in range(20):
        an_alert(store, str(number))
    with store.write() as tx:
        tx.conn.execute(delete(channels.CHANNELS))
    deliverer = Deliverer(store, settings)
    deliverer.step()
    deliverer.step()
    assert rows(store) == [("dead", "permanent")] * 20
    with store.read() as tx:
        assert not notices.anything_due(tx)


def test_a_flow_and_a_deployment_of_its_name_are_told_apart() -> None:
    run = {
        "id": "1", "name": "one", "flow_name": "nightly", "deployment_name": "", "parent_run_id": None, "attempt": 1,
        "state_name": "Failed", "state_message": "", "error_type": "", "error_message": "",
    }  # fmt: skip
    plain = judge({"type": "hub.run.failed"}, run)
    deployed = judge({"type": "hub.run.completed"}, {**run, "deployment_name": "nightly"})
    assert plain is not None
    assert deployed is not None
    assert not plain.key.startswith(f"{deployed.about}/")
