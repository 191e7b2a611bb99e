"""Fixtures for tests of flows; pytest finds them by itself where the hub is installed.

Nothing of the hub is loaded before a test asks for one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hub.testing.clock import Clock
    from hub.testing.kit import Hub
    from hub.testing.webhooks import FakeWebhook


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub for this test alone: `hub.run(flow)`, `hub.submit(flow, ...)`, `hub.deliver(...)`, `hub.advance(...)`."""
    from hub.testing.kit import harness  # noqa: PLC0415 - who does not ask for it pays nothing

    with harness() as made:
        yield made


@pytest.fixture
def hub_home(hub: Hub) -> Path:
    """The temporary home of this test's hub."""
    return hub.home


@pytest.fixture
def hub_clock(hub: Hub) -> Clock:
    """The clock of this test's hub, which skips waits."""
    return hub.clock


@pytest.fixture
def webhook(hub: Hub) -> Callable[..., FakeWebhook]:
    """Make webhooks that this test's hub takes: `hub.deliver(webhook("github", "push"))`."""
    return hub.webhook
