"""Redis streams: a consumer group on a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from hub.consumers import BrokerMessage, Consuming
from hub.errors import PermanentError, TransientError
from hub.secretfields import scrubbed

from hub_plugins.brokers.settings import Redis

_GONE = "the entry was removed from the stream before it was read"


def check(settings: Redis) -> str:
    """Whether the server lets us in."""
    with _told(settings):
        client = _client(settings)
        try:
            version = client.info("server").get("redis_version", "")
        finally:
            client.close()
    return f"database {settings.db} of Redis {version}".rstrip()


def _client(settings: Redis) -> Any:
    import redis  # noqa: PLC0415 - most processes that load the plugin open no connection

    return redis.Redis(
        host=settings.host, port=settings.port, db=settings.db, username=settings.user or None,
        password=settings.clear, ssl=settings.tls, socket_connect_timeout=settings.timeout,
        socket_timeout=settings.timeout + 5, client_name="hubspoke",
    )  # fmt: skip


class RedisConsumer:
    """A stream, read as the one consumer of a group; see hub.consumers.Consumer.

    What was given and not acknowledged when the process died stands in the group's list of pending entries, under the
    consumer's name, which is always the same: it is read first.
    """

    def __init__(self, settings: Redis, wanted: Consuming) -> None:
        self._settings = settings
        self._stream = wanted.options["stream"].encode()
        self._group = wanted.options["group"]
        self._field = wanted.options["field"].encode()
        self._name = wanted.name
        self._pending: bytes | None = b"0"
        """Up to which entry the pending ones have been read; None: all."""
        with _told(settings):
            self._client = _client(settings)
            try:
                self._make_group(wanted.options["start"])
            except BaseException:
                self.close()
                raise

    def _make_group(self, start: str) -> None:
        import redis  # noqa: PLC0415 - see _client

        try:
            first = "0" if start == "oldest" else "$"
            self._client.xgroup_create(self._stream, self._group, id=first, mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def receive(self, limit: int, timeout: float) -> Sequence[BrokerMessage]:
        """See Consumer.receive."""
        with _told(self._settings):
            if self._pending is not None:
                entries = self._read(self._pending, limit, None)
                self._pending = entries[-1][0] if entries else None
                if entries:
                    return [self._message(*entry) for entry in entries]
            return [self._message(*entry) for entry in self._read(b">", limit, max(1, int(timeout * 1000)))]

    def _read(self, after: bytes, limit: int, block: int | None) -> list[tuple[bytes, Mapping[bytes, bytes] | None]]:
        found = self._client.xreadgroup(self._group, self._name, {self._stream: after}, count=limit, block=block)
        streams = list(found.values()) if isinstance(found, dict) else [entries for _, entries in found or []]
        return list(_flat(streams))

    def _message(self, entry: bytes, fields: Mapping[bytes, bytes] | None) -> BrokerMessage:
        ident = ("entry-id", entry.decode())
        if not fields:
            return BrokerMessage(b"", (ident,), entry, _GONE)
        if not self._field:
            told = {_text(name): _text(value) for name, value in fields.items()}
            return BrokerMessage(json.dumps(told).encode(), (ident, ("content-type", "application/json")), entry)
        if self._field not in fields:
            return BrokerMessage(b"", (ident,), entry, f"the entry has no field {_text(self._field)!r}")
        others = [(_text(name), _text(value)) for name, value in fields.items() if name != self._field]
        # A field that is called as the entry's id must not stand in for it.
        return BrokerMessage(
            fields[self._field], (ident, *[pair for pair in others if pair[0].lower() != "entry-id"]), entry
        )

    def ack(self, messages: Sequence[BrokerMessage]) -> None:
        """See Consumer.ack."""
        with _told(self._settings):
            self._client.xack(self._stream, self._group, *[message.tag for message in messages])

    def close(self) -> None:
        """See Consumer.close."""
        with suppress(Exception):  # it is gone
            self._client.close()


def _flat(found: Any) -> Iterator[tuple[bytes, Mapping[bytes, bytes] | None]]:
    """Entries, however deep this version of the client lays them."""
    for item in found:
        if isinstance(item, tuple):
            yield item
        else:
            yield from _flat(item)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


@contextmanager
def _told(settings: Redis) -> Iterator[None]:
    """Say in our words what the client says."""
    import redis  # noqa: PLC0415 - see _client

    try:
        yield
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise PermanentError(scrubbed(f"Redis refuses: {error}"[:300], settings)) from None
    except (redis.ConnectionError, redis.TimeoutError) as error:
        first = scrubbed(str(error).split("\n", 1)[0][:200], settings)
        raise TransientError(f"Redis at {settings.host}:{settings.port} does not answer: {first}") from None
    except redis.RedisError as error:
        raise TransientError(scrubbed(f"Redis: {error}"[:300], settings)) from None
