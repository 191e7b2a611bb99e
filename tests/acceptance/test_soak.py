"""The short form of the soak: webhooks while processes are killed."""

from __future__ import annotations

import pytest
from benchmarks.soak import soak


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(170)
def test_nothing_is_lost_while_processes_are_killed() -> None:
    tally = soak(10, seed=2)
    assert tally.kills >= 3
    assert tally.good, str(tally)
