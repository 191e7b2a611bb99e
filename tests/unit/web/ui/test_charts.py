from __future__ import annotations

from hub.types import SECOND
from hub.web.ui.charts import Span, nice_top, stacked, timeline
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 10**9))
def test_the_top_of_a_chart_is_round_and_not_far_above(most: int) -> None:
    top = nice_top(most)
    assert top >= max(most, 2)
    assert top % 2 == 0
    assert top <= max(most * 1.7, 2)


def test_columns_stack_from_the_bottom_and_tell_themselves() -> None:
    chart = stacked([("10:00", {"COMPLETED": 6, "FAILED": 2}), ("11:00", {})], ("COMPLETED", "FAILED"), height=100)
    lower, upper = chart.columns[0].pieces
    assert (lower.kind, lower.y + lower.height) == ("completed", 100)
    assert (upper.kind, upper.y + upper.height) == ("failed", lower.y)
    assert upper.height == 25
    assert chart.columns[0].title == "10:00: 6 completed, 2 failed"
    assert chart.columns[1].title == "11:00: none"


def test_one_failure_among_thousands_is_seen() -> None:
    chart = stacked([("10:00", {"COMPLETED": 5000, "FAILED": 1})], ("COMPLETED", "FAILED"))
    assert all(piece.height >= 2 for piece in chart.columns[0].pieces)


spans = st.builds(
    Span,
    st.sampled_from(["COMPLETED", "RUNNING"]),
    st.integers(0, 10**6),
    st.none() | st.integers(0, 10**6),
    st.none() | st.integers(0, 10**6),
)


@given(st.lists(spans, max_size=20), st.integers(0, 2 * 10**6))
def test_bars_stay_within_their_row_whatever_the_times_say(rows: list[Span], now: int) -> None:
    bars, start, end = timeline(rows, now)
    assert len(bars) == len(rows)
    assert end > start
    for piece in (piece for row in bars for piece in row):
        assert 0 <= piece.x <= 100
        assert piece.x + piece.width <= 100.01
        assert piece.width >= 0


def test_waiting_stands_before_running() -> None:
    (row,), _, _ = timeline([Span("COMPLETED", 0, 5 * SECOND, 10 * SECOND)], 0)
    assert [(piece.kind, piece.x, piece.width) for piece in row] == [("waited", 0, 50), ("completed", 50, 50)]
