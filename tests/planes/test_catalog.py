"""Deployments, schedules, accounts and tokens on every store."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import NotFoundError, PermissionError_, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.identity import digest
from hub.store import Store, catalog, events, identity, run_details
from hub.store.tables import Log
from hub.types import Actor, Scope, new_id

OWNER = Scope(actor=Actor("local", scopes=frozenset({"*"})))
OTHER = Scope("00000000-0000-7000-8000-0000000000ff", OWNER.actor)


def do(
    store: Store, op: str, target: str = "", *, scope: Scope = OWNER, via: Any = "api", **args: Any
) -> dict[str, Any]:
    return apply(store, Command(op, scope, target, args, via=via)).result


def deploy(store: Store, name: str = "nightly", **more: Any) -> dict[str, Any]:
    return do(store, "deployment.set", name=name, flow_name="f", entrypoint="f.py:f", **more)


def types(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.type for row in tx.conn.execute(events.TABLE.select().order_by(events.TABLE.c.id))]


def test_a_deployment_changes_only_when_something_is_different(store: Store) -> None:
    first = deploy(store, timeout_s=1.5, tags=["b", "a"], retry_policy={"retries": 2, "delays": [1, 2.5]})
    again = deploy(store, timeout_s=1.5, tags=["a", "b"], retry_policy={"retries": 2, "delays": [1, 2.5]})
    assert (again["id"], again["version"], again["created"]) == (first["id"], 1, False)
    assert deploy(store, paused=True)["version"] == 2
    assert types(store) == ["hub.deployment.created", "hub.deployment.updated"]


def test_a_name_wins_over_an_id_that_looks_the_same(store: Store) -> None:
    first = deploy(store, "one")
    second = deploy(store, first["id"])
    with store.read() as tx:
        assert catalog.deployment(tx, OWNER, first["id"])["id"] == second["id"]


def test_the_own_schedule_is_one_however_often_it_is_declared(store: Store) -> None:
    for spec in ("60", "60", "120"):
        made = deploy(store, schedule={"kind": "interval", "spec": spec})
    with store.read() as tx:
        found = catalog.schedules(tx, OWNER, deployment_id=made["id"]).items
    assert [(row["spec"], row["deployment_name"]) for row in found] == [("120", "nightly")]
    assert types(store).count("hub.schedule.updated") == 1


def test_schedules_rest_and_go_on(store: Store) -> None:
    deploy(store)
    made = do(store, "schedule.create", deployment="nightly", kind="cron", spec="0 8 * * *", active=False)
    with store.read() as tx:
        assert catalog.schedule(tx, OWNER, made["id"])["next_at"] is None
    do(store, "schedule.resume", made["id"])
    do(store, "schedule.resume", made["id"])
    with store.read() as tx:
        row = catalog.schedule(tx, OWNER, made["id"])
        assert row["next_at"] > tx.now
    do(store, "deployment.delete", "nightly")
    with store.read() as tx, pytest.raises(NotFoundError):
        catalog.schedule(tx, OWNER, made["id"])


def test_queues_count_what_waits_and_runs(store: Store) -> None:
    deploy(store)
    for _ in range(3):
        do(store, "run.create", "nightly")
    do(store, "run.create", "nightly", due_at=2**52)
    with store.read() as tx:
        queue = catalog.queues(tx, OWNER).items[0]
    assert (queue["waiting"], queue["running"]) == (3, 0)


def test_nothing_is_seen_from_another_workspace(store: Store) -> None:
    deploy(store)
    run = do(store, "run.create", "nightly")["id"]
    made = do(store, "token.create", name="t")
    with store.write() as tx:
        row = {"workspace_id": OWNER.workspace_id, "run_id": run, "task_run_id": None, "attempt": 1, "at": tx.now,
               "level": 20, "logger": "", "message": "m"}  # fmt: skip
        tx.insert(Log.__table__, row)  # type: ignore[attr-defined]
    with store.read() as tx:
        assert catalog.find_deployment(tx, OTHER, "nightly") is None
        for page in (
            catalog.deployments(tx, OTHER), catalog.schedules(tx, OTHER), catalog.queues(tx, OTHER),
            catalog.workers(tx, OTHER, gone=True), run_details.listing(tx, OTHER), run_details.logs(tx, OTHER, run),
            run_details.tasks(tx, OTHER, run), identity.tokens(tx, OTHER), identity.audit(tx, OTHER),
        ):  # fmt: skip
            assert page.items == []
    for op, target in (("deployment.delete", "nightly"), ("run.cancel", run), ("token.revoke", made["id"])):
        with pytest.raises(NotFoundError):
            do(store, op, target, scope=OTHER)


def test_an_owner_is_made_only_from_the_machine_itself(store: Store) -> None:
    args = {"name": "ann", "password_hash": "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA"}
    with store.read() as tx:
        assert not identity.has_owner(tx)
    with pytest.raises(PermissionError_):
        do(store, "user.owner", scope=Scope(actor=Actor("token", new_id(), frozenset({"*"}))), **args)
    assert do(store, "user.owner", **args)["created"] is True
    assert do(store, "user.owner", **args)["created"] is False
    with store.read() as tx:
        assert identity.has_owner(tx)
        user = identity.user_named(tx, OWNER.workspace_id, "ann")
    assert user is not None
    assert user["session_epoch"] == 1
    do(store, "user.end_sessions", scope=Scope(actor=Actor("user", user["id"])))
    with store.read() as tx:
        assert identity.user(tx, user["id"])["session_epoch"] == 2  # type: ignore[index]


def test_a_plane_cannot_make_tokens_or_owners(store: Store) -> None:
    link = Scope(actor=Actor("link", "l", frozenset({"*"})))
    for op, args in (("token.create", {"name": "t"}), ("user.owner", {"name": "n", "password_hash": "x" * 30})):
        outcome = apply(store, Command(op, link, "", args, via="link"))
        assert (outcome.status, outcome.code) == ("rejected", "forbidden")


def test_tokens_are_found_by_their_digest_alone(store: Store) -> None:
    made = do(store, "token.create", name="t", scopes=["runs:read", "runs:read"], expires_in=60)
    with store.read() as tx:
        row = identity.token_of(tx, digest(made["token"]))
        assert row is not None
        assert (row["scopes"], row["revoked_at"]) == (["runs:read"], None)
        assert identity.token_of(tx, made["token"]) is None
    do(store, "token.revoke", made["id"])
    do(store, "token.revoke", made["id"])
    with pytest.raises(UsageError):
        do(store, "token.create", name="t", scopes=["runs:read:x"])
