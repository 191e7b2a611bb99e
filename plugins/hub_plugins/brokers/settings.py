"""The settings of connections to brokers, as a person gives them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Settings(BaseModel):
    """What all brokers share. Unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field("127.0.0.1", min_length=1, max_length=253, pattern=r"^[^\s\x00/@]+$", description="Host name.")
    user: str = Field("", max_length=255, description="User name; empty: none is sent.")
    password: SecretStr | None = Field(None, description="Password.")
    tls: bool = Field(False, description="Whether to speak TLS; the broker's certificate is verified.")
    timeout: float = Field(10.0, ge=1, le=120, description="Seconds to connect.")

    @property
    def clear(self) -> str | None:
        """The password in clear."""
        return None if self.password is None else self.password.get_secret_value()


class Rabbitmq(Settings):
    """A RabbitMQ broker (AMQP 0-9-1)."""

    port: int = Field(5672, ge=1, le=65535, description="Port; with TLS usually 5671.")
    vhost: str = Field("/", min_length=1, max_length=255, description="Virtual host.")


class Redis(Settings):
    """A Redis or Valkey server."""

    port: int = Field(6379, ge=1, le=65535, description="Port.")
    db: int = Field(0, ge=0, le=1023, description="Number of the database.")


class Mqtt(Settings):
    """An MQTT broker."""

    port: int = Field(1883, ge=1, le=65535, description="Port; with TLS usually 8883.")
