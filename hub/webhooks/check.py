"""`hub webhooks verify`: judge one stored request from the command line."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.errors import NotFoundError, UnavailableError, UsageError
from hub.types import SECOND, JsonObject
from hub.webhooks.advice import advice
from hub.webhooks.body import BodyError
from hub.webhooks.events import delivery_id, event_type
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.scheme import PluginScheme, tolerance_of
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, Verifier, verify

VALID, INVALID = 0, 1
MAX_FILE = 64 * 1024 * 1024
_SHAPE = '{"method": "POST", "url": "https://...", "headers": {...}, "body": "..."}'


def verify_file(
    provider: str,
    secret: str,
    path: str | Path,
    now: int | None = None,
    tolerance: int | None = None,
    options: Mapping[str, str] | None = None,
    *,
    presets: Presets,
    verifiers: Mapping[str, Verifier] | None = None,
) -> tuple[JsonObject, int]:
    """Check a stored request and return what to print and the exit status: 0 valid, 1 not.

    `now` in Unix seconds; None leaves the time window unchecked. Raises UsageError (exit status 2) for an
    unknown provider, a wrong option or a file that is not a request, UnavailableError when a key cannot be fetched.
    """
    try:
        preset = presets.get(provider)
    except NotFoundError as error:
        raise UsageError(error.detail, hint=error.hint) from None
    if tolerance is not None and tolerance < 0:
        raise UsageError("--tolerance must be 0 or more seconds")
    request = read_request(path)
    at = None if now is None else now * SECOND
    secrets = [SecretValue("command-line", secret)]
    verdict = verify(preset, request, secrets, now=at, tolerance=tolerance, options=options, verifiers=verifiers)
    if verdict.retry_after:
        raise UnavailableError(verdict.reason, retry_after=verdict.retry_after)
    answer: JsonObject = {
        "valid": verdict.valid,
        "reason": verdict.reason or None,
        "event_type": _read(lambda: event_type(preset, request, options)),
        "delivery_id": _read(lambda: delivery_id(preset, request, options)),
        "timestamp_checked": verdict.timestamp_checked,
    }
    scheme = preset.rules(options).verify
    # Only its plugin knows whether it signs a time.
    windowed = tolerance_of(scheme) is not None or (isinstance(scheme, PluginScheme) and now is None)
    note = _note(verdict, windowed=windowed, now=now)
    answer |= {"note": note} if note else {}
    answer |= {} if verdict.valid else {"advice": advice(verdict.reason)}
    return answer, VALID if verdict.valid else INVALID


def read_request(path: str | Path) -> WebhookRequest:
    """Read a stored request; raises UsageError that shows the shape expected."""
    document = _document(Path(path))
    body = _body(document, path)
    try:
        headers = header_pairs(document.get("headers") or {})
    except (TypeError, ValueError):
        raise UsageError(f"{path}: headers must be an object or a list of pairs", hint=_SHAPE) from None
    method, url = document.get("method") or "POST", document.get("url") or ""
    if not (isinstance(method, str) and isinstance(url, str)):
        raise UsageError(f"{path}: method and url must be texts", hint=_SHAPE)
    return WebhookRequest(method.upper(), url, headers, body)


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise UsageError(f"{path} is larger than {MAX_FILE} bytes")
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}", hint=_SHAPE) from None
    if not isinstance(document, dict):
        raise UsageError(f"{path} must hold a JSON object", hint=_SHAPE)
    return document


def _body(document: dict[str, Any], path: str | Path) -> bytes:
    encoded, text = document.get("body_base64"), document.get("body", "")
    try:
        if encoded is not None:
            return base64.b64decode(str(encoded), validate=True)
        return (text or "").encode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError, AttributeError):
        raise UsageError(f"{path}: body must be a text, or body_base64 valid base64", hint=_SHAPE) from None


def _read(reader: Any) -> str | None:
    try:
        found: str | None = reader()
    except BodyError:
        return None
    return found


def _note(verdict: Verdict, *, windowed: bool, now: int | None) -> str | None:
    if verdict.timestamp_checked:
        return None
    if windowed and now is None:
        return "the time window was not checked: give --now UNIX to check it"
    return None if windowed else "this scheme signs no time: there is no window to check"
