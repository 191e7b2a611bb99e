"""Runs that automations and schedules of a plane place at its sites, and what cannot be placed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from hub.client.inprocess import InProcess
from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.runtime.scheduler import SCHEDULES, TICKS, Scheduler, tick_run_id
from hub.settings import load_settings
from hub.store import events, runs
from hub.types import SECOND, Scope, now_us
from hub.web.app import build_app
from sqlalchemy import delete, select, update
from tests.planes import automating, doors, test_source_order
from tests.unit.cli.conftest import Shell

from hub_hybrid import replica
from hub_hybrid.working import Offer

from .test_keys import Site
from .test_links_over_http import LOCAL, End, ends  # noqa: F401 - a fixture
from .test_placing import BERLIN, offering, outcomes, world  # noqa: F401 - a fixture

SCOPE = Scope()
EVENT = "hub.worker.lost"


def automate(world: Site, name: str = "rule", **action: Any) -> str:  # noqa: F811 - a fixture
    act = {"run_deployment": "one", "parameters": {"worker": "=body.name"}, "place": {"labels": BERLIN}, **action}
    made = world.plane.client.put(f"/automations/{name}", {"trigger": {"types": [EVENT]}, "actions": [act]})
    return str(made["id"])


def schedule(world: Site, **place: Any) -> str:  # noqa: F811 - a fixture
    """One of the plane that is due now."""
    at_plane = {"entrypoint": "f.py:f", "flow_name": "f", "parameter_schema": {}}
    world.plane.client.put("/deployments/one", at_plane)
    body = {"deployment": "one", "kind": "interval", "spec": "60", "parameters": {"day": "canary"}, "place": place}
    made = world.plane.client.post("/schedules", body)
    assert made["place"] == {"labels": {}, "site": "", **place}
    come_due(world, made["id"])
    return str(made["id"])


def come_due(world: Site, schedule_id: str) -> int:  # noqa: F811 - a fixture
    at = now_us() - SECOND
    with world.plane.store.write() as tx:
        tx.conn.execute(update(SCHEDULES).where(SCHEDULES.c.id == schedule_id).values(anchor_at=at, next_at=at))
    return at


def placed(end: End) -> list[str]:
    """What sites were asked to make, the oldest first."""
    with end.store.read() as tx:
        query = select(replica.COMMANDS.c.id).where(replica.COMMANDS.c.op == "run.create")
        return list(tx.conn.execute(query.order_by(replica.COMMANDS.c.seq)).scalars())


def made(end: End) -> dict[str, dict[str, Any]]:
    with end.store.read() as tx:
        return {row["id"]: dict(row) for row in tx.conn.execute(select(runs.TABLE)).mappings()}


@pytest.mark.parametrize("after", [False, True], ids=["before a commit", "after a commit"])
def test_an_event_of_the_plane_is_one_run_at_the_site_wherever_the_plane_is_killed(
    world: Site,  # noqa: F811 - a fixture
    after: bool,
) -> None:
    agent, store = offering(world, Offer(True, BERLIN)), world.plane.store
    rule = automate(world)
    automating.happen(store, name="w-canary")
    at = 1
    while automating.killed(store, at, after=after):
        at += 1
    assert at > 2, "it died in several places"
    automating.work(store)
    (run_id,) = placed(world.plane)
    (firing,) = automating.evaluations(store, rule)
    assert (firing["outcome"], firing["reason"], firing["run_id"]) == ("fired", "it matched; placed at berlin", run_id)
    assert outcomes(world, agent) == ["accepted"]
    assert made(world.end)[run_id]["parameters"] == {"worker": "w-canary"}
    assert made(world.plane) == {}, "nothing is made at the plane"
    assert 'placed a run at <a href="/ui/sites/berlin">' in page(world, f"/ui/automations/{rule}")
    report(world, run_id, "RUNNING")
    shown = page(world, f"/ui/automations/{rule}")
    assert f'placed <a href="/ui/sites/berlin/runs/{run_id}">' in shown
    assert "Run one at a site with region=berlin" in shown
    with store.read() as tx:
        assert "canary" not in str(tx.conn.execute(select(replica.COMMANDS)).all())
    # Done again when nobody remembers the first time: the run's id is enough.
    with store.write() as tx:
        tx.conn.execute(delete(replica.COMMANDS.metadata.tables["command_outcomes"]))
        table = replica.COMMANDS.metadata.tables["automation_actions"]
        tx.conn.execute(update(table).values(status="pending", due_at=0))
    automating.work(store)
    assert placed(world.plane) == [run_id]


def test_what_no_site_can_take_is_an_error_of_the_firing_and_tried_again(
    world: Site,  # noqa: F811 - a fixture
) -> None:
    offering(world, Offer(True, BERLIN))
    store, gpu = world.plane.store, {"labels": {"gpu": "yes"}}
    once, twice = automate(world, "once", place=gpu), automate(world, "twice", place=gpu, retry={"times": 1})
    other = automate(world, "other", run_deployment="two")
    automating.happen(store)
    automating.work(store)
    says = "no site that takes runs from this plane has these labels: gpu=yes"
    assert [(row["outcome"], row["error"]) for row in automating.evaluations(store, once)] == [("error", says)]
    (failed,) = automating.evaluations(store, other)
    assert failed["error"] == "none of the sites with these labels (berlin) has a deployment 'two'"
    assert automating.outcomes(store, twice) == ["fired"], "it is tried again"
    offering(world, Offer(True, {"gpu": "yes"}))
    with store.write() as tx:
        tx.conn.execute(update(replica.COMMANDS.metadata.tables["automation_actions"]).values(due_at=0))
    automating.work(store)
    (firing,) = automating.evaluations(store, twice)
    assert placed(world.plane) == [firing["run_id"]]
    shown = world.plane.client.get(f"/automations/{twice}/test")[0]["actions"]
    assert shown == [{"op": "site.place", "target": "one", "args": {
        "deployment": "one", "labels": {"gpu": "yes"}, "site": "", "parameters": {"worker": "w1"},
    }}]  # fmt: skip


def test_a_set_time_of_the_plane_is_one_run_at_the_site(world: Site) -> None:  # noqa: F811 - a fixture
    agent, store = offering(world, Offer(True, BERLIN)), world.plane.store
    one = schedule(world, site="berlin")
    (deployment,) = world.plane.client.page("/deployments")[0]
    assert "at the site berlin" in page(world, f"/ui/deployments/{deployment['id']}")
    at = come_due(world, one)
    assert Scheduler(store).step() is True
    assert Scheduler(store).step() is not True
    assert placed(world.plane) == [tick_run_id(one, at)]
    with store.write() as tx:  # as if another scheduler had not seen that it is done
        tx.conn.execute(update(SCHEDULES).values(next_at=at))
    Scheduler(store).step()
    assert placed(world.plane) == [tick_run_id(one, at)]
    assert outcomes(world, agent) == ["accepted"]
    assert made(world.end)[tick_run_id(one, at)]["parameters"] == {"day": "canary"}
    assert made(world.plane) == {}
    with store.write() as tx:
        tx.conn.execute(update(replica.SITES).values(removed_at=tx.now))
        tx.conn.execute(delete(TICKS))
    come_due(world, one)
    Scheduler(store).step()
    with store.read() as tx:
        table = events.TABLE
        found = tx.conn.execute(select(table).where(table.c.type == "hub.schedule.failed")).mappings().one()
    assert "there is no site 'berlin'" in found["private"]["errors"]["error"]
    assert len(placed(world.plane)) == 1


def test_what_a_source_keeps_in_order_waits_for_the_run_at_the_site(world: Site) -> None:  # noqa: F811 - a fixture
    agent, store = offering(world, Offer(True, BERLIN)), world.plane.store
    source = doors.make(store, order_by="body.repo")
    act = {"run_deployment": "one", "place": {"labels": BERLIN}}
    automating.automate(store, expect=["github.push"], do=[act])
    test_source_order.send(store, source, "a", "a", "a", "a")
    test_source_order.work(store)
    assert len(placed(world.plane)) == 1
    assert outcomes(world, agent) == ["accepted"]
    test_source_order.work(store)
    (first,) = placed(world.plane)
    assert test_source_order.order(store, source) == {"a": 3}, "it is not known to have ended"
    report(world, first, "COMPLETED")
    test_source_order.work(store)
    second = placed(world.plane)[1]
    with store.write() as tx:
        tx.conn.execute(
            update(replica.COMMANDS).where(replica.COMMANDS.c.id == second).values(outcome="rejected:unknown")
        )
    test_source_order.work(store)
    assert len(placed(world.plane)) == 3, "one that the site refuses holds up nobody"
    with store.write() as tx:
        tx.conn.execute(update(replica.COMMANDS).values(expires_at=1))
    test_source_order.work(store)
    assert len(placed(world.plane)) == 4, "nor one that nobody has fetched in time"


def page(world: Site, path: str) -> str:  # noqa: F811 - a fixture
    app = build_app(load_settings({"plugins": "only:hybrid,dashboard"}), world.plane.store)
    with httpx2.Client(base_url=LOCAL, transport=InProcess(app)) as http:
        answer = http.get(path)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def report(world: Site, run_id: str, state: str) -> None:  # noqa: F811 - a fixture
    with world.plane.store.write() as tx:
        row = {"workspace_id": SCOPE.workspace_id, "run": {}, "more": {}, "version": 1, "snapshot": 0}
        own = {"site_row": world.row, "run_id": run_id, "state_type": state, "updated_at": tx.now}
        tx.insert(replica.RUNS, {**row, **own})


def test_what_cannot_be_placed_is_refused_when_it_is_saved(
    world: Site,  # noqa: F811 - a fixture
) -> None:
    def refused(error: type[HubError], says: str, **action: Any) -> None:
        with pytest.raises(error, match=says):
            automate(world, **action)

    refused(NotFoundError, "there is no site 'munich' to place runs at", place={"site": "munich"})
    refused(UsageError, "neither labels nor a site", place={})
    refused(UsageError, "'region=' is not a label. A name and a value", place={"labels": {"region": ""}})
    refused(UsageError, "' region=x' is not a label", place={"labels": {" region": "x"}})
    refused(UsageError, "is not a label", place={"labels": {"a=b": "c"}})
    refused(UsageError, "labels", place={"labels": {f"n{number}": "x" for number in range(51)}})
    refused(UsageError, "labels", place={"labels": {"floor": 2}})
    refused(UsageError, "controlled at its site", flow_control={"throttle": {"limit": 1, "period": "1m"}})
    with pytest.raises(UsageError, match="is not a label"):
        world.plane.client.post("/sites/runs", {"deployment": "one", "labels": {"region": ""}})
    with pytest.raises(NotFoundError, match="no site 'munich'"):
        schedule(world, site="munich")
    with world.plane.store.write() as tx:
        tx.conn.execute(update(replica.SITES).values(removed_at=tx.now))
    refused(ConflictError, "this hub is no plane: no site reports to it")
    with pytest.raises(ConflictError, match="this hub is no plane"):
        schedule(world, labels=BERLIN)
    body = {"flow_name": "f", "entrypoint": "f.py:f", "schedule": {"spec": "0 8 * * *", "place": {"labels": BERLIN}}}
    with pytest.raises(ConflictError, match="this hub is no plane"):
        world.plane.client.put("/deployments/two", body)
    assert world.plane.client.page("/automations")[0] == []
    assert world.plane.client.page("/schedules")[0] == []


FILE = """
project: halls
deployments:
  scan:
    entrypoint: flows.py:scan
    schedules:
      - {cron: "0 2 * * *", place: {labels: {region: berlin}}, parameters: {day: today}}
      - interval: 300
automations:
  on-push:
    trigger: {types: [github.push]}
    actions:
      - run_deployment: scan-there
        parameters: {commit: =body.after}
        place: {labels: {region: berlin, floor: "2"}, site: hall-2}
"""


def test_a_file_says_where_and_an_export_says_the_same(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, file = Shell(capsys, monkeypatch), tmp_path / "hub.yaml"
    (tmp_path / "flows.py").write_text("from hub import flow\n\n@flow\ndef scan(day: str = '') -> None: ...\n")
    file.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    hub("apply", str(file), code=1)
    assert hub.out.count("this hub is no plane") == 2
    for wrong, says in (("region: berlin}", "region: }"), ('floor: "2"', '"a=b": "2"')):
        file.write_text(FILE.replace(wrong, says))
        told = hub("apply", str(file), code=2)
        assert "hub.yaml:" in told
        assert "label" in told
    file.write_text(FILE)
    hub("sites", "create", "hall-2")
    assert "2 made" in hub("apply", str(file))
    assert "nothing to do" in hub("apply", str(file)).lower()
    (timed, plain) = sorted(hub.json("schedules", "ls"), key=lambda row: str(row["kind"]))
    assert (timed["place"], plain["place"]) == ({"labels": {"region": "berlin"}, "site": ""}, None)
    assert "at a site with region=berlin" in hub("schedules", "ls").replace("\n", " ")
    text = hub("export")
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "empty"))
    exported = tmp_path / "exported.yaml"
    exported.write_text(text)
    hub("sites", "create", "hall-2")
    assert "2 made" in hub("apply", str(exported))
    assert hub("export") == text
    assert "    place:\n" in text


def test_the_commands_say_where(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Shell(capsys, monkeypatch)
    words = ("automations", "create", "on-push", "--on", "github.push")
    assert "Say --run DEPLOYMENT" in hub(*words, "--do", "alert=x", "-l", "region=berlin", code=2)
    assert "'region' is not a label" in hub(*words, "--run", "scan", "-l", "region", code=2)
    assert "this hub is no plane" in hub(*words, "--run", "scan", "-l", "region=berlin", code=4)
    hub("sites", "create", "hall-2")
    said = hub(*words, "--run", "scan", "-l", "region=berlin", "--site", "hall-2")
    assert "starts scan at the site hall-2 if it has region=berlin on github.push" in said
    (kept,) = hub.json("automations", "show", "on-push")["actions"]
    assert kept["place"] == {"labels": {"region": "berlin"}, "site": "hall-2"}
    flow = tmp_path / "flows.py"
    flow.write_text("from hub import flow\n\n@flow\ndef scan() -> None: ...\n")
    hub("deploy", f"{flow}:scan", "--name", "scan")
    hub("schedules", "create", "scan", "--interval", "60", "-l", "floor=2")
    (one,) = hub.json("schedules", "ls")
    assert one["place"] == {"labels": {"floor": "2"}, "site": ""}
    assert "Add --cron" in hub("deploy", f"{flow}:scan", "--site", "hall-2", code=2)
    hub("deploy", f"{flow}:scan", "--cron", "0 2 * * *", "-l", "floor=3", "--site", "hall-2")
    (own,) = [row for row in hub.json("schedules", "ls") if row["id"] != one["id"]]
    assert own["place"] == {"labels": {"floor": "3"}, "site": "hall-2"}
