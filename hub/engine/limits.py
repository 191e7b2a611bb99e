"""When somebody who asks for a limit gets it. Pure: rows in, verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hub.types import Id, Micros

Kind: TypeAlias = Literal["slots", "rate"]
"""What is asked for: slots, given back when done (and of a limit with a rate some of that too), or the rate alone."""
Block: TypeAlias = Literal["behind", "full", "spent", "closed"]


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A limit and what is counted against it at one moment. `spent` holds (when it comes back, how much)."""

    id: Id
    name: str
    slots: int | None
    rate: int | None
    period: Micros
    held: int = 0
    spent: tuple[tuple[Micros, int], ...] = ()
    behind: bool = False
    """Whether somebody asked before and still waits."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why not now. `until` is when it may come free by itself; None: somebody has to give back first."""

    limit: str
    why: Block
    until: Micros | None = None


def misfit(facts: LimitFacts, kind: Kind, occupy: int) -> str:
    """Why this can never be had, as a sentence; empty when it can."""
    if kind == "rate" and facts.rate is None:
        return f"limit {facts.name} has no rate"
    if kind == "slots" and facts.slots is None:
        return f"limit {facts.name} has a rate and no slots"
    if kind == "slots" and facts.slots and occupy > facts.slots:
        return f"limit {facts.name} has {facts.slots} slots, {occupy} were asked for"
    if facts.rate is not None and occupy > facts.rate:
        return f"limit {facts.name} allows {facts.rate} in {facts.period / 1e6:g} s, {occupy} were asked for"
    return ""


def blocked(facts: LimitFacts, kind: Kind, occupy: int) -> Blocked | None:
    """None when it may be given now. First come, first served: nobody passes one who waits, small as the wish be."""
    if facts.behind:
        return Blocked(facts.name, "behind")
    if kind == "slots" and facts.slots is not None:
        if facts.slots == 0:
            return Blocked(facts.name, "closed")
        if facts.held + occupy > facts.slots:
            return Blocked(facts.name, "full")
    if facts.rate is not None:
        over = sum(count for _, count in facts.spent) + occupy - facts.rate
        for at, count in sorted(facts.spent):
            if over <= 0:
                break
            over -= count
            if over <= 0:
                return Blocked(facts.name, "spent", at)
    return None
