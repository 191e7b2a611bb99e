"""What came of an event for an automation: each outcome with the kind of its badge and its word."""

from __future__ import annotations

OUTCOMES: dict[str, tuple[str, str]] = {
    "fired": ("good", "Fired"),
    "error": ("bad", "Error"),
    "loop_stopped": ("bad", "Loop stopped"),
    "counted": ("idle", "Counted"),
    "filtered": ("idle", "Passed over"),
    "cooled_down": ("idle", "At rest"),
    "no_match": ("idle", "No match"),
    "own": ("idle", "Its own"),
}


def mark_of(outcome: str) -> tuple[str, str]:
    """Kind and word; of an outcome that is not known its name."""
    return OUTCOMES.get(outcome, ("idle", outcome))
