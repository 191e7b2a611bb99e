"""Services that keep incidents: one an alert, whatever the messages are, and each told of its own end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hub.runtime.commands import Command, apply, register
from hub.settings import Settings, load_settings
from hub.store import Store
from hub.types import Id, Scope, new_id
from sqlalchemy import select, update

from hub_notifications import channels, deliver, each, firing, notices
from hub_notifications.content import content
from hub_notifications.deliver import Deliverer
from hub_notifications.plugin import hub_commands
from hub_notifications.rules import AlertEvent

from .services import Reply, World
from .test_services import SERVICES

SCOPE = Scope()
MANY = 45
TAKEN = Reply(202, b'{"status":"success"}')


@pytest.fixture(autouse=True)
def _pager(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel to PagerDuty; what is sent goes to the servers of the world."""
    register(*hub_commands())
    made = world.reach()
    monkeypatch.setattr(deliver, "reach_of", lambda _settings: made)
    world.replies = [TAKEN]
    args = {"name": "pager", "address": SERVICES["pagerduty"].address}
    apply(store, Command("channel.add", SCOPE, args=args))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path}, environ={})


def raise_(store: Store, *names: str) -> list[Id]:
    with store.write() as tx:
        told = [AlertEvent("firing", name, new_id(), "run-failed", title=f"{name} failed") for name in names]
        return [str(firing.fire(tx, SCOPE, one, routed=False)) for one in told]


def message(store: Store, reason: str, ids: list[Id], status: str = "firing") -> None:
    """One message about several alerts."""
    with store.write() as tx:
        told = [{"alert_id": one, "status": status, "occurrences": 1} for one in ids]
        rows = [firing.find(tx, SCOPE, one) for one in ids]
        notices.plan(tx, SCOPE, content(reason, rows, told, tx.now), told, channels.targeted(tx, SCOPE, []))


def deliver_all(store: Store, settings: Settings) -> None:
    deliverer = Deliverer(store, settings)
    while deliverer.step():
        pass


def pass_time(store: Store, **values: Any) -> None:
    """Let the waiting time of attempts pass."""
    with store.write() as tx:
        tx.conn.execute(update(notices.DELIVERIES).values(**dict.fromkeys(values, tx.now - 1)))


def attempts(store: Store) -> list[tuple[int, str]]:
    with store.read() as tx:
        table = notices.DELIVERIES
        rows = tx.conn.execute(select(table.c.attempt, table.c.status).order_by(table.c.attempt))
        return [tuple(row) for row in rows]  # type: ignore[misc]


def told(world: World) -> Counter[tuple[str, str]]:
    return Counter((one.json["event_action"], one.json["dedup_key"]) for one in world.got)


def keys(action: str, count: int = MANY) -> Counter[tuple[str, str]]:
    return Counter((action, f"flow-{number}/run-failed") for number in range(count))


def test_a_message_about_many_is_an_incident_each_over_several_attempts(
    world: World, store: Store, settings: Settings
) -> None:
    """The service is busy in the middle, and down for a while: what was taken is not sent again."""
    ids = raise_(store, *(f"flow-{number}" for number in range(MANY)))
    message(store, "digest", ids)
    world.replies = [*[TAKEN] * 25, Reply(429, headers={"Retry-After": "60"}), Reply(500), TAKEN]
    deliver_all(store, settings)
    assert attempts(store) == [(1, "pending")], "put back: it goes on when the service has asked for"
    assert len(world.got) == 26
    pass_time(store, due_at=0)
    deliver_all(store, settings)
    assert attempts(store) == [(1, "failed"), (2, "pending")]
    pass_time(store, due_at=0)
    deliver_all(store, settings)
    assert attempts(store) == [(1, "failed"), (2, "sent")]
    assert set(told(world)) == set(keys("trigger"))
    assert sum(told(world).values()) == MANY + 2, "the two that were refused, once more"
    assert world.got[0].json["payload"]["summary"] == "flow-0 failed"
    assert world.got[0].json["client_url"].endswith(f"/ui/alerts/{ids[0]}")
    message(store, "resolved", ids, "resolved")
    world.got.clear()
    world.replies = [TAKEN]
    deliver_all(store, settings)
    assert not world.got, "they still fire: an end that is told late must not close what began again"
    for one in ids:
        apply(store, Command("alert.end", SCOPE, one))
    message(store, "resolved", ids, "resolved")
    deliver_all(store, settings)
    assert told(world) == keys("resolve")


def test_a_sender_that_is_killed_in_the_middle_doubles_no_incident(
    world: World, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    real = deliver.send

    def dying(*args: Any, **more: Any) -> Any:
        sent = real(*args, **more)
        if len(world.got) == 7:
            raise Killed
        return sent

    message(store, "firing", raise_(store, *(f"flow-{number}" for number in range(12))))
    monkeypatch.setattr(deliver, "send", dying)
    with pytest.raises(Killed):
        Deliverer(store, settings).step()
    assert attempts(store) == [(1, "sending")]
    monkeypatch.undo()
    reach = world.reach()
    monkeypatch.setattr(deliver, "reach_of", lambda _settings: reach)
    pass_time(store, claimed_until=0)
    deliver_all(store, settings)
    assert attempts(store) == [(1, "sent")]
    assert set(told(world)) == set(keys("trigger", 12))


def test_what_takes_long_is_told_in_several_goes(
    world: World, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(each, "_AT_ONCE_S", 0.0)
    message(store, "firing", raise_(store, *(f"flow-{number}" for number in range(4))))
    deliver_all(store, settings)
    assert attempts(store) == [(1, "sent")]
    assert told(world) == keys("trigger", 4)


def test_an_acknowledgement_is_told_to_incidents_and_to_nobody_else(
    world: World, store: Store, settings: Settings
) -> None:
    apply(store, Command("channel.add", SCOPE, args={"name": "chat", "address": SERVICES["slack-compatible"].address}))
    ids = raise_(store, "flow-0", "flow-1")
    message(store, "firing", ids)
    deliver_all(store, settings)
    world.got.clear()
    command = Command("alert.acknowledge", SCOPE, ids[1], {"by": "Ada"}, id=new_id())
    for _ in range(2):
        apply(store, command)
    deliver_all(store, settings)
    assert [one.host for one in world.got] == ["events.pagerduty.com"]
    assert told(world) == Counter([("acknowledge", "flow-1/run-failed")])


def test_a_late_beginning_opens_nothing_that_was_closed(world: World, store: Store, settings: Settings) -> None:
    """The first message fails, the end is told, and then comes its second attempt."""
    world.replies = [Reply(500), TAKEN]
    ids = raise_(store, "flow-0")
    message(store, "firing", ids)
    deliver_all(store, settings)
    apply(store, Command("alert.end", SCOPE, ids[0]))
    message(store, "resolved", ids, "resolved")
    deliver_all(store, settings)
    pass_time(store, due_at=0)
    deliver_all(store, settings)
    assert [one.json["event_action"] for one in world.got] == ["trigger", "resolve"]


def test_an_end_that_a_route_does_not_tell_leaves_the_beginning_as_it_was(
    world: World, store: Store, settings: Settings
) -> None:
    world.replies = [Reply(500), TAKEN]
    ids = raise_(store, "flow-0")
    message(store, "firing", ids)
    deliver_all(store, settings)
    apply(store, Command("alert.end", SCOPE, ids[0]))
    pass_time(store, due_at=0)
    deliver_all(store, settings)
    assert [one.json["event_action"] for one in world.got] == ["trigger", "trigger"]
