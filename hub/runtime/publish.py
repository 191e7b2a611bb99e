"""Ringing the doorbell: publishing `{attempt_id, epoch}` to one worker's own queue. kombu only, never Celery.

A publish has a time limit and one reconnect; it either is known to have arrived at the broker or raises
UnavailableError. It never waits for a broker that is away: the run waits in the database, and says so.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from hub.errors import HubError, SettingError, UnavailableError
from hub.runtime import broker
from hub.types import Id, new_id

log = logging.getLogger("hub.broker")
TASK = "hub.attempt"
T = TypeVar("T")


def queue_name(worker_id: Id) -> str:
    """The queue that only this worker consumes."""
    return f"hub.worker.{worker_id}"


class Publisher:
    """One connection to the broker, opened when it is needed, for any number of threads in turn."""

    def __init__(self, url: str, *, timeout: float = 3.0) -> None:
        self._url = url
        self._timeout = timeout
        self._arguments = broker.connection_arguments(url, timeout=timeout)
        self._arguments["transport_options"]["max_retries"] = 0
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._lock = threading.Lock()
        self._last_sent = float("-inf")

    def ring(self, worker_id: Id, attempt_id: Id, epoch: int) -> None:
        """Tell a worker that an attempt waits for it."""
        self._twice(lambda: self._send(worker_id, attempt_id, [attempt_id, epoch], {}))

    def canary(self, worker_id: Id, number: int) -> None:
        """Send a worker a message that its parent process answers and that never reaches a child."""
        self._twice(lambda: self._send(worker_id, new_id(), [], {"canary": number}))

    def ping(self) -> None:
        """Raise UnavailableError unless the broker can be reached now."""
        self._twice(self._ping)

    def ping_if_idle(self, after: float = 5.0) -> None:
        """Raise UnavailableError unless a message went out within `after` seconds or the broker answers now."""
        if time.monotonic() - self._last_sent > after:
            self.ping()

    def remove_queue(self, worker_id: Id) -> None:
        """Remove the queue and the keys of a worker that has left; nothing happens when there are none."""
        self._twice(lambda: self._remove(worker_id))

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._drop()

    def _twice(self, action: Callable[[], T]) -> T:
        """Once on the connection that stands; if that has died meanwhile, once more on a new one."""
        with self._lock:
            fresh = self._connection is None
            try:
                return self._guarded(action)
            except UnavailableError:
                if fresh:
                    raise
            return self._guarded(action)

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except HubError:
            raise
        except Exception as error:
            # Every transport has its own errors, and a half-dead connection may raise anything.
            self._drop()
            raise unreachable(self._url, error) from error

    def _open(self) -> Connection:
        if self._connection is None:
            connection = Connection(connect_timeout=self._timeout, heartbeat=0, **self._arguments)
            # One try for each host that is named: kombu's own retries may go on for ever.
            connection.ensure_connection(max_retries=self._url.count(";"), interval_start=0, interval_step=0)
            self._connection = connection
        return self._connection

    def _send(self, worker_id: Id, message_id: Id, args: list[Any], extra: dict[str, Any]) -> None:
        if self._producer is None:
            self._producer = Producer(self._open(), auto_declare=False, serializer="json")
        headers = {"lang": "py", "task": TASK, "id": message_id, "root_id": message_id, "parent_id": None,
                   "group": None, "ignore_result": True, "argsrepr": "", "kwargsrepr": "", **extra}  # fmt: skip
        more = {"confirm_timeout": self._timeout} if broker.kind(self._url) == "amqp" else {}
        self._producer.publish(
            (args, {}, {}),
            exchange="",
            routing_key=queue_name(worker_id),
            headers=headers,
            correlation_id=message_id,
            delivery_mode=1,  # not worth a disk: the database knows, and the sweeper rings again
            retry=False,
            **more,
        )
        self._last_sent = time.monotonic()

    def _ping(self) -> None:
        connection = self._open()
        if broker.kind(self._url) == "redis":
            connection.default_channel.client.ping()
        elif broker.kind(self._url) == "amqp":
            # An answer that must come over the wire; a closed peer is noticed here.
            connection.default_channel.exchange_declare("amq.direct", "direct", passive=True)

    def _remove(self, worker_id: Id) -> None:
        channel = self._open().default_channel
        name = queue_name(worker_id)
        if broker.kind(self._url) == "redis":
            options = broker.connection_arguments(self._url, worker_id=worker_id)["transport_options"]
            keys = [options["unacked_key"], options["unacked_index_key"], options["unacked_mutex_key"]]
            channel.client.delete(name, *keys)
        elif broker.kind(self._url) == "amqp":
            channel.queue_delete(name)
        else:
            channel.queue_purge(name)

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        self._last_sent = float("-inf")
        if connection is not None:
            # `collect` closes the socket without a word to the peer; `close` would wait for its answer.
            # It is thrown away, in whatever state it is: nothing it may raise matters any more.
            with contextlib.suppress(Exception):
                connection.collect(socket_timeout=0.1)


def unreachable(url: str, error: BaseException) -> UnavailableError:
    """The hub's error for a broker that does not answer."""
    why = str(error) or type(error).__name__
    if isinstance(error, OperationalError) and error.__cause__ is not None:
        why = str(error.__cause__) or why
    return UnavailableError(
        f"the broker {broker.safe_url(url)} does not answer: {why[:300]}",
        hint="Runs wait in the database and start when it is back. Check HUB_BROKER_URL and that it runs.",
        code="broker-away",
    )


def check(url: str) -> list[str]:
    """Refuse a broker that would lose messages; give warnings about one that might.

    Raises UnavailableError when it does not answer and SettingError when it may evict keys.
    """
    publisher = Publisher(url)
    try:
        publisher.ping()
        return _policy(publisher) if broker.kind(url) == "redis" else []
    finally:
        publisher.close()


def _policy(publisher: Publisher) -> list[str]:
    assert publisher._connection is not None
    client = publisher._connection.default_channel.client
    warnings = []
    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
    except Exception as error:  # noqa: BLE001 - managed servers forbid CONFIG, each in its own words
        policy = ""
        warnings.append(f"the Redis does not tell its maxmemory-policy ({error}); it must be noeviction")
    if policy not in ("", "noeviction"):
        raise SettingError(
            f"the Redis has maxmemory-policy {policy}: under memory pressure it would throw messages away",
            hint="Set it to noeviction: CONFIG SET maxmemory-policy noeviction.",
            code="broker-evicts",
        )
    if client.exists("_kombu.binding.celery"):
        warnings.append("another Celery application uses this Redis database; give the hub one of its own")
    return warnings
