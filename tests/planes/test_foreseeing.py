"""Before a replay is asked for, what it would start is told, and it is what the replay then starts."""

from __future__ import annotations

from typing import Any

import pytest
from hub.plugins import Context, load_plugins
from hub.runtime import foreseeing, relay
from hub.settings import Settings
from hub.store import Store, receipts
from tests.planes import automating as a
from tests.planes.doors import SCOPE, make
from tests.planes.test_automation_simulated import contents
from tests.planes.test_inbox import again, keep

BODY = b'{"kind":"push","repo":"octocat/hello"}'
KEPT = {"event_type": "event", "body": BODY, "headers": []}


def foreseen(store: Store, receipt_id: str) -> foreseeing.Foreseen:
    with store.read() as tx:
        row = receipts.row(tx, SCOPE, receipt_id)
    return foreseeing.foresee(store, SCOPE, row)


def replay(store: Store, receipt_id: str) -> None:
    made = again(store, receipt_id)["id"]
    ctx = Context("upkeep", Settings(), load_plugins(Settings(plugins="only:webhooks"), process="web").hooks, store)
    relay.carry_out(ctx, {"workspace_id": SCOPE.workspace_id, "payload": {"receipt_id": made}})
    a.stamp(store)
    a.work(store)


@pytest.mark.long("postgresql")
def test_it_foretells_what_a_replay_then_starts(store: Store) -> None:
    a.make_deployment(store)
    run: list[dict[str, Any]] = [{"run_deployment": "ci", "parameters": {"repo": "=body.repo"}}]
    fires = a.automate(store, "fires", types=["token.*"], match="body.kind == 'push'", do=run)
    a.automate(store, "means-another", types=["token.*"], match="body.kind == 'tag'", do=run)
    a.automate(store, "hears-another", types=["github.push"], do=run)
    counts = a.automate(store, "counts", types=["token.push"], threshold=5, within=60, do=run)
    fails = a.automate(store, "fails", types=["token.push"], match="body.nothing.there == 1", do=run)
    source = make(store, "token", options={"type": "json:kind"})
    old = keep(store, source, **KEPT)
    before = contents(store)
    said = foreseen(store, old)
    assert contents(store) == before
    assert said.events == ["token.push"]
    told = {automation: (trial.outcome, trial.actions) for automation, _, trial in said.trials}
    action = {"op": "run.create", "target": "ci", "args": {"parameters": {"repo": "octocat/hello"}}}
    assert told == {fires: ("fired", [action]), counts: ("counted", []), fails: ("error", [])}
    replay(store, old)
    assert {rule: a.outcomes(store, rule) for rule in told} == {rule: [outcome] for rule, (outcome, _) in told.items()}
    (made,) = a.made_runs(store)
    assert made["parameters"] == {"repo": "octocat/hello"}


def test_a_body_that_cannot_be_read_any_more_starts_nothing(store: Store) -> None:
    source = make(store, "cloudevents")
    said = foreseen(
        store, keep(store, source, body=b"{", headers=[["Content-Type", "application/cloudevents-batch+json"]])
    )
    assert said.problem
    assert not said.events


@pytest.mark.long("postgresql")
def test_it_foretells_what_flow_control_makes_of_a_run_and_remembers_nothing(store: Store) -> None:
    a.make_deployment(store, flow_control={"rate_limit": {"limit": 1, "period": 3600}})
    run: list[dict[str, Any]] = [{"run_deployment": "ci", "parameters": {"repo": "=body.repo"}}]
    a.automate(store, "first", types=["token.*"], do=run)
    a.automate(store, "second", types=["token.*"], do=run)
    a.make_deployment(store, "fussy", parameter_schema={"type": "object", "required": ["branch"]})
    a.automate(store, "lost", types=["token.*"], do=[{"run_deployment": "fussy"}])
    old = keep(store, make(store, "token", options={"type": "json:kind"}), **KEPT)
    before = contents(store)
    for _ in range(2):
        told = {name: trial.actions[0] for _, name, trial in foreseen(store, old).trials}
        assert "flow_control" not in told["first"]
        assert told["second"]["flow_control"]["control"] == "rate_limit"
        assert "branch" in told["lost"]["error"]
    assert contents(store) == before
    replay(store, old)
    assert sorted(run["state_type"] for run in a.made_runs(store)) == ["CANCELLED", "SCHEDULED"]
