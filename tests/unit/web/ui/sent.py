"""Endpoints of the workspace, and what was sent to them."""

from __future__ import annotations

from hub.store import endpoints
from hub.store.tables import Endpoint, OutgoingAttempt, OutgoingWebhook
from hub.types import Scope
from tests.unit.web.ui.seed import Seed

BODY = b'{"type":"order.paid","timestamp":"2026-01-31T12:00:00.000000Z","data":{"order":17,"name":"<b>Ada</b>"}}'
PUBLIC = "whpk_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="


def shown_endpoints(seed: Seed) -> None:
    """One that works, one that fails, one that was switched off; messages in every status."""
    ids = seed.ids
    ids["endpoint"] = seed.add(
        Endpoint, name="partner", label="https://partner.example.com/...", created_at=seed.ago(300_000)
    )
    ids["failing"] = seed.add(
        Endpoint, name="warehouse-of-a-long-name-" + "and-more-" * 6 + "end", label="https://stock.example.org:8443/...",
        failing_since=seed.ago(7000),
    )  # fmt: skip
    ids["gone"] = seed.add(
        Endpoint, name="old-receiver", label="https://gone.example.net/...", enabled=False,
        disabled_reason="it answered 410: it wants nothing any more",
    )  # fmt: skip
    _keys(seed)
    _messages(seed)


def _keys(seed: Seed) -> None:
    tx, scope = seed.tx, Scope()
    assert tx is not None
    endpoints.add_key(tx, scope, seed.ids["endpoint"], "v1", "whsec_not-a-real-one")
    endpoints.retire_keys(tx, seed.ids["endpoint"], seed.ago(-50_000))
    endpoints.add_key(tx, scope, seed.ids["endpoint"], "v1", "whsec_not-a-real-one")
    endpoints.add_key(tx, scope, seed.ids["endpoint"], "v1a", "whsk_not-a-real-one", PUBLIC)
    endpoints.add_key(tx, scope, seed.ids["failing"], "v1", "whsec_not-a-real-one")


def _messages(seed: Seed) -> None:
    ids = seed.ids
    refused = "it answered 503"
    for index in range(6):
        at = seed.ago(900 + 5000 * index)
        ended = {"status": "delivered", "attempts": 1, "ended_at": at + 300_000, "body": BODY, "created_at": at}
        ids["message"] = _message(seed, "endpoint", type="order.paid", at_=at, origin="run:github-ci-9c41aa", **ended)
    _tried(seed, ids["message"], 1, 200, "thank you", None)
    ids["message-failed"] = _message(
        seed, "endpoint", type="order.refunded", status="failed", attempts=2, error=refused, ended_at=seed.ago(600),
        created_at=seed.ago(90_000), at_=seed.ago(90_000), body=BODY,
    )  # fmt: skip
    _tried(seed, ids["message-failed"], 1, 503, "<h1>Try later</h1>\n" * 20, refused)
    _tried(seed, ids["message-failed"], 2, None, "", "connection refused: 192.0.2.7:443")
    ids["message-waiting"] = _message(
        seed, "failing", type="stock.changed", attempts=3, error=refused, due_at=seed.ago(-1700), body=BODY
    )
    _tried(seed, ids["message-waiting"], 3, 503, "", refused)
    _message(seed, "gone", type="hub.test", status="failed", attempts=1, error="it answered 410", body=b"{}")


def _message(seed: Seed, endpoint: str, **values: object) -> str:
    return seed.add(OutgoingWebhook, endpoint_id=seed.ids[endpoint], **values)


def _tried(seed: Seed, message: str, number: int, status: int | None, response: str, error: str | None) -> None:
    seed.add(
        OutgoingAttempt, webhook_id=message, number=number, started_at=seed.ago(600 - number), duration_us=243_000,
        status_code=status, response=response, error=error,
    )  # fmt: skip
