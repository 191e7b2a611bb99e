"""`hub webhooks import`: shown first, then made; what is left out is said, by words and by the exit status."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hub.cli import main

from .conftest import Shell
from .test_inbox_commands import deliver

HOOKS = [
    {
        "id": "twice",
        "execute-command": "/srv/twice.sh",
        "pass-arguments-to-command": [{"source": "payload", "name": "n"}],
        "trigger-rule": {
            "and": [
                {
                    "match": {
                        "type": "payload-hmac-sha256",
                        "secret": "s3cret-of-twice",
                        "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
                    }
                },
                {"match": {"type": "value", "value": "main", "parameter": {"source": "payload", "name": "ref"}}},
            ]
        },
    },
    {"id": "open", "execute-command": "/srv/open.sh"},
    {
        "id": "office",
        "execute-command": "/srv/office.sh",
        "trigger-rule": {"match": {"type": "scalr-signature", "secret": "x"}},
    },
]


@pytest.fixture
def hooks(tmp_path: Path) -> str:
    """A file of three hooks: one whole, one that verifies nothing, one with a rule that is not understood."""
    file = tmp_path / "hooks.json"
    file.write_text(json.dumps(HOOKS, indent=2))
    return str(file)


def line_of(file: str, text: str) -> int:
    return next(number for number, line in enumerate(Path(file).read_text().splitlines(), 1) if text in line)


def document(file: str, *words: str) -> Any:
    """What it prints as JSON, whatever the exit status is."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(("webhooks", "import", file, *words, "--json"))
    return json.loads(printed.getvalue())


def test_the_plan_is_shown_and_nothing_is_changed(hub: Shell, hooks: str, flow_file: str) -> None:
    hub("deploy", flow_file)
    hub("webhooks", "import", hooks, "--dry-run", code=1)
    shown = document(hooks, "--dry-run")
    twice, opened, office = shown
    assert twice["match"].endswith('string(body["ref"]) == "main"')
    assert (twice["run"], twice["event"], twice["problems"]) == ("twice", "generic-hmac.twice", [])
    assert "nothing in it verifies" in opened["stays_out"][0]["text"]
    (wrong,) = office["stays_out"]
    assert wrong["line"] == line_of(hooks, "scalr-signature") - 1
    assert "s3cret" not in json.dumps(shown)
    assert hub.json("webhooks", "ls") == []


def test_what_fits_is_made_and_works(hub: Shell, hooks: str, flow_file: str) -> None:
    hub("deploy", flow_file)
    twice, opened, _ = document(hooks, "--yes", "--unverified")
    assert twice["url"].partition("/in/")[2]
    assert sorted(source["name"] for source in hub.json("webhooks", "ls")) == ["open", "twice"]
    assert opened["problems"][0]["line"] == line_of(hooks, "/srv/open.sh")
    (automation,) = hub.json("automations", "ls")
    assert automation["trigger"]["types"] == ["generic-hmac.twice"]
    assert automation["actions"][0]["parameters"]["n"].endswith(': ""')
    deliver({"secret": "x", "url": twice["url"]}, b'{"ref": "main", "n": 4}')
    (refused,) = hub.json("webhooks", "receipts", "twice")
    assert refused["verdict"] == "rejected", "signed with another secret"
    again = document(hooks, "--yes", "--unverified")
    assert [hook["source"] for hook in again[:2]] == ["is there", "is there"]


def test_all_taken_over_is_status_0(hub: Shell, flow_file: str, tmp_path: Path) -> None:
    hub("deploy", flow_file)
    whole = tmp_path / "whole.yaml"
    whole.write_text(json.dumps(HOOKS[:1]))
    assert "source: generic-hmac" in hub("webhooks", "import", str(whole), "--dry-run")
    made = hub("webhooks", "import", str(whole), "--yes")
    assert "shown this once" in made
    (made_of_it,) = document(str(whole), "--dry-run")
    assert made_of_it["source"] == "is there"
    hub("webhooks", "rm", "twice", "--yes")
    hub("webhooks", "create", "twice", "--preset", "github")
    (clash,) = document(str(whole), "--dry-run")
    assert "of the preset github" in clash["stays_out"][0]["text"]


def test_an_address_list_becomes_the_sources_own(hub: Shell, flow_file: str, tmp_path: Path) -> None:
    hub("deploy", flow_file)
    rule = {"and": [HOOKS[0]["trigger-rule"], {"match": {"type": "ip-whitelist", "ip-range": "192.0.2.7"}}]}
    file = tmp_path / "hooks.json"
    file.write_text(json.dumps([{**HOOKS[0], "trigger-rule": rule}]))
    assert "--allow-from 192.0.2.7/32" in hub("webhooks", "import", str(file), "--dry-run")
    hub("webhooks", "import", str(file), "--yes")
    assert hub.json("webhooks", "show", "twice")["allow_from"] == ["192.0.2.7/32"]


def test_a_file_that_cannot_be_read_is_status_2(hub: Shell, tmp_path: Path) -> None:
    assert "cannot be read" in hub("webhooks", "import", str(tmp_path / "none.json"), code=2)
    wrong = tmp_path / "wrong.json"
    wrong.write_bytes(b"\xff\xfe")
    assert "no text in UTF-8" in hub("webhooks", "import", str(wrong), code=2)
