"""New objects of a bucket as events: it is listed again and again, and what was not there so is a message.

What has been told stands in the hub's own database, in the same transaction as the receipt: after a kill before it the
object is found anew, and after one behind it it is known. See `hub.consumers.Consuming.known`.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from hub.consumers import BrokerMessage, Consuming
from hub.errors import PermanentError
from hub.types import SECOND

from hub_plugins.storage.objects import Bucket, MissingError, ObjectSettings

MOST = 200_000
"""Objects under a prefix that are watched: each is held in memory by its key."""
_ASKED = 500


class ObjectConsumer:
    """See hub.consumers.Consumer."""

    def __init__(self, settings: ObjectSettings, wanted: Consuming) -> None:
        self._bucket = Bucket(settings)
        self._wanted = wanted
        self._prefix = wanted.options["prefix"]
        self._every = float(wanted.options["every"])
        self._after = wanted.since if wanted.options["start"] == "newest" else 0
        self._seen: dict[str, bytes] = {}
        self._waiting: deque[BrokerMessage] = deque()
        self._next_look = 0.0

    def receive(self, limit: int, timeout: float) -> Sequence[BrokerMessage]:
        """See Consumer.receive."""
        left = self._next_look - time.monotonic()
        if not self._waiting and left > timeout:
            time.sleep(timeout)
            return []
        if not self._waiting:
            time.sleep(max(0.0, left))
            self._look()
            self._next_look = time.monotonic() + self._every
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def _look(self) -> None:
        found: dict[str, tuple[bytes, Any]] = {}
        try:
            for number, meta in enumerate(self._bucket.listed(self._prefix)):
                if number >= MOST:
                    raise PermanentError(
                        f"there are more than {MOST} objects under the prefix {self._prefix!r}: watch a narrower one,"
                        " or have the service send its own notifications to a webhook source"
                    )
                found[meta["path"]] = (_version(meta), meta)
        except MissingError:
            found = {}
        # What is gone is forgotten, so that memory follows the bucket.
        self._seen = {key: version for key, version in self._seen.items() if key in found}
        self._find_new({key: one for key, one in found.items() if self._seen.get(key) != one[0]})

    def _find_new(self, found: dict[str, tuple[bytes, Any]]) -> None:
        by_ident = {version.hex(): (key, version, meta) for key, (version, meta) in found.items()}
        idents = list(by_ident)
        for at in range(0, len(idents), _ASKED):
            for ident in self._wanted.known(idents[at : at + _ASKED]):
                key, version, _ = by_ident.pop(ident)
                self._seen[key] = version
        new = []
        for ident, (key, version, meta) in by_ident.items():
            if meta["last_modified"].timestamp() * SECOND < self._after:
                self._seen[key] = version
            else:
                new.append((meta["last_modified"], key, version, ident, meta))
        new.sort(key=lambda one: one[:2])
        self._waiting.extend(self._message(ident, meta, (key, version)) for _, key, version, ident, meta in new)

    def _message(self, ident: str, meta: Any, tag: tuple[str, bytes]) -> BrokerMessage:
        modified: datetime = meta["last_modified"].astimezone(UTC)
        told = {
            "type": "object.created", "key": meta["path"], "size": meta["size"], "etag": meta["e_tag"],
            "version": meta["version"], "modified": modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "where": self._bucket.settings.where,
        }  # fmt: skip
        headers = (("object-id", ident), ("content-type", "application/json"))
        return BrokerMessage(json.dumps(told).encode(), headers, tag)

    def ack(self, messages: Sequence[BrokerMessage]) -> None:
        """See Consumer.ack. The commit has taken note already; this saves asking."""
        self._seen.update(message.tag for message in messages)

    def close(self) -> None:
        """See Consumer.close."""
        self._waiting.clear()


def _version(meta: Any) -> bytes:
    """What tells one version of an object from every other object and version."""
    parts = (meta["path"], meta["e_tag"] or "", meta["version"] or "", meta["last_modified"].isoformat())
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:20]
