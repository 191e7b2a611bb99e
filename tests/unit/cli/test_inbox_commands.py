"""Searching, reading and replaying requests, typed as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hub.client.inprocess import InProcess
from hub.errors import UsageError
from hub.moments import moment
from hub.plugins import Context, load_plugins
from hub.runtime.effects import Effects
from hub.runtime.presets import installed
from hub.settings import load_settings
from hub.store import inbox, open_hub
from hub.types import Scope, new_id, now_us
from hub.web.app import build_app
from hub.webhooks import events
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.signing import sign

from .conftest import Shell


def deliver(made: Any, *bodies: bytes, secret: str = "", kind: str = "push") -> None:
    """Send signed requests to the door of the local store."""
    settings = load_settings()
    store = open_hub(settings)
    try:
        with httpx2.Client(base_url="http://127.0.0.1", transport=InProcess(build_app(settings, store))) as client:
            for body in bodies:
                headers = {"X-GitHub-Event": kind, "X-GitHub-Delivery": new_id(), "Content-Type": "application/json"}
                request = WebhookRequest("POST", "", header_pairs(headers), body)
                signed = sign(installed().get("github"), secret or made["secret"], request, now=now_us())
                path = "/in/" + made["url"].rpartition("/in/")[2]
                client.post(path, content=body, headers=dict(signed.headers))
    finally:
        store.close()


def post(made: Any, items: list[Any]) -> list[str]:
    """Send a batch to a source that verifies nothing; gives the ids of all that it has."""
    settings = load_settings()
    store = open_hub(settings)
    try:
        with httpx2.Client(base_url="http://127.0.0.1", transport=InProcess(build_app(settings, store))) as client:
            headers = {"Content-Type": "application/cloudevents-batch+json"}
            client.post("/in/" + made["url"].rpartition("/in/")[2], content=json.dumps(items), headers=headers)
        with store.read() as tx:
            return [row["id"] for row in inbox.search(tx, Scope(), inbox.Wanted()).items]
    finally:
        store.close()


@pytest.fixture
def ci(hub: Shell) -> Any:
    """A source with five requests: three pushes, an issue, a forged one."""
    made = hub.json("webhooks", "create", "ci", "--preset", "github")
    deliver(made, *(b'{"n":%d}' % number for number in range(3)))
    deliver(made, b'{"title":"needle"}', kind="issues")
    deliver(made, b"{}", secret="forged")
    return made


def test_a_refused_request_says_whose_it_looks_like(hub: Shell) -> None:
    deliver(hub.json("webhooks", "create", "git", "--preset", "gitlab", "--secret", "0f" * 16), b"{}", secret="x")
    (row,) = json.loads(hub("webhooks", "receipts", "git", "--json"))
    assert hub.json("webhooks", "receipt", row["id"])["suggested_preset"] == "github"
    assert "Looks like  github" in hub("webhooks", "receipt", row["id"])
    assert "no preset 'githob'" in hub("webhooks", "catalog", "dismiss", "git", "githob", "--preset", code=3)
    hub("webhooks", "catalog", "dismiss", "git", "github", "--preset")
    assert hub.json("webhooks", "receipt", row["id"])["suggested_preset"] is None
    hub("webhooks", "catalog", "reconsider", "git", "github", "--preset")
    assert hub.json("webhooks", "receipt", row["id"])["suggested_preset"] == "github"


@pytest.mark.usefixtures("ci")
def test_requests_are_searched_and_their_bytes_written(hub: Shell) -> None:
    def types(*words: str) -> list[str]:
        return [row["event_type"] for row in json.loads(hub("webhooks", "receipts", *words, "--json"))]

    assert types("ci", "--type", "issue*") == types("--text", "needle") == ["issues"]
    assert types("--since", "1h", "--verdict", "accepted") == ["issues", "push", "push", "push"]
    assert types("--until", "1h") == types("--replays") == []
    assert len(types("--no-replays", "-n", "2")) == 2
    (row,) = json.loads(hub("webhooks", "receipts", "--text", "needle", "--json"))
    assert json.loads(hub("webhooks", "receipts", "--delivery", row["delivery_id"], "--json")) == [row]
    assert hub("webhooks", "receipt", row["id"], "--raw") == '{"title":"needle"}'
    assert "30m" in hub("webhooks", "receipts", "--since", "yesterday", code=2)


def test_requests_are_replayed_by_a_filter_after_a_look(hub: Shell, ci: Any) -> None:
    words = ("webhooks", "replay", "--source", ci["name"], "--type", "push")
    seen = hub.json(*words, "--dry-run")
    assert [row["event_type"] for row in seen] == ["push"] * 3
    assert hub.json("webhooks", "receipts", "--replays") == []
    assert "Replay 3 requests?" in hub(*words, code=2)
    request = new_id()
    done = hub.json(*words, "--request", request, "--yes")
    assert (done["replayed"], done["repeated"], done["failed"]) == (3, 0, 0)
    assert [one["replay_of"] for one in done["items"]] == [row["id"] for row in seen]
    deliver(ci, b'{"later":true}')
    assert "3 were replayed before" in hub(*words, "--request", request, "--yes")
    assert len(hub.json("webhooks", "receipts", "--replays")) == 3
    assert len(hub.json(*words, "--dry-run", "--replays")) == 7
    assert "More than 2" in hub(*words, "--limit", "2", "--yes", code=2)


def test_a_dry_run_of_one_says_what_it_would_start(hub: Shell, ci: Any) -> None:
    receipt = hub.json("webhooks", "receipts", ci["name"], "--type", "issues")[0]["id"]
    words = ("webhooks", "replay", receipt, "--dry-run")
    assert hub(*words) == "It would become: github.issues.\n"
    hub("automations", "create", "on-issue", "--on", "github.issues", "--do", "alert=new issue")
    told = hub(*words)
    assert "It would become: github.issues." in told
    assert "on-issue" in told
    (one,) = hub.json(*words)["automations"]
    assert (one["name"], one["outcome"]) == ("on-issue", "fired")
    assert hub.json("webhooks", "receipts", "--replays") == []


def test_named_requests_are_replayed_and_what_cannot_be_is_told(hub: Shell, ci: Any) -> None:
    ids = [row["id"] for row in hub.json("webhooks", "receipts", ci["name"])]
    said = hub("webhooks", "replay", *ids, "--yes", code=1)
    assert said == ""  # what is told is an answer, not an error
    assert len(hub.json("webhooks", "receipts", "--replays")) == 4
    assert len(hub.json("webhooks", "replay", "--source", "ci", "--dry-run")) == 4
    refused = hub.json("webhooks", "replay", "--verdict", "rejected", "--unverified", "--request", new_id(), "--yes")
    assert refused["replayed"] == 1
    assert "filter" in hub("webhooks", "replay", code=2)
    assert "filter" in hub("webhooks", "replay", ids[0], "--text", "x", code=2)
    assert "no id of a replay" in hub("webhooks", "replay", "--source", "ci", "--request", "x", code=2)


def test_times_are_typed_as_people_type_them() -> None:
    assert moment(None) is None
    assert moment("2h", now=7_200_000_000) == "1970-01-01T00:00:00.000000Z"
    assert moment("1970-01-01T01:00:00+01:00") == "1970-01-01T00:00:00.000000Z"
    for wrong in ("2 h", "h", "2026-01-31", ""):
        with pytest.raises(UsageError, match="is no time"):
            moment(wrong)


def test_listening_that_cannot_work_is_refused_with_the_way_out(hub: Shell) -> None:
    assert "http://localhost:8000" in hub("listen", "ci", "--to", "localhost:8000", code=2)
    to = ("listen", "ci", "--to", "http://localhost:8000")
    assert "last:5" in hub(*to, "--replay", "5", code=2)
    assert "hub up" in hub(*to, code=75)
    assert "hub up" in hub(*to, "--sign", code=75)
    assert hub(*to, "--filter", "body..", code=2)


def test_a_sample_is_triggered_as_its_provider_would_send_it(hub: Shell, tmp_path: Path) -> None:
    assert "hub webhooks create" in hub("trigger", "stripe", code=3)
    assert "no-such" in hub("trigger", "no-such", code=3)
    hub("webhooks", "create", "pay", "--preset", "stripe", "--secret", "whsec_0123456789")
    hub("webhooks", "create", "ci", "--preset", "github")
    assert "push" in hub("trigger", "github", "--list")
    first, second = (hub.json("trigger", "github", "push") for _ in range(2))
    assert (first["status"], first["verdict"], first["event_type"]) == (202, "accepted", "push")
    assert first["receipt"] != second["receipt"]
    assert hub.json("trigger", "stripe")["status"] == 200
    body = tmp_path / "body.json"
    body.write_bytes(b'{"zen": "\xc3\xbc" }')
    sent = hub.json("trigger", "github", "ping", "--body", str(body), "-H", "X-Of-Mine: yes")
    assert hub("webhooks", "receipt", sent["receipt"], "--raw").encode() == body.read_bytes()
    whole = hub.json("webhooks", "receipt", sent["receipt"])
    assert (whole["event_type"], dict(whole["headers"])["X-Of-Mine"]) == ("ping", "yes")
    assert whole["remote"].startswith("local")
    hub("webhooks", "create", "ci-2", "--preset", "github")
    assert "ci, ci-2" in hub("trigger", "github", code=2)
    assert "answered 202" in hub("trigger", "github", "--source", "ci-2")
    assert "NAME: VALUE" in hub("trigger", "github", "-H", "x", code=2)
    assert "Name a provider" in hub("trigger", code=2)


def test_what_cannot_be_signed_is_refused(hub: Shell) -> None:
    hub(
        "webhooks",
        "create",
        "bank",
        "--preset",
        "mtls",
        "-o",
        f"fingerprints={'ab' * 32}",
        "-o",
        "certificate_header=X-Cert",
    )
    assert "only the sender has it" in hub("trigger", "mtls", code=2)
    hub("webhooks", "create", "pay", "--preset", "stripe")
    assert "no secret yet" in hub("trigger", "stripe", code=4)
    hub("webhooks", "create", "ci", "--preset", "github")
    hub("webhooks", "update", "ci", "--disabled")
    assert "disabled" in hub("trigger", "github", code=4)


def test_a_source_is_paused_and_resumed(hub: Shell, ci: Any) -> None:
    assert "4 requests wait" in hub("webhooks", "pause", "ci")
    deliver(ci, b'{"later":true}')
    shown = hub.json("webhooks", "show", "ci")
    assert (shown["held"], shown["enabled"], shown["paused_at"] is None) == (5, True, False)
    assert "5 requests so far" in shown["warnings"][0]
    assert "paused" in hub("webhooks", "show", "ci")
    assert hub.json("webhooks", "resume", "ci")["held"] == 0
    assert "goes on" in hub("webhooks", "resume", "ci")
    assert hub.json("webhooks", "pause", "ci")["held"] == 5


def test_a_bookmarked_request_is_kept_and_sent_again_as_a_new_delivery(hub: Shell, ci: Any) -> None:
    (kept,) = hub.json("webhooks", "receipts", ci["name"], "--type", "issues")
    assert "No bookmarks yet" not in hub("webhooks", "bookmarks")
    assert "is kept as an-issue" in hub("webhooks", "bookmark", kept["id"], "an-issue")
    assert hub.json("webhooks", "bookmark", kept["id"], "an-issue")["receipt_id"] == kept["id"]
    assert "an-issue" in hub("webhooks", "bookmarks")
    sent = hub.json("trigger", "--bookmark", "an-issue")
    assert (sent["event_type"], sent["duplicate"], sent["verdict"]) == ("issues", False, "accepted")
    assert sent["delivery_id"] != kept["delivery_id"]
    assert hub("webhooks", "receipt", sent["receipt"], "--raw") == '{"title":"needle"}'
    hub("webhooks", "create", "other", "--preset", "github")
    assert hub.json("trigger", "--bookmark", "an-issue", "--source", "other")["status"] == 202
    assert "as it is" in hub("trigger", "github", "push", "--bookmark", "an-issue", code=2)
    hub("webhooks", "unbookmark", "an-issue")
    assert "no bookmark" in hub("trigger", "--bookmark", "an-issue", code=3)
    assert "no bookmark" in hub("webhooks", "unbookmark", "an-issue", code=3)
    assert "no receipt" in hub("webhooks", "bookmark", new_id(), "nothing", code=3)


def test_places_are_redacted_as_told_until_told_otherwise(hub: Shell) -> None:
    words = ("--redact", "json:card.number", "--redact", "field:email")
    made = hub.json("webhooks", "create", "shop", "--preset", "github", *words)
    assert "json:card.number" in hub("webhooks", "show", "shop")
    deliver(made, b'{"card":{"number":"4111"},"n":1}')
    (row,) = hub.json("webhooks", "receipts", "shop")
    assert row["redacted"] == ["json:card.number"]
    assert "json:card.number" in hub("webhooks", "receipt", row["id"])
    assert hub("webhooks", "receipt", row["id"], "--raw") == '{"card":{"number":"[redacted]"},"n":1}'
    assert hub.json("webhooks", "update", "shop", "--redact", "query:mail")["redact"] == ["query:mail"]
    assert "contradict" in hub("webhooks", "update", "shop", "--redact", "body", "--keep-all", code=2)
    assert "json:PATH" in hub("webhooks", "update", "shop", "--redact", "card", code=2)
    assert hub.json("webhooks", "update", "shop", "--keep-all")["redact"] == []
    deliver(made, b'{"card":{"number":"4111"}}')
    assert hub.json("webhooks", "receipts", "shop")[0]["redacted"] is None


def test_an_alert_after_silence_is_set_and_taken_back(hub: Shell) -> None:
    hub("webhooks", "create", "quiet", "--preset", "github", "--alert-after-silence", "2h")
    assert "2 h 0 min" in hub("webhooks", "show", "quiet")
    assert hub.json("webhooks", "update", "quiet", "--alert-after-silence", "7d")["alert_after_s"] == 604_800
    assert "90s, 30m" in hub("webhooks", "update", "quiet", "--alert-after-silence", "soon", code=2)
    assert "60 s at least" in hub("webhooks", "update", "quiet", "--alert-after-silence", "30s", code=2)
    found = hub.json("webhooks", "update", "quiet", "--alert-after-silence", "off")
    assert (found["alert_after_s"], found["silent_at"]) == (0, None)


def test_the_order_of_a_source_is_set_and_shown(hub: Shell) -> None:
    hub("webhooks", "create", "line", "--preset", "github", "--order-by", "body.repository.id")
    assert "body.repository.id" in hub("webhooks", "show", "line")
    assert hub.json("webhooks", "order", "line") == []
    assert "not a CEL expression" in hub("webhooks", "update", "line", "--order-by", "body.", code=2)
    assert hub.json("webhooks", "update", "line", "--order-by", "")["order_by"] == ""


def test_the_catalog_is_learned_set_shown_and_compared(hub: Shell, ci: Any, tmp_path: Path) -> None:
    assert hub.json("webhooks", "catalog", "ls", "ci") == []
    proposed = hub.json("webhooks", "catalog", "learn", "ci", "--last", "50")
    assert [(one["type"], one["samples"]) for one in proposed] == [("issues", 1), ("push", 3)]
    assert "push: from 3 events" in hub("webhooks", "catalog", "learn", "ci", "--type", "push")
    assert "Set 1 schemas" in hub("webhooks", "catalog", "learn", "ci", "--type", "push", "--save", code=2)
    hub("webhooks", "catalog", "learn", "ci", "--type", "push", "--save", "--yes")
    assert [row["event_type"] for row in hub.json("webhooks", "catalog", "ls", "ci")] == ["push"]
    assert json.loads(hub("webhooks", "catalog", "show", "ci", "push"))["required"] == ["n"]
    assert hub.json("webhooks", "show", "ci")["schema_mode"] == "observe"
    file = tmp_path / "schema.json"
    file.write_text('{"properties": {"n": {"pattern": "x"}}}')
    assert "pattern is not supported" in hub("webhooks", "catalog", "set", "ci", "push", "--file", str(file), code=2)
    assert "no JSON" in hub("webhooks", "catalog", "set", "ci", "push", "--file", "-", stdin="{", code=2)
    assert "cannot be read" in hub("webhooks", "catalog", "set", "ci", "push", "--file", str(tmp_path / "no"), code=2)
    hub("webhooks", "catalog", "set", "ci", "*", "--file", "-", stdin='{"required": ["action"]}')
    assert hub.json("webhooks", "catalog", "drift", "ci") == []
    assert hub.json("webhooks", "update", "ci", "--schemas", "enforce")["schema_mode"] == "enforce"
    deliver(ci, b'{"n":"text"}')
    (row,) = hub.json("webhooks", "receipts", "ci", "-n", "1")
    assert row["reason"] == "it does not fit the schema of push: n: string in place of integer"
    hub("webhooks", "catalog", "rm", "ci", "push", "--yes")
    assert "no schema of 'push'" in hub("webhooks", "catalog", "show", "ci", "push", code=3)


def work() -> None:
    """What the upkeep process does of receipts."""
    settings = load_settings()
    store = open_hub(settings)
    loaded = load_plugins(settings, process="upkeep", store=store)
    try:
        loop = Effects(Context("upkeep", settings, loaded.hooks, store), ("receipt",))
        while loop.step():
            pass
    finally:
        store.close()


def test_a_dead_letter_leaves_the_list_when_a_replay_of_it_became_events_and_not_before(
    hub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(*words: str) -> list[str]:
        return [row["id"] for row in hub.json("webhooks", "dead-letters", *words)]

    def replay(receipt_id: str) -> str:
        return str(hub.json("webhooks", "replay", receipt_id)["id"])

    made = hub.json("webhooks", "create", "batches", "--preset", "cloudevents", "--verify", "none")
    items = [{"specversion": "1.0", "type": "a", "source": "s", "id": str(n)} for n in range(3)]
    (lost,) = post(made, items)
    with monkeypatch.context() as patch:
        patch.setattr(events, "MAX_ITEMS", 2)  # as if this version took less than the one whose door let it in
        work()
        assert listed() == [lost]
        tried = replay(lost)
        assert listed("batches") == [lost]  # it waits: nothing is known of it yet
        work()
        assert listed() == [tried, lost]
        assert "at most 2 are taken" in hub("webhooks", "receipt", lost)
    good = replay(tried)
    assert listed() == [tried, lost]
    work()
    assert listed() == hub.json("webhooks", "replay", "--failed", "--dry-run") == []
    assert listed("batches", "--replayed") == [tried, lost]
    first, whole = (hub.json("webhooks", "receipt", one) for one in (tried, lost))
    assert first["replayed_by"] == whole["replayed_by"] == good
    assert whole["replayed_at"] >= hub.json("webhooks", "receipt", good)["received_at"]
    assert [(one["id"], one["outcome"]) for one in whole["replays"]] == [(tried, "failed")]
    assert [(one["id"], one["outcome"], one["events"]) for one in first["replays"]] == [(good, "events", 3)]
    assert first["replays"][0]["reason"].startswith("replayed by ")
    assert f"{good}, replayed by" in hub("webhooks", "receipt", tried)


def test_a_schema_that_was_dismissed_is_not_proposed_again_until_that_is_taken_back(hub: Shell, ci: Any) -> None:
    def proposed(*words: str) -> list[str]:
        return [one["type"] for one in hub.json("webhooks", "catalog", "learn", "ci", *words)]

    assert proposed() == ["issues", "push"]
    hub("webhooks", "catalog", "dismiss", "ci", "push")
    (first,) = hub.json("webhooks", "catalog", "dismissed", "ci")
    assert (first["kind"], first["about"]) == ("schema", "push")
    assert first["dismissed_by"] == hub.json("audit", "ls", "-n", "1")[0]["actor"]
    deliver(ci, b'{"other":true}')  # what comes later makes no difference
    assert proposed() == ["issues"]
    assert proposed("--type", "push") == []
    assert proposed("--dismissed") == ["issues", "push"]
    hub("webhooks", "catalog", "learn", "ci", "--save", "--yes")
    assert [row["event_type"] for row in hub.json("webhooks", "catalog", "ls", "ci")] == ["issues"]
    hub("webhooks", "catalog", "dismiss", "ci", "push")
    assert hub.json("webhooks", "catalog", "dismissed", "ci") == [first], "who was first, and when, stays"
    hub("webhooks", "catalog", "reconsider", "ci", "push")
    assert proposed() == ["issues", "push"]
    assert "no schema 'push'" in hub("webhooks", "catalog", "reconsider", "ci", "push", code=3)


def test_secrets_are_read_from_standard_input(hub: Shell, tmp_path: Path) -> None:
    made = json.loads(
        hub("webhooks", "create", "pay", "--preset", "token", "--secret", "-", "--json", stdin="s3cret-from-stdin\n")
    )
    assert (made["ready"], made["secret"]) == (True, None)
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"method": "POST", "url": "https://h", "headers": {"X-Token": "t0k"}, "body": "{}"}))
    words = ("--request", str(file), "-o", "from=header:X-Token", "-o", "prefix=")
    assert '"valid": true' in hub("webhooks", "verify", "token", "--secret", "-", *words, stdin="t0k\n")
    body = tmp_path / "body.json"
    body.write_text("{}")
    hub("webhooks", "rotate", "pay", "--secret", "-", stdin="another-secret\n")
    assert hub.json("trigger", "token", "--source", "pay", "--body", str(body))["verdict"] == "accepted"


def test_addresses_answers_and_retention_are_set_and_taken_back(hub: Shell) -> None:
    words = ("--allow-from", "192.0.2.0/24", "--allow-from", "::1", "--keep", "12h", "--keep-bytes", "1000000")
    hub("webhooks", "create", "kept", "--preset", "github", *words)
    found = hub.json("webhooks", "show", "kept")
    assert (found["allow_from"], found["keep_s"], found["keep_bytes"]) == (["192.0.2.0/24", "::1"], 43_200, 1_000_000)
    told = hub("webhooks", "show", "kept")
    assert "192.0.2.0/24, ::1" in told
    assert "the newest 1000000 bytes" in told
    assert "no address or network" in hub("webhooks", "update", "kept", "--allow-from", "nowhere", code=2)
    assert "contradict" in hub("webhooks", "update", "kept", "--allow-from", "::1", "--allow-all", code=2)
    assert hub.json("webhooks", "update", "kept", "--allow-all")["allow_from"] == []
    answer = ("--answer", "ok {receipt}", "--answer-type", "text/plain", "--answer-status", "202")
    assert hub.json("webhooks", "update", "kept", *answer)["answer"]["text"] == "ok {receipt}"
    assert "202 ok {receipt}" in hub("webhooks", "show", "kept")
    assert hub.json("webhooks", "update", "kept", "--answer-of-preset")["answer"] is None
    assert hub.json("webhooks", "dead-letters", "kept") == []
    assert hub.json("webhooks", "replay", "--failed", "--dry-run") == []
