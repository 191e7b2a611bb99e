"""Real brokers, each as a test sees it: its connection, its source, and sending to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import amqp
import kombu
import paho.mqtt.client as mqtt
import redis
from hub.runtime.commands import Command, apply
from hub.store import Store
from hub.types import Scope
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.conftest import service

SCOPE = Scope()
Send = Callable[[bytes, Mapping[str, str]], None]
"""Sends a body; the mapping holds its id and headers, as far as the broker has such."""


@dataclass
class Broker:
    """A queue, stream or topic of a test's own."""

    kind: str
    connection_kind: str
    fields: dict[str, Any]
    secrets: dict[str, str]
    options: dict[str, str]
    send: Send
    left: Callable[[], int]
    """How many messages the broker still waits to hear of."""

    def connect(self, store: Store, name: str = "bus", **more: Any) -> None:
        args = {
            "name": name,
            "kind": self.connection_kind,
            "fields": {**self.fields, **self.secrets, **more},
            "replace": True,
        }
        apply(store, Command("connection.set", SCOPE, name, args))

    def source(
        self, store: Store, name: str = "orders", *, options: Mapping[str, str] | None = None, **more: Any
    ) -> str:
        self.connect(store)
        args = {
            "name": name, "preset": self.kind, "connection": "bus", "options": {**self.options, **(options or {})},
            **more,
        }  # fmt: skip
        return str(apply(store, Command("source.create", SCOPE, "", args)).result["id"])


def order(number: int, **more: Any) -> bytes:
    return json.dumps({"type": "order.created", "number": number, "id": f"m-{number}", **more}).encode()


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    url = urlsplit(service("HUB_TEST_RABBITMQ_URL"))
    name = f"hub-test-{uuid.uuid4().hex[:12]}"
    connection = kombu.Connection(url.geturl())
    channel = connection.channel()
    channel.queue_declare(name, durable=True, auto_delete=False)

    def send(body: bytes, headers: Mapping[str, str]) -> None:
        known = dict(headers)
        message = amqp.Message(
            body, delivery_mode=2, message_id=known.pop("message-id", None), content_type="application/json",
            application_headers=known,
        )  # fmt: skip
        channel.basic_publish(message, routing_key=name)

    def left() -> int:
        return int(channel.queue_declare(name, passive=True).message_count)

    fields = {"host": url.hostname, "port": url.port or 5672, "user": url.username or "guest"}
    try:
        yield Broker("rabbitmq", "rabbitmq", fields, {"password": url.password or "guest"}, {"queue": name}, send, left)
    finally:
        channel.queue_delete(name)
        connection.release()


@contextmanager
def redis_stream() -> Iterator[Broker]:
    url = urlsplit(service("HUB_TEST_REDIS_URL"))
    name = f"hub-test-{uuid.uuid4().hex[:12]}"
    client = redis.Redis(host=url.hostname or "", port=url.port or 6379)

    def send(body: bytes, headers: Mapping[str, str]) -> None:
        client.xadd(name, {"body": body, **headers})

    def left() -> int:
        group = client.xinfo_groups(name)[0]
        return int(group["pending"]) + int(group["lag"] or 0)

    fields = {"host": url.hostname, "port": url.port or 6379}
    options = {"stream": name, "field": "body"}
    try:
        yield Broker("redis-stream", "redis", fields, {}, options, send, left)
    finally:
        client.delete(name)
        client.close()


@contextmanager
def mosquitto() -> Iterator[Broker]:
    url = urlsplit(service("HUB_TEST_MQTT_URL"))
    topic = f"hub-test/{uuid.uuid4().hex[:12]}"
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect(url.hostname or "", url.port or 1883)
    client.loop_start()

    def send(body: bytes, headers: Mapping[str, str]) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = list(headers.items())
        client.publish(f"{topic}/a", body, qos=1, properties=properties).wait_for_publish(10)

    fields = {"host": url.hostname, "port": url.port or 1883}
    try:
        yield Broker("mqtt", "mqtt", fields, {}, {"topic": f"{topic}/#"}, send, lambda: 0)
    finally:
        client.disconnect()
        client.loop_stop()


ALL = {"rabbitmq": rabbitmq, "redis-stream": redis_stream, "mqtt": mosquitto}
