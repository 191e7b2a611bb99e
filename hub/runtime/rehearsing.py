"""Commands carried out to see what would come of them, in a transaction that is never committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.errors import HubError
from hub.runtime.commands import Command, apply_in
from hub.store.base import Store


class _Enough(Exception):
    """Takes everything back."""


def rehearse(store: Store, commands: Sequence[Command]) -> list[dict[str, Any] | HubError]:
    """What each command would give after those before it, or why it would be refused. Nothing is changed."""
    found: list[dict[str, Any] | HubError] = []
    try:
        with store.write(durable=False) as tx:
            for command in commands:
                try:
                    found.append(dict(apply_in(tx, command).result))
                except HubError as refused:
                    found.append(refused)
            raise _Enough
    except _Enough:
        return found
