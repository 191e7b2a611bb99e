"""Judging a request for one source: handshake, verification, content, dedupe keys. Pure; it may run in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.runtime.receipts import Incoming
from hub.store.receipts import complete
from hub.types import Micros, new_id
from hub.web.door.keeping import kept_headers, kept_query
from hub.web.door.known import Known
from hub.webhooks.body import BodyError
from hub.webhooks.dedupe import dedupe_keys
from hub.webhooks.events import check_content, delivery_id, event_type, safe_text
from hub.webhooks.handshake import HandshakeAnswer, answer_handshake, find_handshake
from hub.webhooks.request import WebhookRequest
from hub.webhooks.verify import Verdict, Verifier, verify

MAX_REJECTED_BODY = 65_536


@dataclass(frozen=True, slots=True)
class Judged:
    """What a request comes to. `refusal` is the status of a refused one, 0 otherwise."""

    incoming: Incoming
    status: int
    refusal: int = 0
    handshake: HandshakeAnswer | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request and what the door knows beside it."""

    request: WebhookRequest
    query: str
    remote: str
    at: Micros


def judge(source: Known, arrived: Arrived, verifiers: Mapping[str, Verifier]) -> Judged:
    """Say what to do with a request. Raises nothing that a sender could bring about."""
    request = arrived.request
    verdict = verify(
        source.preset,
        request,
        source.secrets,
        now=arrived.at,
        options=source.rules,
        verifiers=verifiers,
        verify_none=source.verify_none,
    )
    step = find_handshake(source.preset, request, source.rules)
    if step is not None:
        answer = answer_handshake(step, request, source.secrets, verdict, now=arrived.at)
        if isinstance(answer, str):
            return _refused(source, arrived, 401, answer, verdict)
        row = _row(source, arrived, verdict, "handshake", "", answer.status)
        return Judged(_kept(source, row), answer.status, handshake=answer)
    if not verdict.valid and not source.observe:
        return _refused(source, arrived, 401, verdict.reason, verdict)
    return _content(source, arrived, verdict)


def _content(source: Known, arrived: Arrived, verdict: Verdict) -> Judged:
    try:
        check_content(source.preset, arrived.request)
        named = {
            "event_type": event_type(source.preset, arrived.request, source.rules),
            "delivery_id": delivery_id(source.preset, arrived.request, source.rules),
        }
    except BodyError as error:
        return _refused(source, arrived, 400, error.detail, verdict)
    status = source.preset.answer.status
    row = _row(source, arrived, verdict, "accepted" if verdict.valid else "observed", verdict.reason, status) | named
    keys = dedupe_keys(source.preset, arrived.request, verdict, source.rules)
    window = source.rules.dedupe.window
    return Judged(Incoming(source.id, source.version, row, keys, window), status)


def _refused(source: Known, arrived: Arrived, status: int, reason: str, verdict: Verdict) -> Judged:
    row = _row(source, arrived, verdict, "rejected", reason, status)
    row["body"] = row["body"][:MAX_REJECTED_BODY]
    return Judged(_kept(source, row), status, refusal=status)


def _kept(source: Known, row: dict[str, Any]) -> Incoming:
    return Incoming(source.id, source.version, row, starts=False)


def _row(source: Known, arrived: Arrived, verdict: Verdict, outcome: str, reason: str, status: int) -> dict[str, Any]:
    request = arrived.request
    return complete(
        {
            "id": new_id(),
            "workspace_id": source.scope.workspace_id,
            "source_id": source.id,
            "received_at": arrived.at,
            "method": safe_text(request.method, 20),
            "query": kept_query(arrived.query, source.hidden),
            "headers": kept_headers(request.headers, source.hidden),
            "body": request.body,
            "body_size": len(request.body),
            "remote": arrived.remote,
            "verdict": outcome,
            "reason": safe_text(reason, 500),
            "secret_id": verdict.secret_id,
            "answer_status": status,
        }
    )
