"""Names for the plain values that travel between floors, and the makers of ids and times."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"
ExportLevel: TypeAlias = Literal["metadata", "errors", "logs", "params", "results"]
"""What may leave for a plane; each holds those before it."""
Micros: TypeAlias = int
"""A point in time: integer microseconds since 1970-01-01 UTC."""
Id: TypeAlias = str
"""A UUID in its canonical 36 characters; version 7 unless the thing must be made once (then version 5)."""

DEFAULT_WORKSPACE: Id = "00000000-0000-7000-8000-000000000001"
SECOND: Micros = 1_000_000


_ahead: Micros = 0


def now_us() -> Micros:
    """Read the wall clock, in microseconds."""
    return time.time_ns() // 1000 + _ahead


def move_clock(by: Micros) -> None:
    """Let the clock of this process go ahead of the wall clock: `hub.testing` skips waits by it, nothing else does."""
    global _ahead
    _ahead += by


def from_rfc3339(text: str) -> Micros:
    """Parse an RFC 3339 time; raises ValueError on one without an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-01-31T08:00:00Z")
    return int(moment.timestamp() * SECOND)


def rfc3339(at: Micros) -> str:
    """Write a time the way every JSON answer of the hub does: RFC 3339 with a Z."""
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_last = 0
_lock = threading.Lock()
_tails: list[str] = []
"""Random last parts of ids, to be taken."""
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
"""How an id is written, for those that come from outside."""


def new_id() -> Id:
    """Make a UUIDv7 (RFC 9562): time-ordered across processes, strictly increasing within this one."""
    global _last
    with _lock:
        # 48 bits of milliseconds, then 12 bits of the millisecond's fraction as the monotonic part.
        nanos = time.time_ns()
        stamp = (nanos // 1_000_000) << 12 | (nanos % 1_000_000) * 4096 // 1_000_000
        if stamp <= _last:
            stamp = _last + 1
        _last = stamp
        if not _tails:
            _tails.extend(_random_tails())
        tail = _tails.pop()
    # Written by hand: uuid.UUID takes three times as long, and every row has an id.
    head = f"{stamp:015x}"
    return f"{head[:8]}-{head[8:12]}-7{head[12:]}-{tail}"


def _random_tails() -> list[str]:
    """Many at once: asking the system for each id would give up the interpreter's lock."""
    digits = os.urandom(4096).hex()
    each = [digits[at : at + 16] for at in range(0, len(digits), 16)]
    return [f"{_VARIANT[tail[0]]}{tail[1:4]}-{tail[4:]}" for tail in each]


def _forked() -> None:
    """A child must not use the random digits that its parent will use."""
    global _lock, _tails
    _lock, _tails = threading.Lock(), []


os.register_at_fork(after_in_child=_forked)


def derived_id(base: Id, *parts: str) -> Id:
    """Make the id of a thing that must be made once: the same inputs give the same UUIDv5."""
    import uuid  # noqa: PLC0415 - it costs as much as all of this module, and flow files need none

    return str(uuid.uuid5(uuid.UUID(base), "\x1f".join(parts)))


def dated_id(at: Micros | Id, base: Id, *parts: str) -> Id:
    """The same as a UUIDv7 of a time, so that it has its place among `new_id`s in listings.

    `at`, which must be the same each time too, may be the id of a thing that counts as its beginning.
    """
    derived = derived_id(base, *parts)
    if isinstance(at, str):
        stamp = at[:13] if at[14] == "7" else ""
    else:
        milliseconds = f"{at // 1000 & 0xFFFFFFFFFFFF:012x}"
        stamp = f"{milliseconds[:8]}-{milliseconds[8:]}"
    return f"{stamp}-7{derived[15:]}" if stamp else derived


def first_id(at: Micros) -> Id:
    """The least id (UUIDv7) of a row made at that time: a bound by time on the index that every table has."""
    digits = f"{max(at, 0) // 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something. `kind` is user, token, plugin, local, system, schedule, automation, link, event, link-holder.

    A link-holder is whoever had a signed link, to an input of a run or in a message about alerts (its `id` is the
    channel then); an event is what code of a run waited for; a plugin vouches for somebody (`id`: plugin/name); an
    invitation is whoever had its link; oidc is the identity provider. `address` is from where it was asked, for the
    audit trail.
    """

    kind: str
    id: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    address: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where something is done, and by whom. Every query takes one; no query crosses workspaces."""

    workspace_id: Id = DEFAULT_WORKSPACE
    actor: Actor = SYSTEM
