"""What may be read: set by whoever runs the hub, never by who writes a reference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from hub.errors import UnavailableError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

PREFIX = "HUB_PLUGIN__SECRETS__"
_OF_VAULT = {"VAULT_ADDR": "vault_url", "VAULT_TOKEN": "vault_token", "VAULT_NAMESPACE": "vault_namespace"}


class Settings(BaseModel):
    """`HUB_PLUGIN__SECRETS__ENV` and so on. Lists are separated by commas."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    env: tuple[str, ...] = Field(("HUB_SECRET_*",), description="Variables that may be read; * stands for any.")
    files: tuple[Path, ...] = Field((Path("/run/secrets"),), description="Folders whose files may be read.")
    vault_url: str = Field("", pattern=r"^(https?://[^\s]+)?$", description="Vault's address; else VAULT_ADDR.")
    vault_token: SecretStr = Field(SecretStr(""), description="Vault's token; else VAULT_TOKEN.")
    vault_token_file: Path | None = Field(None, description="A file with the token, read each time it is needed.")
    vault_namespace: str = Field("", description="Vault's namespace; else VAULT_NAMESPACE.")
    vault_keep: float = Field(60.0, ge=0, le=3600, description="Seconds that a secret of Vault is kept in memory.")
    vault_timeout: float = Field(4.0, gt=0, le=30, description="Seconds that Vault has to answer.")


def load() -> Settings:
    """The settings as the environment of this process has them. Raises UnavailableError, which names what is wrong."""
    given = {field: os.environ[name] for name, field in _OF_VAULT.items() if name in os.environ}
    own = {name.removeprefix(PREFIX).lower(): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return _checked(tuple(sorted({**given, **own}.items())))


@lru_cache(maxsize=4)
def _checked(given: tuple[tuple[str, str], ...]) -> Settings:
    try:
        return Settings.model_validate({name: _parsed(name, value) for name, value in given})
    except ValidationError as error:
        wrong = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise UnavailableError(f"the plugin secrets is set up wrongly: {wrong}") from None


def _parsed(name: str, value: str) -> object:
    lists: Mapping[str, object] = {"env": None, "files": None}
    return tuple(part.strip() for part in value.split(",") if part.strip()) if name in lists else value
