"""Which failures are tried again by type and by error class, and how long the other side makes a retry wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task
from hub.engine.retry import RetryPolicy
from hub.errors import UsageError

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


class Busy(Exception):
    def __init__(self, seconds: str) -> None:
        super().__init__("busy")
        self.response = SimpleNamespace(status_code=429, headers={"Retry-After": seconds})


def tries(error: Exception, **options: Any) -> int:
    """How often a task that raises `error` once is tried."""
    made = []

    @task(**{"retries": 2, **options})
    def step() -> None:
        made.append(1)
        if len(made) == 1:
            raise error

    @flow
    def whole() -> None:
        step()

    try:
        whole()
    except Exception as raised:
        if raised is not error:
            raise
    return len(made)


@pytest.mark.parametrize(
    ("error", "options", "expected"),
    [
        (ConnectionResetError(), {"retry_on": "infrastructure"}, 2),
        (ValueError(), {"retry_on": "infrastructure"}, 1),
        (ValueError(), {"retry_on": ["infrastructure", ValueError]}, 2),
        (ValueError(), {"give_up_on": "user_error"}, 1),
        (ValueError(), {"give_up_on": (KeyError, ValueError)}, 1),
        (KeyError(), {"give_up_on": ValueError}, 2),
        (ValueError(), {"retry_on": ValueError, "give_up_on": "user_error"}, 1),
    ],
)
def test_types_and_classes_say_what_is_tried_again(plane: Plane, error: Exception, options: Any, expected: int) -> None:
    assert tries(error, **options) == expected


def test_a_time_limit_of_the_hub_is_a_timeout_to_the_lists(plane: Plane) -> None:
    assert tries(TimeoutError(), give_up_on="timeout") == 1


@pytest.mark.parametrize("option", ["retry_on", "give_up_on"])
@pytest.mark.parametrize("value", ["rate-limited", 3, (int,), [ValueError, "x"]])
def test_what_is_neither_type_nor_class_is_refused(option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{option}=.* is neither an exception type nor an error class"):
        task(**{option: value})(lambda: None)


def test_what_the_other_side_asks_for_makes_the_delay_longer(plane: Plane) -> None:
    assert tries(Busy("1")) == 2
    [row] = plane.tasks()
    states = plane.history(row["run_id"], row["id"])
    assert states == ["Running", "AwaitingRetry", "Retrying", "Completed"]
    assert row["started_at"] - row["created_at"] >= 1_000_000


def test_it_never_makes_it_shorter_and_never_longer_than_the_cap() -> None:
    policy = RetryPolicy(3, (5.0,), cap=60.0)
    assert [policy.delay(0, asked=asked) for asked in (0.0, 1.0, 20.0, 1e9)] == [5.0, 5.0, 20.0, 60.0]
