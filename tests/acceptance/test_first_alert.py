"""The README's way from nothing to the first alert, as it is written there, with a real mail server."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path

from tests.plugins.notifications.test_alerts import smtp_server

from .conftest import Site, wait_until

README = Path(__file__).parents[2] / "README.md"
BROKEN = 'from hub import flow\n\n\n@flow\ndef broken() -> None:\n    raise RuntimeError("the warehouse is closed")\n'


def commands() -> list[list[str]]:
    """The three commands of the section, as words."""
    section = README.read_text(encoding="utf-8").partition("## The first alert")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


def test_three_commands_bring_the_first_failure_to_the_inbox(site: Site) -> None:
    up, add, run = commands()
    (site.home.parent / "broken.py").write_text(BROKEN)
    with smtp_server() as (port, mails):
        own = f"mailto://127.0.0.1:{port}?from=hub@example.com&to=you@example.com&smtp=127.0.0.1"
        site.up(*up[2:])
        for words in ([own if "mailtos://" in word else word for word in add], run):
            line = [sys.executable, "-m", "hub.cli", *words[1:]]
            subprocess.run(line, env=site.env, cwd=site.home.parent, check=words is not run, timeout=60)
        wait_until(lambda: mails, 60, "a mail")
    mail = message_from_bytes(mails[0])
    assert "broken failed" in str(make_header(decode_header(mail["subject"])))
    parts = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text"]
    text = b"".join(part for part in parts if isinstance(part, bytes)).decode()
    assert "the warehouse is closed" in text
    assert "/ui/runs/" in text
