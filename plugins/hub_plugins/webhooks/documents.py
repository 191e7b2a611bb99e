"""Keys and certificates that a provider publishes: fetched under the rule for outbound requests, and remembered.

Whoever has a source's address can make it look things up, so look-ups are limited for each source, one at a time for
each document, and a failed one is not repeated for a while. What cannot be had now is Unavailable, never "not valid".
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from hub.errors import PermanentError, TransientError
from hub.outbound.call import Answer, Caller, Limits
from hub.outbound.rule import Blocked, Rule
from hub.webhooks.reference import Rejected

T = TypeVar("T")
KEPT_S = 3_600.0
"""How long a document is believed without asking again."""
FAILED_S = 30.0
"""How long a failed look-up is not repeated."""
PER_MINUTE = 20
"""Look-ups of one source in a minute."""
AT_ONCE = 4
"""Look-ups of a process under way at once."""
WAIT_S = 2.0
"""How long others wait for a look-up that is under way."""
_ENTRIES = 512
_SOURCES = 4_096
LIMITS = Limits(connect_s=5.0, total_s=5.0, body=65_536)
PROVIDERS = Rule(ports=frozenset({443}), port_written=False)
"""For addresses that stand in requests: https on its own port, and only hosts that the provider is known by."""
OWNERS = Rule(ports=frozenset({443, 8443}))
"""For addresses that the owner of a source has written down."""


class Unavailable(Exception):
    """A document cannot be had now; `retry_after` in seconds. Nothing is said about the request that needs it."""

    def __init__(self, message: str, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = max(1, round(retry_after + 0.5))


@dataclass(slots=True)
class _Entry:
    value: Any = None
    known: bool = False
    at: float = 0.0
    failed_until: float = 0.0
    why: str = ""
    flight: threading.Event | None = None


@dataclass(slots=True)
class _Bucket:
    left: float = PER_MINUTE
    at: float = 0.0


@dataclass(slots=True)
class Documents:
    """All documents of a process. Safe for threads."""

    caller: Caller
    clock: Callable[[], float] = time.monotonic
    given: str | None = None
    """A document that stands in for whatever is asked for; then nothing is fetched."""
    _entries: OrderedDict[str, _Entry] = field(default_factory=OrderedDict)
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    _flying: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(
        self,
        url: str,
        hosts: re.Pattern[str] | None,
        source: str,
        parse: Callable[[bytes], T],
        *,
        max_age: float = KEPT_S,
    ) -> T:
        """Get what `parse` makes of a document, at most `max_age` seconds old; `hosts` None: the owner wrote the URL.

        Raises Rejected for a URL that the rule forbids, Unavailable when the document cannot be had.
        """
        caller = self._towards(url, hosts)
        if self.given is not None:
            return parse(self.given.encode())
        return self.get(f"{url} {parse.__qualname__}", source, lambda: parse(_body(caller.call("GET", url))), max_age)

    def get(self, name: str, source: str, load: Callable[[], T], max_age: float = KEPT_S) -> T:
        """Get what `load` gives, remembered under a name. Raises Unavailable."""
        if self.given is not None:
            document: T = json.loads(self.given)
            return document
        entry, way, found = self._enter(name, source, max_age)
        if way == "load":
            return self._load(entry, load)
        if way == "wait":
            found.wait(WAIT_S)
            with self._lock:
                found = self._known(entry, max_age)
        value: T = found
        return value

    def _towards(self, url: str, hosts: re.Pattern[str] | None) -> Caller:
        """What may call the address. Raises Rejected."""
        rule = replace(self.caller.rule, **_ports(OWNERS if hosts is None else PROVIDERS), hosts=hosts)
        try:
            rule.target(url)
        except Blocked as blocked:
            raise Rejected(f"the address of the keys is not allowed: {blocked}") from None
        return replace(self.caller, rule=rule)

    def _enter(self, name: str, source: str, max_age: float) -> tuple[_Entry, Literal["known", "wait", "load"], Any]:
        """Find the entry: known (its value), being looked up by somebody else (its event), or to be loaded by us."""
        with self._lock:
            # An entry that only was asked for is not kept: names are made up by senders.
            entry = self._entries.get(name) or _Entry()
            now = self.clock()
            if name in self._entries:
                self._entries.move_to_end(name)
            if self._fresh(entry, max_age):
                return entry, "known", entry.value
            if entry.flight is not None:
                return entry, "wait", entry.flight
            if now < entry.failed_until:
                raise Unavailable(entry.why, entry.failed_until - now)
            if self._flying >= AT_ONCE:
                raise Unavailable("too many keys are being looked up", 1)
            self._take(source, now)
            self._flying += 1
            entry.flight = threading.Event()
            self._entries[name] = entry
            self._forget()
            return entry, "load", None

    def _load(self, entry: _Entry, load: Callable[[], T]) -> T:
        why = "the look-up was broken off"
        try:
            value = load()
            why = ""
        except (TransientError, PermanentError, ValueError) as error:
            why = f"the keys cannot be had: {error}"[:300]
            raise Unavailable(why, FAILED_S) from None
        finally:
            with self._lock:
                flight, entry.flight = entry.flight, None
                self._flying -= 1
                if why:
                    entry.why, entry.failed_until = why, self.clock() + FAILED_S
                else:
                    entry.value, entry.known, entry.at, entry.failed_until = value, True, self.clock(), 0.0
            if flight is not None:
                flight.set()
        return value

    def _known(self, entry: _Entry, max_age: float) -> Any:
        if self._fresh(entry, max_age):
            return entry.value
        raise Unavailable(entry.why or "the keys are being looked up", max(1.0, entry.failed_until - self.clock()))

    def _fresh(self, entry: _Entry, max_age: float) -> bool:
        return entry.known and self.clock() - entry.at <= max_age

    def _take(self, source: str, now: float) -> None:
        bucket = self._buckets.setdefault(source, _Bucket(at=now))
        self._buckets.move_to_end(source)
        bucket.left = min(float(PER_MINUTE), bucket.left + (now - bucket.at) * PER_MINUTE / 60)
        bucket.at = now
        if bucket.left < 1:
            raise Unavailable("this source has looked up too many keys", 60 / PER_MINUTE)
        bucket.left -= 1

    def _forget(self) -> None:
        for name in list(self._entries)[: max(0, len(self._entries) - _ENTRIES)]:
            if self._entries[name].flight is None:
                del self._entries[name]
        while len(self._buckets) > _SOURCES:
            self._buckets.popitem(last=False)


def _ports(rule: Rule) -> dict[str, Any]:
    return {"schemes": rule.schemes, "ports": rule.ports, "port_written": rule.port_written}


def _body(answer: Answer) -> bytes:
    if answer.status != 200:
        raise TransientError(f"the answer was {answer.status}")
    if answer.cut:
        raise PermanentError(f"the answer is longer than {LIMITS.body} bytes")
    return answer.body
