"""Cache policies and options, as authors write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hub import task
from hub.cache_policies import DEFAULT, FLOW_PARAMETERS, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE
from hub.errors import UsageError


def test_policies_join_and_leave_arguments_out() -> None:
    assert INPUTS + TASK_SOURCE + RUN_ID == DEFAULT
    assert INPUTS + NO_CACHE == INPUTS
    assert hash(TASK_SOURCE + INPUTS) == hash(INPUTS + TASK_SOURCE)
    less = INPUTS - "client" + FLOW_PARAMETERS - "at"
    assert repr(less) == "FLOW_PARAMETERS + INPUTS - 'at' - 'client'"
    with pytest.raises(UsageError, match="has no inputs"):
        TASK_SOURCE - "x"
    for wrong in (lambda: INPUTS + "x", lambda: INPUTS - 1):  # type: ignore[operator]
        with pytest.raises(TypeError):
            wrong()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cache_policy": "inputs"}, "is no CachePolicy"),
        ({"cache_key_fn": "key"}, "is no function"),
        ({"cache_expiration": 60}, "need to know what is cached"),
        ({"refresh_cache": True}, "need to know what is cached"),
        ({"cache_policy": INPUTS, "cache_expiration": 0}, "no time above 0"),
        ({"cache_policy": INPUTS, "cache_expiration": True}, "no time above 0"),
        ({"cache_policy": INPUTS, "cache_expiration": float("nan")}, "no time above 0"),
    ],
)
def test_options_that_make_no_sense_are_refused_where_they_are_written(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        task(**given)


def test_times_are_seconds_or_timedeltas_and_no_cache_is_none() -> None:
    for value in (90, timedelta(minutes=1.5)):
        options = task(cache_policy=INPUTS, cache_expiration=value)(lambda: 1).options
        assert options.cache is not None
        assert options.cache.expiration == 90.0
    assert task(cache_policy=NO_CACHE)(lambda: 1).options.cache is None
    assert task(lambda: 1).with_options(cache_policy=INPUTS).options.cache is not None
