"""The short form of the herd: sites come back to their plane at once, and are let in one after the other."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from benchmarks import herd_plot
from benchmarks.herd import herd


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_forty_sites_that_come_at_once_are_all_in_step_soon(own_postgres_url: str) -> None:
    told = herd(40, 10, rate=5, idle=1, database=own_postgres_url)
    assert told.equal == len(told.in_step) == 40
    assert told.refused > 0, "the plane turned nobody away: there was no herd"
    assert set(told.statuses) <= {200, 204, 503}
    assert 5 < told.in_step[-1] < 120, told.in_step
    assert told.memory < told.memory_before + 50
    drawing = ElementTree.fromstring(herd_plot.drawn(told))
    bars = [node for node in drawing.iter() if node.get("class") == "begun"]
    assert len(bars) == len({int(at) for at in told.let_in})
