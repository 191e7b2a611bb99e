"""Following a stream of server-sent events, across reconnects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from hub.client.problems import error_of
from hub.errors import UnavailableError

SILENCE = 40.0
"""Seconds without a byte after which the connection counts as dead; the hub pings every 15."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between tries: the first doubled for each failure, up to the longest."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream: its id (for going on after it), its kind, its JSON."""

    id: str
    event: str
    data: Any


def messages(
    http: httpx2.Client,
    path: str,
    query: dict[str, Any],
    *,
    last_id: str = "",
    tries: int = 4,
    lost: Callable[[UnavailableError], None] | None = None,
) -> Iterator[Message]:
    """Yield the messages of a stream, across lost connections, from right after the last one seen.

    Raises UnavailableError when the hub stays away for `tries` tries. With `lost`, a stream that once was there is
    tried for ever, and `lost` is told once each time it breaks off.
    """
    failures, endless = 0, False
    while True:
        try:
            for message in _one(http, path, query, last_id):
                failures, last_id, endless = 0, message.id or last_id, lost is not None
                if message.event == "bye":
                    break
                if message.data is not None:
                    yield message
            else:  # it ended without a farewell
                raise UnavailableError("the stream broke off")
        except (httpx2.TransportError, UnavailableError) as error:
            failures += 1
            told = error if isinstance(error, UnavailableError) else _broken(error)
            if not endless and failures >= tries:
                raise told from error
            if endless and failures == 1 and lost is not None:
                lost(told)
        time.sleep(min(FIRST_WAIT * 2.0**failures, LONGEST_WAIT))


def _broken(error: httpx2.TransportError) -> UnavailableError:
    return UnavailableError(f"the stream broke off ({error or type(error).__name__})")


def _one(http: httpx2.Client, path: str, query: dict[str, Any], last_id: str) -> Iterator[Message]:
    """One connection's messages. Those without data (None) only say where the stream is."""
    headers = {"accept": "text/event-stream"} | ({"last-event-id": last_id} if last_id else {})
    timeout = httpx2.Timeout(SILENCE, connect=5.0)
    with http.stream("GET", path, params=query, headers=headers, timeout=timeout) as response:
        if response.status_code >= 300:
            response.read()
            raise error_of(response)
        for item in httpx2.EventSource(response):
            yield Message(item.id, item.event, json.loads(item.data) if item.data else None)
