"""Connections to brokers, the presets that read their messages, and the consumers that fetch them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from hub.connections import ConnectionKind
from hub.consumers import ConsumerKind
from hub.hookspecs import hookimpl
from hub.plugins import PresetText

from hub_plugins.brokers import mqtt, rabbitmq, redis, settings


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kinds; their client libraries are imported when one is used."""
    yield ConnectionKind("mqtt", "An MQTT broker.", settings.Mqtt, mqtt.check)
    yield ConnectionKind("rabbitmq", "A RabbitMQ broker.", settings.Rabbitmq, rabbitmq.check)
    yield ConnectionKind("redis", "A Redis or Valkey server.", settings.Redis, redis.check)


@hookimpl
def hub_consumers() -> Iterator[ConsumerKind]:
    """Give the consumers, each on connections of its kind."""
    yield ConsumerKind("mqtt", "mqtt", mqtt.MqttConsumer)
    yield ConsumerKind("rabbitmq", "rabbitmq", rabbitmq.RabbitmqConsumer)
    yield ConsumerKind("redis-stream", "redis", redis.RedisConsumer)


@hookimpl
def hub_presets() -> Iterator[PresetText]:
    """Give the presets, one for each consumer."""
    folder = files(__package__) / "presets"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        yield PresetText(f"hub_plugins.brokers/presets/{entry.name}", entry.read_text("utf-8"))
