"""Mail over a real server with TLS and accounts, with each behaviour of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest
from hub.channels import Attachment, Outgoing
from hub.errors import DeclinedError, PermanentError, TransientError

from hub_notifications.send import send

from .services import Mails, World
from .test_services import LONG, MESSAGE

MAIL = "mailtos://hub%40example.com:the-mail-pass@mail.example.com:587?smtp=mail.example.com&from=hub@example.com&to=ops@example.com"


def mail(**more: Any) -> Outgoing:
    return replace(MESSAGE, address=MAIL, **more)


def test_mail_success(world: World, mails: Mails) -> None:
    sent = send(mail(attachments=(Attachment("run.log", b"the last line"),)), world.reach())
    assert sent.status == 250
    (envelope,) = mails.got
    assert envelope.rcpt_tos == ["ops@example.com"]
    got = message_from_bytes(envelope.content)
    assert got["Subject"] == "nightly failed"
    parts = {part.get_filename() or part.get_content_type(): part.get_payload(decode=True) for part in got.walk()}
    assert b"ValueError: boom <b> & *more*" in parts["text/plain"]
    assert parts["run.log"] == b"the last line"
    assert mails.logins == [("hub@example.com", b"the-mail-pass", True)], "the password goes over a secret line only"


def test_mail_that_is_put_off_then_taken(world: World, mails: Mails) -> None:
    mails.says = ["451 try again", "250 OK"]
    with pytest.raises(TransientError, match="answered 451") as caught:
        send(mail(), world.reach())
    assert caught.value.status == 451
    assert send(mail(), world.reach()).status == 250
    assert len(mails.got) == 1


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("421 too many connections", TransientError),
        ("551 user not local; please try <other@example.com>", PermanentError),
        ("550 no such user", PermanentError),
    ],
)
def test_what_a_mail_server_says_counts(world: World, mails: Mails, says: str, kind: type[Exception]) -> None:
    mails.says = [says]
    with pytest.raises(kind, match=f"answered {says[:3]}"):
        send(mail(), world.reach())
    assert mails.tries == 1


def test_mail_with_a_wrong_password(world: World, mails: Mails) -> None:
    with pytest.raises(PermanentError, match="answered 535"):
        send(replace(MESSAGE, address=MAIL.replace("the-mail-pass", "wrong-pass")), world.reach())
    assert mails.tries == 0


def test_mail_over_the_servers_limit(world: World, mails: Mails) -> None:
    with pytest.raises(DeclinedError, match="answered 552"):
        send(mail(text=LONG), world.reach())
    assert mails.got == []


def test_mail_to_a_server_that_nobody_vouches_for(world: World, mails: Mails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(PermanentError, match="certificate"):
        send(mail(), world.reach())
    assert mails.logins == []


@contextmanager
def silent() -> Iterator[int]:
    """Takes connections and says a byte now and then, which no time limit of a socket ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        try:
            peer, _ = listener.accept()
            with peer:
                while not over.wait(0.05):
                    peer.sendall(b"2")
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.close()
        thread.join(5)


def test_a_mail_server_that_never_answers(world: World) -> None:
    with silent() as port:
        world.ports[587] = port
        with pytest.raises(TransientError, match="no answer in time"):
            send(mail(), world.reach(timeout_s=0.3))


def test_a_mail_server_at_a_private_address_or_odd_port(world: World) -> None:
    world.names["mail.example.com"] = "192.168.1.2"
    with pytest.raises(PermanentError, match="not one that the hub may call"):
        send(mail(), world.reach())
    world.names.clear()
    with pytest.raises(PermanentError, match="is none of a mail server"):
        send(replace(MESSAGE, address=MAIL.replace(":587", ":6379")), world.reach())
    assert world.dialled == []
