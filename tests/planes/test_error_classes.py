"""Every failed run and task run is stored with its error class; what ended well has none."""

from __future__ import annotations

import pytest
from hub import flow, task

from .conftest import Plane


def test_a_failed_task_and_its_flow_say_what_kind_of_failure_it_was(plane: Plane) -> None:
    @task
    def fetch() -> None:
        raise ConnectionRefusedError(111, "refused")

    @task
    def use(value: None) -> None: ...

    @flow
    def whole() -> None:
        use.submit(fetch.submit()).result()

    with pytest.raises(Exception, match="fetch"):
        whole()
    run = plane.only()
    assert run["error_class"] == "infrastructure"
    assert [row["error_class"] for row in plane.tasks(run["id"])] == ["infrastructure", "infrastructure"]


def test_a_time_limit_is_a_timeout_and_a_later_success_has_no_class(plane: Plane) -> None:
    tries = []

    @task(retries=1)
    def once() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise TimeoutError

    @flow(retries=1)
    def whole() -> None:
        once()
        if len(tries) == 2:
            tries.append(1)
            raise ValueError("once more")

    whole()
    run = plane.only()
    assert (run["state_name"], run["retries_used"], run["error_class"]) == ("Completed", 1, None)
    assert [row["error_class"] for row in plane.tasks(run["id"])] == [None]
