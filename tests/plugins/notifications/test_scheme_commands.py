"""`hub channels schemes`, `hub channels secret`, and addresses made of fields, as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def hub(home: Path, *words: str, typed: str = "") -> str:
    """What a command prints."""
    env = {**os.environ, "HUB_HOME": str(home), "HUB_PLUGINS": "-echo"}
    command = [sys.executable, "-m", "hub.cli", *words]
    done = subprocess.run(command, env=env, input=typed, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_address_is_made_of_fields(tmp_path: Path) -> None:
    secret = hub(tmp_path, "channels", "secret").strip()
    assert secret.startswith("whsec_")
    shown = json.loads(hub(tmp_path, "channels", "schemes", "hub+https", "--json"))
    assert {one["name"] for one in shown["fields"] if one["private"]} == {"path", "secret"}
    fields = ("--field", "host=hooks.example.com", "--field", "path=alerts", "--field", "secret=-")
    hub(tmp_path, "channels", "add", "program", "--scheme", "hub+https", *fields, typed=f"{secret}\n")
    listed = hub(tmp_path, "channels", "ls", "--json")
    assert json.loads(listed)[0]["scheme"] == "hub+https"
    assert secret not in listed
