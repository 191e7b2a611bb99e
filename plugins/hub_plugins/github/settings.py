"""How a connection gets into GitHub."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class GitHub(BaseModel):
    """A token, or an app with its key and the installation it acts for."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str = Field(
        "https://api.github.com", max_length=500,
        pattern=r"^(https://[^\s\x00?#@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^\s\x00?#]*)?)$",
        description="Address of the API; of GitHub Enterprise Server: https://HOST/api/v3.",
    )  # fmt: skip
    token: SecretStr | None = Field(None, description="Personal access token.", examples=["a token"])
    app_id: str = Field("", pattern=r"^[A-Za-z0-9.]{0,100}$", description="Id or client id of a GitHub App.")
    installation_id: int | None = Field(None, ge=1, description="The installation that the app acts for.")
    private_key: SecretStr | None = Field(None, description="The app's private key, PEM.")
    timeout: float = Field(20.0, gt=0, le=600, description="Seconds a request may take.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        app = (bool(self.app_id), self.installation_id is not None, self.private_key is not None)
        if (self.token is not None) == any(app):
            raise ValueError("give a token, or app_id, installation_id and private_key of a GitHub App")
        if any(app) and not all(app):
            raise ValueError("a GitHub App needs app_id, installation_id and private_key")
        return self
