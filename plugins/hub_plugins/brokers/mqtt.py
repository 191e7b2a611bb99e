"""MQTT: topics in a persistent session, with paho-mqtt."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from hub.consumers import BrokerMessage, Consuming
from hub.errors import PermanentError, TransientError
from hub.secretfields import scrubbed
from hub.types import new_id

from hub_plugins.brokers.settings import Mqtt

KEEPALIVE_S = 30
_DAY = 86_400
_REFUSED = {4, 5, 128, 132, 133, 134, 135, 138, 140}
"""Reason codes of CONNACK that no retry mends: version, client id, login."""


def check(settings: Mqtt) -> str:
    """Whether the broker lets us in."""
    with _told(settings):
        session = _Session(settings, f"hub-check-{new_id()}", version="5", days=0)
        session.leave()
    return f"the MQTT broker at {settings.host}:{settings.port} lets us in"


class _Session:
    """A connected client, driven by whoever calls `step`: it has no thread of its own."""

    def __init__(self, settings: Mqtt, name: str, *, version: str, days: int, prefetch: int = 1) -> None:
        mqtt = _library()
        self.five = version == "5"
        self._settings = settings
        self._connected: Any = None
        self.granted: Any = None
        self.waiting: deque[BrokerMessage] = deque()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, manual_ack=True, reconnect_on_failure=False,
            protocol=mqtt.MQTTv5 if self.five else mqtt.MQTTv311, clean_session=None if self.five else days == 0,
        )  # fmt: skip
        self.client.connect_timeout = settings.timeout
        if settings.user:
            self.client.username_pw_set(settings.user, settings.clear)
        if settings.tls:
            self.client.tls_set()
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        if self.five:
            self.client.connect(
                settings.host, settings.port, KEEPALIVE_S, clean_start=days == 0, properties=_asked(days, prefetch)
            )
        else:
            self.client.connect(settings.host, settings.port, KEEPALIVE_S)
        self._until(lambda: self._connected is not None, "the connection")
        self._check(self._connected)

    def _check(self, code: Any) -> None:
        if code.is_failure:
            kind = PermanentError if code.value in _REFUSED else TransientError
            raise kind(f"MQTT refuses: {code}")

    def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1. Raises PermanentError when the broker grants less."""
        self.client.subscribe(topic, 1)
        self._until(lambda: self.granted is not None, "the subscription")
        code = self.granted[0]
        if code.is_failure or code.value < 1:
            raise PermanentError(f"MQTT grants no QoS 1 for {topic}: {code}")

    def step(self, timeout: float) -> bool:
        """Let the client work for at most so long; whether a message came."""
        before = len(self.waiting)
        code = self.client.loop(timeout)
        if code:
            raise TransientError(f"MQTT: {_library().error_string(code)}")
        return len(self.waiting) > before

    def leave(self) -> None:
        """Disconnect; the broker keeps the session for as long as was asked."""
        with suppress(Exception):  # it is gone
            self.client.disconnect()
            self.client.loop(0.1)

    def _until(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + self._settings.timeout
        while not done():
            if time.monotonic() > deadline:
                raise TransientError(f"MQTT does not answer {what}")
            self.step(0.1)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        self._connected = code

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: Any, _properties: Any) -> None:
        self.granted = codes

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        self.waiting.append(BrokerMessage(bytes(message.payload), headers_of(message), (message.mid, message.qos)))


class MqttConsumer:
    """A topic filter; see hub.consumers.Consumer.

    The client id is the source's own, so that the broker knows its session again and gives what was not acknowledged.
    """

    def __init__(self, settings: Mqtt, wanted: Consuming) -> None:
        self._settings = settings
        options = wanted.options
        with _told(settings):
            self._session = _Session(
                settings, wanted.name, version=options["version"], days=int(options["session"]),
                prefetch=wanted.prefetch,
            )  # fmt: skip
            try:
                self._session.subscribe(options["topic"])
            except BaseException:
                self.close()
                raise

    def receive(self, limit: int, timeout: float) -> Sequence[BrokerMessage]:
        """See Consumer.receive."""
        waiting = self._session.waiting
        with _told(self._settings):
            deadline = time.monotonic() + timeout
            while not waiting and (left := deadline - time.monotonic()) > 0:
                self._session.step(left)
            while len(waiting) < limit and self._session.step(0):
                continue
        return [waiting.popleft() for _ in range(min(limit, len(waiting)))]

    def ack(self, messages: Sequence[BrokerMessage]) -> None:
        """See Consumer.ack. Messages that were published with QoS 0 want none."""
        with _told(self._settings):
            for mid, qos in (message.tag for message in messages):
                code = self._session.client.ack(mid, qos)
                if code:
                    raise TransientError(f"MQTT: {_library().error_string(code)}")

    def close(self) -> None:
        """See Consumer.close."""
        self._session.leave()


def headers_of(message: Any) -> tuple[tuple[str, str], ...]:
    """The topic and, of MQTT 5, the properties; user properties as they are called."""
    found = [("topic", message.topic)]
    properties = getattr(message, "properties", None)
    if properties is None:
        return tuple(found)
    for name, key in (("content-type", "ContentType"), ("response-topic", "ResponseTopic")):
        if getattr(properties, key, None):
            found.append((name, str(getattr(properties, key))))
    if getattr(properties, "CorrelationData", None):
        found.append(("correlation-data", bytes(properties.CorrelationData).hex()))
    taken = {name for name, _ in found}
    theirs = getattr(properties, "UserProperty", None) or []
    # A property that is called as one of those above must not stand in for it.
    return (*found, *[(str(name), str(value)) for name, value in theirs if str(name).lower() not in taken])


def _asked(days: int, prefetch: int) -> Any:
    from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415 - an extra
    from paho.mqtt.properties import Properties  # noqa: PLC0415 - as above

    asked: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    asked.SessionExpiryInterval = days * _DAY
    asked.ReceiveMaximum = prefetch
    return asked


def _library() -> Any:
    try:
        import paho.mqtt.client as mqtt  # noqa: PLC0415 - an extra, and not needed before the first use
    except ModuleNotFoundError:
        raise PermanentError("it needs the package paho-mqtt: pip install 'hubspoke[mqtt]'") from None
    return mqtt


@contextmanager
def _told(settings: Mqtt) -> Iterator[None]:
    """Say in our words what the client says."""
    try:
        yield
    except socket.gaierror:
        raise TransientError(f"the host {settings.host} is not known") from None
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise TransientError(f"MQTT at {settings.host}:{settings.port} does not answer: {said}") from None
    except ValueError as error:
        raise PermanentError(scrubbed(f"MQTT: {error}"[:300], settings)) from None
