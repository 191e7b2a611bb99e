"""Which runs of a lane are turned away. A lane: the runs of a deployment that share one limit (and one key)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hub.types import Id

Overflow: TypeAlias = Literal["enqueue", "cancel_new", "cancel_old"]
"""What becomes of runs beyond the limit: they wait; they are cancelled; they push out the oldest."""


@dataclass(frozen=True, slots=True)
class LaneRun:
    """A run of the lane that executes or is due. `begun`: it has executed before, or does now."""

    id: Id
    begun: bool


def turned_away(found: Sequence[LaneRun], slots: int, overflow: Overflow) -> list[Id]:
    """The runs to cancel, `found` being in the order of their making.

    cancel_new: whoever began keeps its place, then the oldest; cancel_old: the newest stay.
    """
    if overflow == "enqueue" or len(found) <= slots:
        return []
    if overflow == "cancel_old":
        return [run.id for run in found[: len(found) - slots]]
    places = max(0, slots - sum(run.begun for run in found))
    return [run.id for run in found if not run.begun][places:]
