"""A bucket as a result store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from hub.resultstores import Kept, ResultMissing
from hub.types import SECOND

from hub_plugins.storage.objects import Bucket, MissingError, ObjectSettings, StandsError, interruptibly


class ObjectResults:
    """See `hub.resultstores.ResultStore`."""

    def __init__(self, settings: ObjectSettings) -> None:
        self._bucket = Bucket(settings)
        prefix = settings.prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def put(self, key: str, data: bytes) -> bool:
        """See ResultStore.put. The service answers when the object is kept; what stands there already stays."""
        bucket = self._bucket
        try:
            with bucket.told(key):
                # In one request: an upload in parts cannot be refused for what stands already.
                bucket.obstore.put(bucket.store, self._prefix + key, data, mode="create", use_multipart=False)
        except StandsError:
            return False
        return True

    def get(self, key: str) -> bytes:
        """See ResultStore.get."""
        try:
            with self._bucket.told(key):
                found = self._bucket.obstore.get(self._bucket.store, self._prefix + key)
                return interruptibly(lambda: bytes(found.bytes()))
        except MissingError:
            raise ResultMissing(key) from None

    def delete(self, keys: Iterable[str]) -> None:
        """See ResultStore.delete."""
        self._bucket.delete(self._prefix + key for key in keys)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Kept]:
        """See ResultStore.list."""
        offset = self._prefix + after if after else None
        found = self._bucket.listed(self._prefix + prefix, offset=offset, at_once=min(limit, 1000))
        kept = [self._kept(meta) for meta in islice(found, limit)]
        return sorted(kept, key=lambda one: one.key)

    def _kept(self, meta: Any) -> Kept:
        at = int(meta["last_modified"].timestamp() * SECOND)
        return Kept(meta["path"].removeprefix(self._prefix), int(meta["size"]), at)
