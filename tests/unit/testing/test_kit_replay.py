"""Replays: a flow's code against what was recorded of a run, without a task running."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import hub as sdk
import pytest
from hub import CeleryTaskRunner, flow, task
from hub.cli import main
from hub.errors import NotFoundError, UsageError
from hub.runtime import recording
from hub.runtime.executor.places import Places
from hub.testing import Hub, harness, replay
from hub.testing.works import SCOPE

ran: list[str] = []


class Refused(Exception):
    """A user's own."""


@task
def load(part: int) -> list[int]:
    ran.append(f"load {part}")
    return [part, part + 1]


@task(retries=2, retry_delay_seconds=60)
def charge(amount: int) -> str:
    ran.append("charge")
    raise Refused("no money")


@task
def add(a: int, b: int) -> int:
    ran.append("add")
    return a + b


@flow
def bill(parts: int) -> int:
    rows = load.map(range(parts)).result()
    try:
        charge(1)
    except Refused:
        ran.append("refused")
    return add(sum(map(sum, rows)), 0)


@pytest.fixture
def kit() -> Iterator[Hub]:
    with harness() as made:
        yield made
    ran.clear()


def changed(kit: Hub, code: Callable[..., Any], parts: int = 2) -> Any:
    """What a replay finds in another version of the flow."""
    bill(parts)
    ran.clear()
    found = replay(kit.run(bill), flow(code, name="bill"))  # type: ignore[call-overload]
    assert set(ran) <= {"refused"}, "a replay runs no task"
    return found


def test_unchanged_code_replays_and_runs_nothing(kit: Hub) -> None:
    assert bill(2) == 4
    ran.clear()
    found = replay(kit.run(bill).id, bill)
    assert (found.ok, found.result, found.replayed, ran) == (True, 4, 4, ["refused"])
    assert "replays: 4 steps" in str(found)
    found.check()
    assert len(kit.runs()) == 1, "a replay leaves no run"


def test_a_step_that_was_not_recorded_is_named(kit: Hub) -> None:
    def code(parts: int) -> int:
        rows = load.map(range(parts)).result()
        return add(sum(map(sum, rows)), 7)

    found = changed(kit, code)
    assert [item.kind for item in found.divergences] == ["unknown"]
    assert str(found.divergences[0]) == "add-0 is called now and was not then; recorded with other inputs: add-0"
    with pytest.raises(AssertionError, match="does not replay:\n  add-0 is called now"):
        found.check()


def test_a_step_that_is_no_longer_called_is_named(kit: Hub) -> None:
    def code(parts: int) -> int:
        return add(sum(map(sum, load.map(range(parts)).result())), 0)

    found = changed(kit, code)
    assert [(item.kind, item.step) for item in found.divergences] == [("missing", "charge-0")]


def test_another_end_and_another_result_are_told(kit: Hub) -> None:
    def fails(parts: int) -> int:
        load.map(range(parts)).result()
        charge(1)
        return 0

    def other(parts: int) -> int:
        return bill.fn(parts) + 1

    found = changed(kit, fails)
    assert [item.kind for item in found.divergences] == ["end", "missing"]
    assert "raises Refused now" in str(found)
    found = replay(kit.run("bill"), flow(other, name="bill"))
    assert str(found.divergences[0]) == "the result is 5 now and was 4 then"


def test_parameters_that_no_longer_fit_are_told(kit: Hub) -> None:
    def code(pieces: int) -> int:
        return pieces

    assert [item.kind for item in changed(kit, code).divergences] == ["parameters"]


def test_no_except_of_the_flow_hides_an_unknown_step(kit: Hub) -> None:
    def code(parts: int) -> int:
        try:
            add(1, 2)
        except Exception:
            return 0
        return 1

    assert [item.step for item in changed(kit, code).divergences] == ["add-0"]


def test_failed_flows_coroutines_generators_nested_flows_and_waits_replay(kit: Hub) -> None:
    told: list[str] = []

    @task
    async def half(n: int) -> float:
        ran.append("half")
        return n / 2

    @flow
    def inner(n: int) -> int:
        return add(n, 1)

    @flow
    async def crawl() -> list[float]:
        await sdk.sleep(timedelta(days=1))
        return [*await asyncio.gather(half(1), half(2)), inner(3)]

    @flow
    def fails() -> None:
        inner(1)
        raise ValueError("always")

    @fails.on_failure
    def tell(*_: Any) -> None:
        told.append("told")

    @flow
    def items() -> Iterator[int]:
        yield add(1, 1)
        yield sdk.now().year

    asyncio.run(crawl())
    with pytest.raises(ValueError, match="always"):
        fails()
    list(items())
    ran.clear()
    told.clear()
    before = kit.clock.skipped
    for made, steps in ((crawl, 4), (fails, 1), (items, 2)):
        found = replay(kit.run(made), made)
        assert (found.ok, found.replayed) == (True, steps), found
    assert (ran, told, kit.clock.skipped) == ([], [], before)


def test_what_was_not_kept_is_given(kit: Hub) -> None:
    @task(persist=False)
    def secret() -> str:
        ran.append("secret")
        return "s3cret"

    @flow
    def whole() -> int:
        return len(secret())

    whole()
    ran.clear()
    found = replay(kit.run(whole), whole)
    assert [item.kind for item in found.divergences] == ["unkept"]
    assert replay(kit.run(whole), whole, given={"secret-0": "s3cret"}).ok
    assert ran == []


def test_an_export_is_replayed_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    with harness() as kit:
        bill(3)
        assert main(["runs", "export", kit.run(bill).id]) == 0
        file.write_text(capsys.readouterr().out, encoding="utf-8")
    ran.clear()
    assert replay(file, bill).ok
    assert replay(str(file), bill).ok
    assert replay(json.loads(file.read_text()), bill).replayed == 5
    assert set(ran) == {"refused"}


def test_a_run_that_was_cut_off_replays_to_where_it_came(kit: Hub) -> None:
    bill(2)
    document: Any = recording.record(kit.store, Places(kit.home / "results"), SCOPE, kit.run(bill).id)
    document["run"] |= {"state_type": "CRASHED", "state_name": "Crashed"}
    document["steps"] = [step for step in document["steps"] if step["task_name"] == "load"]
    found = replay(document, bill)
    assert (found.ok, found.replayed) == (True, 2), "what comes next was not recorded, and is no divergence"


def test_what_is_no_recording_is_refused(kit: Hub, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not json")
    with pytest.raises(UsageError, match="is not JSON"):
        replay(tmp_path / "text", bill)
    with pytest.raises(UsageError, match="not a recorded run"):
        replay({"format": "else"}, bill)
    with pytest.raises(NotFoundError, match="cannot be read"):
        replay(tmp_path / "none", bill)
    with pytest.raises(NotFoundError, match="there is no run"):
        replay("01a21993-53ef-743c-8f93-b89dcbf34aa9", bill)
    bill(1)
    with pytest.raises(UsageError, match="executed in chunks"):
        replay(kit.run(bill), bill.with_options(task_runner=CeleryTaskRunner()))


def test_a_recording_is_bounded(kit: Hub) -> None:
    @task
    def large() -> str:
        return "x" * 200_000

    @flow
    def whole() -> int:
        return len(large())

    whole()
    run = kit.run(whole)
    places = Places(kit.home / "results", kit.store, SCOPE)
    assert len(json.dumps(recording.record(kit.store, places, SCOPE, run.id))) > 200_000
    with pytest.raises(UsageError, match="are more than"):
        recording.record(kit.store, places, SCOPE, run.id, most=1000)
    assert replay(run, whole).ok, "a large result is read from where it is"
