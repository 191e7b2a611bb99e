"""The dashboard's map: its sections, and the sentences shown after a form did its work."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Section(NamedTuple):
    """A line of the navigation. `needs` is the scope without which it is not shown."""

    path: str
    title: str
    icon: str
    needs: str


NAVIGATION: tuple[tuple[str, tuple[Section, ...]], ...] = (
    (
        "",
        (
            Section("/ui", "Overview", "home", "runs:read"),
            Section("/ui/runs", "Runs", "runs", "runs:read"),
            Section("/ui/deployments", "Deployments", "deployments", "deployments:read"),
            Section("/ui/workers", "Workers", "workers", "queues:read"),
        ),
    ),
    (
        "Webhooks in",
        (
            Section("/ui/sources", "Sources", "sources", "sources:read"),
            Section("/ui/receipts", "Receipts", "receipts", "sources:read"),
        ),
    ),
    (
        "Reactions",
        (
            Section("/ui/events", "Events", "events", "events:read"),
            Section("/ui/automations", "Automations", "automations", "automations:read"),
        ),
    ),
    (
        "Alerts out",
        (
            Section("/ui/alerts", "Alerts", "alerts", "alerts:read"),
            Section("/ui/deliveries", "Deliveries", "receipts", "alerts:read"),
            Section("/ui/channels", "Channels", "channels", "channels:read"),
        ),
    ),
)

NOTES: MappingProxyType[str, str] = MappingProxyType(
    {
        "cancelled": "The run was told to stop.",
        "paused": "The run is held until somebody resumes it.",
        "resumed": "The run goes on.",
        "run-started": "The run was created. A worker takes it as soon as a slot is free.",
        "source-updated": "The source was changed.",
        "source-deleted": "The source was deleted. Its address answers 404 from now on.",
        "replayed": "The receipt is being processed again.",
        "channel-created": "The channel was created.",
        "channel-deleted": "The channel was deleted.",
        "channel-tested": "The test message is on its way; below is how it goes.",
        "channel-enabled": "The channel is switched on.",
        "channel-disabled": "The channel is switched off: no alert goes there.",
        "deployment-paused": "The deployment is paused: its schedules and automations start nothing.",
        "deployment-resumed": "The deployment is active again.",
        "schedule-on": "The schedule is on.",
        "schedule-off": "The schedule is off.",
        "automation-enabled": "The automation is enabled.",
        "automation-disabled": "The automation is disabled.",
        "signed-out": "You are signed out.",
    }
)
"""What `?done=` may say. Texts are fixed here, so an address cannot put words into the page."""
