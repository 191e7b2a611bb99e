"""Whatever stands in the database is shown as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hub.store import open_store
from hub.store import tables as t
from hub.types import SECOND
from tests.unit.web.ui.addresses import PAGES
from tests.unit.web.ui.conftest import Shown, open_browser
from tests.unit.web.ui.seed import Seed

from hub_notifications.samples import sample

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}{{'q'*12}}{% raw %}</textarea></title>\u202e"
MODELS = (
    t.Deployment, t.Schedule, t.RunRow, t.TaskRunRow, t.StateRow, t.Log, t.Worker, t.WorkQueue, t.Source, t.Receipt,
    t.Event, t.Automation, t.Firing, t.Alert, t.AlertOccurrence,
    t.Notification, t.NotificationAlert, t.Delivery, t.Channel, t.Artifact, t.Variable,
    t.Asset, t.Materialization, t.AssetLink, t.Bookmark, t.Endpoint, t.EndpointKey, t.OutgoingWebhook,
    t.OutgoingAttempt, t.SourceSchema, t.SourceDrift, t.AutomationAction,
)  # fmt: skip
KEEP = {"id", "workspace_id", "state_type", "type_", "subject_id"}
SCHEMA = {
    "type": "object",
    "properties": {
        EVIL: {"type": "string", "title": EVIL, "description": EVIL, "default": EVIL},
        "choice": {"enum": [EVIL], "title": EVIL},
        "json": {"type": "array", "default": [EVIL]},
    },
}


ARTIFACTS: dict[str, Any] = {
    "wide": {"columns": [EVIL], "rows": []},
    "table": {"columns": [EVIL], "rows": [[EVIL], [{EVIL: EVIL}]]},
    "text": f"# {EVIL}\n\n{EVIL}\n\n[{EVIL}](javascript:alert(1))\n\n![{EVIL}](https://a.example/x.png)",
    "link": {"url": "javascript:alert(1)", "text": EVIL},
    "image": {"url": EVIL},
    "progress": EVIL,
}
"""As if a journal had written what the SDK refuses."""


def evil_row(seed: Seed, model: type[Any], **fixed: Any) -> str:
    """A row whose every text is hostile."""
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        kind = str(info.annotation)
        if name in KEEP or name in fixed or name.endswith("_id"):
            continue
        if kind in ("<class 'str'>", "str | None"):
            values[name] = EVIL
        elif kind == "list[str]":
            values[name] = [EVIL]
        elif kind == "list[list[str]]":
            values[name] = [[EVIL, EVIL]]
        elif kind.startswith("dict"):
            values[name] = {EVIL: EVIL}
        elif "bytes" in kind:
            values[name] = EVIL.encode()
        elif name.endswith("_at") or name == "at":
            values[name] = seed.ago(60)
    return seed.add(model, **{**values, **fixed})


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A workspace with one hostile row of everything, tied together."""
    store = open_store("sqlite://")
    store.migrate()
    yield Shown(open_browser(store, tmp_path_factory.mktemp("evil")), evil_rows(Seed(store)))
    store.close()


def evil_rows(seed: Seed) -> dict[str, str]:
    """One row of every table that pages show."""
    now = seed.now
    ids: dict[str, str] = {}
    ids["ci"] = ids["long"] = evil_row(seed, t.Deployment, parameter_schema=SCHEMA)
    evil_row(seed, t.Schedule, deployment_id=ids["ci"], kind="interval")
    run = {"deployment_id": ids["ci"], "created_at": now, "ended_at": None, "retry_policy": {}}
    ids["failed"] = evil_row(seed, t.RunRow, state_type="FAILED", **{**run, "ended_at": now}, result_format="json")
    ids["running"] = evil_row(seed, t.RunRow, state_type="RUNNING", **run, idempotency_key="2")
    ids["waiting"] = evil_row(seed, t.RunRow, state_type="SCHEDULED", **run, idempotency_key="3")
    evil_row(seed, t.TaskRunRow, run_id=ids["failed"], state_type="FAILED")
    evil_row(seed, t.StateRow, run_id=ids["failed"], type="FAILED")
    evil_row(seed, t.Log, run_id=ids["failed"], level=40)
    evil_row(seed, t.Worker, lease_until=now + 60 * SECOND)
    evil_row(seed, t.WorkQueue, pool_id=ids["ci"])
    answer = {"status": 200, "type": EVIL, "text": EVIL}
    source = evil_row(seed, t.Source, verify_none=True, deleted_at=None, answer=answer)
    receipt = evil_row(seed, t.Receipt, source_id=source, verdict="rejected", events=1, processed_at=now)
    evil_row(seed, t.Bookmark, receipt_id=receipt, source_id=source, name="push-to-main")
    ids |= {
        "github": source,
        "open": source,
        "orders": source,
        "observed": source,
        "receipt-accepted": receipt,
        "receipt-rejected": receipt,
        "receipt-binary": receipt,
    }
    hooked(seed, ids)
    ids["event"] = evil_row(seed, t.Event, seq=1, body={"receipt_id": receipt, EVIL: EVIL}, run_id=ids["failed"])
    ids["automation"] = evil_row(seed, t.Automation, actions=[{"run_deployment": EVIL, "parameters": {EVIL: EVIL}}],
                                 trigger={"types": [EVIL], "match": EVIL})  # fmt: skip
    parts = [{"types": [EVIL], "match": EVIL, "after": [EVIL]}, {"types": [EVIL]}]
    ids["sequence"] = evil_row(
        seed, t.Automation, name=f"2{EVIL}", actions=[{"alert": EVIL}],
        trigger={"kind": "sequence", "for_each": [EVIL], "triggers": parts},
    )  # fmt: skip
    ids["timed"] = evil_row(
        seed, t.Automation, name=f"3{EVIL}", actions=[{"alert": EVIL}],
        trigger={"kind": "schedule", "cron": "0 9 * * 1-5", "timezone": "UTC"},
    )  # fmt: skip
    evil_row(seed, t.Firing, automation_id=ids["automation"], event_id=ids["event"], outcome="error")
    alerted(seed, ids)
    materialized(seed, ids)
    evil_row(seed, t.Variable, name="a", value={EVIL: EVIL})
    evil_row(seed, t.Variable, value=EVIL)
    ids["variable"] = "a"
    for name, content in ARTIFACTS.items():
        kind = {"text": "markdown", "wide": "table"}.get(name, name)
        data = json.dumps(content).encode()
        ids[name] = evil_row(
            seed, t.Artifact, kind=kind, content=data, content_format="json", size=len(data), number=None,
            run_id=ids["failed"], key=EVIL,
        )  # fmt: skip
    return ids


def alerted(seed: Seed, ids: dict[str, str]) -> None:
    """An alert, what told it, and what decides who is told."""
    channel = {"enabled": False, "title_template": "", "body_template": ""}
    ids["mail"] = ids["slack"] = evil_row(seed, t.Channel, **channel)
    for name, status in (("alert", "firing"), ("alert-acknowledged", "firing"), ("alert-over", "resolved")):
        more = {"acknowledged_until": None} if status == "firing" else {}
        ids[name] = evil_row(seed, t.Alert, run_id=ids["failed"], status=status, dedup_key=name, **more)
        evil_row(seed, t.AlertOccurrence, alert_id=ids[name], run_id=ids["failed"], occurrence=name)
    match = f"labels.about == {json.dumps(EVIL)}"
    ids["route"] = evil_row(seed, t.AlertRoute, spec={"match": match, "channels": [EVIL[:60]], "group_by": ["about"]})
    ids["silence"] = evil_row(seed, t.AlertSilence, match=match, ends_at=None, schedule=None)
    evil_row(seed, t.AlertSilence, match=EVIL, ends_at=seed.ago(1), schedule=None)
    ids["inhibition"] = evil_row(seed, t.AlertInhibition, source=match, target=match)
    document = {**sample("firing"), "reason": EVIL, "route": EVIL}
    document["alerts"] = [{name: EVIL if isinstance(value, str) else value for name, value in one.items()}
                          for one in document["alerts"]]  # fmt: skip
    message = evil_row(seed, t.Notification, content=document)
    evil_row(seed, t.NotificationAlert, notification_id=message, alert_id=ids["alert"])
    about = {"alert_id": ids["alert"], "notification_id": message, "channel_id": ids["mail"]}
    for attempt, (name, status) in enumerate(
        {"delivery": EVIL, "delivery-dead": "dead", "delivery-merged": "merged"}.items()
    ):
        ids[name] = evil_row(seed, t.Delivery, **about, attempt=attempt, status=status, merged_into=message)


def materialized(seed: Seed, ids: dict[str, str]) -> None:
    """Two assets, one made of the other."""
    ids["asset"], ids["raw"] = evil_row(seed, t.Asset), evil_row(seed, t.Asset, key=f"2{EVIL}")
    for state, asset_id in (("failed", ids["asset"]), ("materialized", ids["raw"])):
        evil_row(
            seed,
            t.Materialization,
            asset_id=asset_id,
            state=state,
            run_id=ids["failed"],
            task_run_id=ids["failed"],
            number=None,
        )
    seed.add(t.AssetLink, asset_id=ids["asset"], upstream_id=ids["raw"])


def hooked(seed: Seed, ids: dict[str, str]) -> None:
    """What belongs to a source, and what is sent."""
    for type_ in ("order.paid", "*", EVIL):
        evil_row(seed, t.SourceSchema, source_id=ids["orders"], event_type=type_, document=json.dumps({EVIL: EVIL}))
        evil_row(seed, t.SourceDrift, source_id=ids["orders"], event_type=type_, receipt_id=ids["receipt-accepted"])
    evil_row(
        seed, t.AutomationAction, automation_id=ids["ci"], event_id=ids["ci"], lane=f"{ids['orders']}/{EVIL}",
        status="done", target=ids["running"],
    )  # fmt: skip
    ids["person"] = evil_row(seed, t.User, role="operator", subject=EVIL)
    evil_row(seed, t.Invitation)
    evil_row(seed, t.AuditEntry, changes={EVIL: [EVIL, EVIL]}, detail={EVIL: EVIL})
    evil_sites(seed, ids)
    ids["endpoint"] = ids["failing"] = evil_row(seed, t.Endpoint)
    ids["gone"] = evil_row(seed, t.Endpoint, name=f"2{EVIL}", enabled=False)
    evil_row(seed, t.EndpointKey, endpoint_id=ids["endpoint"])
    for name, status in (("message", "delivered"), ("message-failed", "failed"), ("message-waiting", "pending")):
        ids[name] = evil_row(seed, t.OutgoingWebhook, endpoint_id=ids["endpoint"], status=status)
        evil_row(seed, t.OutgoingAttempt, webhook_id=ids[name], number=1)


def evil_sites(seed: Seed, ids: dict[str, str]) -> None:
    """What a site could send."""
    ids["site-berlin"] = ids["site-oslo"] = site = evil_row(seed, t.PlaneSite, removed_at=None, token_id="")
    run = dict.fromkeys(("run_name", "flow_name", "state_name", "error_type"), EVIL) | {"created_at": seed.now}
    texts = dict.fromkeys(("error_message", "error_trace", "state_message"), EVIL)
    more = {"errors": texts, "params": {"parameters": {EVIL: EVIL}}, "results": {"result": [EVIL]}}
    for name, state in (("site-told", "FAILED"), ("site-plain", "COMPLETED")):
        ids[name] = seed.id(seed.now)
        about = {"site_row": site, "run_id": ids[name]}
        seed.add(t.PlaneRun, **about, run=run, more=more, state_type=state, version=1, updated_at=seed.now)
        evil_row(seed, t.PlaneLog, **about, id=len(ids), first=None, received_at=seed.now)
    evil_row(seed, t.PlaneCommand, site_row=site, seq=1, withdrawn_at=None)
    for name in ("link-cloud", "link-mirror"):
        ids[name] = evil_row(seed, t.Link, disconnected_at=None, name=EVIL + name)
    ids["address"] = evil_row(seed, t.LinkAddress, link_id=ids["link-cloud"], source_id=ids["orders"])


@pytest.mark.parametrize("name", PAGES)
def test_hostile_texts_stay_texts(evil: Shown, name: str) -> None:
    answer = evil.browser.get(PAGES[name].format(**evil.ids))
    assert answer.status_code == 200
    html = answer.text
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "onerror=alert(2)>" not in html.replace("&gt;", "")
    assert "q" * 12 not in html, "a text was rendered as a template"
    assert html.count("</title>") == html.count("<title")


@pytest.mark.parametrize("name", ["a failed run", *(name for name in PAGES if "artifact" in name)])
def test_a_hostile_artifact_leads_nowhere(evil: Shown, name: str) -> None:
    html = evil.browser.get(PAGES[name].format(**evil.ids)).text
    assert 'href="javascript:' not in html.lower()
    assert "<script>" not in html


def test_hostile_queries_stay_texts(evil: Shown) -> None:
    for page in ("/ui/runs?deployment=", "/ui/runs?state=", "/ui/events?type=", "/ui/receipts?source=", "/ui?done="):
        html = evil.browser.get(page + EVIL.replace("%", "%25").replace("#", "%23")).text
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_a_log_line_cannot_leave_its_line(evil: Shown) -> None:
    html = evil.browser.get(f"/ui/runs/{evil.ids['failed']}/logs?level=0&after=0").text
    assert html.count("<li ") == 1
    assert "<script" not in html
