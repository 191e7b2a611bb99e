"""Between the begin of an attempt and the first line of its flow: what goes wrong there ends the run, too."""

from __future__ import annotations

from typing import Any

import pytest
from hub import flow
from hub.errors import UnavailableError
from hub.runtime.store_journal import StoreJournal

from .conftest import Plane

CODE = """
@flow(retries=1, retry_delay_seconds=0)
def whole():
    if runtime_context().attempt == 1: raise ValueError("first")
    return "done"
"""


def test_an_error_while_earlier_steps_are_read_is_a_failure_of_the_run(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: Any, **__: Any) -> Any:
        raise LookupError("a row that nobody understands")

    run_id = plane.run(f"{plane.file(CODE)}:whole", retry_policy={"retries": 1, "delays": [0]})
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry"
    monkeypatch.setattr(StoreJournal, "known", odd)
    assert not plane.attempt(run_id)  # the process is as good as before
    row = plane.row(run_id)
    assert (row["state_name"], row["error_message"]) == ("Failed", "LookupError: a row that nobody understands")


def test_in_a_plain_call_as_well(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    @flow(retries=1, retry_delay_seconds=0)
    def whole() -> None:
        tries.append(1)
        monkeypatch.setattr(StoreJournal, "known", lambda *_, **__: 1 / 0)
        raise ValueError("first")

    with pytest.raises(ZeroDivisionError):
        whole()
    assert tries == [1]
    assert plane.only()["state_name"] == "Failed"


def test_a_database_that_is_away_then_costs_the_attempt_and_not_the_run(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise UnavailableError("the database does not answer")

    run_id = plane.run(f"{plane.file(CODE)}:whole", retry_policy={"retries": 1, "delays": [0]})
    plane.attempt(run_id)
    monkeypatch.setattr(StoreJournal, "known", away)
    assert plane.attempt(run_id)  # the process ends, and with it the lease
    assert plane.row(run_id)["state_name"] == "Retrying"
