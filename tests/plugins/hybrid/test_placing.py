"""Runs that a plane places at sites by their labels, and what a site refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import ConflictError, NotFoundError, UsageError
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply
from hub.runtime.labels import MAX_LABELS, read_labels
from hub.settings import load_settings
from hub.store import runs
from hub.types import SECOND, Scope, new_id, now_us
from sqlalchemy import select, update

from hub_hybrid import placing, replica, working
from hub_hybrid.agent import Agent
from hub_hybrid.working import Offer

from .test_keys import Site
from .test_links_over_http import End, ends  # noqa: F401 - a fixture

SCOPE = Scope()
BERLIN = {"region": "berlin"}


@pytest.fixture
def world(ends: tuple[End, End], monkeypatch: pytest.MonkeyPatch) -> Site:  # noqa: F811 - a fixture
    for name in ("_installed", "_hooks", "around_task"):
        monkeypatch.setattr(contributed, name, None)
    contributed.install(load_plugins(load_settings(), process="upkeep").hooks)
    site = Site(*ends)
    one = {"flow_name": "f", "entrypoint": "f.py:f", "parameter_schema": {}}
    apply(site.end.store, Command("deployment.set", SCOPE, "one", {"name": "one", **one}))
    return site


def offering(world: Site, offer: Offer) -> Agent:
    agent = Agent(world.end.store, world.link()["id"], world.wire(), offer)
    agent.open()
    agent.beat()
    return agent


def start(world: Site, deployment: str = "one", **more: Any) -> dict[str, Any]:
    return dict(world.plane.client.post("/sites/runs", {"deployment": deployment, **more}))


def outcomes(world: Site, agent: Agent) -> list[str]:
    """What came of the plane's commands, the oldest first."""
    agent.poll()
    with world.end.store.read() as tx:
        table = working.VALUES.metadata.tables["command_outcomes"]
        query = select(table).where(table.c.via == "link").order_by(table.c.at)
        return [row["code"] or row["status"] for row in tx.conn.execute(query).mappings()]


def test_a_run_is_made_at_the_site_with_the_parameters_that_nobody_else_can_read(world: Site) -> None:
    agent = offering(world, Offer(True, {**BERLIN, "floor": "2"}))
    placed = [start(world, labels=BERLIN, parameters={"said": f"canary-{number}"}) for number in range(2)]
    with world.plane.store.read() as tx:
        everything = str(tx.conn.execute(select(replica.COMMANDS)).all())
    assert "canary" not in everything
    assert outcomes(world, agent) == ["accepted", "accepted"], "two of one deployment are two"
    with world.end.store.read() as tx:
        made = {row["id"]: row for row in tx.conn.execute(select(runs.TABLE)).mappings()}
    assert {one["run_id"]: f"canary-{number}" for number, one in enumerate(placed)} == {
        key: row["parameters"]["said"] for key, row in made.items()
    }
    assert {row["origin"] for row in made.values()} == {"link"}
    moved = start(world, labels=BERLIN)
    with world.plane.store.write() as tx:
        given = select(replica.COMMANDS.c.args).where(replica.COMMANDS.c.id == placed[0]["run_id"])
        args = tx.conn.execute(given).scalar_one()
        table = replica.COMMANDS
        tx.conn.execute(update(table).where(table.c.id == moved["run_id"]).values(args=args))
    assert outcomes(world, agent)[2:] == ["not-opened"], "parameters belong to one command"


def test_a_hub_that_takes_no_runs_is_asked_for_none_and_obeys_none(world: Site) -> None:
    agent = offering(world, Offer(False, BERLIN))
    with pytest.raises(ConflictError, match="no site that takes runs"):
        start(world, labels=BERLIN)
    with pytest.raises(ConflictError, match="takes no runs from this plane"):
        start(world, site="berlin")
    with pytest.raises(ConflictError, match="takes no runs from this plane"):
        world.plane.client.post("/sites/berlin/work", {"to": "drain"})
    row = {"status": {"takes_runs": True, "deployments": ["one"], "labels": BERLIN}}
    world.change(replica.SITES, **row)  # a plane that asks all the same
    start(world, labels=BERLIN)
    world.plane.client.post("/sites/berlin/work", {"to": "pause"})
    assert outcomes(world, agent) == ["takes-no-runs", "takes-no-runs"]
    with world.end.store.read() as tx:
        assert working.state(tx)["state"] == "open"


def test_the_site_with_the_labels_the_deployment_and_the_least_to_do_is_chosen(world: Site) -> None:
    offering(world, Offer(True, BERLIN))
    with pytest.raises(ConflictError) as none:
        start(world, labels={**BERLIN, "gpu": "yes"})
    assert none.value.code == "no-site"
    with pytest.raises(NotFoundError, match="has a deployment 'two'"):
        start(world, "two", labels=BERLIN)
    with pytest.raises(UsageError, match="is the most"):
        start(world, labels=BERLIN, parameters={"large": "x" * placing.MAX_PARAMETERS})
    with world.plane.store.write() as tx:
        mine = dict(tx.conn.execute(select(replica.SITES)).mappings().one())
        ids = {}
        for name in ("busy", "away", "held", "free", "elsewhere"):
            ids[name] = new_id()
            status = dict(mine["status"])
            status["work"] = "paused" if name == "held" else "open"
            status["labels"] = BERLIN if name != "elsewhere" else {}
            seen = now_us() - (3600 * SECOND if name == "away" else 0)
            own = {"id": ids[name], "site_id": new_id(), "name": name, "status": status, "last_seen_at": seen}
            tx.insert(replica.SITES, {**mine, **own})
        busy = {"workspace_id": mine["workspace_id"], "run": {}, "more": {}, "state_type": "RUNNING", "version": 1}
        for site in (ids["busy"], mine["id"]):
            tx.insert(replica.RUNS, {"site_row": site, "run_id": new_id(), "updated_at": tx.now, "snapshot": 0, **busy})
    order = []
    for _ in range(5):
        order.append(start(world, labels=BERLIN)["site"])
        with world.plane.store.write() as tx:
            tx.conn.execute(update(replica.SITES).where(replica.SITES.c.name == order[-1]).values(removed_at=tx.now))
    assert (order[0], set(order[1:3]), order[3:]) == ("free", {"busy", "berlin"}, ["away", "held"])


def test_work_is_held_and_let_go_of_without_what_the_sites_people_have_paused(world: Site) -> None:
    agent = offering(world, Offer(True, BERLIN))
    queues = working.QUEUES
    apply(world.end.store, Command("queue.set", SCOPE, "", {"name": "theirs", "paused": True}))
    apply(world.end.store, Command("queue.set", SCOPE, "", {"name": "ours"}))

    def paused() -> dict[str, bool]:
        with world.end.store.read() as tx:
            rows = tx.conn.execute(select(queues.c.name, queues.c.paused)).all()
            return {row.name: row.paused for row in rows}

    for to, state, held in (("pause", "paused", True), ("drain", "draining", True), ("resume", "open", False)):
        world.plane.client.post("/sites/berlin/work", {"to": to})
        agent.poll()
        agent.beat()
        assert world.plane.client.page("/sites")[0][0]["work"] == state
        assert paused() == {"default": held, "ours": held, "theirs": True}


def test_labels_are_names_and_values() -> None:
    assert read_labels(("region=berlin", " gpu = a=b ")) == {"region": "berlin", "gpu": "a=b"}
    for wrong in ("region", "=berlin", "region=", "x" * 201 + "=y", "a\n=b"):
        with pytest.raises(UsageError, match="is not a label"):
            read_labels((wrong,))
    with pytest.raises(UsageError, match="at most"):
        read_labels(tuple(f"a{number}=b" for number in range(MAX_LABELS + 1)))
