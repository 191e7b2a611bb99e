"""Addresses under `/in/` that are no source's here: what the door must know of one, and who takes its requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hub.types import Id, Micros
from hub.webhooks.request import WebhookRequest


@dataclass(frozen=True, slots=True)
class Address:
    """What the door holds to. `max_body` in bytes; `text` is answered in place of the receipt's id, `{receipt}` in it
    stands for that."""

    id: str
    methods: frozenset[str]
    max_body: int
    rate_per_minute: int
    status: int = 202
    text: str | None = None
    type: str = "text/plain"


class Forwarder(Protocol):
    """Takes what comes to such addresses. Both methods run in a thread."""

    def find(self, token: str) -> Address | None:
        """The address behind a token; None: not mine."""

    def take(self, address: Address, request: WebhookRequest, remote: str, at: Micros) -> Id:
        """Keep a request for good, whoever sent it, and give the id of its receipt.

        Raises UnavailableError, with `retry_after` where that is known: the sender is asked to send again.
        """
