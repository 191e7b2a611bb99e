"""What a preset says once a source's options are put in: verification, handshakes, events, duplicates."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hub.webhooks.reference import Joined, MaybeReference, Ref, Reference, Texts
from hub.webhooks.scheme import Hash, Model, Scheme, Signed, StandardScheme, tolerance_of

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
        if not (self.json_ or self.query or self.header or self.method in ("HEAD", "OPTIONS")):
            raise ValueError("a handshake needs json, query, header or the method HEAD or OPTIONS to be recognised by")
        return self


class Respond(Model):
    """The answer to a handshake: a text, or a JSON object whose strings are references or computed names.

    The values of `headers` are references or computed names, too.
    """

    status: int = Field(default=200, ge=200, le=299)
    type: str = "text/plain"
    text: str | None = None
    json_: dict[str, Any] | None = Field(default=None, alias="json")
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")], str] = Field(default_factory=dict)


class Handshake(Model):
    """A request by which a provider checks the endpoint, and its answer.

    `again`: the provider asks again later. Without a word only those do that prove who they are; any other handshake is
    closed once the source is confirmed, so that no stranger can have anything echoed.
    """

    when: When
    require_verified: bool = True
    again: bool | None = None
    token: MaybeReference = None
    """Where the request carries the source's secret in clear, if that is how it proves itself."""
    compute: dict[str, Compute] = Field(default_factory=dict)
    respond: Respond

    @property
    def is_once(self) -> bool:
        """Whether it is closed by its first success."""
        return not (self.require_verified if self.again is None else self.again)


class EventRule(Model):
    """Where the event's type, id and time stand; `split` names the arrays of a batch.

    A path of `split` may hold `*` for every item of a list, and `.` is the body itself. With `split_content` only
    bodies of these content types are batches.
    """

    type: Texts = ()
    id: Texts = ()
    time: Texts = ()
    split: tuple[str, ...] = ()
    split_content: tuple[str, ...] = ()
    base64: str | None = None
    """A path in an event's data whose text is base64: the data has it decoded, to JSON where it is JSON."""
    delivery: Texts = ()
    """The id of a whole batch; without `split` it is the event's id."""
    plugin: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] | None = None
    """The plugin that finds the events (hook `hub_webhook_parse`)."""

    @field_validator("split", "split_content", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else () if value is None else value


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

    @property
    def delivery(self) -> tuple[Ref | Joined, ...]:
        """Where the id of a whole delivery may stand."""
        return self.event.delivery or (() if self.event.split else self.event.id)

    @cached_property
    def signed_once(self) -> bool:
        """Whether the signed bytes of two deliveries always differ: by an id, a time or a promise."""
        if self.dedupe.unique_body or isinstance(self.verify, StandardScheme):
            return True
        if not isinstance(self.verify, Signed):
            return False
        signed = self.verify.signed
        # A time may stand inside the signed body: a scheme with one that is not signed is refused.
        timed = self.verify.timestamp is not None and self.verify.timestamp.required
        return signed.has("id") or timed or any(signed.covers(ref) for ref in self.delivery)

    @model_validator(mode="after")
    def _remember_longer_than_the_window(self) -> Rules:
        tolerance = tolerance_of(self.verify)
        if tolerance is not None and self.dedupe.window < 2 * tolerance:
            raise ValueError(f"the dedupe window must be at least twice the tolerance, {2 * tolerance} s")
        return self
