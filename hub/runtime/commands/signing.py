"""Signing a request in a source's name: who may write sources may send what its provider would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from hub.errors import RefusedError, UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.presets import installed, installed_signer
from hub.runtime.secrets import revealed
from hub.store import bookmarks, receipts, sources
from hub.store.base import Tx
from hub.types import Id, new_id, now_us
from hub.webhooks.redaction import REDACTED, WHOLE
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.samples import example, renewed
from hub.webhooks.scheme import is_keyless
from hub.webhooks.signers import Signature
from hub.webhooks.standing import sign_inside


class SignRequest(BaseModel):
    """A sample or an event type (none: the first sample), and what is to replace its body and headers.

    With a `bookmark` it is that request instead, as it came but for its id and signature; with a `receipt` one of the
    source's that was verified, but for its signature, for another receiver (`signed_for_others`). `url` is what a
    scheme signs that signs addresses; `fresh` gives a body of one's own a new delivery id, too.
    """

    model_config = ConfigDict(extra="forbid")
    event: str | None = Field(None, min_length=1, max_length=200)
    body: Base64Bytes | None = None
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    url: str = Field(max_length=2_000)
    fresh: bool = False
    bookmark: str | None = Field(None, max_length=100)
    receipt: str | None = Field(None, max_length=100)


def sign_request(tx: Tx, command: Command, args: SignRequest) -> dict[str, Any]:
    """Make a request as the source's provider would, for the caller to sign (`signed`) and send."""
    source = sources.row(tx, command.scope, command.target)
    if not source["enabled"]:
        raise RefusedError(f"the webhook source {source['name']} is disabled", hint="`hub webhooks update --enabled`.")
    preset = installed().get(source["preset"])
    if preset.consumer:
        raise UsageError(
            f"the messages of the source {source['name']} come by a connection", hint="Send one to its broker."
        )
    options, delivery = dict(source["options"]), new_id()
    if args.receipt is not None:
        row = _verified(tx, command, source, args.receipt)
        request, delivery = _kept(row, args.url), row["delivery_id"] or delivery
    elif args.bookmark is not None:
        row = receipts.row(tx, command.scope, bookmarks.get(tx, command.scope, args.bookmark)["receipt_id"])
        request = renewed(preset, _kept(row, _with_query(row, args.url)), options, delivery)
    else:
        request = example(
            preset, args.event, url=args.url, options=options, body=args.body, headers=args.headers,
            delivery=delivery, named=args.fresh,
        )  # fmt: skip
    secrets = sources.open_secrets(tx, source["id"])
    if not (secrets or source["verify_none"] or is_keyless(preset.rules(options).verify)):
        raise RefusedError(f"the webhook source {source['name']} has no secret yet", hint="`hub webhooks rotate`.")
    return {
        "source_id": source["id"], "preset": preset.id, "delivery_id": delivery, "options": options,
        "secret": None if source["verify_none"] or not secrets else secrets[-1].value, "method": request.method,
        "url": request.url, "headers": request.headers, "body": request.body, "verify_none": source["verify_none"],
    }  # fmt: skip


def signed(made: Mapping[str, Any]) -> Signature:
    """Sign what `source.sign` made, for this hub's own door: outside of its transaction.

    Raises UsageError, and UnavailableError where the secret is a reference that cannot be resolved now.
    """
    request = WebhookRequest(made["method"], made["url"], made["headers"], made["body"])
    if made["verify_none"]:
        return Signature(request)
    return sign_inside(
        installed().get(made["preset"]), made["secret"] and revealed(made["secret"]), request, now=now_us(),
        delivery_id=made["delivery_id"], options=made["options"], signer=installed_signer(),
    )  # fmt: skip


def signed_for_others(made: Mapping[str, Any]) -> WebhookRequest:
    """Sign what `source.sign` made for another receiver, which holds what the source holds. Raises UsageError."""
    found = signed(made)
    if found.stand_in is not None:
        raise UsageError(
            f"only {installed().get(made['preset']).name} can sign for others",
            hint="`hub trigger` signs for this hub's own door.",
        )
    return found.request


def _verified(tx: Tx, command: Command, source: Mapping[str, Any], receipt_id: Id) -> dict[str, Any]:
    row = receipts.row(tx, command.scope, receipt_id)
    if row["source_id"] != source["id"]:
        raise UsageError(f"the receipt {receipt_id} is not of the source {source['name']}", field="receipt")
    if row["verdict"] != "accepted":
        raise RefusedError("this request was not verified, and is not given a signature", hint=row["reason"])
    return row


def _with_query(row: Mapping[str, Any], url: str) -> str:
    known = "&".join(part for part in row["query"].split("&") if REDACTED not in part)
    return f"{url}?{known}" if known else url


def _kept(row: Mapping[str, Any], url: str) -> WebhookRequest:
    if not receipts.is_whole(row) or WHOLE in (row["redacted"] or ()):
        raise RefusedError("the body of this request was not kept, or not all of it, so it cannot be sent")
    headers = ((name, value) for name, value in row["headers"] if name.lower() not in _OF_THE_WAY)
    shown = header_pairs((name, value) for name, value in headers if value != REDACTED)
    return WebhookRequest(row["method"], url, shown, row["body"] or b"")


_OF_THE_WAY = frozenset({"host", "content-length", "transfer-encoding", "forwarded", "via", "x-forwarded-for"})
SECRET = frozenset({"url", "headers", "body", "secret", "options"})
"""What stands neither in the audit row nor in the outcome: the request opens a door, and the secret every one."""
