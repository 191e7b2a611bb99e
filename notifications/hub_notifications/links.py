"""Links of a message, put in when it is sent: those that let somebody act hold a secret and are kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.runtime.links import address
from hub.settings import Settings


def with_links(document: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The document with its links."""
    base = address(settings)
    alerts = []
    for alert in document.get("alerts", ()):
        run = alert["run"]
        links = {"alert": f"{base}/ui/alerts/{alert['id']}", "run": f"{base}/ui/runs/{run['id']}" if run else ""}
        runs = [{**one, "link": f"{base}/ui/runs/{one['id']}"} for one in alert["runs"]]
        alerts.append({**alert, "links": links, "runs": runs})
    return {**document, "alerts": alerts, "links": {**document.get("links", {}), "dashboard": f"{base}/ui/alerts"}}
