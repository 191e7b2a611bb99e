"""What plugins answer where the hub asks before it acts: a run that is to be made, a request that has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Patch:
    """A run is made with these parameters over its own, and with these tags besides (hook `hub_run_before`)."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON; checked against the flow's schema as what was asked for is."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """A run is not made (hook `hub_run_before`). Whoever asked for it reads the reason."""

    reason: str
