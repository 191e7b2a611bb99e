"""Texts from user code, made fit to be stored: without secrets that the hub knows, no NUL (PostgreSQL), bounded."""

from __future__ import annotations

from hub.redacting import redacted

NAME_CHARS = 200
MESSAGE_CHARS = 8_000
TRACE_CHARS = 64_000


def clean(text: str, limit: int = MESSAGE_CHARS) -> str:
    """`text` with `***` for secrets, without NUL and lone surrogates, no longer than `limit`; a cut is marked."""
    text = redacted(text)
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= limit:
        return text
    kept = limit // 2
    return f"{text[:kept]} ... [{len(text) - 2 * kept} characters left out] ... {text[-kept:]}"


def describe(error: BaseException) -> str:
    """An exception in one line; user code may have broken its `str`."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - any code may stand in __str__
        text = "(its text cannot be made)"
    kind = type(error).__name__
    return clean(f"{kind}: {text}" if text else kind)
