"""Runs that requests of one key start are made one after the other, in the order in which these came."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import defaultdict
from typing import Any

import pytest
from hub.errors import UsageError
from hub.plugins import Context, load_plugins
from hub.runtime.automations import Automations
from hub.runtime.commands import Command, apply
from hub.runtime.effects import Effects
from hub.settings import Settings
from hub.store import Store, automation_state, effects, events, stream, trimming
from hub.store.tables import AutomationAction, Deployment, RunRow
from hub.types import SECOND, now_us

from .automating import SCOPE, Killed, Mortal, automate, evaluations, made_runs, make_deployment
from .doors import Made, change, make, rows, serve, source_row
from .test_inbox import keep

ACTIONS: Any = AutomationAction.__table__
RUNS: Any = RunRow.__table__


@pytest.fixture
def ordered(store: Store) -> Made:
    make_deployment(store)
    return make(store, order_by="body.repo")


def send(store: Store, source: Made, *keys: str | None) -> list[str]:
    """Requests of these keys, as the door keeps them; gives their receipts."""
    bodies = [{"n": number} if key is None else {"n": number, "repo": key} for number, key in enumerate(keys)]
    return [keep(store, source, body=json.dumps(body).encode()) for body in bodies]


def relay(store: Store) -> Effects:
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    return Effects(Context("upkeep", Settings(), loaded.hooks, store), ("receipt",))


def stamped(store: Store, limit: int = 1000) -> list[dict[str, Any]]:
    """The events of sources in the order of the stream."""
    more = 1
    while more:
        with store.write() as tx:
            more = stream.stamp(tx, limit=limit)
    with store.read() as tx:
        return [row for row in events.after(tx, seq=0, limit=5000) if "receipt_id" in row["body"]]


def decide(store: Store) -> None:
    """What an upkeep process that has just begun decides and carries out."""
    loop = Automations(store)
    while True:
        stamped(store)
        if not loop.step() and not unstamped(store):
            return


def unstamped(store: Store) -> bool:
    with store.read() as tx:
        return stream.unstamped(tx)


def work(store: Store) -> None:
    loop = relay(store)
    while loop.step():
        pass
    decide(store)


def end(store: Store, run_id: str) -> None:
    apply(store, Command("run.cancel", SCOPE, run_id))


def alive(store: Store) -> list[dict[str, Any]]:
    """The runs that have not ended, with the request that each is about."""
    with store.read() as tx:
        query = ACTIONS.join(RUNS, RUNS.c.id == ACTIONS.c.target).select().where(RUNS.c.ended_at.is_(None))
        found = tx.conn.execute(query.with_only_columns(ACTIONS.c.event_id, RUNS.c.id)).all()
        happened = events.by_ids(tx, {row.event_id for row in found})
    return [{"run_id": row.id, **told(happened[row.event_id])} for row in found]


def told(event: dict[str, Any]) -> dict[str, Any]:
    """What an event says, also to nobody outside."""
    private = event["private"] or {}
    return {**event["body"], **private.get("params", {}), **private.get("errors", {})}


def receipts_alive(store: Store) -> list[str]:
    return sorted(row["receipt_id"] for row in alive(store))


def order(store: Store, source: Made) -> dict[str, int]:
    """Keys, and how many wait for each."""
    with store.read() as tx:
        found = automation_state.lanes_of(tx, f"{source.id}/", limit=100)
    return {row["lane"].partition("/")[2]: row["waiting"] for row in found}


def test_the_next_run_of_a_key_is_made_when_the_one_before_has_ended(store: Store, ordered: Made) -> None:
    automation = automate(store, expect=["github.push"])
    a1, b1, a2, a3, b2 = send(store, ordered, "a", "b", "a", "a", "b")
    work(store)
    assert receipts_alive(store) == sorted([a1, b1])
    assert order(store, ordered) == {"a": 2, "b": 1}
    by_receipt = {row["receipt_id"]: row["run_id"] for row in alive(store)}
    end(store, by_receipt[a1])
    work(store)
    assert receipts_alive(store) == sorted([a2, b1])
    a4 = send(store, ordered, "a")[0]
    work(store)
    assert receipts_alive(store) == sorted([a2, b1])
    for expected in ([a3, b2], [a4], []):
        for row in alive(store):
            end(store, row["run_id"])
        work(store)
        assert receipts_alive(store) == sorted(expected)
    assert order(store, ordered) == {}
    assert [row["outcome"] for row in evaluations(store, automation)] == ["fired"] * 6
    assert len(made_runs(store)) == 6


def test_all_automations_and_actions_of_a_key_stand_in_one_line(store: Store, ordered: Made) -> None:
    twice = [{"run_deployment": "ci", "parameters": {"n": number}} for number in range(2)]
    first, second = (
        automate(store, "first", expect=["github.push"], do=twice),
        automate(store, "second", expect=["github.push"]),
    )
    send(store, ordered, "a", "a")
    seen = []
    for _ in range(6):
        work(store)
        (row,) = alive(store)
        (run,) = [run for run in made_runs(store) if run["id"] == row["run_id"]]
        seen.append((row["order_no"], run["origin_id"], run["parameters"].get("n")))
        end(store, row["run_id"])
    work(store)
    assert alive(store) == []
    line = sorted([(first, 0), (first, 1), (second, None)], key=lambda one: (one[0], one[1] or 0))
    assert seen == [(number, *one) for number in (1, 2) for one in line]


def test_what_has_no_key_is_not_held_up_and_says_why(store: Store, ordered: Made) -> None:
    automate(store, expect=["github.push"])
    send(store, ordered, "a", "a", None, None)
    work(store)
    assert len(alive(store)) == 3
    bodies = [told(event) for event in stamped(store)]
    assert [body.get("order_key") for body in bodies] == ["a", "a", None, None]
    assert "Key not found" in bodies[2]["order_error"]
    change(store, "source.update", ordered.name, order_by="has(body.repo) ? body.repo : null")
    send(store, ordered, None)
    work(store)
    assert len(alive(store)) == 4
    assert not {"order_key", "order_error"} & set(told(stamped(store)[-1]))


def test_other_sources_and_other_actions_are_not_held_up(store: Store, ordered: Made) -> None:
    automate(store, expect=["github.push"], do=[{"run_deployment": "ci"}, {"pause_deployment": "nowhere"}])
    other = make(store, name="other", order_by="body.repo")
    free = make(store, name="free")
    for source in (ordered, other, free):
        send(store, source, "a", "a")
    work(store)
    assert len(alive(store)) == 1 + 1 + 2
    with store.read() as tx:
        others = tx.conn.execute(ACTIONS.select().where(ACTIONS.c.number == 1)).mappings().all()
    assert [row["status"] for row in others] == ["failed"] * 6
    assert {row["lane"] for row in others} == {None}


def test_an_action_that_fails_lets_the_next_go(store: Store, ordered: Made) -> None:
    gone = make_deployment(store, "gone")
    automate(store, "other", expect=["github.push"], do=[{"run_deployment": "gone"}])
    with store.write() as tx:
        tx.conn.execute(Deployment.__table__.delete().where(Deployment.__table__.c.id == gone))  # type: ignore[attr-defined]
    automate(store, "rule", expect=["github.push"])
    send(store, ordered, "a", "a")
    for number in range(2):
        work(store)
        (row,) = alive(store)
        assert row["order_no"] == number + 1
        end(store, row["run_id"])
    work(store)
    assert order(store, ordered) == {}


def test_keys_are_values_of_any_kind_and_bounded(store: Store) -> None:
    source = make(store, order_by="[body.a, event.provider_type, headers['x-github-event']]")
    keep(store, source, body=b'{"a":{"b":1}}')
    keep(store, source, body=json.dumps({"a": "\x00" + "x" * 5000}).encode())
    work(store)
    first, second = (told(event)["order_key"] for event in stamped(store))
    assert first == '[{"b":1},"push","push"]'
    assert len(second) <= 200


def test_each_item_of_a_batch_has_its_key(store: Store) -> None:
    source = make(store, "cloudevents", order_by="body[event.index].subject")
    items = [{"type": "t", "source": "s", "id": str(n), "subject": f"s{n % 2}"} for n in range(4)]
    with serve(store) as door:
        answer = door.knock(source, json.dumps(items).encode(), {"Content-Type": "application/cloudevents-batch+json"})
        assert answer.status_code == 202
    work(store)
    found = [(told(event)["order_no"], told(event)["order_key"]) for event in stamped(store)]
    assert found == [(1, "s0"), (2, "s1"), (3, "s0"), (4, "s1")]


@pytest.mark.parametrize("limit", [3, 50])
def test_items_of_batches_stay_in_order_however_few_are_stamped_at_a_time(store: Store, limit: int) -> None:
    source = make(store, "cloudevents", order_by="'one'")
    with serve(store) as door:
        for batch in range(3):
            items = [{"type": "t", "source": "s", "id": f"{batch}-{n}"} for n in range(30)]
            body = json.dumps(items).encode()
            door.knock(source, body, {"Content-Type": "application/cloudevents-batch+json"})
    loop = relay(store)
    while loop.step():
        pass
    assert [event["body"]["order_no"] for event in stamped(store, limit)] == list(range(1, 91))


def test_a_wrong_expression_is_refused_with_its_place(store: Store) -> None:
    with pytest.raises(UsageError, match="is not a CEL expression"):
        make(store, order_by="body.")


def test_what_another_process_has_in_hand_is_not_overtaken(store: Store, ordered: Made) -> None:
    kept = send(store, ordered, *"aaaa")
    with store.write() as tx:
        # A process takes the first two, fails at one of them, and dies.
        first, second = effects.claim(tx, ("receipt",), "another", limit=2, lease_s=3600)
        effects.fail(tx, first, "away", retry_in_s=3600)
    loop = relay(store)
    while loop.step():
        pass
    assert [event["body"]["receipt_id"] for event in stamped(store)] == kept
    assert second["id"] == kept[1]


def test_one_that_never_succeeds_is_given_up_alone(store: Store, ordered: Made) -> None:
    kept = send(store, ordered, *"aaa")
    with store.write() as tx:
        where = effects.TABLE.c.id == kept[0]
        tx.conn.execute(
            effects.TABLE.update().where(where).values(tries=effects.MAX_TRIES, due_at=now_us() + 3600 * SECOND)
        )
    loop = relay(store)
    while loop.step():
        pass
    assert [event["body"]["receipt_id"] for event in stamped(store)] == kept[1:]


def test_a_paused_source_drains_in_order(store: Store, ordered: Made) -> None:
    automate(store, expect=["github.push"])
    first = send(store, ordered, "a")
    work(store)
    change(store, "source.pause", ordered.name)
    with serve(store) as door:
        headers = {"X-GitHub-Event": "push", "Content-Type": "application/json"}
        held = [
            door.knock(ordered, b'{"repo":"a"}', headers | {"X-GitHub-Delivery": f"d{n}"}).json()["receipt"]
            for n in range(5)
        ]
    work(store)
    assert receipts_alive(store) == first
    change(store, "source.resume", ordered.name)
    for expected in held:
        end(store, alive(store)[0]["run_id"])
        work(store)
        assert receipts_alive(store) == [expected]


@pytest.mark.long("sqlite")
def test_many_processes_and_runs_that_end_at_any_time(store: Store, ordered: Made) -> None:
    """Four upkeep processes and two that end runs: of a key there is never more than one, and none overtakes."""
    automate(store, expect=["github.push"])
    keys = [random.Random(7).choice("abcde") for _ in range(120)]
    kept = send(store, ordered, *keys)
    seen: dict[str, list[str]] = defaultdict(list)
    problems: list[str] = []
    done = threading.Event()

    def upkeep() -> None:
        effect, loop = relay(store), Automations(store)
        while not done.is_set():
            effect.step()
            loop.step()

    def sequencer() -> None:
        while not done.is_set():
            with store.write() as tx:
                stream.stamp(tx, limit=7)

    def ends_runs() -> None:
        while sum(len(found) for found in seen.values()) < len(kept) and not done.is_set():
            rows = alive(store)
            by_key = [row["order_key"] for row in rows]
            if len(set(by_key)) != len(by_key):
                problems.append(f"two at once: {by_key}")
                break
            for row in rows:
                if row["receipt_id"] not in seen[row["order_key"]]:
                    seen[row["order_key"]].append(row["receipt_id"])
                end(store, row["run_id"])
        done.set()

    threads = [threading.Thread(target=one) for one in (upkeep, upkeep, upkeep, upkeep, sequencer)]
    for thread in threads:
        thread.start()
    watcher = threading.Thread(target=ends_runs)
    watcher.start()
    watcher.join(150)
    done.set()
    for thread in threads:
        thread.join(30)
    assert problems == []
    came: dict[str, list[str]] = defaultdict(list)
    for key, receipt in zip(keys, kept, strict=True):
        came[key].append(receipt)
    assert dict(seen) == dict(came)


def test_rules_of_every_kind_keep_the_order(store: Store, ordered: Made) -> None:
    automate(store, "plain", expect=["github.push"])
    automate(store, "counting", expect=["github.push"], threshold=2, within=60)
    send(store, ordered, "a", "a")
    seen = []
    for _ in range(3):
        work(store)
        (row,) = alive(store)
        seen.append(row["order_no"])
        end(store, row["run_id"])
    assert seen == [1, 2, 2]


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_any_commit_changes_nothing(store: Store, ordered: Made, after: bool) -> None:
    automate(store, expect=["github.push"])
    kept = send(store, ordered, *"abababab")
    loop = relay(store)
    while loop.step():
        pass
    seen: list[str] = []
    deaths = 0
    while len(seen) < 8:
        for at in range(1, 7):
            stamped(store)
            with contextlib.suppress(Killed):
                Automations(Mortal(store, at, after=after)).step()  # type: ignore[arg-type]
                continue
            deaths += 1
        decide(store)
        rows = sorted(alive(store), key=lambda row: row["order_no"])
        assert len({row["order_key"] for row in rows}) == len(rows) == 2
        for row in rows:
            seen.append(row["receipt_id"])
            end(store, row["run_id"])
    assert seen == kept
    assert deaths >= 5
    assert len(made_runs(store)) == 8


def test_retention_leaves_what_holds_a_lane(store: Store, ordered: Made) -> None:
    automate(store, expect=["github.push"])
    send(store, ordered, "a", "a", "b")
    work(store)
    with store.write() as tx:
        assert trimming.actions(tx, before=now_us() + SECOND, limit=100) == 0
    for _ in range(2):
        for row in alive(store):
            end(store, row["run_id"])
        work(store)
    with store.write() as tx:
        assert trimming.actions(tx, before=now_us() + SECOND, limit=100) == 3


def test_numbers_go_on_when_the_order_is_given_up(store: Store, ordered: Made) -> None:
    send(store, ordered, "a", "a")
    work(store)
    change(store, "source.update", ordered.name, order_by="")
    send(store, ordered, "a")
    work(store)
    assert [event["body"]["order_no"] for event in stamped(store)] == [1, 2, 3]
    assert "order_key" not in told(stamped(store)[-1])
    assert source_row(store, ordered.name)["order_no"] == 3
    assert len(rows(store)) == 3
