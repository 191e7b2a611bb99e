"""The door from the inside: a request that this hub itself has signed, judged and kept as if it had come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hub.errors import ContentionError, HubError, RefusedError
from hub.runtime.receipts import Kept, commit
from hub.store import Store, sources
from hub.types import Id, Scope, now_us
from hub.web.door.judge import Arrived, Judged, judge
from hub.web.door.known import Known, enforced, opened
from hub.webhooks.presets import Presets
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
        source = _source(store, presets, scope, source_id)
        if stand_in is not None:
            source = replace(source, secrets=(StandIn(stand_in), *source.secrets))
        judged = judge(source, arrived, verifiers)
        (answer,) = commit(store, [judged.incoming])
        if isinstance(answer, HubError):
            raise answer
        if isinstance(answer, Kept):
            return _admitted(judged, answer)
    raise ContentionError("the source was changed again and again meanwhile", hint="Try again.")


def _source(store: Store, presets: Presets, scope: Scope, source_id: Id) -> Known:
    with store.read() as tx:
        row = sources.by_id(tx, scope, source_id)
        secrets = sources.open_secrets(tx, source_id) if row is not None else ()
        texts = enforced(tx, row) if row is not None else {}
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
