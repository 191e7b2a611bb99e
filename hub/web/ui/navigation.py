"""The dashboard's map: its sections, and the sentences shown after a form did its work."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Section(NamedTuple):
    """A line of the navigation, shown to those who hold the scope `needs`, where `plugin` (if any) brings its page."""

    path: str
    title: str
    icon: str
    needs: str
    plugin: str = ""


ALERTS = "notifications"
"""The plugin whose pages the alerts are."""
HYBRID = "hybrid"
"""The plugin whose pages the sites and the planes are."""
NAVIGATION: tuple[tuple[str, tuple[Section, ...]], ...] = (
    (
        "",
        (
            Section("/ui", "Overview", "home", "runs:read"),
            Section("/ui/runs", "Runs", "runs", "runs:read"),
            Section("/ui/artifacts", "Artifacts", "artifacts", "artifacts:read"),
            Section("/ui/assets", "Assets", "assets", "assets:read"),
            Section("/ui/deployments", "Deployments", "deployments", "deployments:read"),
            Section("/ui/variables", "Variables", "variables", "variables:read"),
            Section("/ui/workers", "Workers", "workers", "queues:read"),
            Section("/ui/plugins", "Plugins", "plugins", "plugins:read"),
        ),
    ),
    (
        "Webhooks in",
        (
            Section("/ui/sources", "Sources", "sources", "sources:read"),
            Section("/ui/receipts", "Inbox", "receipts", "sources:read"),
            Section("/ui/dead-letters", "Dead letters", "warning", "sources:read"),
            Section("/ui/bookmarks", "Bookmarks", "bookmarks", "sources:read"),
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
        "Webhooks out",
        (
            Section("/ui/endpoints", "Endpoints", "endpoints", "endpoints:read"),
            Section("/ui/outgoing", "Sent", "receipts", "endpoints:read"),
        ),
    ),
    (
        "Alerts out",
        (
            Section("/ui/alerts", "Alerts", "alerts", "alerts:read", ALERTS),
            Section("/ui/deliveries", "Deliveries", "receipts", "alerts:read", ALERTS),
            Section("/ui/silences", "Silences", "PAUSED", "alerts:read", ALERTS),
            Section("/ui/routes", "Routes", "routes", "channels:read", ALERTS),
            Section("/ui/channels", "Channels", "channels", "channels:read", ALERTS),
        ),
    ),
    (
        "Elsewhere",
        (
            Section("/ui/sites", "Sites", "workers", "links:read", HYBRID),
            Section("/ui/links", "Planes", "planes", "links:read", HYBRID),
        ),
    ),
    (
        "People",
        (
            Section("/ui/users", "Accounts", "users", "users:read"),
            Section("/ui/audit", "Audit trail", "audit", "audit:read"),
        ),
    ),
)

NOTES: MappingProxyType[str, str] = MappingProxyType(
    {
        "cancelled": "The run was told to stop.",
        "restarted": "This run does again what has not completed before.",
        "paused": "The run is held until somebody resumes it.",
        "resumed": "The run goes on.",
        "answered": "The answer was given: the run goes on.",
        "run-started": "The run was created. A worker takes it as soon as a slot is free.",
        "source-updated": "The source was changed.",
        "source-paused": "The source is paused: it takes and answers requests as before, and what they start waits.",
        "source-resumed": "The source goes on: what was held happens now, in the order in which it came.",
        "source-deleted": "The source was deleted. Its address answers 404 from now on.",
        "schema-mode": "What departs from its schema is dealt with like that from now on.",
        "schema-set": "The schema is set: what comes is compared with it from now on.",
        "dismissed": "It is not proposed again.",
        "reconsidered": "It may be proposed again.",
        "schema-removed": "The schema was removed.",
        "bookmarked": "The request is kept under this name.",
        "unbookmarked": "The bookmark was removed.",
        "secret-set": "The source has the secret: requests are verified from now on.",
        "sent": "The request was signed and came in as one of the provider's would.",
        "came-before": "This request came before, so nothing happens again. This is the receipt of the first one.",
        "replayed": "The receipt is being processed again.",
        "channel-created": "The channel was created. A test shows whether it arrives.",
        "channel-deleted": "The channel was deleted.",
        "channel-updated": "The channel was changed.",
        "channel-readdressed": "The channel has the new address, and is switched on.",
        "channel-tested": "The test message is on its way; below is how it goes.",
        "channel-enabled": "The channel is switched on.",
        "channel-disabled": "The channel is switched off: no alert goes there.",
        "delivery-again": "It is sent once more; below is how it goes.",
        "alert-acknowledged": "Somebody looks after it: it is neither repeated nor escalated.",
        "alert-open": "The alert is open again.",
        "route-set": "The route is set. What fires was given to the routes once more.",
        "route-moved": "The routes are asked in this order from now on.",
        "route-deleted": "The route is gone; of the default route, what was changed.",
        "silenced": "The silence is set.",
        "silence-ended": "The silence is over.",
        "inhibition-set": "The inhibition is set.",
        "inhibition-deleted": "The inhibition was deleted.",
        "alert-resolved": "The alert is over.",
        "endpoint-updated": "The endpoint has the new address; what is sent from now on goes there.",
        "endpoint-enabled": "The endpoint is switched on: what waited for it is sent now.",
        "endpoint-disabled": "The endpoint is switched off: what is sent to it waits.",
        "endpoint-deleted": "The endpoint was removed. What was sent to it can still be read.",
        "webhook-planned": "The message is on its way; below is how it goes.",
        "webhook-again": "The message is sent again, under its id.",
        "webhooks-again": "The messages are sent again, under their ids.",
        "deployment-paused": "The deployment is paused: its schedules start nothing. People and automations still can.",
        "deployment-resumed": "The deployment's schedules go on.",
        "schedule-on": "The schedule is on.",
        "schedule-off": "The schedule is off.",
        "automation-enabled": "The automation is enabled.",
        "automation-disabled": "The automation is disabled.",
        "artifact-deleted": "The artifact was deleted.",
        "variable-set": "The variable is set.",
        "plugin-configured": "The configuration is set. Processes take it within seconds, workers with their next run.",
        "plugin-enabled": "The plugin is switched on. A process that started without it loads it when it starts again.",
        "plugin-disabled": "The plugin is switched off: its hooks are not called any more.",
        "plugin-reset": "Its failures are forgotten: its hooks are called again within seconds.",
        "address-withdrawn": "The address is taken back: the plane answers 404 there as soon as it hears of it.",
        "variable-removed": "The variable was removed.",
        "account-changed": "The account was changed; it holds from the next request on.",
        "account-off": "The account is switched off: its sessions and tokens are worthless.",
        "account-on": "The account is switched on.",
        "uninvited": "The invitation was taken back.",
        "password-changed": "You have another password, and are signed in here only.",
        "welcome": "Welcome. You are signed in.",
        "signed-out": "You are signed out.",
    }
)
"""What `?done=` may say. Texts are fixed here, so an address cannot put words into the page."""
