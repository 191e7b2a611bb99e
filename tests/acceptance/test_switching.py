"""From local to a plane and back in short: ticks, webhooks and history, also when the plane dies in the middle."""

from __future__ import annotations

import pytest
from benchmarks.switching import switched


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kill", [pytest.param(False, id="quiet"), pytest.param(True, id="killed")])
@pytest.mark.long("quiet")
def test_no_tick_and_no_webhook_is_lost_on_the_way_to_a_plane_and_back(kill: bool) -> None:
    told = switched(300, 2, kill=kill)
    assert told.good, str(told)
