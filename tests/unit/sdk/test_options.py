"""Options of flows and tasks, checked where they are written."""

from __future__ import annotations

from typing import Any

import pytest
from hub import exponential_backoff, flow, task
from hub.errors import UsageError
from hub.sdk.retries import Backoff, retry_options


def test_a_flow_takes_its_name_and_description_from_its_function() -> None:
    @flow
    def load_orders() -> None:
        """Load what came in.

        More.
        """

    assert (load_orders.name, load_orders.options.description) == ("load-orders", "Load what came in.")
    assert load_orders.options.retry.retries == 0
    assert load_orders.options.timeout is None


def test_with_options_changes_a_copy_only() -> None:
    @task(retries=1, tags=["a"])
    def step() -> None: ...

    other = step.with_options(retries=3, name="other")
    assert (step.options.retry.retries, other.options.retry.retries) == (1, 3)
    assert (step.name, other.name, other.options.tags) == ("step", "other", ("a",))


@pytest.mark.parametrize(
    ("delay", "delays", "factor", "cap"),
    [
        (3, (3.0,), 1.0, 2_592_000.0),
        ([1, 5, 10], (1.0, 5.0, 10.0), 1.0, 2_592_000.0),
        (exponential_backoff(2, factor=3, cap=60), (2.0,), 3.0, 60.0),
        (Backoff(), (1.0,), 2.0, 3600.0),
    ],
)
def test_delays_come_to_one_shape(delay: Any, delays: tuple[float, ...], factor: float, cap: float) -> None:
    options = retry_options({"retries": 2, "retry_delay_seconds": delay})
    assert (options.delays, options.factor, options.cap) == (delays, factor, cap)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1}, {"retries": True}, {"retries": 1.5}, {"retry_delay_seconds": -1}, {"retry_delay_seconds": []},
        {"retry_delay_seconds": "5"}, {"retry_jitter_factor": 2}, {"retry_on": (int,)}, {"retry_on": "ValueError"},
        {"retry_condition": 3}, {"timeout_seconds": 0}, {"timeout_seconds": "1"}, {"name": "a\nb"}, {"tags": [1]},
        {"retry_delay_cap": -1}, {"retry_budget_seconds": -1}, {"retry_policy": "polite"},
        {"retry_delay_seconds": str}, {"retry_delay_seconds": len}, {"task_run_name": 5}, {"retrys": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_option_is_refused_where_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        task(**wrong)
    assert next(iter(wrong)) in caught.value.detail


def test_an_unknown_option_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        flow(retires=3)  # type: ignore[call-overload]
    assert caught.value.hint == "Did you mean retries?"


def test_it_refuses_what_is_no_plain_function() -> None:
    for wrong in (len, 3):
        with pytest.raises(UsageError):
            task(wrong)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="wait_for"):

        @task
        def step(wait_for: int) -> None: ...


def test_fn_is_the_function_itself() -> None:
    @task(retries=3)
    def double(n: int) -> int:
        return 2 * n

    assert double.fn(4) == 8
    assert double.__name__ == "double"
