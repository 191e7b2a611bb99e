"""What a preset says once a source's options are put in: verification, handshakes, events, duplicates."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hub.webhooks.reference import MaybeReference, Reference, References
from hub.webhooks.scheme import Hash, Model, Scheme, tolerance_of

_DURATION = re.compile(r"([1-9][0-9]{0,6})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Compute(Model):
    """A value made for a handshake's answer: HMAC of an input under the source's newest secret."""

    hmac: Hash
    input: Reference
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = Field(default="", max_length=32)


class When(Model):
    """What a handshake request looks like; all of it must hold. A value `*` asks only that it is there."""

    method: str | None = None
    json_: dict[str, Any] = Field(default_factory=dict, alias="json")
    query: dict[str, str] = Field(default_factory=dict)
    header: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> When:
        if not (self.json_ or self.query or self.header):
            raise ValueError("a handshake needs json, query or header to be recognised by")
        return self


class Respond(Model):
    """The answer to a handshake: a text, or a JSON object whose strings are references or computed names."""

    status: int = Field(default=200, ge=200, le=299)
    type: str = "text/plain"
    text: str | None = None
    json_: dict[str, Any] | None = Field(default=None, alias="json")


class Handshake(Model):
    """A request by which a provider checks the endpoint, and its answer."""

    when: When
    require_verified: bool = True
    token: MaybeReference = None
    """Where the request carries the source's secret in clear, if that is how it proves itself."""
    compute: dict[str, Compute] = Field(default_factory=dict)
    respond: Respond


class EventRule(Model):
    """Where the event's type, id and time stand; `split` names the array of a batch."""

    type: References = ()
    id: References = ()
    time: References = ()
    split: str | None = None
    delivery: References = ()
    """The id of a whole batch; without `split` it is the event's id."""


class DedupeRule(Model):
    """What makes two requests the same: `delivery-id`, `signed-digest`, or references joined to one key."""

    keys: tuple[Literal["delivery-id", "signed-digest"] | tuple[Reference, ...], ...] = (
        "delivery-id",
        "signed-digest",
    )
    window: int = 86_400
    unique_body: bool = False

    @field_validator("window", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        found = _DURATION.match(value) if isinstance(value, str) else None
        return int(found[1]) * _SECONDS[found[2]] if found else value


class Rules(Model):
    """A preset with a source's options put in: what the engine works with."""

    verify: Scheme
    handshake: tuple[Handshake, ...] = ()
    event: EventRule = EventRule()
    dedupe: DedupeRule = DedupeRule()

    @model_validator(mode="after")
    def _remember_longer_than_the_window(self) -> Rules:
        tolerance = tolerance_of(self.verify)
        if tolerance is not None and self.dedupe.window < 2 * tolerance:
            raise ValueError(f"the dedupe window must be at least twice the tolerance, {2 * tolerance} s")
        return self
