"""From alerts to messages, on every store, with the real loops; time is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hub import types
from hub.errors import ConflictError, UsageError
from hub.runtime.commands import Command, apply, register
from hub.store import Store
from hub.store.tables import Event
from hub.types import SECOND, Scope, rfc3339

from hub_notifications import channels, firing, groups, notices
from hub_notifications.plugin import hub_commands
from hub_notifications.router import Router
from hub_notifications.rules import AlertEvent
from hub_notifications.shapes import Shape
from hub_notifications.texts import compose

SCOPE = Scope()
MAIL = "mailto://127.0.0.1:1?from=hub@example.com&to=you@example.com&smtp=127.0.0.1"


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


@pytest.fixture
def router(store: Store) -> Iterator[Router]:
    made = Router(store)
    began = types._ahead
    yield made
    types.move_clock(began - types._ahead)


def do(store: Store, op: str, on: str = "", /, **args: Any) -> dict[str, Any]:
    return apply(store, Command(op, SCOPE, on, args)).result


def fire(store: Store, about: str, occurrence: str = "1", kind: str = "run-failed", **more: Any) -> str | None:
    with store.write() as tx:
        return firing.fire(tx, SCOPE, AlertEvent("firing", about, occurrence, kind, title=f"{about} failed", **more))


def over(store: Store, about: str) -> None:
    with store.write() as tx:
        firing.resolve(tx, SCOPE, about)


def later(router: Router, seconds: float) -> list[tuple[str, str, list[str], int]]:
    """Let time pass; what was said then."""
    types.move_clock(int(seconds * SECOND))
    return settle(router)


def settle(router: Router) -> list[tuple[str, str, list[str], int]]:
    """(route, reason, what the alerts are about, occurrences) of the messages that are new."""
    with router.store.read() as tx:
        known = {row.id for row in tx.conn.execute(notices.NOTIFICATIONS.select())}
    while router.step():
        pass
    with router.store.read() as tx:
        rows = [row for row in tx.conn.execute(notices.NOTIFICATIONS.select().order_by("id")) if row.id not in known]
    return [
        (
            row.content["route"], row.reason, [alert["about"] for alert in row.content["alerts"]],
            row.content["counts"]["occurrences"],
        )
        for row in rows
    ]  # fmt: skip


def test_the_first_is_told_at_once_and_what_follows_once_in_an_interval(store: Store, router: Router) -> None:
    assert fire(store, "etl/")
    assert settle(router) == [("default", "firing", ["etl/"], 1)]
    assert fire(store, "etl/") is None, "the same occurrence again"
    for number in range(2, 5):
        fire(store, "etl/", str(number))
    assert settle(router) == []
    assert later(router, 301) == [("default", "more", ["etl/"], 3)]
    assert later(router, 301) == []
    assert later(router, 4 * 3600) == [("default", "repeat", ["etl/"], 0)]
    over(store, "etl/")
    assert later(router, 301) == [("default", "resolved", ["etl/"], 0)]
    fire(store, "etl/", "5")
    assert settle(router) == [("default", "firing", ["etl/"], 1)], "another alert of the same key"
    with store.read() as tx:
        alerts = firing.list_alerts(tx, SCOPE, status=None, limit=9, cursor=None).items
    assert [(alert["status"], alert["count"]) for alert in alerts] == [("firing", 1), ("resolved", 4)]


def test_routes_are_asked_in_their_order_and_the_default_takes_the_rest(store: Store, router: Router) -> None:
    do(store, "route.set", name="broken", spec={"match": "alert.nosuch == 1"})
    do(store, "route.set", name="all", spec={"match": "true", "continue": True, "group_by": [], "group_wait_s": 10})
    do(store, "route.set", name="bills", spec={"match": "labels.flow.startsWith('bill')", "group_wait_s": 0})
    fire(store, "billing/", labels={"flow": "billing"})
    fire(store, "etl/", labels={"flow": "etl"})
    assert sorted(settle(router)) == [("bills", "firing", ["billing/"], 1), ("default", "firing", ["etl/"], 1)]
    assert later(router, 11) == [("all", "firing", ["billing/", "etl/"], 2)]
    with store.read() as tx:
        failed = tx.conn.execute(Event.__table__.select().where(Event.__table__.c.type == "hub.route.failed")).all()
    assert len(failed) == 2, "a filter that fails is an event, and loses nothing"
    do(store, "route.rm", "bills")
    assert settle(router) == [("default", "firing", ["billing/"], 1)], "what it took goes to those that are left"


def test_a_route_that_changes_does_not_tell_again_what_was_told(store: Store, router: Router) -> None:
    fire(store, "etl/")
    assert len(settle(router)) == 1
    do(store, "route.set", name="default", spec={"group_by": ["kind"], "group_wait_s": 0})
    assert settle(router) == []
    over(store, "etl/")
    assert later(router, 301) == [("default", "resolved", ["etl/"], 0)]


def test_the_default_route_is_always_there(store: Store, router: Router) -> None:
    with pytest.raises(ConflictError, match="cannot be deleted"):
        do(store, "route.rm", "default")
    for spec in ({"match": "false"}, {"continue": True}):
        with pytest.raises(UsageError, match="default route"):
            do(store, "route.set", name="default", spec=spec)
    with pytest.raises(UsageError, match="default route"):
        do(store, "route.set", name="default", enabled=False, spec={})
    do(store, "route.set", name="default", spec={"group_wait_s": 20})
    fire(store, "etl/")
    assert settle(router) == []
    do(store, "route.rm", "default")
    assert later(router, 21) == [("default", "firing", ["etl/"], 1)], "only its changes are gone"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"match": "labels.flow =="}, "not a CEL expression"),
        ({"match": "flow == 'a'"}, "not a CEL expression"),
        ({"channels": ["nobody"]}, "no channel is meant by nobody"),
        ({"group_interval_s": 600, "repeat_interval_s": 300}, "shorter than group_interval_s"),
        ({"quiet": [{"from": "08:00", "to": "08:00"}]}, "whole days"),
        ({"quiet": [{"from": "22:00", "to": "07:00", "timezone": "Europe/Nowhere"}]}, "time zone"),
        ({"repeat_steps": 2}, "there are none"),
        ({"nosuch": 1}, "nosuch"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(store: Store, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        do(store, "route.set", name="wrong", spec=spec)


def test_a_silence_hides_until_it_ends(store: Store, router: Router) -> None:
    now = types.now_us()
    made = do(
        store, "silence.create", match="labels.flow == 'etl'", comment="moving house", author="ann",
        ends=rfc3339(now + 900 * SECOND),
    )  # fmt: skip
    fire(store, "etl/", labels={"flow": "etl"})
    fire(store, "other/", labels={"flow": "other"})
    assert settle(router) == [("default", "firing", ["other/"], 1)]
    with store.read() as tx:
        said = {row.labels["about"]: row.muted for row in tx.conn.execute(groups.GROUPS.select())}
    assert "ann" in said["etl/"]
    assert "moving house" in said["etl/"]
    assert later(router, 301) == []
    do(store, "silence.end", made["id"])
    assert later(router, 301) == [("default", "firing", ["etl/"], 1)]


def test_a_maintenance_window_comes_again(store: Store, router: Router) -> None:
    nine = types.from_rfc3339("2031-03-03T09:00:00Z")  # a Monday
    types.move_clock(nine - types.now_us())
    window = {"cron": "0 9 * * 1", "timezone": "UTC", "duration_s": 3600}
    do(store, "silence.create", match="true", comment="backups", schedule=window)
    fire(store, "etl/")
    assert later(router, 60) == []
    assert later(router, 3600) == [("default", "firing", ["etl/"], 1)]
    over(store, "etl/")
    later(router, 301)
    fire(store, "etl/", "2")
    assert len(settle(router)) == 1
    over(store, "etl/")
    later(router, 301)
    types.move_clock(nine + 7 * 86_400 * SECOND - types.now_us())
    fire(store, "etl/", "3")
    assert later(router, 60) == [], "the Monday after"


def test_quiet_hours_hold_back_what_is_not_critical(store: Store, router: Router) -> None:
    types.move_clock(types.from_rfc3339("2031-03-03T21:30:00Z") - types.now_us())
    hours = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
    do(store, "route.set", name="default", spec={"quiet": [hours], "group_wait_s": 0})
    fire(store, "etl/")
    fire(store, "fire/", severity="critical")
    assert settle(router) == [("default", "firing", ["fire/"], 1)]
    told = sorted(later(router, 9 * 3600))
    assert told == [("default", "firing", ["etl/"], 1), ("default", "repeat", ["fire/"], 0)]


def test_what_is_explained_by_another_alert_is_not_told(store: Store, router: Router) -> None:
    do(
        store, "inhibition.set", name="silent", source="alert.kind == 'source-silent'",
        target="alert.kind == 'run-late'", equal=["source"],
    )  # fmt: skip
    fire(store, "source/1", kind="source-silent", labels={"source": "1"})
    fire(store, "a/", kind="run-late", labels={"source": "1"})
    fire(store, "b/", kind="run-late", labels={"source": "2"})
    assert sorted(one[2][0] for one in settle(router)) == ["b/", "source/1"]
    over(store, "source/1")
    assert sorted(one[2][0] for one in later(router, 301)) == ["a/", "source/1"]


def test_an_escalation_goes_on_until_somebody_takes_it(store: Store, router: Router) -> None:
    for name, tags in (("chat", []), ("phone", ["oncall"]), ("boss", ["oncall"])):
        do(store, "channel.add", name=name, address=MAIL, tags=tags)
    steps = [{"after_s": 300, "channels": ["phone"]}, {"after_s": 600, "channels": ["tag:oncall"]}]
    do(store, "route.set", name="default", spec={
        "channels": ["chat"], "group_wait_s": 0, "steps": steps, "repeat_steps": 1, "group_interval_s": 60,
    })  # fmt: skip
    alert = fire(store, "etl/")
    told: list[Any] = [*settle(router)]
    for seconds in (301, 601, 301, 601, 301, 601):
        told += later(router, seconds)
    assert [one[1] for one in told] == ["firing", *["escalation"] * 4], "two rounds, and no more"
    with store.read() as tx:
        names = {row.id: row.name for row in tx.conn.execute(channels.CHANNELS.select())}
        rows = tx.conn.execute(notices.DELIVERIES.select().order_by("id")).all()
    assert [names[row.channel_id] for row in rows] == ["chat", "phone", "phone", "boss", "phone", "phone", "boss"]
    assert alert is not None
    over(store, "etl/")
    later(router, 61)
    other = fire(store, "etl/", "2")
    assert len(settle(router)) == 1
    assert other is not None
    do(store, "alert.acknowledge", other, for_s=3600, by="ann")
    fire(store, "etl/", "3")
    assert later(router, 1000) == [], "somebody looks after it"
    assert [one[1] for one in later(router, 3600)] == ["more"], "for an hour, as was said"
    assert [one[1] for one in later(router, 301)] == ["escalation"]


def test_an_alert_may_name_its_channels(store: Store, router: Router) -> None:
    for name, tags in (("chat", []), ("team", ["data"])):
        do(store, "channel.add", name=name, address=MAIL, tags=tags)
    do(store, "alert.raise", title="t", about="x", occurrence="1", channels=["tag:data"])
    assert settle(router) == [("to tag:data", "firing", ["x"], 1)]
    with store.read() as tx:
        (row,) = tx.conn.execute(notices.DELIVERIES.select()).all()
        assert row.channel_id == channels.find(tx, SCOPE, "team")["id"]


def test_channels_that_are_gone_lose_nothing(store: Store, router: Router) -> None:
    for name in ("chat", "other"):
        do(store, "channel.add", name=name, address=MAIL)
    do(store, "route.set", name="default", spec={"channels": ["chat"], "group_wait_s": 0})
    do(store, "channel.rm", "chat")
    fire(store, "etl/")
    settle(router)
    with store.read() as tx:
        (row,) = tx.conn.execute(notices.DELIVERIES.select()).all()
        assert row.channel_id == channels.find(tx, SCOPE, "other")["id"]
        (message,) = tx.conn.execute(notices.NOTIFICATIONS.select()).all()
    told = "Meant for chat, which cannot be told; so every channel is."
    assert compose(message.content, Shape()).text.endswith(told)


def test_two_processes_do_not_tell_twice(store: Store, router: Router) -> None:
    fire(store, "etl/")
    second = Router(store)
    assert router.step()
    assert not second.step(), "the other one does it"
    router.close()
    assert len(settle(second)) == 1
    assert settle(router) == []
