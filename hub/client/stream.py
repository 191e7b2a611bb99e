"""Following a stream of server-sent events, across reconnects."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from hub.client.problems import error_of
from hub.errors import UnavailableError

SILENCE = 40.0
"""Seconds without a byte after which the connection counts as dead; the hub pings every 15."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream: its id (for going on after it), its kind, its JSON."""

    id: str
    event: str
    data: Any


def messages(
    http: httpx2.Client, path: str, query: dict[str, Any], *, last_id: str = "", tries: int = 4
) -> Iterator[Message]:
    """Yield the messages of a stream; ends when the hub stays away or the caller stops."""
    failures = 0
    while True:
        try:
            for message in _one(http, path, query, last_id):
                failures, last_id = 0, message.id or last_id
                if message.event == "bye":
                    break
                yield message
        except httpx2.TransportError as error:
            if failures + 1 >= tries:
                raise UnavailableError(f"the stream broke off ({error or type(error).__name__})") from error
        failures += 1
        if failures >= tries:
            return
        time.sleep(min(0.2 * 2**failures, 5.0))


def _one(http: httpx2.Client, path: str, query: dict[str, Any], last_id: str) -> Iterator[Message]:
    headers = {"accept": "text/event-stream"} | ({"last-event-id": last_id} if last_id else {})
    timeout = httpx2.Timeout(SILENCE, connect=5.0)
    with http.stream("GET", path, params=query, headers=headers, timeout=timeout) as response:
        if response.status_code >= 300:
            response.read()
            raise error_of(response)
        for item in httpx2.EventSource(response):
            if item.data:  # not so the one that only says how long to wait before a reconnect
                yield Message(item.id, item.event, json.loads(item.data))
