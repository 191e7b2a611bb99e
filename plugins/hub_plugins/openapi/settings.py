"""Where an API and its document are, and how a connection gets in."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

_ADDRESS = r"^(https?://[^\s\x00?#@]+)?$"
_NEEDS = {
    "none": (), "bearer": ("token",), "basic": ("user", "password"), "api-key": ("key",),
    "oauth2": ("client_id", "client_secret", "token_url"),
}  # fmt: skip


class OpenApi(BaseModel):
    """An API. Private addresses must be in HUB_OUTBOUND_NETWORKS, public ones have TLS."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    document: str = Field(
        max_length=2000, pattern=r"^(https?://[^\s\x00#@]+|/[^\x00]*)$", examples=["https://api.example/openapi.json"],
        description="The OpenAPI 3 document, JSON or YAML: its address, or the absolute path of a file on workers.",
    )  # fmt: skip
    url: str = Field(
        "", max_length=2000, pattern=_ADDRESS, description="Address of the API; empty: the document's first server."
    )
    auth: Literal["none", "bearer", "basic", "api-key", "oauth2"] = Field("none", description="How requests get in.")
    token: SecretStr | None = Field(None, description="bearer: the token.")
    user: str = Field("", max_length=200, description="basic: user name.")
    password: SecretStr | None = Field(None, description="basic: password.")
    key: SecretStr | None = Field(None, description="api-key: the key.")
    key_name: str = Field("X-API-Key", pattern=r"^[!-~]{1,100}$", description="api-key: what carries the key.")
    key_in: Literal["header", "query", "cookie"] = Field("header", description="api-key: where that is.")
    client_id: str = Field("", max_length=300, description="oauth2 (client credentials): the client.")
    client_secret: SecretStr | None = Field(None, description="oauth2: the client's secret.")
    token_url: str = Field("", max_length=2000, pattern=_ADDRESS, description="oauth2: where tokens are given.")
    scope: str = Field("", max_length=1000, description="oauth2: scopes that are asked for, separated by spaces.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds a request may take.")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        missing = [name for name in _NEEDS[self.auth] if not getattr(self, name)]
        if missing:
            raise ValueError(f"auth {self.auth} needs {', '.join(missing)}")
        return self
