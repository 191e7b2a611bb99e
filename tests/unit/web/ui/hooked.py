"""A source of the workspace for which everything is set: order, an answer of its own, networks, limits."""

from __future__ import annotations

import json

from hub.store import event_schemas, sources
from hub.store.tables import AutomationAction, Receipt, Source
from hub.types import Scope, new_id
from tests.unit.web.ui.seed import Seed


def shown_orders(seed: Seed) -> None:
    """A shop whose orders are taken one after the other."""
    ids = seed.ids
    ids["orders"] = seed.add(
        Source, name="shop-orders", preset="generic-hmac", token_digest="orders", created_at=seed.ago(200_000),
        order_by="body.customer", keep_bytes=500_000_000, allow_from=["192.0.2.0/24", "2001:db8::/32"],
        redact=["json:customer.email"], alert_after_s=7200, schema_mode="observe",
        answer={"status": 200, "type": "application/json", "text": '{"ok": true, "id": "{receipt}"}'},
    )  # fmt: skip
    assert seed.tx is not None
    sources.add_secret(seed.tx, Scope(), ids["orders"], "first", "0f" * 16)
    sources.retire_secrets(seed.tx, ids["orders"], seed.ago(-30_000))
    sources.add_secret(seed.tx, Scope(), ids["orders"], "rotated", "1f" * 16)
    _waiting(seed)
    _catalog(seed)
    _dead_letters(seed)


def _waiting(seed: Seed) -> None:
    ids = seed.ids
    for place, (key, status, run, error) in enumerate(
        [
            ("Ada", "done", ids["running"], None),
            ("Ada", "waiting", "", None),
            ("Ada", "waiting", "", None),
            ("Grace <b>", "done", ids["failed"], None),
            ("Grace <b>", "waiting", "", None),
            ("Linus", "pending", "", "there is no deployment 'ship'"),
        ]
    ):
        seed.add(
            AutomationAction, automation_id=ids["automation"], event_id=new_id(), number=1, at=seed.ago(900 - place),
            action={"run_deployment": "github-ci"}, lane=f"{ids['orders']}/{key}", place=place, status=status,
            target=run, error=error,
        )  # fmt: skip


def _receipt(seed: Seed, number: int, body: bytes, **more: object) -> str:
    at = seed.ago(500 + 60 * number)
    return seed.add(
        Receipt, at_=at, source_id=seed.ids["orders"], received_at=at, body=body, body_size=len(body),
        headers=[["content-type", "application/json"]], remote="192.0.2.7", event_type="order.paid", **more,
    )  # fmt: skip


def _catalog(seed: Seed) -> None:
    assert seed.tx is not None
    source = sources.row(seed.tx, Scope(), seed.ids["orders"])
    for number in range(5):
        paid = {"type": "order.paid", "customer": "Ada", "total": 17 + number, "coupon <i>": None}
        last = _receipt(seed, number, json.dumps(paid).encode(), processed_at=seed.now, events=1)
    known = {"type": "object", "properties": {"customer": {"type": "string"}}, "required": ["customer", "currency"]}
    event_schemas.put(seed.tx, source, "order.paid", json.dumps(known))
    event_schemas.put(seed.tx, source, "*", json.dumps({"type": "object"}))
    event_schemas.note(
        seed.tx, source, last,
        {
            ("order.paid", "currency", "missing"): (5, "it is required"),
            ("order.paid", "coupon <i>", "new"): (5, "null"),
            ("order.paid", "total", "type"): (1, "a number was known, a string came"),
        },
    )  # fmt: skip


def _dead_letters(seed: Seed) -> None:
    for number in range(3):
        error = "the batch at body.items cannot be read: it is no list" if number else "given up after eight tries: <b>"
        seed.ids["dead"] = _receipt(seed, 100 + number, b'{"items": 7}', error=error)
    _receipt(seed, 110, b'{"items": 7}', error="it was no list <b>", replayed_by=seed.ids["dead"], replayed_at=seed.now)
