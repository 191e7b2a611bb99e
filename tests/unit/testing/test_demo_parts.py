"""The parts of the demo by themselves."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest
from hub.errors import UnavailableError
from hub.testing.demo import github
from hub.testing.demo.mail import Mailbox
from hub.testing.demo.screen import Screen
from hub.testing.demo.site import until
from hub.testing.demo.story import examples


def test_the_mailbox_receives_what_a_real_client_sends() -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Späße", "a@example.com", "b@example.com"
    message.set_content("one\n.two begins with a dot\n")
    with Mailbox() as mailbox:
        with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=10) as client:
            client.send_message(message)
        received = mailbox.next(timeout=10)
        assert mailbox.next(timeout=0.01) is None
    assert received is not None
    assert received["Subject"] == "Späße"
    assert ".two begins" in received.get_content()


def test_a_delivery_is_signed_as_the_provider_documents_it() -> None:
    # The example of the provider's documentation: this secret and this body give this signature.
    body, secret = b"Hello, World!", "It's a Secret to Everybody"
    expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert github.signature(body, secret) == f"sha256={expected}"


def test_two_deliveries_of_one_payload_have_ids_of_their_own() -> None:
    first, second = (github.delivery("push", github.PUSH, "s") for _ in range(2))
    assert first.headers["X-GitHub-Delivery"] != second.headers["X-GitHub-Delivery"]
    assert first.body == second.body


def test_waiting_ends_with_a_sentence() -> None:
    assert until("a thing", lambda: "thing", seconds=1) == "thing"
    with pytest.raises(UnavailableError, match=r"waited 0\.05 s for a thing"):
        until("a thing", lambda: None, seconds=0.05)


def test_the_examples_are_where_the_demo_looks() -> None:
    assert {path.name for path in Path(examples()).glob("*.py")} >= {"github_ci.py", "etl.py"}


def test_the_screen_prints_the_same_words_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    with screen.step("A step"):
        screen.command(["channels", "add", "me", "mailto://127.0.0.1?to=you"])
        screen.fact("receipt", "kept [not markup]", seconds=0.0123)
    screen.timings()
    shown = capsys.readouterr().out
    assert "$ hub channels add me 'mailto://127.0.0.1?to=you'" in shown
    assert "✓ receipt   kept [not markup]  12 ms" in shown
    assert "\x1b[" not in shown
