"""Alerts that flows ask for: whom `@flow(alerts=...)` tells, and `hub.alert()`, once whatever is killed."""

from __future__ import annotations

import asyncio
from typing import Any

import hub
import pytest
from hub import flow, task
from hub.engine.run import Lose
from hub.errors import UsageError
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply, register_given, registry
from hub.runtime.effects import Effects
from hub.runtime.executor import emitting
from hub.runtime.executor.replayed import note
from hub.runtime.orchestrator import handle
from hub.settings import Settings
from hub.store import Store, effects
from hub.types import Scope
from sqlalchemy import select
from tests.planes.conftest import Plane
from tests.planes.conftest import plane as plane

from hub_notifications import channels, firing, notices
from hub_notifications.router import Router

SCOPE = Scope()
KINDS = ("run_state", "alert")


class Told:
    """An upkeep process with the plugin of alerts, and what it comes to."""

    def __init__(self, store: Store) -> None:
        self._plugins = load_plugins(Settings(plugins="only:notifications"), process="upkeep", store=store)
        register_given(self._plugins.hooks.commands())
        contributed.install(self._plugins.hooks)
        self.store = store

    def work(self) -> None:
        while Effects(self._plugins.context, KINDS).step():
            pass
        router = Router(self.store)
        while router.step():
            pass
        router.close()

    def alerts(self) -> list[dict[str, Any]]:
        self.work()
        with self.store.read() as tx:
            return list(reversed(firing.list_alerts(tx, SCOPE, status=None, limit=50, cursor=None).items))

    def reached(self) -> list[str]:
        """The names of the channels that something is to be sent to."""
        self.work()
        with self.store.read() as tx:
            rows = notices.list_deliveries(tx, SCOPE, alert_id=None, limit=50, cursor=None).items
            return sorted(channels.names(tx, SCOPE, [row["channel_id"] for row in rows]))

    def add(self, name: str, *tags: str) -> None:
        args = {"name": name, "address": f"slack+http://127.0.0.1:9/{name}", "tags": list(tags)}
        apply(self.store, Command("channel.add", SCOPE, args=args))


@pytest.fixture
def told(plane: Plane) -> Told:
    found = Told(plane.store)
    for name, tags in (("mail", ()), ("chat", ("ops",)), ("other", ())):
        found.add(name, *tags)
    return found


def fails(**options: Any) -> None:
    """Run a flow that fails, as a plain call."""

    @flow(name="nightly", **options)
    def whole() -> None:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        whole()


def test_a_flow_names_who_is_told_of_it(told: Told) -> None:
    fails(alerts=["mail", "tag:ops"])
    (alert,) = told.alerts()
    assert (alert["kind"], alert["severity"], told.reached()) == ("run-failed", "error", ["chat", "mail"])


def test_a_flow_says_what_of_it_is_told_and_how_grave_it_is(told: Told) -> None:
    fails(alerts=False)
    fails(alerts=hub.Alerts(to="mail", on=["crashed", "timed_out"]))
    assert told.alerts() == []
    fails(alerts=hub.Alerts(to="mail", severity="critical"))
    (alert,) = told.alerts()
    assert (alert["severity"], told.reached()) == ("critical", ["mail"])


def test_a_child_is_told_by_its_parent_unless_its_flow_says_who_is_told(told: Told) -> None:
    @flow
    def plain() -> None:
        raise ValueError("boom")

    own = plain.with_options(name="own", alerts="mail")

    @flow
    def parent() -> None:
        for child in (plain, own):
            with pytest.raises(ValueError, match="boom"):
                child()

    parent()
    assert [alert["labels"]["flow"] for alert in told.alerts()] == ["own"]


def test_a_deployment_keeps_what_its_flow_says_and_may_say_else(plane: Plane, told: Told) -> None:
    file = plane.file("""
@flow(alerts=Alerts(to="mail", severity="critical"))
def nightly(): raise ValueError("boom")
""")
    deployed = {"name": "n", "flow_name": "nightly", "entrypoint": f"{file}:nightly"}
    apply(plane.store, Command("deployment.set", SCOPE, "n", {**deployed, "alerts": {"to": ["chat"]}}))
    made = apply(plane.store, Command("run.create", SCOPE, "n", {})).result
    plane.attempt(made["id"])
    (alert,) = told.alerts()
    assert (alert["severity"], told.reached()) == ("error", ["chat"]), "the deployment counts"


def test_code_raises_an_alert_and_ends_it(told: Told) -> None:
    @task
    def counts(left: int) -> None:
        if left:
            hub.alert("Stock is low", f"{left} left", severity="warning", key="stock", labels={"team": "shop"})
        else:
            hub.resolve_alert("stock")

    @flow(alerts="mail", tags=["shop"])
    def shop(left: int) -> None:
        counts(left)

    shop(3)
    (alert,) = told.alerts()
    assert (alert["title"], alert["body"], alert["severity"]) == ("Stock is low", "3 left", "warning")
    labels = {"team": "shop", "flow": "shop", "task": "counts"}
    assert {name: alert["labels"][name] for name in labels} == labels
    assert (alert["context"]["run"]["name"], alert["context"]["tags"]) == (alert["context"]["run"]["name"], ["shop"])
    assert (alert["status"], told.reached()) == ("firing", ["mail"]), "the end of the run is not that of the alert"
    shop(2)
    (alert,) = told.alerts()
    assert (alert["count"], alert["body"]) == (2, "2 left")
    shop(0)
    assert [alert["status"] for alert in told.alerts()] == ["resolved"]


def test_it_is_raised_once_whatever_is_tried_again_or_killed(plane: Plane, told: Told) -> None:
    """Its process dies after the alert was asked for and before the step was kept; its title says when."""

    file = plane.file("""
import hub, time

@task(retries=1)
def inner(path):
    hub.alert(f"in a task at {time.time()}", key="inner")
    if not os.path.exists(path):
        open(path, "w").close()
        raise ValueError("again")

@flow
def whole(path):
    inner(path)
    hub.alert(f"at {time.time()}")
    hub.alert("the second")
""")

    def lost(context: Any, *args: Any) -> Any:
        if context.attempt == 1 and context.task_run_id is None:
            handle(plane.store, SCOPE, context.run_id, Lose(1, 1, "killed"))
        return note(context, *args)

    run_id = plane.run(f"{file}:whole", {"path": str(plane.folder / "tried")})
    emitting.note = lost
    try:
        plane.attempt(run_id)
    finally:
        emitting.note = note
    assert len(told.alerts()) == 2
    plane.attempt(run_id)
    assert plane.row(run_id)["state_type"] == "COMPLETED"
    assert [(alert["count"], alert["title"][:5]) for alert in told.alerts()] == [
        (1, "in a "),
        (1, "at 17"),
        (1, "the s"),
    ]


def test_the_end_does_not_overtake_the_beginning(told: Told) -> None:
    async def both() -> None:
        await hub.alert("first", key="k")
        await hub.resolve_alert("k")

    asyncio.run(both())
    with told.store.write() as tx:  # another process has taken the first and is slow
        ids = list(tx.conn.execute(select(effects.TABLE.c.id).where(effects.TABLE.c.kind == "alert")).scalars())
        held = effects.TABLE.update().where(effects.TABLE.c.id == min(ids))
        tx.conn.execute(held.values(claimed_by="other", claimed_until=tx.now + 60_000_000))
    assert told.alerts() == []
    for _ in range(2):  # the second may be looked at before the first once more
        with told.store.write() as tx:
            tx.conn.execute(effects.TABLE.update().values(claimed_until=None, due_at=tx.now))
        told.work()
    assert [alert["status"] for alert in told.alerts()] == ["resolved"]


def test_a_hub_without_the_plugin_goes_on(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._ops, "alert.raise", raising=False)

    @flow
    def whole() -> str:
        hub.alert("nobody hears this")
        return "done"

    assert whole() == "done"
    bare = load_plugins(Settings(plugins="none"), process="upkeep", store=plane.store)
    Effects(bare.context, ("alert",)).step()
    with plane.store.read() as tx:
        assert not effects.any_due(tx, ("alert",))


@pytest.mark.parametrize(
    "call",
    [
        lambda: hub.alert(""), lambda: hub.alert("a", severity="bad"), lambda: hub.alert("a", key="x" * 151),
        lambda: hub.alert("a", labels={"1": "x"}), lambda: hub.alert("a", labels={"a": 1}),
        lambda: hub.alert("a", to="a,b"), lambda: hub.resolve_alert(" "), lambda: hub.Alerts(on=["late-ish"]),
        lambda: flow(alerts=[3]), lambda: flow(alerts=3),
    ],
)  # fmt: skip
def test_what_makes_no_alert_is_refused_where_it_is_written(call: Any) -> None:
    with pytest.raises(UsageError):
        call()
