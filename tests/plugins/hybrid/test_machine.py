"""The invariants of hub-sync/1 under random histories. HUB_TEST_LINK_EXAMPLES asks for more (scripts/soak: 2000)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Links

EXAMPLES = int(os.environ.get("HUB_TEST_LINK_EXAMPLES", "25"))
STEPS = 40 if EXAMPLES <= 25 else 50
# Shrinking takes minutes: only where there is time for it.
PHASES = [Phase.generate] if EXAMPLES <= 25 else [Phase.generate, Phase.shrink]


@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 5))
def test_the_invariants_hold_whatever_fails() -> None:
    profile = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, phases=PHASES,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    run_state_machine_as_test(Links, settings=profile)
