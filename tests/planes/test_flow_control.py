"""Flow control on every store: what is refused, what automations make of it, what is remembered, who was killed."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hub.errors import ExpressionError, ParameterError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.retention import Retention
from hub.settings import load_settings
from hub.store import Store, flow_states, run_cancels, runs
from hub.types import SECOND, now_us
from sqlalchemy import func, select
from tests.planes import automating as a

from .flow_world import EVENTS, World

EVENTS_ONLY = {"type": "object", "properties": {"x": {}}, "additionalProperties": False}
SCHEMA = {"type": "object", "properties": {"events": {"type": "array"}}, "additionalProperties": False}


def deploy(store: Store, flow_control: Any, name: str = "d", **more: Any) -> dict[str, Any]:
    args = {"name": name, "flow_name": name, "entrypoint": "f.py:f", "flow_control": flow_control, **more}
    return apply(store, Command("deployment.set", a.SCOPE, name, args)).result


BAD = [
    ({"debounce": {"period": "5"}}, "debounce.period: Value error, write a duration as 30s, 5m, 2h, 1d"),
    ({"debounce": {"period": "0.5s"}}, "debounce.period: Input should be greater than or equal to 1"),
    ({"debounce": {"period": "8d"}}, "debounce.period: Input should be less than or equal to"),
    ({"debounce": {}}, "debounce.period: Field required"),
    ({"debounce": {"period": 10, "timeout": 5}}, "`timeout` is shorter than `period`"),
    ({"debounce": {"period": 10, "keys": "x"}}, "debounce.keys: Extra inputs are not permitted"),
    ({"rate_limit": {"limit": 0, "period": 5}}, "rate_limit.limit: Input should be greater than or equal to 1"),
    ({"batch": {"max_size": 101, "timeout": 5}}, "batch.max_size: Input should be less than or equal to 100"),
    ({"batch": {"max_size": 1, "timeout": 5}}, "batch.max_size: Input should be greater than or equal to 2"),
    ({"singleton": {"mode": "wait"}}, "singleton.mode: Input should be 'skip' or 'cancel'"),
    ({"cancel_on": [{"event": "x"}]}, "give one of `match` and `if`"),
    ({"cancel_on": [{"event": "x", "match": "a", "if": "true"}]}, "give one of `match` and `if`"),
    ({"cancel_on": [{"event": "x", "match": "a b"}]}, "`match` is a path such as order_id"),
    ({"idempotency": 5}, "idempotency: Input should be a valid string"),
    ({"priority": 1}, "priority: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("asked", "said"), BAD, ids=[str(asked) for asked, _ in BAD])
def test_what_makes_no_sense_is_refused_with_its_place(store: Store, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        deploy(store, asked)
    assert f"flow_control.{said}" in refused.value.detail or said in refused.value.detail


def test_an_expression_that_is_none_is_refused_with_its_place(store: Store) -> None:
    with pytest.raises(ExpressionError, match=r"flow_control\.debounce\.key: .*undeclared reference"):
        deploy(store, {"debounce": {"period": 5, "key": "body.id"}})
    with pytest.raises(ExpressionError, match=r"flow_control\.cancel_on\[0\]\.if"):
        deploy(store, {"cancel_on": [{"event": "x", "if": "nobody == 1"}]})
    with pytest.raises(ExpressionError, match=r"flow_control\.batch\.if"):
        deploy(store, {"batch": {"max_size": 2, "timeout": 5, "if": "1 +"}})


def test_illegal_combinations_are_refused_with_every_reason(store: Store) -> None:
    batch = {"max_size": 2, "timeout": 5}
    with pytest.raises(UsageError) as refused:
        deploy(store, {"batch": batch, "debounce": {"period": 5}, "singleton": {}})
    assert refused.value.code == "illegal-combination"
    assert refused.value.detail.count("cannot be combined") == 2
    with pytest.raises(UsageError, match="batch and concurrency must have the same key"):
        deploy(store, {"batch": batch}, concurrency=1, concurrency_key="=params.k")
    with pytest.raises(UsageError, match="concurrency is given twice"):
        deploy(store, {"concurrency": {"limit": 1}}, concurrency=1)
    with pytest.raises(UsageError, match="takes no parameter 'events'"):
        deploy(store, {"batch": batch}, parameter_schema=EVENTS_ONLY)
    deploy(store, {"batch": {**batch, "key": "params.k"}}, concurrency=1, concurrency_key="=params.k")


def test_an_automation_is_checked_together_with_its_deployment(store: Store) -> None:
    deploy(store, {"batch": {"max_size": 2, "timeout": 5}}, "ci", parameter_schema=SCHEMA)
    run = {"run_deployment": "ci", "flow_control": {"debounce": {"period": 5}}}
    with pytest.raises(UsageError, match="batch and debounce cannot be combined"):
        a.automate(store, do=[run])
    with pytest.raises(UsageError, match="set it at the deployment"):
        a.automate(store, do=[{**run, "flow_control": {"concurrency": {"limit": 1}}}])
    with pytest.raises(ExpressionError, match=r"flow_control\.throttle"):
        a.automate(store, do=[{**run, "flow_control": {"throttle": {"limit": 1, "period": 5, "key": "nobody"}}}])
    # They come to disagree later: the evaluation says so.
    deploy(store, {}, "ci")
    rule = a.automate(store, types=["hub.worker.lost"], do=[run])
    deploy(store, {"batch": {"max_size": 2, "timeout": 5}}, "ci")
    a.happen(store)
    a.work(store)
    (row,) = a.evaluations(store, rule)
    assert row["outcome"] == "error"
    assert "batch and debounce cannot be combined" in row["error"]


def test_concurrency_is_the_limit_of_the_deployment(store: Store) -> None:
    deploy(store, {"concurrency": {"limit": 2, "key": "params.k"}, "singleton": {}})
    with store.read() as tx:
        row = tx.conn.execute(select(runs.TABLE.metadata.tables["deployments"])).mappings().one()
    assert (row["concurrency"], row["concurrency_key"]) == (2, "=params.k")
    assert row["flow_control"] == {"singleton": {}}


def test_a_request_that_fits_nothing_is_refused_and_counts_nowhere(store: Store) -> None:
    deploy(store, {"batch": {"max_size": 2, "timeout": 5}}, parameter_schema={
        "type": "object", "properties": {"events": {"type": "array", "items": {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}})  # fmt: skip
    ask = Command("run.create", a.SCOPE, "d", {"parameters": {"n": "x"}})
    with pytest.raises(ParameterError, match="events"):
        apply(store, ask)
    deploy(store, {"debounce": {"period": 5, "key": "params.k"}}, "e")
    with pytest.raises(ExpressionError, match=r"the key of debounce of deployment e has no value: .*Key not found"):
        apply(store, Command("run.create", a.SCOPE, "e"))
    due = {"parameters": {"k": 1}, "due_at": now_us() + 60 * SECOND}
    with pytest.raises(UsageError, match="are debounced: when one starts follows from the requests"):
        apply(store, Command("run.create", a.SCOPE, "e", due))
    assert a.made_runs(store) == []
    with store.read() as tx:
        assert tx.conn.execute(select(func.count()).select_from(flow_states.TABLE)).scalar() == 0


JUNK: list[Any] = [
    {"owner": "x", "controls": {}},
    {"controls": {}},
    {"owner": "00000000-0000-7000-8000-000000000001", "controls": {"debounce": {"period": "soon"}}},
    {"owner": "00000000-0000-7000-8000-000000000001", "controls": {"concurrency": {"limit": 1}}},
    {"owner": "00000000-0000-7000-8000-000000000001", "controls": {}, "keys": {"debounce": 5}},
]


@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_a_command_with_junk_is_refused(store: Store, junk: Any) -> None:
    deploy(store, {})
    with pytest.raises(UsageError, match=r"^run\.create: flow_control"):
        apply(store, Command("run.create", a.SCOPE, "d", {"flow_control": junk}))


def test_a_restarted_run_is_no_new_request(store: Store) -> None:
    world = World(store, {"rate_limit": {"limit": 1, "period": 60}, "debounce": {"period": 5}, "singleton": {}})
    first = world.ask(n=1)["id"]
    world.at += 6 * SECOND
    assert world.dispatch() == [first]
    world.end(first)
    again = apply(store, Command("run.restart", a.SCOPE, first)).result
    assert (again["created"], again["flow_control"]) == (True, None)
    assert world.row(again["id"])["parameters"] == {"n": 1}
    twice = apply(store, Command("run.restart", a.SCOPE, first)).result
    assert twice["flow_control"]["control"] == "singleton", "it is a run like others to those that may not be two"


def test_a_request_that_is_sent_again_is_in_a_batch_once(store: Store) -> None:
    deploy(store, {"batch": {"max_size": 5, "timeout": 60}})
    sent = [{"parameters": {"n": n}, "idempotency_key": f"key-{n}"} for n in (1, 2, 2, 1, 2)]
    made = [apply(store, Command("run.create", a.SCOPE, "d", args)).result for args in sent]
    (run,) = a.made_runs(store)
    assert run["parameters"] == {"events": [{"n": 1}, {"n": 2}]}
    assert [(one["id"], one["created"]) for one in made] == [(run["id"], number == 0) for number in range(5)]


def test_a_batch_is_full_at_so_many_bytes(store: Store) -> None:
    world = World(store, {"batch": {"max_size": 100, "timeout": 60}})
    for _ in range(3):
        world.ask(text="x" * 100_000)
    assert world.dispatch() == [world.rows()[0]["id"]]
    assert len(world.rows()[0]["parameters"]["events"]) == 3


def test_a_debounced_run_moves_to_the_lane_and_the_throttle_of_its_last_request(store: Store) -> None:
    world = World(
        store,
        {
            "debounce": {"period": 5},
            "concurrency": {"limit": 1, "key": "params.k"},
            "throttle": {"limit": 1, "period": 60, "key": "params.k"},
        },
    )
    world.ask(k="a")
    world.ask(k="b")
    (row,) = world.rows()
    assert row["lane"].endswith("/b")
    assert row["throttle"] == flow_states.state_id(row["deployment_id"], "throttle", "b")


# --- automations ---------------------------------------------------------------------------------------------------

CONTROLLED = {
    "run_deployment": "ci",
    "parameters": {"name": "=event.name"},
    "flow_control": {"debounce": {"period": "1h", "key": "event.subject"}},
}


@pytest.mark.parametrize("after", [False, True])
def test_events_become_one_run_wherever_the_process_is_killed(store: Store, *, after: bool) -> None:
    a.make_deployment(store)
    rule = a.automate(store, types=["hub.worker.lost"], do=[CONTROLLED])
    at = 0
    while True:
        at += 1
        for number in range(3):
            a.happen(store, subject=f"s{at}", name=f"n{number}")
        died = a.killed(store, at, after=after)
        a.work(store)
        (last, *others) = a.made_runs(store)
        assert (last["parameters"], len(others)) == ({"name": "n2"}, at - 1), f"commit {at}"
        assert last["state_message"].startswith("debounce: 3 requests, the last one counts; it starts at ")
        three = a.evaluations(store, rule)[-3:]
        assert [row["run_id"] for row in three] == [last["id"]] * 3
        if not died:
            break
    assert at > 5
    told = [row["reason"] for row in a.evaluations(store, rule)[-3:]]
    assert told[0].startswith("it matched; debounce: the first request; it starts at ")
    assert told[2].startswith("it matched; debounce: 3 requests")


def test_all_events_of_a_batch_are_in_one_run(store: Store) -> None:
    a.make_deployment(store)
    batch = {"max_size": 3, "timeout": "1h", "if": "event.name != 'alone'", "key": "event.type"}
    rule = a.automate(store, types=["hub.worker.lost"], do=[{**CONTROLLED, "flow_control": {"batch": batch}}])
    for name in ("n0", "alone", "n1", "n2", "n3"):
        a.happen(store, name=name)
    a.work(store)
    found = [[one["name"] for one in run["parameters"]["events"]] for run in a.made_runs(store)]
    assert sorted(found) == [["alone"], ["n0", "n1", "n2"], ["n3"]]
    reasons = [row["reason"] for row in a.evaluations(store, rule)]
    assert reasons[1] == "it matched"
    assert reasons[3] == "it matched; batch: 3 of 3 requests; it is full"


def test_what_an_automation_is_refused_is_seen_where_runs_are(store: Store) -> None:
    a.make_deployment(store)
    limited = {**CONTROLLED, "flow_control": {"rate_limit": {"limit": 1, "period": "1h"}}}
    rule = a.automate(store, types=["hub.worker.lost"], do=[limited])
    for name in ("n0", "n1"):
        a.happen(store, name=name)
    a.work(store)
    states = {run["id"]: run["state_type"] for run in a.made_runs(store)}
    first, second = a.evaluations(store, rule)
    assert [states[row["run_id"]] for row in (first, second)] == ["SCHEDULED", "CANCELLED"]
    assert second["reason"].startswith("it matched; rate_limit: 1 came within 3600 s; the next one is taken at ")


def test_each_automation_counts_what_it_asks_for_alone(store: Store) -> None:
    deploy(store, {"rate_limit": {"limit": 1, "period": "1h"}, "singleton": {"key": "params.name"}}, "ci")
    own = {**CONTROLLED, "flow_control": {"rate_limit": {"limit": 2, "period": "1h"}}}
    a.automate(store, types=["hub.worker.lost"], do=[own, own])
    for name in ("n0", "n1", "n2"):
        a.happen(store, name=name)
    a.work(store)
    states = [(run["parameters"]["name"], run["state_message"].partition(":")[0]) for run in a.made_runs(store)]
    assert sorted(states) == [
        ("n0", ""), ("n0", "singleton"), ("n1", ""), ("n1", "singleton"), ("n2", "rate_limit"), ("n2", "rate_limit"),
    ]  # fmt: skip
    direct = apply(store, Command("run.create", a.SCOPE, "ci", {"parameters": {"name": "x"}})).result
    assert direct["flow_control"] is None, "the deployment's own limit was not touched"


def test_an_event_right_after_the_trigger_cancels_though_it_comes_before_the_run(store: Store) -> None:
    a.make_deployment(store)
    cancel = {"cancel_on": [{"event": "hub.worker.stopped", "if": "event.name == params.name"}]}
    a.automate(store, types=["hub.worker.lost"], do=[{**CONTROLLED, "flow_control": cancel}])
    world = World(store, {"cancel_on": [{"event": "hub.worker.stopped", "if": "false"}]})
    world.ask()
    a.happen(store, "hub.worker.stopped", name="n1")  # before its trigger: not meant
    a.happen(store, name="n0")
    a.happen(store, name="n1")
    a.happen(store, "hub.worker.stopped", name="n0")
    a.stamp(store)
    world.listen()
    a.work(store)
    world.listen()
    states = {run["parameters"].get("name"): run["state_type"] for run in a.made_runs(store)}
    assert states == {None: "SCHEDULED", "n0": "CANCELLED", "n1": "SCHEDULED"}


# --- what is remembered --------------------------------------------------------------------------------------------


def test_many_who_ask_at_once_are_counted_one_after_the_other(store: Store) -> None:
    deploy(store, {"rate_limit": {"limit": 3, "period": "1h"}})
    deploy(store, {"batch": {"max_size": 6, "timeout": "1h"}}, "b")
    deploy(store, {"singleton": {"mode": "cancel"}}, "s")

    def ask(name: str, number: int) -> None:
        apply(store, Command("run.create", a.SCOPE, name, {"parameters": {"n": number}}))

    for name in ("d", "b", "s"):
        threads = [threading.Thread(target=ask, args=(name, number)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    found: dict[str, list[dict[str, Any]]] = {}
    for run in a.made_runs(store):
        found.setdefault(run["deployment_name"], []).append(run)
    assert sorted(run["state_type"] for run in found["d"]) == ["CANCELLED"] * 9 + ["SCHEDULED"] * 3
    assert [len(run["parameters"]["events"]) for run in found["b"]] == [6, 6]
    assert sorted(one["n"] for run in found["b"] for one in run["parameters"]["events"]) == list(range(12))
    assert sorted(run["state_type"] for run in found["s"]) == ["CANCELLED"] * 11 + ["SCHEDULED"]


def test_what_nobody_can_ask_for_is_forgotten(store: Store) -> None:
    deploy(store, {
        "rate_limit": {"limit": 1, "period": 1}, "singleton": {"key": "params.k"}, "idempotency": "params.k",
        "throttle": {"limit": 1, "period": 1}, "cancel_on": [{"event": "x", "if": "true"}],
    })  # fmt: skip
    world = World(store, {}, name="d2")
    run_id = apply(store, Command("run.create", a.SCOPE, "d", {"parameters": {"k": 1}})).result["id"]
    with store.write() as tx:
        long_ago = now_us() - 9 * 86_400 * SECOND
        tx.conn.execute(flow_states.TABLE.update().values(expires_at=long_ago, opened_at=long_ago))
    retention = Retention(store, load_settings())
    retention.step()
    assert kept(store) == (["idempotency", "singleton", "throttle"], 1), "the run is still to start"
    assert world.cancel(run_id)
    with store.write() as tx:
        tx.conn.execute(runs.TABLE.update().values(throttle=None))
    retention.step()
    assert kept(store) == ([], 0)


def kept(store: Store) -> tuple[list[str], int]:
    with store.read() as tx:
        names = tx.conn.execute(select(flow_states.TABLE.c.control)).scalars()
        cancels = tx.conn.execute(select(func.count()).select_from(run_cancels.TABLE)).scalar()
        return sorted(names), int(cancels or 0)


def test_a_deployment_that_goes_takes_with_it_what_was_remembered(store: Store) -> None:
    deploy(store, {"rate_limit": {"limit": 1, "period": "1h"}})
    apply(store, Command("run.create", a.SCOPE, "d"))
    apply(store, Command("deployment.delete", a.SCOPE, "d"))
    assert kept(store) == ([], 0)


@pytest.mark.parametrize("verdict", ["delayed", "merged", "dropped", "cancelled"])
def test_each_decision_is_an_event(store: Store, verdict: str) -> None:
    key = "params.k"
    deploy(store, {"debounce": {"period": 5, "key": key}})
    deploy(store, {"singleton": {"key": key, "mode": "cancel"}, "rate_limit": {"limit": 2, "period": 5}}, "s")
    for name in ("d", "d", "s", "s", "s"):
        apply(store, Command("run.create", a.SCOPE, name, {"parameters": {"k": "K"}}))
    types = ["hub.flow_control.delayed", "hub.flow_control.merged", "hub.flow_control.cancelled"]
    types.append("hub.flow_control.dropped")
    with store.read() as tx:
        query = select(EVENTS).where(EVENTS.c.type.in_(types)).order_by(EVENTS.c.id)
        rows = [dict(row) for row in tx.conn.execute(query).mappings()]
    assert sorted(row["type"] for row in rows) == sorted(types)
    (row,) = [row for row in rows if row["type"].endswith(verdict)]
    control = {"delayed": "debounce", "merged": "debounce", "dropped": "rate_limit", "cancelled": "singleton"}[verdict]
    assert (row["body"]["control"], row["body"]["origin"]) == (control, "api")
    assert row["body"]["reason"].startswith(f"{control}: ")
    assert (row["private"] or {}) == ({} if control == "rate_limit" else {"params": {"key": "K"}})
    assert row["subject"] == row["run_id"] is not None
