"""The restricted network in short: a site behind a firewall, a slow and torn wire, and a plane that is away."""

from __future__ import annotations

import pytest
from benchmarks.namespaces import missing
from benchmarks.restricted import restricted


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_fact_passes_a_firewall_a_proxy_and_a_torn_wire_once_and_in_order() -> None:
    if why := missing():
        pytest.skip(why)
    told = restricted(4)
    assert told.good, str(told)
