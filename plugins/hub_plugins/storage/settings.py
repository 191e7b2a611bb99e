"""The settings of each kind of connection, as a person gives them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

_PREFIX = r"^[A-Za-z0-9._/-]{0,200}$"


class Settings(BaseModel):
    """Unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Files(Settings):
    """A folder that every process of the hub reaches under the same name."""

    path: str = Field(pattern=r"^/[^\x00]*$", max_length=1000, description="Absolute path of the folder.")


class Http(Settings):
    """An HTTP service."""

    url: str = Field(pattern=r"^https?://[^\s\x00]+$", max_length=2000, description="Its address.")
    user: str = Field("", max_length=200, description="User name for basic authentication.")
    password: SecretStr | None = Field(None, description="Password for basic authentication.")
    token: SecretStr | None = Field(None, description="Token sent as `Authorization: Bearer`.")
    timeout: float = Field(10.0, gt=0, le=600, description="Seconds a request may take.")


class Postgresql(Settings):
    """A PostgreSQL database."""

    host: str = Field("127.0.0.1", max_length=253, description="Host name or address.")
    port: int = Field(5432, ge=1, le=65535, description="Port.")
    database: str = Field(min_length=1, max_length=63, description="Name of the database.")
    user: str = Field("postgres", max_length=63, description="User name.")
    password: SecretStr | None = Field(None, description="Password; empty: none is sent.")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer", description="How much TLS is asked for."
    )
    table: str = Field(
        "hub_results", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="Table that a result store makes and uses."
    )
    timeout: float = Field(10.0, ge=1, le=600, description="Seconds to connect, and a statement may take.")


class S3(Settings):
    """A bucket of Amazon S3, or of a service that speaks its language."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="Name of the bucket.")
    region: str = Field("us-east-1", max_length=60, description="Region of the bucket.")
    endpoint: str = Field(
        "", max_length=500, pattern=r"^(https?://[!-~]+)?$", description="Address of a service other than Amazon's."
    )
    prefix: str = Field("hub", pattern=_PREFIX, description="What the keys of results that are kept there begin with.")
    access_key_id: str = Field(
        "",
        max_length=200,
        pattern=r"^[!-~]*$",
        examples=["AKIAEXAMPLE"],
        description="Access key; empty: the machine's own identity.",
    )
    secret_access_key: SecretStr | None = Field(None, examples=["a secret"], description="The access key's secret.")
    session_token: SecretStr | None = Field(None, description="Token of a temporary access key.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds a request may take.")

    @property
    def service(self) -> str:
        """Its name for people."""
        return "S3"

    @property
    def where(self) -> str:
        """The place for people."""
        return f"bucket {self.bucket}"


class AzureBlob(Settings):
    """A container of Azure Blob Storage."""

    account: str = Field(pattern=r"^[a-z0-9]{3,24}$", examples=["acme"], description="Name of the storage account.")
    container: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", description="Name of the container.")
    account_key: SecretStr | None = Field(
        None,
        examples=["YSBrZXk="],
        description="A key of the account; without it and a token: the machine's managed identity.",
    )
    sas_token: SecretStr | None = Field(None, description="A shared access signature instead of the key.")
    endpoint: str = Field(
        "", max_length=500, pattern=r"^(https?://[!-~]+)?$",
        description="Address of the account, where it is not https://ACCOUNT.blob.core.windows.net.",
    )  # fmt: skip
    prefix: str = Field("hub", pattern=_PREFIX, description="What the keys of results that are kept there begin with.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds a request may take.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.account_key is not None and self.sas_token is not None:
            raise ValueError("give account_key or sas_token, not both")
        return self

    @property
    def service(self) -> str:
        """Its name for people."""
        return "Azure"

    @property
    def where(self) -> str:
        """The place for people."""
        return f"container {self.container}"


class Gcs(Settings):
    """A bucket of Google Cloud Storage."""

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", description="Name of the bucket.")
    service_account_key: SecretStr | None = Field(
        None, description="The JSON file of a service account's key; without it: the machine's own identity."
    )
    endpoint: str = Field(
        "", max_length=500, pattern=r"^(https?://[!-~]+)?$", description="Address, where it is not Google's own."
    )
    prefix: str = Field("hub", pattern=_PREFIX, description="What the keys of results that are kept there begin with.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds a request may take.")

    @property
    def service(self) -> str:
        """Its name for people."""
        return "Google Cloud Storage"

    @property
    def where(self) -> str:
        """The place for people."""
        return f"bucket {self.bucket}"
