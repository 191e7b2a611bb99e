"""The short form of the outage: a plane and a site are killed under load, and both ends agree afterwards."""

from __future__ import annotations

import pytest
from benchmarks.outage import outage


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_both_ends_agree_after_the_plane_and_the_site_were_killed() -> None:
    told = outage(4)
    assert told.seen["state_type"] == "SCHEDULED"
    assert "cancel requested, site offline since" in told.seen["notice"]
    assert told.good, str(told)
