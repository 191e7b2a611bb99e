"""Secrets as they are used: the value itself, or what a reference to one stands for."""

from __future__ import annotations

from hub import redacting
from hub.references import check_reference, is_reference
from hub.runtime import contributed


def revealed(text: str) -> str:
    """The secret that a stored text is or refers to. Outside of transactions: a plugin may ask another service.

    Raises UnavailableError for a reference that cannot be resolved now.
    """
    if not is_reference(text):
        return text
    value = contributed.hooks().secret_resolve(check_reference(text)).get_secret_value()
    redacting.register([value])
    return value
