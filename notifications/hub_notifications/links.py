"""Links of a message, put in when it is sent: those that let somebody act hold a secret and are kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.runtime.alert_links import PATH
from hub.runtime.links import address
from hub.settings import Settings


def with_links(document: Mapping[str, Any], settings: Settings, token: str = "") -> dict[str, Any]:
    """The document with its links; `token` is of those that let somebody act, empty: it has none."""
    base = address(settings)
    alerts = []
    for alert in document.get("alerts", ()):
        run = alert["run"]
        links = {"alert": f"{base}/ui/alerts/{alert['id']}", "run": f"{base}/ui/runs/{run['id']}" if run else ""}
        runs = [{**one, "link": f"{base}/ui/runs/{one['id']}"} for one in alert["runs"]]
        alerts.append({**alert, "links": links, "runs": runs})
    links = {**document.get("links", {}), "dashboard": f"{base}/ui/alerts"}
    links |= {action: f"{base}{PATH}{action}/{token}" for action in ("acknowledge", "silence") if token}
    return {**document, "alerts": alerts, "links": links}
