"""What a consumer is: the door by which messages of a broker come in, as requests come in by HTTP.

A plugin describes a kind of consumer (hook `hub_consumers`); a preset with `consumer: NAME` is read by it, and a
source with such a preset says on which connection. The hub commits what a consumer gives before it acknowledges it:
what was not acknowledged when the process died, the broker gives again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class BrokerMessage:
    """A message as the broker gave it. `headers` are its properties and its own headers, as text.

    `tag` is what the consumer acknowledges it by. A `problem` says why there is nothing to read: it is kept as
    rejected.
    """

    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...]
    tag: Any
    problem: str = ""


class Consumer(Protocol):
    """An open consumer, used by one thread. Every method raises TransientError or PermanentError, without secrets."""

    def receive(self, limit: int, timeout: float) -> Sequence[BrokerMessage]:
        """Wait at most `timeout` seconds for a message, then give what is there, in order, at most `limit`."""
        ...

    def ack(self, messages: Sequence[BrokerMessage]) -> None:
        """Acknowledge messages in the order in which they were given; called after their commit."""
        ...

    def close(self) -> None:
        """Let go of the connection; what was not acknowledged comes again."""
        ...


@dataclass(frozen=True, slots=True)
class Consuming:
    """For whom a consumer is opened. `name` is the source's own for ever, `prefetch` how many may be on their way.

    `known` says which of some ids of messages have been kept before, for whom nothing takes note of what was
    acknowledged; `since` is when the source was made, in microseconds since 1970.
    """

    name: str
    options: Mapping[str, str]
    prefetch: int
    known: Callable[[Sequence[str]], frozenset[str]] = field(default=lambda _ids: frozenset(), repr=False)
    since: int = 0


@dataclass(frozen=True, slots=True)
class ConsumerKind:
    """A kind of consumer, on connections of one kind. `open` connects; it raises as the methods of a Consumer do."""

    name: str
    connection_kind: str
    open: Callable[[Any, Consuming], Consumer]
