"""When something is tried again: the schedule, its spread, and what the other side asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hub.outbound.again import next_delay, retry_after

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_each_try_has_its_delay_and_after_the_last_there_is_none() -> None:
    assert [next_delay((5, 300), number, retry_after=None, spread=0) for number in (1, 2, 3)] == [5, 300, None]
    assert next_delay((100,), 1, retry_after=None, spread=1) == 120


def test_a_retry_after_is_kept_up_to_a_day() -> None:
    assert next_delay((5,), 1, retry_after=60, spread=0) == 60
    assert next_delay((5,), 1, retry_after=1e9, spread=0) == 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0), ("0", 0.0), ("Sat, 31 Jan 2026 12:01:00 GMT", 60.0), ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("", None), (None, None), ("soon", None), ("-5", None), ("9" * 400, 999_999_999.0), ("\u0663", None),
        ("Sat, 31 Jan 99999 12:01:00 GMT", None),
    ],
)  # fmt: skip
def test_the_header_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, now=NOW) == seconds
