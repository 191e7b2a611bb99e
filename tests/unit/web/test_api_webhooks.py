"""Sources, receipts and presets over the API, and a request through the whole application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hub.plugins import Context, load_plugins
from hub.runtime.presets import installed
from hub.runtime.relay import carry_out
from hub.settings import Settings
from hub.store import Store, effects
from hub.store.tables import AuditEntry, CommandOutcome, Event, SourceSecret
from hub.types import new_id, now_us
from hub.web.api.webhooks import address
from hub.web.app import build_app
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.signing import sign
from starlette.testclient import TestClient

BODY = b'{"ref":"refs/heads/main"}'


@pytest.fixture
def client(memory: Store) -> Iterator[TestClient]:
    app = build_app(Settings(plugins="only:webhooks"), memory)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made


def make(client: TestClient, **more: Any) -> Any:
    answer = client.post("/api/v1/sources", json={"name": "ci", "preset": "github", **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def knock(client: TestClient, made: Any, body: bytes = BODY, *, secret: str = "", id: str = "d-1") -> Any:
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": id, "Content-Type": "application/json"}
    request = WebhookRequest("POST", "", header_pairs(headers), body)
    request = sign(installed().get("github"), secret or made["secret"], request, now=now_us())
    return client.post("/in/" + made["url"].rpartition("/")[2], content=body, headers=dict(request.headers))


def test_a_source_is_made_and_its_address_and_secret_are_shown_once(client: TestClient, memory: Store) -> None:
    made = make(client)
    assert made["url"].startswith("http://127.0.0.1:4300/in/")
    assert len(made["secret"]) == 64
    shown = client.get("/api/v1/sources/ci").json()
    assert (shown["ready"], shown["verify"], shown["mode"]) == (True, "preset", "enforce")
    token = made["url"].rpartition("/")[2]
    with memory.read() as tx:
        for table in (SourceSecret, AuditEntry, CommandOutcome, Event):
            rows = tx.conn.execute(table.__table__.select()).mappings().all()  # type: ignore[attr-defined]
            text = json.dumps([{name: str(value) for name, value in row.items()} for row in rows])
            assert token not in text
            assert made["secret"] not in text
    for answer in (client.get("/api/v1/sources"), client.get("/api/v1/sources/ci")):
        assert token not in answer.text
        assert made["secret"] not in answer.text


def test_the_address_is_built_from_the_public_url_only() -> None:
    assert address(Settings(public_url="https://hub.example/base/"), "t") == "https://hub.example/base/in/t"
    assert address(Settings(web_port=4301), "t") == "http://127.0.0.1:4301/in/t"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"preset": "githb"}, "githb"),
        ({"secret": ""}, "empty"),
        ({"secret": "   "}, "empty"),
        ({"secret": "a\nb"}, "typed"),
        ({"preset": "stripe", "options": {"a": "b"}}, "no option"),
        ({"preset": "svix", "secret": "whsec_!"}, "malformed"),
        ({"preset": "basic", "secret": "nocolon"}, "USER:PASSWORD"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"verify": "maybe"}, "verify"),
        ({"max_body": 0}, "max_body"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_a_source_that_could_not_work_is_refused(client: TestClient, more: dict[str, Any], why: str) -> None:
    answer = client.post("/api/v1/sources", json={"name": "ci", "preset": "github", **more})
    assert answer.status_code in (404, 422), answer.text
    assert why in answer.text
    assert client.get("/api/v1/sources").json()["items"] == []


def test_two_sources_cannot_have_one_name_until_the_first_is_gone(client: TestClient) -> None:
    make(client)
    assert client.post("/api/v1/sources", json={"name": "ci", "preset": "token"}).status_code == 409
    assert client.delete("/api/v1/sources/ci").status_code == 204
    assert client.get("/api/v1/sources/ci").status_code == 404
    make(client, preset="token")


def test_the_same_idempotency_key_makes_one_source(client: TestClient) -> None:
    body = {"name": "ci", "preset": "github"}
    first, second = (client.post("/api/v1/sources", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert second.json()["secret"] is None
    assert second.json()["url"] is None


def test_what_is_not_safe_is_said(client: TestClient) -> None:
    assert not make(client, name="pay", preset="stripe")["ready"]
    make(client, name="open", verify="none", mode="observe")

    def warnings(name: str) -> str:
        return " ".join(client.get(f"/api/v1/sources/{name}").json()["warnings"])

    assert "no secret yet" in warnings("pay")
    assert "anybody" in warnings("open")
    assert "observes" in warnings("open")
    assert "sent again" in warnings("open")


def test_a_source_is_changed_and_given_a_new_secret(client: TestClient) -> None:
    made = make(client)
    changed = client.patch("/api/v1/sources/ci", json={"mode": "observe", "max_body": 10, "enabled": False}).json()
    assert (changed["mode"], changed["max_body"], changed["enabled"]) == ("observe", 10, False)
    assert client.patch("/api/v1/sources/ci", json={"options": {"nope": "1"}}).status_code == 422
    rotated = client.post("/api/v1/sources/ci/rotate", json={"new_secret": True, "new_url": True}).json()
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["url"] not in (None, made["url"])
    secrets = client.get("/api/v1/sources/ci").json()["secrets"]
    assert [secret["expires_at"] is None for secret in secrets] == [False, True]
    assert client.post("/api/v1/sources/ci/rotate", json={}).status_code == 422
    assert client.post("/api/v1/sources/ci/rotate", json={"secret": " "}).status_code == 422


def test_a_request_passes_the_whole_application_and_becomes_an_event(client: TestClient, memory: Store) -> None:
    made = make(client)
    receipt_id = knock(client, made).json()["receipt"]
    assert knock(client, made).json()["receipt"] == receipt_id
    relay(memory)
    with memory.read() as tx:
        rows = tx.conn.execute(Event.__table__.select()).mappings().all()  # type: ignore[attr-defined]
    (event,) = [row for row in rows if row["type"] == "github.push"]
    assert event["source"] == "source:ci"
    assert event["body"]["receipt_id"] == receipt_id
    (shown,) = client.get("/api/v1/receipts?source=ci").json()["items"]
    assert (shown["events"], shown["duplicates"], shown["verdict"]) == (1, 1, "accepted")
    assert client.get("/api/v1/receipts?source=unknown").status_code == 404
    assert client.get("/api/v1/receipts?verdict=rejected").json()["items"] == []
    whole = client.get(f"/api/v1/receipts/{receipt_id}").json()
    assert whole["body"] == BODY.decode()
    assert ["x-hub-signature-256", "[redacted]"] in [[name.lower(), value] for name, value in whole["headers"]]
    raw = client.get(f"/api/v1/receipts/{receipt_id}/body")
    assert raw.content == BODY
    assert "attachment" in raw.headers["content-disposition"]


def test_the_door_takes_strange_hosts_and_the_console_does_not(client: TestClient) -> None:
    made = make(client)
    headers = {"Host": "evil.example", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.get("/api/v1/sources", headers=headers).status_code == 421
    path = "/in/" + made["url"].rpartition("/")[2]
    assert client.post(path, content=BODY, headers=headers).status_code == 401


def test_a_receipt_is_replayed_as_a_receipt_of_its_own(client: TestClient, memory: Store) -> None:
    made = make(client)
    receipt_id = knock(client, made).json()["receipt"]
    assert knock(client, made, secret="wrong").status_code == 401
    answer = client.post(f"/api/v1/receipts/{receipt_id}/replay", json={})
    assert answer.status_code == 201
    relay(memory)
    replayed = client.get(f"/api/v1/receipts/{answer.json()['id']}").json()
    assert (replayed["replay_of"], replayed["events"], replayed["body"]) == (receipt_id, 1, BODY.decode())
    refused = client.get("/api/v1/receipts?verdict=rejected").json()["items"][0]["id"]
    assert client.post(f"/api/v1/receipts/{refused}/replay", json={}).status_code == 403
    assert client.post(f"/api/v1/receipts/{refused}/replay", json={"unverified": True}).status_code == 201
    assert client.post(f"/api/v1/receipts/{new_id()}/replay", json={}).status_code == 404


def test_a_body_that_is_no_text_is_shown_as_base64(client: TestClient) -> None:
    made = make(client, preset="generic-hmac", verify="none")
    path = "/in/" + made["url"].rpartition("/")[2]
    receipt_id = client.post(path, content=b"\xff\x00\xfe").json()["receipt"]
    shown = client.get(f"/api/v1/receipts/{receipt_id}").json()
    assert (shown["body"], shown["body_base64"]) == (None, "/wD+")


def test_presets_are_listed_with_their_options(client: TestClient) -> None:
    found = {preset["id"]: preset for preset in client.get("/api/v1/presets").json()}
    assert found["gitlab"]["options"]["scheme"]["choices"] == ["signing-token", "token"]
    assert client.get("/api/v1/presets/github").json()["secret"] == "chosen"
    assert client.get("/api/v1/presets/nope").status_code == 404


def relay(store: Store) -> None:
    """Do what the effects loop does with receipts."""
    loaded = load_plugins(Settings(), process="upkeep", store=store)
    ctx = Context("upkeep", Settings(), loaded.hooks, store)
    with store.write() as tx:
        rows = effects.claim(tx, ["receipt"], "test")
    for row in rows:
        carry_out(ctx, row)
        carry_out(ctx, row)  # at least once means: perhaps twice
    with store.write() as tx:
        effects.finish(tx, [row["id"] for row in rows])


def test_many_receipts_are_replayed_once_for_a_request(client: TestClient) -> None:
    made = make(client)
    ids = [knock(client, made, b'{"n":%d}' % place, id=f"d-{place}").json()["receipt"] for place in range(3)]
    assert knock(client, made, secret="forged").status_code == 401
    bad = client.get("/api/v1/receipts?verdict=rejected").json()["items"][0]["id"]
    body = {"receipts": [*ids, bad, new_id()], "request": new_id()}
    first = client.post("/api/v1/replays", json=body).json()
    assert [one["replay_of"] for one in first["items"]] == body["receipts"]
    assert [one["problem"] is None for one in first["items"]] == [True, True, True, False, False]
    again = client.post("/api/v1/replays", json=body).json()
    assert [one["id"] for one in again["items"]] == [one["id"] for one in first["items"]]
    assert [one["repeated"] for one in again["items"]] == [True, True, True, False, False]
    found = client.get("/api/v1/receipts", params={"replay_of": ids[0]}).json()["items"]
    assert [row["id"] for row in found] == [first["items"][0]["id"]]
    found = client.get("/api/v1/receipts", params={"text": '"n":1', "replays": "false", "order": "oldest"}).json()
    assert [row["id"] for row in found["items"]] == [ids[1]]
    for wrong in ({"since": "yesterday"}, {"text": ""}, {"order": "up"}, {"replay_of": "x"}, {"text": "x" * 257}):
        assert client.get("/api/v1/receipts", params=wrong).status_code == 422, wrong
    assert client.post("/api/v1/replays", json=body | {"receipts": []}).status_code == 422


def test_a_signed_request_comes_in_as_at_the_door_and_its_signing_is_audited(client: TestClient, memory: Store) -> None:
    make(client)
    sent = client.post(
        "/api/v1/sources/ci/trigger", json={"event": "push", "body": "{}"}, headers={"Idempotency-Key": "k"}
    )
    assert (sent.status_code, sent.json()["verdict"], sent.json()["duplicate"]) == (200, "accepted", False)
    again = client.post("/api/v1/sources/ci/trigger", json={"event": "push"}, headers={"Idempotency-Key": "k"})
    assert again.status_code == 409
    with memory.read() as tx:
        audit = tx.conn.execute(AuditEntry.__table__.select()).mappings().all()  # type: ignore[attr-defined]
        notes = tx.conn.execute(CommandOutcome.__table__.select()).mappings().all()  # type: ignore[attr-defined]
    (row,) = [row for row in audit if row["op"] == "source.sign"]
    assert row["detail"] == {"event": "push"}
    assert "sha256=" not in json.dumps([dict(note) for note in notes])
    assert [row["kind"] for row in pending(memory)] == ["receipt"]
    assert client.post("/api/v1/sources/ci/trigger", json={"body": "[1"}).json()["status"] == 400
    assert client.post("/api/v1/sources/ci/trigger", json={"event": "no-such"}).status_code == 422
    assert client.post("/api/v1/sources/nobody/trigger", json={}).status_code == 404


def pending(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.conn.execute(effects.TABLE.select()).mappings())


def test_an_unverified_request_points_to_the_preset_of_its_headers(client: TestClient) -> None:
    made = make(client, preset="gitlab", secret="0f" * 16)
    assert knock(client, made, secret="anything").status_code == 401
    other = make(client, name="mine")
    assert knock(client, other, secret="another").status_code == 401
    assert knock(client, other).status_code == 202
    found = {
        (row["verdict"], row["source_id"]): client.get(f"/api/v1/receipts/{row['id']}").json()["suggested_preset"]
        for row in client.get("/api/v1/receipts").json()["items"]
    }
    assert found == {
        ("rejected", made["id"]): "github", ("rejected", other["id"]): None, ("accepted", other["id"]): None,
    }  # fmt: skip


def test_a_refused_request_wakes_whoever_looks_at_the_inbox(client: TestClient, memory: Store) -> None:
    made = make(client)
    listener = memory.listen("receipts")
    knock(client, made, secret="another")
    assert listener.wait(5) == {"receipts"}
    listener.close()


def test_a_wrong_field_is_named_in_the_problem(client: TestClient) -> None:
    answer = client.post("/api/v1/sources", json={"name": "a", "preset": "svix", "secret": "whsec_!"}).json()
    assert answer["field"] == "secret"
    options = {"name": "a", "preset": "generic-hmac", "options": {"hash": "md4"}}
    assert client.post("/api/v1/sources", json=options).json()["field"] == "options.hash"
