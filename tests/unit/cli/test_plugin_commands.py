"""Commands of webhooks, channels, alerts, planes and sites, each typed as a person types it."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path

import httpx2
import pytest
from hub.client.inprocess import InProcess
from hub.settings import load_settings
from hub.store import open_hub
from hub.testing.demo import github
from hub.web.app import build_app

from .conftest import Shell

NOTHING = "00000000-0000-7000-8000-000000000009"


def _deliver(url: str, secret: str) -> httpx2.Response:
    """Send a signed push to the door of the local store."""
    settings = load_settings()
    store = open_hub(settings)
    request = github.delivery("push", github.PUSH, secret)
    try:
        with httpx2.Client(base_url="http://127.0.0.1", transport=InProcess(build_app(settings, store))) as client:
            return client.post("/in/" + url.rpartition("/in/")[2], content=request.body, headers=request.headers)
    finally:
        store.close()


def test_a_webhook_source_from_making_it_to_removing_it(hub: Shell) -> None:
    made = hub.json("webhooks", "create", "ci", "--preset", "github")
    assert "/in/" in made["url"]
    assert hub.json("webhooks", "ls")[0]["name"] == "ci"
    assert made["secret"] not in hub("webhooks", "show", "ci")
    assert hub.json("webhooks", "update", "ci", "--rate", "50")["rate_per_minute"] == 50
    rotated = hub.json("webhooks", "rotate", "ci")
    assert rotated["secret"] != made["secret"]
    assert "github" in hub("webhooks", "presets")
    assert "--yes" in hub("webhooks", "rm", "ci", code=2)
    hub("webhooks", "rm", "ci", "--yes")
    assert hub.json("webhooks", "ls") == []


def test_a_receipt_is_kept_shown_and_replayed(hub: Shell) -> None:
    made = hub.json("webhooks", "create", "ci", "--preset", "github")
    assert _deliver(made["url"], made["secret"]).status_code == 202
    assert _deliver(made["url"], "forged").status_code == 401
    kept = hub.json("webhooks", "receipts", "ci", "--verdict", "accepted")
    assert [row["event_type"] for row in kept] == ["push"]
    assert "Codertocat" in hub("webhooks", "receipt", kept[0]["id"])
    assert hub.json("webhooks", "replay", kept[0]["id"])["replay_of"] == kept[0]["id"]


def test_a_stored_request_is_verified_without_a_hub(hub: Shell, tmp_path: Path) -> None:
    request = github.delivery("push", github.PUSH, "secret-of-the-test")
    file = tmp_path / "request.json"
    document = {"method": "POST", "url": "/in/x", "headers": request.headers, "body": request.body.decode()}
    file.write_text(json.dumps(document))
    words = ("webhooks", "verify", "github", "--request", str(file), "--secret")
    assert json.loads(hub(*words, "secret-of-the-test"))["valid"] is True
    hub(*words, "another", code=1)
    hub("webhooks", "verify", "no-such-provider", "--request", str(file), "--secret", "x", code=2)


def test_a_preset_whose_verification_is_code_is_verified_too(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    mac = hmac.new(bytes(32), b"{}", "sha256").digest()
    file.write_text(json.dumps({"headers": {"HmacSignature": base64.b64encode(mac).decode()}, "body": "{}"}))
    words = ("webhooks", "verify", "adyen", "--request", str(file), "--secret")
    assert json.loads(hub(*words, "00" * 32))["valid"] is True
    hub(*words, "11" * 32, code=1)
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"k"}').decode().rstrip("=")
    file.write_text(json.dumps({"headers": {"Authorization": f"Bearer {head}.e30.AAAA"}, "body": "{}"}))
    words = ("webhooks", "verify", "jwt", "--request", str(file), "--secret", "x", "-o", "keys=url")
    hub(*words, "-o", "keys_url=https://127.0.0.1/keys", code=75)


def test_a_channel_from_adding_it_to_removing_it(hub: Shell) -> None:
    hub("channels", "add", "me", "mailto://127.0.0.1:1?from=a@example.com&to=b@example.com&mode=insecure")
    listed = hub("channels", "ls")
    assert "me" in listed
    assert "b@example.com" not in listed
    hub("channels", "disable", "me")
    assert hub.json("channels", "ls")[0]["enabled"] is False
    hub("channels", "enable", "me")
    assert "hub up" in hub("channels", "test", "me", "--wait", "0", code=75)
    alert = hub.json("alerts", "ls")
    assert hub.json("alerts", "deliveries") is not None
    for row in alert:
        assert row["id"] in hub("alerts", "show", row["id"])
    hub("alerts", "show", NOTHING, code=3)
    hub("channels", "rm", "me", "--yes")
    assert hub.json("channels", "ls") == []


def test_a_plane_knows_its_sites_by_token(hub: Shell) -> None:
    assert hub.json("sites", "create", "berlin", "--life", "600")["token"].startswith("hub_join_")
    assert hub.json("sites", "token", "--uses", "3")["uses"] == 3
    assert "hub_join_" in hub("sites", "token", "berlin")
    assert "is asked for another key" in hub("sites", "rotate", "berlin")
    assert "are revoked" in hub("sites", "revoke", "berlin", "--yes")
    assert hub.json("sites", "ls")[0]["name"] == "berlin"
    assert hub.json("sites", "runs", "berlin") == []
    assert hub.json("sites", "commands", "berlin") == []
    hub("sites", "run", "berlin", NOTHING, code=3)
    hub("sites", "logs", "berlin", NOTHING, code=3)
    assert "0 runs" in hub("sites", "digest", "berlin")
    assert "must connect first" in hub("sites", "cancel", "berlin", NOTHING, code=4)
    hub("sites", "withdraw", "berlin", NOTHING, code=3)
    assert "region=oslo" in hub("sites", "start", "one", "-l", "region=oslo", "-p", "day=1", code=4)
    assert "not a label" in hub("sites", "start", "one", "-l", "oslo", code=2)
    for word in ("pause", "resume"):
        assert "takes no runs" in hub("sites", word, "berlin", code=4)
    assert "begin anew" in hub("sites", "restored", "--yes")
    hub("sites", "rm", "berlin", "--yes")
    assert hub.json("sites", "ls") == []


@pytest.mark.parametrize(
    "words",
    [
        ["cloud", "disconnect"],
        ["cloud", "promote"],
        ["cloud", "digest"],
        ["cloud", "policy"],
        ["cloud", "rejoin", "x"],
        ["cloud", "publish", "x"],
        ["cloud", "addresses"],
    ],
)
def test_without_a_link_there_is_nothing_to_do_at_the_plane(hub: Shell, words: list[str]) -> None:
    assert "no plane" in hub(*words, code=3)


def test_a_plane_that_does_not_answer_is_a_sentence(hub: Shell) -> None:
    assert hub.json("cloud", "status") == []
    assert hub("cloud", "preview") == ""
    given = hub("cloud", "connect", "http://127.0.0.1:9", "hub_join_nonsense", "--site-name", "x", code=75)
    assert "Traceback" not in given


def test_a_plugin_is_shown_with_what_it_can_do(hub: Shell) -> None:
    shown = hub.json("plugins", "show", "echo")
    (say,) = shown["actions"]
    assert (say["name"], say["summary"]) == ("echo.say", "Writes a text to the file.")
    assert say["parameters"]["required"] == ["text"]
    assert "echo.say(text, times=)" in hub("plugins", "show", "echo")
    hub("plugins", "show", "nobody", code=3)
    assert hub("echo", "again", "ha") == "ha ha\n"
