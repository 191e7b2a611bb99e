"""The invariants of hub-sync/1 under random histories. HUB_TEST_LINK_EXAMPLES asks for more (scripts/soak: 2000)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Links

EXAMPLES = int(os.environ.get("HUB_TEST_LINK_EXAMPLES", "200"))
PARTS = 4
"""Tests that share the examples, for several processes."""
STEPS = 40 if EXAMPLES <= 200 else 50
# Shrinking takes minutes: only where there is time for it.
PHASES = [Phase.generate] if EXAMPLES <= 200 else [Phase.generate, Phase.shrink]


@pytest.mark.slow
@pytest.mark.timeout(max(180, EXAMPLES * 5))
@pytest.mark.parametrize("part", range(PARTS))
def test_the_invariants_hold_whatever_fails(part: int) -> None:
    profile = settings(
        max_examples=len(range(part, EXAMPLES, PARTS)), stateful_step_count=STEPS, deadline=None, database=None,
        phases=PHASES, suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip

    class Part(Links):
        """A class of its own may have a seed of its own."""

    if settings.default is not None and settings.default.derandomize:
        seed(part)(Part)  # else all parts would play the same histories
    run_state_machine_as_test(Part, settings=profile)
