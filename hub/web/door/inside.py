"""The door from the inside: a request that this hub itself has signed, judged and kept as if it had come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from hub.errors import ContentionError, HubError, RefusedError, UnavailableError
from hub.runtime.receipts import Kept, commit
from hub.store import Store, sources
from hub.types import Id, Micros, Scope, now_us
from hub.web.door.judge import Arrived, Judged, judge
from hub.web.door.known import Known, enforced, opened
from hub.web.door.limits import Rates
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import StandIn
from hub.webhooks.signers import Signature
from hub.webhooks.verify import Verifier

_TRIES = 4


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the door would have answered, and the receipt: that of the first request when it is a repeat."""

    status: int
    receipt_id: Id
    duplicate: bool
    verdict: str
    reason: str
    event_type: str | None
    delivery_id: str | None


def admit(
    store: Store, presets: Presets, verifiers: Mapping[str, Verifier], scope: Scope, source_id: Id,
    signed: Signature,
) -> Admitted:  # fmt: skip
    """Judge and keep a request. Raises RefusedError when nothing answers at the source's address."""
    request, stand_in = signed.request, signed.stand_in
    arrived = Arrived(request, urlsplit(request.url).query, str(scope.actor), now_us(), inside=True)
    for _ in range(_TRIES):
        source = _opened(presets, *_rows(store, scope, source_id))
        if stand_in is not None:
            source = replace(source, secrets=(StandIn(stand_in), *source.secrets))
        judged = judge(source, arrived, verifiers)
        (answer,) = commit(store, [judged.incoming])
        if isinstance(answer, HubError):
            raise answer
        if isinstance(answer, Kept):
            return _admitted(judged, answer)
    raise ContentionError("the source was changed again and again meanwhile", hint="Try again.")


class NotJudged(UnavailableError):
    """Nobody can say now whether the request is genuine."""

    code = "not-judged"


class Receiving:
    """Takes requests that came in elsewhere and were brought here, for one thread. Of those that it refuses,
    `rejected` are kept for a source in a minute."""

    def __init__(self, store: Store, presets: Presets, verifiers: Mapping[str, Verifier], rejected: int) -> None:
        self._store, self._presets, self._verifiers = store, presets, verifiers
        self._rates, self._rejected = Rates(), rejected

    def take(
        self, scope: Scope, source_id: Id, request: WebhookRequest, query: str, remote: str, at: Micros, receipt_id: Id
    ) -> None:
        """Judge a request by the time it came in, and keep it under this id, however often it is brought.

        Raises NotJudged, and UnavailableError while the database cannot keep it.
        """
        arrived = Arrived(request, query, remote, at)
        for _ in range(_TRIES):
            rows = _rows(self._store, scope, source_id)
            try:
                source = _opened(self._presets, *rows)
            except HubError as error:  # a secret that is a reference, or the preset of a plugin, may come back
                raise NotJudged(error.detail) from None
            judged = judge(source, arrived, self._verifiers)
            if judged.refusal == 503:
                raise NotJudged(str(judged.incoming.receipt["reason"]))
            incoming = judged.incoming
            if not incoming.starts and self._rates.take(source_id, self._rejected):
                return
            row = {**incoming.receipt, "id": receipt_id}
            (answer,) = commit(self._store, [replace(incoming, receipt=row, once=f"brought:{receipt_id}")])
            if isinstance(answer, HubError):
                raise NotJudged(answer.detail) if answer.code == "receipt-lost" else answer
            if isinstance(answer, Kept):
                return
        raise NotJudged("the source was changed again and again meanwhile")


Rows: TypeAlias = tuple[Mapping[str, Any] | None, tuple[sources.OpenSecret, ...], dict[str, str]]


def _rows(store: Store, scope: Scope, source_id: Id) -> Rows:
    with store.read() as tx:
        row = sources.by_id(tx, scope, source_id)
        secrets = sources.open_secrets(tx, source_id) if row is not None else ()
        return row, secrets, enforced(tx, row) if row is not None else {}


def _opened(
    presets: Presets, row: Mapping[str, Any] | None, secrets: tuple[sources.OpenSecret, ...], texts: dict[str, str]
) -> Known:
    live = row is not None and row["enabled"] and row["deleted_at"] is None
    found = opened(row, presets, secrets, texts=texts) if live and row is not None else None
    if found is None:
        raise RefusedError("nothing answers at this source's address", hint="`hub webhooks show` says why.")
    return found


def _admitted(judged: Judged, answer: Kept) -> Admitted:
    row = judged.incoming.receipt
    return Admitted(
        judged.status, answer.receipt_id, answer.duplicate, row["verdict"], row["reason"], row["event_type"],
        row["delivery_id"],
    )  # fmt: skip
