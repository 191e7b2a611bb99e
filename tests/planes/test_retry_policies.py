"""Delays by a function, total budgets and policies that flows and tasks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, retry_policy, task
from hub.errors import UsageError

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


def tries(*, of_the_flow: bool = False, **options: Any) -> int:
    """How often a task (or its flow) that always fails is tried."""
    made = []

    @task(**({} if of_the_flow else options))
    def step() -> None:
        made.append(1)
        raise ValueError

    @flow(**(options if of_the_flow else {}))
    def whole() -> None:
        step()

    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        whole()
    return len(made)


@pytest.mark.parametrize("of_the_flow", [False, True])
def test_no_retry_begins_when_the_budget_would_be_spent(plane: Plane, of_the_flow: bool) -> None:
    delays = [0.0, 0.0, 3600.0]
    made = tries(of_the_flow=of_the_flow, retries=5, retry_delay_seconds=delays, retry_budget_seconds=60)
    assert made == 3


def test_a_function_gives_the_delay_of_each_retry(plane: Plane) -> None:
    asked = []

    def delay(number: int) -> float:
        asked.append(number)
        return 0.01 * number

    step = task(retries=3, retry_delay_seconds=delay)(lambda: None)
    assert step.options.retry.delays == (0.01, 0.02, 0.03)
    assert set(asked) == {1, 2, 3}
    assert tries(retries=1, retry_delay_seconds=delay) == 2


@pytest.mark.parametrize("of_the_flow", [False, True])
def test_a_policy_is_shared_and_what_stands_beside_it_goes_before(plane: Plane, of_the_flow: bool) -> None:
    polite = retry_policy("polite", retries=2, retry_on=ValueError)
    assert tries(of_the_flow=of_the_flow, retry_policy=polite) == 3
    assert tries(of_the_flow=of_the_flow, retry_policy=polite, retries=1) == 2
    assert tries(of_the_flow=of_the_flow, retry_policy=polite, give_up_on="user_error") == 1


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("", {}, "is not a name"),
        ("x", {"retrys": 1}, "has no option 'retrys'"),
        ("x", {"retries": -1}, "retries=-1 is not"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_where_it_is_made(name: str, options: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        retry_policy(name, **options)
