"""The messages of hub-sync/1. All calls go from the site to the plane; the site's token says which site it is.

    POST   /sync/v1/register                     Register      -> Registered, for a join token
    POST   /sync/v1/token                        RFC 7523      -> Token, for a signed assertion
    POST   /sync/v1/keys                         NewKey        -> KeyAdded
    DELETE /sync/v1/keys                                       -> 204, the site's keys are good no more
    POST   /sync/v1/sessions                     Hello         -> Session
    PUT    /sync/v1/sessions/{fence}/snapshot    SnapshotPart  -> Acked
    POST   /sync/v1/sessions/{fence}/events      Batch         -> Acked
    POST   /sync/v1/sessions/{fence}/logs        LogBatch      -> LogsAcked
    GET    /sync/v1/sessions/{fence}/commands    ?after=&wait= -> Commands
    POST   /sync/v1/sessions/{fence}/heartbeat   Heartbeat     -> Beat
    PUT    /sync/v1/sessions/{fence}/addresses   Addresses     -> AddressesKept
    GET    /sync/v1/sessions/{fence}/webhooks    ?after=&wait= -> Webhooks
    POST   /sync/v1/sessions/{fence}/webhooks    WebhooksDone  -> Forgotten
    DELETE /sync/v1/sessions/{fence}                           -> 204
    GET    /sync/v1/digest                       ?since=       -> Digest

Unknown fields are ignored: a peer may be newer. Times are microseconds, durations seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from hub.runtime.labels import MAX_LABELS
from hub.types import ID_PATTERN
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

PROTOCOL = 2
"""2: events may say more than metadata (`more`), each part committed to by the digest."""
OLDEST = 1
"""The oldest protocol that is still spoken: the one before."""
MAX_EVENTS = 500
MAX_BYTES = 1_048_576
MAX_COMMANDS = 100
MAX_LINES = 1000
MAX_ADDRESSES = 1000
MAX_DEPLOYMENTS = 1000
MAX_WEBHOOKS = 100
MAX_WEBHOOK_BYTES = 262_144
"""Of a webhook's body; larger ones the plane answers 413."""
MAX_WAIT = 60.0
CAPABILITIES = ("gzip",)
"""What a peer of this version can beside its protocol; in a session counts what both can."""

_Plain = StringConstraints(max_length=200, pattern=r"^[^\x00]*$")
Short = Annotated[str, _Plain]
"""A name, an id or a hash."""
Position = Annotated[int, Field(ge=0, lt=2**62)]
Capabilities = Annotated[list[Annotated[str, _Plain]], Field(max_length=50)]


class Message(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Register(Message):
    """The first word of a site: binds its token to this installation."""

    site_id: Annotated[str, _Plain, Field(min_length=1)]
    version: Short = ""
    protocol: int = PROTOCOL
    name: Short = ""
    sign_key: dict[str, Any] = Field(default_factory=dict)
    seal_key: Short = ""
    proof: str = Field("", max_length=4096)


class Registered(Message):
    """What the plane calls the site (its client id) and itself (`audience`), and until when the site's key is good.

    Without an audience: a plane of protocol 1, to which the token itself is shown.
    """

    site: Short
    name: Short
    protocol: int = 1
    audience: Short = ""
    key_until: Position = 0
    server_time: int = 0


class Grant(Message):
    """Asks for an access token as RFC 7523 has it."""

    grant_type: Literal["client_credentials"]
    client_assertion_type: Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    client_assertion: str = Field(max_length=4096)


class Token(Message):
    """An access token, good for so many seconds."""

    access_token: str = Field(min_length=8, max_length=1000)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, not one
    expires_in: int = Field(ge=1)
    scope: str = ""
    server_time: int = 0


class NewKey(Message):
    """The successor of a site's key, with the proof that the site has it."""

    sign_key: dict[str, Any]
    seal_key: Short = ""
    proof: str = Field(max_length=4096)


class KeyAdded(Message):
    """Until when the new key is good."""

    key_until: Position


class Hello(Message):
    """Opens a session. `acked_seq`, `fence` and `command_cursor` are what the site remembers of this plane."""

    site_id: Annotated[str, _Plain, Field(min_length=1)]
    stream_epoch: Annotated[str, _Plain, Field(min_length=1)]
    head_seq: Position
    acked_seq: Position | None = None
    fence: Position = 0
    command_cursor: Position = 0
    plane_epoch: Short = ""
    authority_id: Short = ""
    primary: bool = False
    version: Short = ""
    protocol: int = PROTOCOL
    capabilities: Capabilities = Field(default_factory=list)


class Session(Message):
    """The session's fence, and where the plane stands: the site's own idea of `acked_seq` gives way to this."""

    fence: Position
    mode: Literal["resume", "snapshot", "fork"]
    acked_seq: Position
    acked_hash: Short
    plane_epoch: Short
    max_events: int = Field(default=MAX_EVENTS, ge=1)
    max_bytes: int = Field(default=MAX_BYTES, ge=1)
    server_time: int = 0
    protocol: int = 1
    log_epoch: Short = ""
    log_acked: Position = 0
    forwards: bool = False
    """Whether the plane takes webhooks for its sites."""
    capabilities: Capabilities = Field(default_factory=list)


class Part(Message):
    """What the policy lets out of one class: a JSON object as `text`, with its salt; or only the `hash` of both."""

    hash: Short | None = None
    salt: Short | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.hash is None) == (self.salt is None or self.text is None):
            raise ValueError("a part is a hash, or a salt and a text")
        return self


class EventOut(Message):
    """An event as it leaves: what is hashed, nothing else. A withheld one is only its position and `digest`."""

    seq: Position
    hash: Short
    digest: Short | None = None
    id: Short = ""
    type: str = ""
    subject: str = ""
    run_id: str | None = None
    at: int = 0
    schema_version: int = 1
    body: dict[str, Any] = Field(default_factory=dict)
    more: dict[Literal["errors", "logs", "params", "results"], Part] = Field(default_factory=dict)


class Batch(Message):
    """Events in order without a hole. `prev_hash` is the hash of the event before the first."""

    stream_epoch: Short
    first_seq: Position
    prev_hash: Short
    events: list[EventOut] = Field(min_length=1, max_length=MAX_EVENTS)


class Acked(Message):
    """All events up to here are kept by the plane."""

    acked_seq: Position


class LineOut(Message):
    """A log line of a run. `level` is that of Python's logging."""

    id: Position
    run_id: Annotated[str, _Plain, Field(max_length=36)]
    task_run_id: Annotated[str, _Plain, Field(max_length=36)] | None = None
    attempt: int = 0
    at: int = 0
    level: int = 20
    logger: str = ""
    message: str = ""


class Gap(Message):
    """Lines that will not come: `count` of them at most, from one position to another, and why."""

    first: Position
    last: Position
    count: Position
    bytes: Position = 0
    cause: Short = ""


class LogBatch(Message):
    """All log lines after a position up to another that may leave, or the gap between them. Positions are the site's,
    in one epoch, which began after `start`."""

    log_epoch: Annotated[str, _Plain, Field(min_length=1, max_length=36)]
    start: Position
    after: Position
    upto: Position
    lines: list[LineOut] = Field(default_factory=list, max_length=MAX_LINES)
    gap: Gap | None = None


class LogsAcked(Message):
    """All lines up to here are kept by the plane, which wants to hear of the next ones in so many seconds."""

    log_acked: Position
    pause_s: float = Field(default=0, ge=0, le=3600)


class RunOut(Message):
    """A run as its last event described it: fields of class metadata, and by class what the policy lets out."""

    id: Short
    run: dict[str, Any]
    more: dict[Short, dict[str, Any]] = Field(default_factory=dict)


class Answered(Message):
    """What came of a command."""

    command_id: Short
    status: Short
    code: Short = ""
    at: int = 0


class SnapshotPart(Message):
    """A piece of the site's present state; with the `last` one the plane stands at `head_seq`."""

    stream_epoch: Short
    head_seq: Position
    head_hash: Short
    last: bool = False
    runs: list[RunOut] = Field(default_factory=list, max_length=MAX_EVENTS)
    answered: list[Answered] = Field(default_factory=list, max_length=MAX_EVENTS)


class CommandOut(Message):
    """A command for the site. `authority_id` is the one the site gave when it made this plane its primary."""

    seq: Position
    id: Short
    op: Short
    target: Short = ""
    args: dict[str, Any] = Field(default_factory=dict)
    authority_id: Short = ""
    issued_at: int = 0
    issued_by: Short = ""
    expires_at: int | None = None


class Commands(Message):
    """Commands after the cursor the site gave, and the cursor to give next time."""

    plane_epoch: Short
    cursor: Position
    commands: list[CommandOut] = Field(default_factory=list, max_length=MAX_COMMANDS)


class AddressOut(Message):
    """An address of a source at the plane; `digest` is the SHA-256 of its token. `text` null: the receipt's id."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    source: Annotated[str, _Plain, Field(min_length=1, max_length=36)]
    methods: list[Short] = Field(min_length=1, max_length=10)
    max_body: int = Field(ge=1)
    rate_per_minute: int = Field(ge=1, le=1_000_000)
    status: int = Field(202, ge=200, le=299)
    text: str | None = Field(None, max_length=4096)
    type: Short = "text/plain"


class Addresses(Message):
    """All addresses of a site: the plane takes up those it does not have, and lets go of all others."""

    items: list[AddressOut] = Field(default_factory=list, max_length=MAX_ADDRESSES)


class AddressesKept(Message):
    """The digests of those that the plane has now; one that another site has is none of them."""

    kept: list[Short]


class WebhookOut(Message):
    """A request, sealed to the site's key `key_id`; bytes in base64. Its id becomes that of the receipt."""

    id: Annotated[str, Field(pattern=ID_PATTERN)]
    workspace: Short
    source: Short
    key_id: Short
    wrapped: str
    head: str
    body: str
    received_at: Position


class Webhooks(Message):
    """What waits, the oldest first."""

    items: list[WebhookOut] = Field(default_factory=list, max_length=MAX_WEBHOOKS)


class WebhooksDone(Message):
    """The ids of those that the site has: the plane forgets them."""

    ids: list[Short] = Field(max_length=MAX_WEBHOOKS)


class Forgotten(Message):
    """How many there were."""

    forgotten: int


class Heartbeat(Message):
    """How the site is."""

    head_seq: Position = 0
    acked_seq: Position = 0
    site_time: int = 0
    version: Short = ""
    labels: dict[Short, Short] = Field(default_factory=dict, max_length=MAX_LABELS)
    takes_runs: bool = False
    """Whether the plane may start runs of these deployments, hold the work and drain the hub."""
    deployments: list[Short] = Field(default_factory=list, max_length=MAX_DEPLOYMENTS)
    work: Short = "open"


class Beat(Message):
    """The plane's clock, and whether it wants the site to have another key."""

    server_time: int = 0
    rotate_key: bool = False


class Digest(Message):
    """The sha256 over the sorted lines `run id, version, state` of all runs made since then, and how many."""

    since: int
    runs: int
    sha256: str
