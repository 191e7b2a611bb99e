"""How a connection gets into a Slack workspace."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

API = "https://slack.com/api"


class Slack(BaseModel):
    """The bot of an app that is installed in the workspace. The app's signing secret belongs to the webhook source."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    token: SecretStr = Field(description="The app's bot token, xoxb-...", examples=["xoxb-1"])
    url: str = Field(
        API, max_length=500, pattern=r"^(https://[^\s\x00?#@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^\s\x00?#]*)?)$",
        description="Address of the Web API; of GovSlack: https://slack-gov.com/api.",
    )  # fmt: skip
    timeout: float = Field(20.0, gt=0, le=600, description="Seconds a request may take.")
