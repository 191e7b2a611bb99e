"""A measured row, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure with its floor and its budget, all in `unit`. `better` says which way is good."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    floor: float | None = None
    floor_name: str = ""
    better: str = "less"
    budget_ratio: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over floor."""
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the budget is kept; None where there is none."""
        if self.budget_ratio is not None and self.ratio is not None:
            return self.ratio >= self.budget_ratio if self.better == "more" else self.ratio <= self.budget_ratio
        if self.budget is None:
            return None
        return self.value >= self.budget if self.better == "more" else self.value <= self.budget

    def document(self) -> dict[str, Any]:
        """The row for a file."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


@dataclass(frozen=True, slots=True)
class Bench:
    """A named measurement: `measure(quick)` gives its rows."""

    name: str
    measure: Callable[[bool], list[Row]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def figure(value: float | None, unit: str) -> str:
    """A number a person reads: three digits that count."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()
