"""Channels, alerts and what became of them: for pages and screenshots."""

from __future__ import annotations

from hub.store.tables import (
    Alert,
    AlertInhibition,
    AlertOccurrence,
    AlertRoute,
    AlertSilence,
    Channel,
    Delivery,
    Notification,
    NotificationAlert,
)
from tests.unit.web.ui.seed import Seed

from hub_notifications.routes import Spec
from hub_notifications.samples import sample

LONG = "warehouse did not answer within 30 s; the connection to the replica was refused as well, " * 6


def shown_alerts(seed: Seed) -> None:
    """Channels that work and one that does not; alerts of every standing, with each status of an attempt."""
    _channels(seed)
    _alerts(seed)
    _messages(seed)
    _routes(seed)


def _channel(seed: Seed, address: str, **values: object) -> str:
    assert seed.tx is not None
    channel_id = seed.id(seed.now)
    sealed = seed.tx.keyring.seal(address, context=f"channels:{channel_id}")
    return seed.add(Channel, id=channel_id, sealed=sealed, key_id=seed.tx.keyring.key_id, **values)


def _channels(seed: Seed) -> None:
    ids = seed.ids
    ids["mail"] = _channel(
        seed, "mailtos://hub:secret-of-mail@example.org?to=oncall@example.org", name="on-call-mail",
        label="mailtos (on-call-mail)", scheme="mailtos", tags=["on-call", "people"],
    )  # fmt: skip
    ids["slack"] = _channel(
        seed, "slack+https://chat.example.org/hooks/secret-of-chat", name="team-slack",
        label="slack+https (team-slack)", scheme="slack+https", enabled=False, 
        disabled_reason="the receiver answered 410: the webhook was removed",
        title_template="{{ alert.severity | upper }}: {{ title }}",
        template_error="title_template, line 1: alert is none",
    )  # fmt: skip


def _alerts(seed: Seed) -> None:
    ids = seed.ids
    about = {"about": "github_ci/github-ci", "flow": "github_ci", "deployment": "github-ci", "team": "platform"}
    ids["alert"] = seed.add(
        Alert, dedup_key="github_ci/github-ci/run-failed", kind="run-failed", run_id=ids["failed"], labels=about,
        title="github-ci-9c41aa failed: 3 of 214 tests failed", count=3, last_at=seed.ago(300),
        body="Flow github_ci\nRun github-ci-9c41aa\n\nSuiteFailed: 3 of 214 tests failed",
        created_at=seed.ago(4000), at_=seed.ago(4000), routed_at=seed.ago(3999),
    )  # fmt: skip
    for number, ago in enumerate((4000, 2000, 300)):
        seed.add(
            AlertOccurrence, alert_id=ids["alert"], dedup_key="github_ci/github-ci/run-failed", occurrence=str(number),
            title="github-ci failed: 3 of 214 tests failed", run_id=ids["failed"], run_name="github-ci-9c41aa",
            at=seed.ago(ago), at_=seed.ago(ago),
        )  # fmt: skip
    ids["alert-acknowledged"] = seed.add(
        Alert, dedup_key="source/lab-sensor/source-silent", kind="source-silent", severity="warning",
        title="Source lab-sensor has been silent for 2 h",
        labels={"about": "source/lab-sensor", "source": "lab-sensor"},
        created_at=seed.ago(9000), last_at=seed.ago(9000), at_=seed.ago(9000), routed_at=seed.ago(8999),
        acknowledged_at=seed.ago(8000), acknowledged_until=seed.ago(-80_000), acknowledged_by="mona",
    )  # fmt: skip
    ids["alert-over"] = seed.add(
        Alert, dedup_key="etl/nightly-etl/run-failed", kind="run-failed", status="resolved",
        title=f"etl failed: {LONG}",
        labels={"about": "etl/nightly-etl"}, created_at=seed.ago(90_000), last_at=seed.ago(90_000),
        resolved_at=seed.ago(80_000), at_=seed.ago(90_000), routed_at=seed.ago(89_999),
    )  # fmt: skip


def _messages(seed: Seed) -> None:
    ids = seed.ids
    document = sample("firing")
    told = seed.add(Notification, reason="firing", content=document, created_at=seed.ago(300), at_=seed.ago(300))
    seed.add(NotificationAlert, notification_id=told, alert_id=ids["alert"], status="firing", occurrences=3)
    one = {"notification_id": told, "alert_id": ids["alert"], "at_": seed.ago(299), "title": "[Firing] nightly failed"}
    ids["delivery-failed"] = seed.add(
        Delivery, **one, channel_id=ids["mail"], attempt=1, status="failed", started_at=seed.ago(299),
        ended_at=seed.ago(298), error_class="transient", error="connection refused: 127.0.0.1:25",
    )  # fmt: skip
    ids["delivery"] = seed.add(
        Delivery, **one, channel_id=ids["mail"], attempt=2, status="sent", started_at=seed.ago(289),
        ended_at=seed.ago(288), provider_id="<20260101.1@mail.example.org>",
    )  # fmt: skip
    ids["delivery-dead"] = seed.add(
        Delivery, **one, channel_id=ids["slack"], attempt=1, status="dead", started_at=seed.ago(299),
        ended_at=seed.ago(298), error_class="permanent", error="410 Gone: no_service",
    )  # fmt: skip
    digest = seed.add(Notification, reason="digest", content=sample("digest"), created_at=seed.ago(8000))
    seed.add(
        NotificationAlert, notification_id=digest, alert_id=ids["alert-acknowledged"], status="firing", occurrences=1
    )
    seed.add(NotificationAlert, notification_id=digest, alert_id=ids["alert-over"], status="resolved", occurrences=12)
    overflowed = seed.add(Notification, reason="firing", content=document, created_at=seed.ago(8001))
    ids["delivery-merged"] = seed.add(
        Delivery, notification_id=overflowed, alert_id=ids["alert-acknowledged"], channel_id=ids["mail"], attempt=1,
        status="merged", merged_into=digest, ended_at=seed.ago(8000), at_=seed.ago(8001),
    )  # fmt: skip
    seed.add(
        Delivery, notification_id=digest, alert_id=ids["alert-acknowledged"], channel_id=ids["mail"], attempt=1,
        status="pending", due_at=seed.ago(-30), at_=seed.ago(7999),
    )  # fmt: skip


def _routes(seed: Seed) -> None:
    ids = seed.ids
    night = {"days": ["mon", "tue"], "from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
    steps = [
        {"after_s": 900, "channels": ["tag:people"], "hours": night},
        {"after_s": 3600, "channels": ["team-slack"]},
    ]
    spec = {
        "match": 'labels.team == "platform" && alert.severity in ["error", "critical"]', "channels": ["on-call-mail"],
        "continue": True, "quiet": [night], "steps": steps, "repeat_steps": 2,
    }  # fmt: skip
    ids["route"] = seed.add(AlertRoute, name="platform", position=0, spec=Spec.model_validate(spec).model_dump(
        mode="json", by_alias=True), created_at=seed.ago(9000))  # fmt: skip
    ids["route-off"] = seed.add(AlertRoute, name="old-team", position=1, enabled=False, spec={"match": "false"})
    ids["silence"] = seed.add(
        AlertSilence, match='labels.source == "lab-sensor"', comment="The lab moves to another floor", author="mona",
        starts_at=seed.ago(600), ends_at=seed.ago(-6000),
    )  # fmt: skip
    seed.add(
        AlertSilence, match="true", comment="Sunday updates", author="mona", starts_at=seed.ago(900_000),
        schedule={"cron": "0 2 29 2 *", "timezone": "Europe/Berlin", "duration_s": 7200},
    )  # fmt: skip
    seed.add(
        AlertSilence, match='labels.flow == "etl"', comment="Known, see the ticket", author="hubot",
        starts_at=seed.ago(9000), ends_at=seed.ago(600),
    )  # fmt: skip
    ids["inhibition"] = seed.add(
        AlertInhibition, name="silent-source", source='labels.kind == "source-silent"',
        target='labels.kind == "run-late"', equal=["source"],
    )  # fmt: skip
