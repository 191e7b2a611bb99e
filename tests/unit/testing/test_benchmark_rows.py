"""Rows of the benchmarks: ratios, budgets, percentiles."""

from __future__ import annotations

import pytest
from benchmarks.row import Row, figure, percentile


def test_a_budget_is_kept_or_not() -> None:
    assert Row("a", 50, "ms", 60).met is True
    assert Row("a", 70, "ms", 60).met is False
    assert Row("a", 200, "/s", 150, better="more").met is True
    assert Row("a", 50, "ms").met is None


def test_a_budget_may_be_a_share_of_the_floor() -> None:
    row = Row("a", 70, "/s", None, 100, "floor", "more", budget_ratio=0.6)
    assert (row.ratio, row.met) == (0.7, True)
    assert row.document()["met"] is True


@pytest.mark.parametrize(("share", "value"), [(0.5, 3), (0.99, 5), (0.0, 1)])
def test_percentiles_are_values_that_were_measured(share: float, value: float) -> None:
    assert percentile([5, 1, 4, 2, 3], share) == value


def test_figures_have_as_many_digits_as_say_something() -> None:
    assert [figure(value, "ms") for value in (0.123, 12.34, 1234.5)] == ["0.12 ms", "12.3 ms", "1,234 ms"]
