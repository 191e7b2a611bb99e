"""RabbitMQ: a queue as a consumer, with kombu."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from hub.consumers import BrokerMessage, Consuming
from hub.errors import PermanentError, TransientError
from hub.secretfields import scrubbed

from hub_plugins.brokers.settings import Rabbitmq

HEARTBEAT_S = 30
_PROPERTIES = (
    "message_id", "type", "correlation_id", "app_id", "user_id", "reply_to", "timestamp", "priority", "expiration",
)  # fmt: skip


def check(settings: Rabbitmq) -> str:
    """Whether the broker lets us in."""
    with _told(settings):
        connection = _connect(settings)
        try:
            version = connection.connection.server_properties.get("version", "")
        finally:
            connection.release()
    return f"virtual host {settings.vhost} of RabbitMQ {version}".rstrip()


def _connect(settings: Rabbitmq) -> Any:
    import kombu  # noqa: PLC0415 - most processes that load the plugin open no connection

    connection = kombu.Connection(
        hostname=settings.host, port=settings.port, userid=settings.user or "guest", password=settings.clear or "guest",
        virtual_host=settings.vhost, transport="pyamqp", heartbeat=HEARTBEAT_S, connect_timeout=settings.timeout,
        ssl={"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": settings.host} if settings.tls else False,
    )  # fmt: skip
    connection.connect()
    return connection


class RabbitmqConsumer:
    """A queue; see hub.consumers.Consumer."""

    def __init__(self, settings: Rabbitmq, wanted: Consuming) -> None:
        self._settings = settings
        self._waiting: deque[BrokerMessage] = deque()
        self._beat = time.monotonic()
        with _told(settings):
            self._connection = _connect(settings)
            try:
                self._consume(wanted)
            except BaseException:
                self.close()
                raise

    def _consume(self, wanted: Consuming) -> None:
        channel = self._connection.channel()
        # A body in the charset that it names would be text, or fail: what is kept are the bytes.
        channel.auto_decode = False
        channel.basic_qos(0, wanted.prefetch, False)
        channel.basic_consume(
            wanted.options["queue"], consumer_tag=wanted.name, callback=self._take, on_cancel=self._cancelled
        )
        self._channel = channel

    def _take(self, message: Any) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode("utf-8", "surrogatepass")
        self._waiting.append(BrokerMessage(body, headers_of(message), message.delivery_tag))

    def _cancelled(self, _tag: str) -> None:
        raise PermanentError("RabbitMQ has ended the consumer: was the queue deleted?")

    def receive(self, limit: int, timeout: float) -> Sequence[BrokerMessage]:
        """See Consumer.receive."""
        with _told(self._settings):
            deadline = time.monotonic() + timeout
            while len(self._waiting) < limit and self._drained(0 if self._waiting else deadline - time.monotonic()):
                continue
            if time.monotonic() - self._beat > HEARTBEAT_S / 4:
                self._connection.heartbeat_check()
                self._beat = time.monotonic()
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def _drained(self, timeout: float) -> bool:
        """Whether something came within `timeout` seconds."""
        try:
            self._connection.drain_events(timeout=max(0.001, timeout))
        except (TimeoutError, BlockingIOError):
            return False
        return True

    def ack(self, messages: Sequence[BrokerMessage]) -> None:
        """See Consumer.ack."""
        with _told(self._settings):
            self._channel.basic_ack(messages[-1].tag, multiple=True)

    def close(self) -> None:
        """See Consumer.close."""
        with suppress(Exception):  # it is gone
            self._connection.release()


def headers_of(message: Any) -> tuple[tuple[str, str], ...]:
    """Properties as `message-id` and the like, then the headers of the publisher."""
    properties = message.properties
    found = [("exchange", message.delivery_info["exchange"]), ("routing-key", message.delivery_info["routing_key"])]
    if properties.get("content_type"):
        found.append(("content-type", properties["content_type"]))
    found += [(name.replace("_", "-"), _text(properties[name])) for name in _PROPERTIES if properties.get(name)]
    theirs: Mapping[str, Any] = properties.get("application_headers") or {}
    taken = {name for name, _ in found}
    # A header that is called as a property must not stand in for it.
    found += [(str(name), _text(value)) for name, value in theirs.items() if str(name).lower() not in taken]
    return tuple(found)


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    return str(int(value.timestamp())) if isinstance(value, datetime) else str(value)


@contextmanager
def _told(settings: Rabbitmq) -> Iterator[None]:
    """Say in our words what the client says."""
    import amqp  # noqa: PLC0415 - see _connect

    try:
        yield
    except (amqp.exceptions.AccessRefused, amqp.exceptions.NotAllowed, amqp.exceptions.NotFound) as error:
        raise PermanentError(scrubbed(f"RabbitMQ refuses: {error.reply_text}"[:300], settings)) from None
    except amqp.exceptions.AMQPError as error:
        raise TransientError(scrubbed(f"RabbitMQ: {error}"[:300], settings)) from None
    except socket.gaierror:
        raise TransientError(f"the host {settings.host} is not known") from None
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise TransientError(f"RabbitMQ at {settings.host}:{settings.port} does not answer: {said}") from None
