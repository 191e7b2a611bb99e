"""Judging a request for one source: handshake, verification, content, dedupe keys. Pure; it may run in a thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hub.runtime.receipts import Incoming
from hub.types import Micros, new_id
from hub.web.door.known import Known
from hub.webhooks.allowing import allows
from hub.webhooks.body import BodyError
from hub.webhooks.catalog import check
from hub.webhooks.dedupe import dedupe_keys
from hub.webhooks.events import check_content, delivery_id, event_type, provider_events, safe_text
from hub.webhooks.handshake import HandshakeAnswer, answer_handshake, find_handshake
from hub.webhooks.keeping import MAX_REJECTED_BODY, kept_headers, kept_query
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import STAND_IN
from hub.webhooks.verify import Verdict, Verifier, verify

CLOSED = "the handshake is closed since the source was confirmed; `hub webhooks update --handshake open` opens it"


class Judged(NamedTuple):
    """What a request comes to. `refusal` is the status of a refused one, 0 otherwise; 503 has a `retry_after`."""

    incoming: Incoming
    status: int
    refusal: int = 0
    handshake: HandshakeAnswer | None = None
    said: tuple[str, str] | None = None
    """Text and content type of an answer that the provider prescribes."""
    retry_after: int = 0
    own: bool = False
    """It is the source's owner who says what is answered."""


class Arrived(NamedTuple):
    """A request and what the door knows beside it."""

    request: WebhookRequest
    query: str
    remote: str
    at: Micros
    inside: bool = False
    """Signed by this hub itself, on behalf of somebody who may."""


def judge(source: Known, arrived: Arrived, verifiers: Mapping[str, Verifier]) -> Judged:
    """Say what to do with a request. Raises nothing that a sender could bring about."""
    request = arrived.request
    if source.allowed and not (arrived.inside or allows(source.allowed, arrived.remote)):
        reason = f"sent from {arrived.remote or 'an unknown address'}, which is not allowed"
        return _refused(source, arrived, 403, reason, Verdict(False, reason))
    verdict = verify(
        source.preset,
        request,
        source.secrets,
        now=arrived.at,
        options=source.rules,
        verifiers=verifiers,
        verify_none=source.verify_none,
    )
    if verdict.retry_after and not source.observe:
        return _refused(source, arrived, 503, verdict.reason, verdict)
    step = find_handshake(source.preset, request, source.rules) if source.rules.handshake else None
    if step is not None:
        if source.closed and step.is_once:
            return _refused(source, arrived, 401, CLOSED, verdict)
        answer = answer_handshake(step, request, source.secrets, verdict, now=arrived.at)
        if isinstance(answer, str):
            return _refused(source, arrived, 401, answer, verdict)
        row = _row(source, arrived, verdict, "handshake", "", answer.status)
        kept = _kept(source, row)
        if not arrived.inside:  # what we have asked ourselves confirms nothing
            kept = replace(kept, confirms=step.is_once or not source.confirmed, closes=step.is_once)
        return Judged(kept, answer.status, handshake=answer)
    if not verdict.valid and not source.observe:
        return _refused(source, arrived, 401, verdict.reason, verdict)
    return _content(source, arrived, verdict)


def _content(source: Known, arrived: Arrived, verdict: Verdict) -> Judged:
    try:
        check_content(source.preset, arrived.request)
        kind = event_type(source.preset, arrived.request, source.rules)
        ident = delivery_id(source.preset, arrived.request, source.rules)
        if source.schemas:
            check(source.schemas, provider_events(source.preset, arrived.request, source.rules))
    except BodyError as error:
        return _refused(source, arrived, 400, error.detail, verdict)
    answer = source.answer or source.preset.answer
    status = answer.status
    row = _row(source, arrived, verdict, "accepted" if verdict.valid else "observed", verdict.reason, status)
    row["event_type"], row["delivery_id"] = kind, ident
    keys = dedupe_keys(source.preset, arrived.request, verdict, source.rules, ident=ident)
    window = source.rules.dedupe.window
    said = ("", answer.type) if status == 204 else None if answer.text is None else (answer.text, answer.type)
    incoming = Incoming(source.id, source.version, row, keys, window, held=source.paused)
    return Judged(incoming, status, said=said, own=source.answer is not None)


def _refused(source: Known, arrived: Arrived, status: int, reason: str, verdict: Verdict) -> Judged:
    row = _row(source, arrived, verdict, "rejected", reason, status)
    return Judged(_kept(source, row), status, refusal=status, retry_after=verdict.retry_after)


def _kept(source: Known, row: dict[str, Any]) -> Incoming:
    return Incoming(source.id, source.version, row, starts=False)


def _row(source: Known, arrived: Arrived, verdict: Verdict, outcome: str, reason: str, status: int) -> dict[str, Any]:
    request = arrived.request
    body, redacted, problem = request.body, None, ""
    trusted = outcome in ("accepted", "observed") or (outcome == "handshake" and verdict.valid)
    if source.redaction.places:
        stored = source.redaction.apply(request, trusted=trusted)
        body, problem = stored.body, stored.problem
        redacted = json.dumps(stored.places) if stored.places else None
    return {
        "id": new_id(),
        "workspace_id": source.scope.workspace_id,
        "source_id": source.id,
        "received_at": arrived.at,
        "method": safe_text(request.method, 20),
        "query": kept_query(arrived.query, source.hidden),
        "headers": kept_headers(request.headers, source.hidden, source.named),
        "body": body if trusted else body[:MAX_REJECTED_BODY],
        "body_size": len(request.body),
        "remote": arrived.remote,
        "verdict": outcome,
        "reason": safe_text("; ".join(filter(None, (reason, problem))), 500) if reason or problem else "",
        "secret_id": None if verdict.secret_id == STAND_IN else verdict.secret_id,
        "event_type": None,
        "delivery_id": None,
        "answer_status": status,
        "redacted": redacted,
    }
