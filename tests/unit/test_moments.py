"""Lengths of time as people type them."""

from __future__ import annotations

import pytest
from hub.moments import span, span_text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "off"), (1, "1s"), (90, "90s"), (3600, "1h"), (5400, "90m"), (2_592_000, "30d")]
)
def test_a_length_of_time_is_written_as_it_is_read(seconds: int, text: str) -> None:
    assert span_text(seconds) == text
    assert span(text) == seconds
