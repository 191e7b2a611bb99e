"""How a request is verified: one frozen model per kind of scheme, as written under `verify` in a preset."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from hub.webhooks.reference import Ref, Reference, References, parse_ref
from hub.webhooks.secrets import Encoding
from hub.webhooks.template import SignedTemplate, Template

Hash = Literal["sha1", "sha256", "sha384", "sha512"]


class Model(BaseModel):
    """Base of everything a preset file holds: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True, defer_build=True
    )


class Place(Model):
    """Where a text stands: a reference, what separates its items, and the prefix of those that count."""

    source: Reference = Field(alias="from")
    prefix: str = ""
    separator: str = Field(default="", max_length=1)


class SignatureAt(Place):
    """Where the signatures stand and how they are written. `pick: one` refuses a list.

    `also` names further places; a signature in any of them counts.
    """

    also: References = ()
    encoding: Literal["hex", "base64", "base64url"] = "hex"
    pick: Literal["all", "one"] = "all"


class TimestampAt(Place):
    """Where the signed time stands; `tolerance` in seconds, both ways."""

    unit: Literal["s", "ms", "rfc3339"] = "s"
    tolerance: int = Field(default=300, ge=1, le=86_400)
    required: bool = True


class BodyHash(Place):
    """Where a hash of the body stands among what is signed. A form that is signed field by field goes without."""

    hash: Hash = "sha256"
    encoding: Literal["hex", "base64", "base64url"] = "hex"


class UrlAs(Model):
    """How `{url}` is written: with `ports: either` also with, and without, its scheme's usual port.

    `unescape` lists the characters of the query that are written plainly where the request escapes them.
    """

    ports: Literal["as-is", "either"] = "as-is"
    unescape: str = Field(default="", max_length=32, pattern=r"^[!-$&-/:-@\[-`{-~]*$")


class Signed(Model):
    """What the signature schemes share: signed bytes, signature, time and id.

    `require` maps places to the one text that they may hold, such as a version of the scheme.
    """

    signature: SignatureAt
    signed: SignedTemplate
    timestamp: TimestampAt | None = None
    id: Place | None = None
    url: UrlAs = UrlAs()
    body_hash: BodyHash | None = None
    require: dict[str, str] = Field(default_factory=dict)
    unsigned_body: bool = False

    @property
    def required(self) -> tuple[tuple[Ref, str], ...]:
        """The places of `require`."""
        return tuple((parse_ref(place), text) for place, text in self.require.items())

    @model_validator(mode="after")
    def _hold_together(self) -> Signed:
        _check_slots(self.signed, self)
        return self


class HmacScheme(Signed):
    """HMAC over the signed string."""

    kind: Literal["hmac"]
    hash: Hash = "sha256"
    secret_encoding: Encoding = "utf8"  # noqa: S105 - an encoding's name


class Ed25519Scheme(Signed):
    """An ed25519 signature; the secret is the provider's public key, 32 bytes."""

    kind: Literal["ed25519"]
    secret_encoding: Literal["base64", "hex"] = "hex"  # noqa: S105 - an encoding's name


class EcdsaScheme(Signed):
    """An ECDSA signature in DER; the secret is the provider's public key, PEM or the base64 of its DER."""

    kind: Literal["ecdsa"]
    curve: Literal["P-256", "P-384"] = "P-256"
    hash: Literal["sha256", "sha384"] = "sha256"


class DigestScheme(Signed):
    """A plain hash of the secret and the signed string after it: weak, only for providers that have nothing else."""

    kind: Literal["digest"]
    hash: Hash = "sha256"


class StandardScheme(Model):
    """Standard Webhooks 1.0: `v1` HMAC-SHA256 or `v1a` ed25519; the secret's form says which one counts."""

    kind: Literal["standard-webhooks"]
    prefix: str = Field(default="webhook", pattern=r"^[a-z0-9-]{1,40}$")
    tolerance: int = Field(default=300, ge=1, le=86_400)


class TokenScheme(Model):
    """The secret itself, sent in a header, a query parameter or the body.

    `items` names an array of the body: each of its items must carry the token, whose place starts at the item.
    """

    kind: Literal["token"]
    token: Place
    items: str | None = None

    @model_validator(mode="after")
    def _hold_together(self) -> TokenScheme:
        if self.items is not None and self.token.source.kind != "json":
            raise ValueError("a token of each item stands in the item: write json:PATH")
        return self


class BasicScheme(Model):
    """HTTP basic authentication; the secret is `user:password`."""

    kind: Literal["basic"]


class NoScheme(Model):
    """No verification at all: must be written out at the source, too."""

    kind: Literal["none"]


class ConsumerScheme(Model):
    """What comes by a broker is vouched for by the login of the source's connection; by HTTP nothing comes."""

    kind: Literal["consumer"]


class PluginScheme(Model):
    """A plugin's own verifier, named `plugin:<name>`. A keyless one needs no secret of the source: it fetches keys.

    `hidden` names the headers and query parameters that carry what must not be kept.
    """

    kind: str = Field(pattern=r"^plugin:[a-z][a-z0-9_-]{0,63}$")
    keyless: bool = False
    hidden: tuple[str, ...] = ()
    settings: dict[str, str] = Field(default_factory=dict)


def _kind(value: Any) -> str:
    kind = value.get("kind", "") if isinstance(value, dict) else getattr(value, "kind", "")
    return "plugin" if str(kind).startswith("plugin:") else str(kind)


Scheme = Annotated[
    Annotated[HmacScheme, Tag("hmac")]
    | Annotated[Ed25519Scheme, Tag("ed25519")]
    | Annotated[EcdsaScheme, Tag("ecdsa")]
    | Annotated[DigestScheme, Tag("digest")]
    | Annotated[StandardScheme, Tag("standard-webhooks")]
    | Annotated[TokenScheme, Tag("token")]
    | Annotated[BasicScheme, Tag("basic")]
    | Annotated[NoScheme, Tag("none")]
    | Annotated[ConsumerScheme, Tag("consumer")]
    | Annotated[PluginScheme, Tag("plugin")],
    Discriminator(_kind),
]


def is_keyless(scheme: Scheme) -> bool:
    """Whether a source is verified without a secret of its own."""
    return isinstance(scheme, ConsumerScheme) or (isinstance(scheme, PluginScheme) and scheme.keyless)


def tolerance_of(scheme: Scheme) -> int | None:
    """The scheme's own time window in seconds, or None if it signs no time."""
    # By exact type first: pydantic's isinstance costs a microsecond where it fails.
    if type(scheme) is HmacScheme:
        return scheme.timestamp.tolerance if scheme.timestamp else None
    if isinstance(scheme, StandardScheme):
        return scheme.tolerance
    return scheme.timestamp.tolerance if isinstance(scheme, Signed) and scheme.timestamp else None


def _check_slots(signed: Template, scheme: Signed) -> None:
    """Refuse a scheme whose parts contradict each other; each sentence says what to change."""
    for ref, _ in scheme.required:
        if ref.kind not in ("header", "query"):
            raise ValueError(f"`require` looks at headers and the query, not at {ref}")
    if signed.has("form") and scheme.body_hash is None:
        raise ValueError("{form} signs forms only: `body_hash` must say what vouches for other bodies")
    if scheme.body_hash is not None and not signed.covers(scheme.body_hash.source):
        raise ValueError("the hash of the body is not signed: it would protect nothing")
    if not (signed.has("body") or signed.has("payload") or scheme.body_hash or scheme.unsigned_body):
        raise ValueError("the signed string does not hold {body}; if that is right say `unsigned_body: true`")
    if signed.has("timestamp") and scheme.timestamp is None:
        raise ValueError("{timestamp} is signed but `timestamp` does not say where it stands")
    if signed.has("id") and scheme.id is None:
        raise ValueError("{id} is signed but `id` does not say where it stands")
    if scheme.timestamp is None:
        return
    if signed.has("timestamp") and not scheme.timestamp.required:
        raise ValueError("a timestamp that is part of the signed string cannot be optional")
    if not (signed.has("timestamp") or signed.covers(scheme.timestamp.source)):
        raise ValueError("the timestamp is not signed: a window over it would protect nothing")
