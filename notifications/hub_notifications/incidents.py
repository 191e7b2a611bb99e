"""Services that keep one incident a key: PagerDuty and Opsgenie. Trigger, acknowledge, resolve.

Addresses are Apprise's. Its plugins can neither acknowledge nor say which alert a message is about but in the address,
so the requests are made here. The alert's key is the incident's, so an attempt that is made again doubles nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from hub.channels import Outgoing, Sent

from hub_notifications import own
from hub_notifications.reach import Reach

_PAGERDUTY = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}
_OPSGENIE = {"us": "https://api.opsgenie.com/v2/alerts", "eu": "https://api.eu.opsgenie.com/v2/alerts"}
_ACTIONS = {"firing": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
_SEVERITIES = ("critical", "error", "warning", "info")
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}
_ENDS = {"acknowledged": "acknowledge", "resolved": "close"}
MAX_SUMMARY = 1024
_MAX_KEY = 255
_MAX_TITLE, _MAX_TEXT = 130, 15_000

Maker: TypeAlias = Callable[[Any, Outgoing], "tuple[str, dict[str, Any], dict[str, str]]"]
"""Makes URL, body and headers of Apprise's plugin, which has read the address, and the message."""


def send(plugin: Any, message: Outgoing, reach: Reach) -> Sent:
    """Send an event about the alert of the message. Raises as `own.post`."""
    url, body, headers = SERVICES[plugin.schema](plugin, message)
    sent = own.post(url, body, reach, headers)
    return sent if sent.message_id else Sent(key_of(plugin, message), sent.status, sent.elapsed)


def key_of(plugin: Any, message: Outgoing) -> str:
    """What the service knows the incident by: what the address says, else the alert's key, else the message's id."""
    fixed = getattr(plugin, "dedup", None) or getattr(plugin, "alias", None)
    key = str(fixed or message.key or message.ident or message.title)
    return key if len(key) <= _MAX_KEY else hashlib.sha256(key.encode()).hexdigest()


def _pagerduty(plugin: Any, message: Outgoing) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Events API v2. All but a trigger name the incident only."""
    body: dict[str, Any] = {
        "routing_key": plugin.integration_key,
        "event_action": _ACTIONS[message.status],
        "dedup_key": key_of(plugin, message),
    }
    if message.status == "firing":
        severity = plugin.severity or (message.severity if message.severity in _SEVERITIES else "error")
        payload = {
            "summary": message.title[:MAX_SUMMARY], "severity": severity, "source": plugin.source,
            "component": plugin.component, "group": plugin.group, "class": plugin.class_id,
            "custom_details": {"text": message.text, **plugin.details},
        }  # fmt: skip
        link = message.link or plugin.click
        body |= {"client": message.sender, "payload": {name: value for name, value in payload.items() if value}}
        body |= {"client_url": link, "links": [{"href": link, "text": "Hubspoke"}]} if link else {}
    return _PAGERDUTY[plugin.region_name], body, {}


def _opsgenie(plugin: Any, message: Outgoing) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Alert API v2, by alias."""
    base, key = _OPSGENIE[plugin.region_name], key_of(plugin, message)
    headers = {"Authorization": f"GenieKey {plugin.apikey}"}
    if message.status != "firing":
        note = {"source": message.sender, "note": message.text[:_MAX_TEXT] or message.title}
        return f"{base}/{quote(key, safe='')}/{_ENDS[message.status]}?identifierType=alias", note, headers
    body = {
        "message": message.title[:_MAX_TITLE], "alias": key, "description": message.text[:_MAX_TEXT],
        "priority": _priority(plugin, message), "source": message.sender, "entity": plugin.entity, "user": plugin.user,
        "responders": plugin.targets, "tags": list(getattr(plugin, "_NotifyOpsgenie__tags", ())),
        "details": {**({"link": message.link} if message.link else {}), **plugin.details},
    }  # fmt: skip
    return base, {name: value for name, value in body.items() if value}, headers


def _priority(plugin: Any, message: Outgoing) -> str:
    """What the address says, unless that is what Apprise takes when it says nothing."""
    usual = plugin.template_args["priority"]["default"]
    return f"P{plugin.priority}" if plugin.priority != usual else _PRIORITIES.get(message.severity, "P2")


SERVICES: Mapping[str, Maker] = {"pagerduty": _pagerduty, "opsgenie": _opsgenie}
