"""`hub users`, `hub audit`, `hub tls`."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

from .conftest import Shell


def test_accounts_are_made_changed_and_switched_off(hub: Shell) -> None:
    hub("owner", "create", "ann", stdin="correct horse battery\n")
    assert "can log in now, as operator" in hub(
        "users", "create", "ben", "--role", "operator", stdin="a password of mine\n"
    )
    assert hub("users", "create", "bot", "--service", "--role", "developer")
    assert hub.json("tokens", "create", "ci", "--for", "bot")["user_id"]
    hub("users", "role", "ben", "viewer")
    hub("users", "disable", "ben", "--yes")
    found = {row["name"]: row for row in hub.json("users", "ls")}
    assert (found["ben"]["role"], found["bot"]["kind"]) == ("viewer", "service")
    assert found["ben"]["disabled_at"]
    hub("users", "enable", "ben")
    hub("users", "password", "ben", stdin="another password\n")
    assert "shorter than 10" in hub("users", "password", "ben", stdin="short\n", code=2)
    assert "no account 'eve'" in hub("users", "role", "eve", "viewer", code=3)
    assert "last owner" in hub("users", "disable", "ann", "--yes", code=4)


def test_people_are_invited_by_a_link(hub: Shell) -> None:
    link = hub("users", "invite", "eve", "--role", "operator").strip()
    assert link.startswith("http://127.0.0.1:4300/ui/invitations/")
    listed = hub.json("users", "invitations")
    assert [row["name"] for row in listed] == ["eve"]
    assert link.rsplit("/", 1)[1] not in json.dumps(listed)
    hub("users", "uninvite", listed[0]["id"])
    assert hub.json("users", "invitations") == []


def test_the_audit_trail_is_listed_and_exported(hub: Shell) -> None:
    hub("users", "create", "bot", "--service")
    hub("users", "role", "bot", "operator")
    hub("users", "invite", "=cmd()", "--role", "viewer")
    entries = hub.json("audit", "ls", "--op", "user.")
    assert [(row["op"], row["actor"]) for row in entries] == [("user.update", "local"), ("user.create", "local")]
    lines = [json.loads(line) for line in hub("audit", "export").splitlines()]
    assert lines[1]["changes"] == {"role": ["viewer", "operator"]}
    rows = list(csv.DictReader(io.StringIO(hub("audit", "export", "--format", "csv", "--target", "bot"))))
    assert [row["op"] for row in rows] == ["user.update", "user.create"]


def test_a_certificate_is_made_once_and_again_by_the_same_authority(hub: Shell, tmp_path: Path) -> None:
    made = hub.json("tls", "create", "hub.lan", "192.168.7.20", "--folder", str(tmp_path / "tls"))
    assert made["names"] == ["hub.lan", "192.168.7.20", "localhost", "127.0.0.1", "::1"]
    for name in ("key", "ca_key"):
        assert os.stat(made[name]).st_mode & 0o777 == 0o600
    authority, certificate = (Path(made[name]).read_bytes() for name in ("ca", "cert"))
    hub("tls", "create", "--folder", str(tmp_path / "tls"))
    assert Path(made["ca"]).read_bytes() == authority
    assert Path(made["cert"]).read_bytes() != certificate
    assert "is no name" in hub("tls", "create", "not a name", "--folder", str(tmp_path / "tls"), code=2)
