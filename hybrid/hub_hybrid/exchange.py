"""What the site sends next, and what an answer means: pure functions over plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias

from hub import events as catalog
from hub.store.stream import Stream
from hub.version import __version__

from hub_hybrid.protocol import CAPABILITIES, EventOut, Hello, Part, Session

Meaning: TypeAlias = Literal["ok", "reopen", "halve", "wait", "refused", "removed", "outdated"]
Start: TypeAlias = Literal["push", "snapshot", "fork"]

LONGEST_WAIT = 300.0
LONGEST_TOLD = 3600.0
_REOPEN = frozenset({"stale-session", "gap", "fork", "other-epoch"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, parsed body, and the wait in seconds that the plane asked for."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def code(self) -> str:
        """The problem's code; empty when there is none."""
        return str(self.body.get("code", ""))


def meaning(answer: Answer) -> Meaning:
    """What the site must do about an answer.

    reopen: the session is over, open the next one; halve: send less at once; refused: the token is not good (any
    more), go on trying slowly; removed: the plane has struck this site off; wait: anything else may pass.
    """
    status = answer.status
    if 200 <= status < 300:
        return "ok"
    if status == 409 and answer.code in _REOPEN:
        return "reopen"
    if status == 413:
        return "halve"
    if status in (410, 426):
        return "removed" if status == 410 else "outdated"
    return "refused" if status in (401, 403) else "wait"


def backoff(failures: int, rng: Random, retry_after: float | None = None, *, longest: float = LONGEST_WAIT) -> float:
    """Seconds to wait after so many failures in a row: full jitter, or what the plane said plus a fifth."""
    if retry_after is not None:
        floor = min(max(retry_after, 0.0), LONGEST_TOLD)
        return floor + rng.uniform(0, floor * 0.2)
    return rng.uniform(0, min(longest, 2.0 ** min(failures, 16)))


def hello(link: Mapping[str, Any], ends: Stream, site_id: str) -> Hello:
    """The first word of a session: what the site remembers of the plane."""
    return Hello(
        site_id=site_id, stream_epoch=ends.epoch, head_seq=ends.seq, acked_seq=link["acked_seq"], fence=link["fence"],
        command_cursor=link["command_cursor"], plane_epoch=link["plane_epoch"], authority_id=link["authority_id"],
        primary=link["primary"], version=__version__, capabilities=list(CAPABILITIES),
    )  # fmt: skip


def start(answer: Session, ends: Stream, hash_there: str | None) -> Start:
    """How to begin in a new session. `hash_there` is our hash at the plane's position, None when not known.

    fork: the plane holds a history that is not ours, so this database was restored from a backup.
    """
    if answer.mode != "resume":
        return answer.mode
    if answer.acked_seq > ends.seq:
        return "fork"
    if answer.acked_seq < ends.base_seq:
        return "snapshot"
    return "push" if hash_there == answer.acked_hash else "fork"


def cut(events: Sequence[EventOut], max_events: int, max_bytes: int) -> list[EventOut]:
    """As many of the first events as fit; at least one.

    One that cannot fit even alone leaves with its metadata only, and as its digest where that is too much as well.
    """
    taken: list[EventOut] = []
    size = 0
    for event in events[:max_events]:
        size += len(event.model_dump_json())
        if taken and size > max_bytes:
            break
        taken.append(event if size <= max_bytes else _shrunk(event, max_bytes))
    return taken


def _shrunk(event: EventOut, max_bytes: int) -> EventOut:
    less = lessened(event)
    return less if len(less.model_dump_json()) <= max_bytes else withheld(less)


def lessened(event: EventOut, policy: str = "metadata") -> EventOut:
    """The event with no more than a policy lets out; what else is committed to leaves as its hash."""
    if all(catalog.allows(policy, level) for level in event.more):
        return event
    parts = {level: part if catalog.allows(policy, level) else _hidden(part) for level, part in event.more.items()}
    return event.model_copy(update={"more": parts})


def _hidden(part: Part) -> Part:
    return Part(hash=catalog.commitment(part.model_dump(exclude_none=True)))


def withheld(event: EventOut) -> EventOut:
    """The event with its content kept back: the chain still holds."""
    return EventOut(seq=event.seq, hash=event.hash, digest=digest_of(event))


def spoken(event: EventOut, protocol: int) -> EventOut:
    """The event as a plane of that protocol can read it: one of the first cannot check more than metadata."""
    return withheld(event) if event.more and protocol < 2 else event


def digest_of(event: EventOut) -> str:
    """The digest that the chain is made of."""
    if event.digest is not None:
        return event.digest
    more = {level: part.model_dump(exclude_none=True) for level, part in event.more.items()}
    return catalog.digest({**event.model_dump(exclude={"more"}), "more": more})


def chained(previous: str, events: Sequence[EventOut]) -> bool:
    """Whether the events follow each other and the hash before them."""
    for event in events:
        previous = catalog.chain(previous, digest_of(event))
        if previous != event.hash:
            return False
    return True
