"""Runs of this process that others can see, cancel and outlive, on every store."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task
from hub.engine.run import Cancel
from hub.errors import FlowLoadError, ParameterError, RunCancelled, UsageError
from hub.runtime import inline, loader, orchestrator, process
from hub.store import attempts
from hub.types import SECOND, Scope, now_us
from sqlalchemy import select

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()


def attempt_rows(plane: Plane) -> list[dict[str, Any]]:
    with plane.store.read() as tx:
        return [dict(row) for row in tx.conn.execute(select(attempts.TABLE)).mappings()]


def test_a_plain_call_records_its_process_and_renews_its_lease(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_LEASE", "30")
    monkeypatch.setenv("HUB_LEASE_RENEW", "0.05")
    seen: list[dict[str, Any]] = []

    @flow
    def inner() -> None:
        seen.extend(attempt_rows(plane))
        first = {row["id"]: row["lease_until"] for row in seen}
        deadline = time.monotonic() + 10
        while any(row["lease_until"] <= first[row["id"]] for row in attempt_rows(plane)):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @flow
    def outer() -> None:
        inner()

    outer()
    me = process.identity()
    assert len(seen) == 2
    for row in seen:
        assert (row["state"], row["worker_id"], row["number"]) == ("CLAIMED", None, 1)
        assert process.Identity(row["host"], row["boot_id"], row["pid"], row["pid_started"]) == me
        assert 0 < row["lease_until"] - now_us() <= 30 * SECOND
    assert {row["state"] for row in attempt_rows(plane)} == {"ENDED"}


@pytest.mark.parametrize("kind", ["blocking", "async", "thread", "waiting"])
def test_a_plain_call_that_is_cancelled_from_elsewhere_stops(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, kind: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUB_LEASE_RENEW", "0.05")
    after = tmp_path / "after"

    call_it = _long_calls(after)[kind]
    caught: list[BaseException] = []

    def call() -> None:
        try:
            call_it()
        except BaseException as error:
            caught.append(error)

    def cancel() -> None:
        while not plane.rows() or plane.only()["state_type"] != "RUNNING":
            time.sleep(0.02)
        orchestrator.handle(plane.store, SCOPE, plane.only()["id"], Cancel("enough"))

    canceller = threading.Thread(target=cancel)
    canceller.start()
    begin = time.monotonic()
    if kind == "thread":
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(25)
    else:
        call()
    canceller.join(10)
    assert time.monotonic() - begin < 20
    assert isinstance(caught[0], RunCancelled)
    assert not after.exists()
    assert plane.only()["state_name"] == "Cancelled"


def _long_calls(after: Path) -> dict[str, Callable[[], object]]:
    """Calls of half a minute, by kind; each leaves a file if it gets to its end."""

    @task
    def naps() -> None:
        for _ in range(600):
            time.sleep(0.05)

    @flow
    def blocking() -> None:
        time.sleep(30)
        after.touch()

    @flow
    def waiting() -> None:
        naps.submit().result()
        after.touch()

    @flow
    async def coroutine() -> None:
        await asyncio.sleep(30)
        after.touch()

    @flow
    def on_thread() -> None:
        naps()
        after.touch()

    return {
        "blocking": blocking,
        "waiting": waiting,
        "async": lambda: asyncio.run(coroutine()),
        "thread": on_thread,
    }


def test_many_threads_may_call_flows_at_once(plane: Plane) -> None:
    @task
    def double(n: int) -> int:
        return 2 * n

    @flow
    def whole(n: int) -> int:
        return sum(double.map(range(n)).result())

    found: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: whole(n)})) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {n: n * (n - 1) for n in range(1, 7)}
    assert [row["state_name"] for row in plane.rows()] == ["Completed"] * 6


def test_a_forked_child_calls_flows_of_its_own(plane: Plane) -> None:
    @flow
    def whole() -> int:
        return os.getpid()

    mine = whole()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        try:
            os.write(writer, str(whole()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        theirs = int(told.read())
    assert os.waitpid(pid, 0)[1] == 0
    assert theirs == pid != mine
    assert [row["state_name"] for row in plane.rows()] == ["Completed"] * 2


# --- deploying -------------------------------------------------------------------------------------------------------


def test_deploy_makes_a_deployment_with_a_schedule_once(plane: Plane) -> None:
    file = plane.file("""
@flow(retries=2, retry_delay_seconds=exponential_backoff(3), timeout_seconds=60, tags=["x"])
def whole(n: int, text: str = "a"):
    \"""Does it.\"""
""")
    loaded = loader.load_flow(f"{file}:whole")
    first = loaded.deploy("daily", cron="0 8 * * *", parameters={"n": 1}, tags=["y"])
    again = loaded.deploy("daily", cron="0 8 * * *", parameters={"n": 1}, tags=["y"])
    assert (first.name, first.created, again.created, again.id, again.version) == ("daily", True, False, first.id, 1)
    with plane.store.read() as tx:
        from hub.store import catalog

        row = dict(tx.conn.execute(select(catalog.DEPLOYMENTS)).mappings().one())
        schedule = dict(tx.conn.execute(select(catalog.SCHEDULES)).mappings().one())
    assert (row["entrypoint"], row["flow_name"], row["description"]) == (f"{file}:whole", "whole", "Does it.")
    assert (row["tags"], row["timeout_s"], row["parameters"]) == (["x", "y"], 60, {"n": 1})
    assert row["retry_policy"] == {"retries": 2, "delays": [3.0], "backoff": 2.0, "cap": 3600.0, "jitter": 0.0}
    assert (schedule["kind"], schedule["spec"], schedule["deployment_id"]) == ("cron", "0 8 * * *", first.id)


def test_deploy_refuses_what_no_worker_could_run(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    @flow
    def local(n: int) -> None: ...

    with pytest.raises(FlowLoadError, match="defined inside a function"):
        local.deploy()
    file = plane.file("@flow\ndef whole(n: int): ...")
    loaded = loader.load_flow(f"{file}:whole")
    with pytest.raises(ParameterError):
        loaded.deploy(parameters={"zz": 1})
    with pytest.raises(UsageError, match="cron or interval"):
        loaded.deploy(cron="* * * * *", interval=5)
    monkeypatch.setenv("HUB_API_URL", "http://127.0.0.1:1")
    with pytest.raises(UsageError, match="HUB_API_URL"):
        loaded.deploy()
    monkeypatch.delenv("HUB_API_URL")
    monkeypatch.setenv("HUB_JOURNAL", "off")
    with pytest.raises(UsageError, match="no store"):
        loaded.deploy()
    inline.forget()
