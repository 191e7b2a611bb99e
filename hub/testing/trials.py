"""Trials of actions: a service of the test's own, a call, and how often the service has done it. See rule C08."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from hub.testing.kit import Hub


@dataclass(frozen=True, slots=True)
class Trial:
    """One call of an action.

    @contextmanager
    def send_message(hub):
        with service() as server:
            hub.connect("acme", "acme", url=server.url, token="t")
            yield Trial(lambda: len(server.messages), {"text": "ready"})

    TRIALS = {"acme.send_message": send_message}
    """

    effects: Callable[[], int]
    """How often it has been done."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the action is called with."""


Trials: TypeAlias = Mapping[str, "Callable[[Hub], AbstractContextManager[Trial]]"]
"""PLUGIN.ACTION -> what makes the service, and connects a hub to it."""
