"""A workspace as it looks after some days: enough of everything for pages and screenshots."""

from __future__ import annotations

import json

from hub.store import Store
from hub.store import sources as store_sources
from hub.store.tables import (
    AuditEntry,
    Automation,
    AutomationAction,
    Bookmark,
    Deployment,
    Event,
    Firing,
    Invitation,
    Receipt,
    RunRow,
    Schedule,
    Source,
    User,
    Worker,
)
from hub.types import SECOND, Scope, new_id
from tests.unit.web.ui.alerted import shown_alerts
from tests.unit.web.ui.hooked import shown_orders
from tests.unit.web.ui.left import shown_artifacts, shown_assets, shown_variables
from tests.unit.web.ui.runs import shown_runs
from tests.unit.web.ui.seed import Seed
from tests.unit.web.ui.sent import shown_endpoints
from tests.unit.web.ui.sited import shown_links, shown_sites

SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "repository": {"title": "repository", "type": "string", "position": 0},
        "retries": {"title": "retries", "type": "integer", "default": 3, "minimum": 0, "maximum": 10, "position": 1},
        "ratio": {"title": "ratio", "type": "number", "default": 0.5, "position": 2},
        "dry_run": {"title": "dry_run", "type": "boolean", "default": False, "position": 3},
        "level": {"title": "level", "enum": ["low", "normal", "high"], "type": "string", "default": "normal"},
        "labels": {"title": "labels", "type": "array", "items": {"type": "string"}, "default": []},
        "note": {"title": "note", "anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "target": {"title": "target", "$ref": "#/$defs/Target"},
    },
    "required": ["repository", "target"],
    "$defs": {
        "Target": {
            "title": "Target",
            "type": "object",
            "properties": {"host": {"type": "string"}, "port": {"type": "integer", "default": 443}},
            "required": ["host"],
        }
    },
}
PUSH = {
    "ref": "refs/heads/main",
    "repository": {"full_name": "octocat/hello-world", "private": False},
    "pusher": {"name": "mona"},
    "commits": [{"id": "9049f1265b7d61be4a8904a9a27120d2064dab3b", "message": "Fix the flaky login test"}],
}


def fill(store: Store) -> Seed:
    """A whole workspace."""
    seed = Seed(store)
    with store.write() as seed.tx:
        for part in (
            _deployments,
            _workers,
            _sources,
            _receipts,
            _day,
            shown_runs,
            shown_artifacts,
            shown_variables,
            shown_assets,
            shown_alerts,
            shown_sites,
            shown_links,
            _evaluations,
            shown_endpoints,
            shown_orders,
            _people,
        ):
            part(seed)
    seed.tx = None
    return seed


def _deployments(seed: Seed) -> None:
    ids = seed.ids
    ids["ci"] = seed.add(
        Deployment,
        name="github-ci",
        flow_name="github_ci",
        entrypoint="examples/github_ci.py:github_ci",
        parameter_schema=SCHEMA,
        description="Runs the test suite of a repository after every push.",
        tags=["ci", "github"],
        parameters={"level": "high"},
        flow_control={"debounce": {"period": 5.0, "key": "params.repository + '<main>'"}},
        created_at=seed.ago(400_000),
    )
    ids["etl"] = seed.add(
        Deployment,
        name="nightly-etl",
        flow_name="etl",
        entrypoint="examples/etl.py:etl",
        tags=["data"],
        parameter_schema={"type": "object", "properties": {}},
        created_at=seed.ago(300_000),
    )
    ids["long"] = seed.add(
        Deployment,
        name="a-deployment-with-a-very-long-name-" + "that-goes-on-and-on-" * 3 + "end",
        flow_name="long",
        entrypoint="flows/deeply/nested/package/of/modules/with/a/very/long/path/to/the/file.py:a_flow_with_a_long_name",
        parameter_schema={},
        paused=True,
    )
    seed.add(
        Schedule,
        deployment_id=ids["etl"],
        kind="cron",
        spec="0 3 * * *",
        timezone="Europe/Berlin",
        next_at=seed.ago(-18_000),
    )
    seed.add(Schedule, deployment_id=ids["etl"], kind="interval", spec="3600", active=False)
    _automations(seed, ids)


def _automations(seed: Seed, ids: dict[str, str]) -> None:
    ids["automation"] = seed.add(
        Automation,
        name="ci-on-push",
        description="Every push to main starts the tests.",
        trigger={"kind": "event", "types": ["github.push"], "match": "body.ref == 'refs/heads/main'"},
        actions=[
            {
                "run_deployment": "github-ci",
                "parameters": {"repository": "=body.repository.full_name"},
                "flow_control": {"singleton": {"key": "body.ref"}},
            }
        ],
        created_at=seed.ago(350_000),
    )
    ids["sequence"] = seed.add(
        Automation, name="paid-then-shipped", description="An order that was paid and shipped within a day",
        trigger={"kind": "sequence", "within": 86400, "for_each": ["subject"], "triggers": [
            {"types": ["stripe.charge.succeeded"], "match": "body.amount > 100"},
            {"kind": "compound", "require": "any", "triggers": [
                {"types": ["shippo.sent", "dhl.sent"]}, {"types": ["post.*"], "threshold": 2, "within": 60},
            ]},
        ]},
        actions=[{"alert": "shipped"}], created_at=seed.ago(9000), updated_at=seed.ago(9000),
    )  # fmt: skip
    timed = {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}
    ids["timed"] = seed.add(
        Automation, name="gone-by-morning", trigger={"kind": "schedule", **timed}, enabled=False,
        actions=[{"set_state": "=event.subject", "state": "FAILED"}], created_at=seed.ago(9100),
        updated_at=seed.ago(9100),
    )  # fmt: skip


def _workers(seed: Seed) -> None:
    alive = {"host": "build", "pid": 4711, "version": "0.1.0", "lease_until": seed.ago(-3600)}
    one = {**alive, "queues": ["default"], "slots": 4, "status": "ready"}
    seed.add(Worker, name="worker-1@build", **one, started_at=seed.ago(90_000), canary_seen_at=seed.ago(12))
    two = {**alive, "queues": ["default", "bulk"], "slots": 2, "status": "draining"}
    seed.add(Worker, name="worker-2@build", **two, started_at=seed.ago(80_000), canary_seen_at=seed.ago(20))
    gone = {"host": "old", "queues": ["default"], "slots": 2, "status": "gone", "ended_at": seed.ago(2990)}
    seed.add(Worker, name="worker-9@old", **gone, started_at=seed.ago(500_000), lease_until=seed.ago(3000))


def _sources(seed: Seed) -> None:
    ids = seed.ids
    ids["github"] = seed.add(
        Source, name="github-main", preset="github", token_digest="a", created_at=seed.ago(400_000)
    )
    ids["open"] = seed.add(
        Source, name="lab-sensor", preset="generic-hmac", token_digest="b", verify_none=True, handshake="closed",
        confirmed_at=seed.ago(3000), confirm_error="the answer was 403",
    )  # fmt: skip
    ids["observed"] = seed.add(
        Source, name="stripe-test", preset="stripe", token_digest="c", mode="observe", enabled=False
    )
    assert seed.tx is not None
    for name in ("github", "observed"):
        store_sources.add_secret(seed.tx, Scope(), ids[name], "first", "whsec_not-a-real-one")


def _receipts(seed: Seed) -> None:
    ids = seed.ids
    body = json.dumps(PUSH, indent=1).encode()
    headers = [
        ["content-type", "application/json"],
        ["user-agent", "GitHub-Hookshot/044aadd"],
        ["x-github-event", "push"],
        ["x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"],
        ["x-hub-signature-256", "(redacted, 71 characters)"],
    ]
    for index in range(14):
        at = seed.ago(400 + 4100 * index)
        verdict = ("accepted", "accepted", "accepted", "observed", "accepted", "rejected", "handshake")[index % 7]
        key = f"receipt-{verdict}"
        receipt = seed.add(
            Receipt,
            at_=at,
            source_id=ids["github"],
            received_at=at,
            headers=headers,
            body=body,
            body_size=len(body),
            remote="192.30.252.44",
            verdict=verdict,
            reason="the signature does not fit any active secret" if verdict == "rejected" else "",
            event_type="push",
            delivery_id="72d3162e-cc78-11e3-81ab-4c9367dc0958",
            answer_status=401 if verdict == "rejected" else 202,
            processed_at=at + 4000,
            events=1 if verdict == "accepted" else 0,
            duplicates=2 if index == 1 else 0,
        )
        ids.setdefault(key, receipt)
    ids["receipt-binary"] = seed.add(
        Receipt,
        source_id=ids["open"],
        received_at=seed.ago(50_000),
        at_=seed.ago(50_000),
        body=bytes(range(256)) * 300,
        body_size=76_800,
        event_type=None,
        headers=[["content-type", "application/octet-stream"]],
    )
    seed.add(Bookmark, name="push-to-main", receipt_id=ids["receipt-accepted"], source_id=ids["github"])
    _event(seed)


def _event(seed: Seed) -> None:
    ids = seed.ids
    ids["event"] = seed.add(
        Event,
        seq=1,
        hash="f" * 64,
        type="github.push",
        source="source:github-main",
        subject="octocat/hello-world",
        at=seed.ago(400),
        at_=seed.ago(400),
        body={
            "receipt_id": ids["receipt-accepted"],
            "source_id": ids["github"],
            "source": "github-main",
            "preset": "github",
            "provider_type": "push",
            "delivery_id": "72d3162e",
            "index": 0,
        },
    )


def _day(seed: Seed) -> None:
    """Runs of the last 24 hours, for lists and the chart."""
    endings = ["COMPLETED"] * 16 + ["FAILED"] * 2 + ["CRASHED", "CANCELLED"]
    names = {"COMPLETED": "Completed", "FAILED": "Failed", "CRASHED": "Crashed", "CANCELLED": "Cancelled"}
    for index in range(140):
        at = seed.ago(3000 + seed._random.random() ** 1.4 * 83_000)
        ending = seed._random.choice(endings)
        etl = index % 5 == 0
        name = "TimedOut" if ending == "FAILED" and index % 2 else names[ending]
        seed.add(
            RunRow,
            at_=at,
            name=f"{'nightly-etl' if etl else 'github-ci'}-{index:06x}",
            flow_name="etl" if etl else "github_ci",
            deployment_id=seed.ids["etl" if etl else "ci"],
            deployment_name="nightly-etl" if etl else "github-ci",
            state_type=ending,
            state_name=name,
            created_at=at,
            due_at=at,
            started_at=at + 8000,
            ended_at=at + int(seed._random.random() * 240 * SECOND),
            origin="schedule" if etl else "automation",
            attempt=1,
            error_type="SuiteFailed" if ending == "FAILED" else None,
            version=3,
        )


def _people(seed: Seed) -> None:
    seed.ids["person"] = seed.add(User, name="grace", role="operator", created_at=seed.ago(90_000))
    seed.add(User, name="deployer", kind="service", role="developer", disabled_at=seed.ago(50))
    seed.add(Invitation, name="linus", role="viewer", digest="0" * 64, expires_at=seed.ago(-90_000))
    changes = {"role": ["viewer", "operator"]}
    done = {"actor": "local", "op": "user.update", "target": "grace", "via": "ui", "address": "192.0.2.7"}
    seed.add(AuditEntry, at=seed.ago(80_000), changes=changes, **done)


def _evaluations(seed: Seed) -> None:
    ids = seed.ids
    seed.add(Firing, automation_id=ids["automation"], event_id=ids["event"], at=seed.ago(419), run_id=ids["failed"])
    why = {"outcome": "counted", "reason": "2 of 3 within 600 s", "key": "github-ci"}
    seed.add(Firing, automation_id=ids["automation"], event_id=new_id(), at=seed.ago(430), **why)
    looped = {"outcome": "loop_stopped", "reason": "it would be number 9 of automations that follow from one another"}
    seed.add(Firing, automation_id=ids["automation"], event_id=new_id(), at=seed.ago(440), **looped)
    tried = {"automation_id": ids["automation"], "event_id": ids["event"], "number": 1, "at": seed.ago(419)}
    given_up = {"status": "failed", "tries": 3, "error": "there is no deployment 'etl'", "due_at": seed.ago(400)}
    seed.add(AutomationAction, action={"pause_deployment": "etl"}, **tried, **given_up)
