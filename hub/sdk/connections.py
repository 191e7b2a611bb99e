"""Services by name: settings that `hub connections` keeps, for code that runs."""

from __future__ import annotations

from typing import Any, TypeVar

from hub.errors import UsageError
from hub.sdk import port

T = TypeVar("T")


class Connection:
    """A named connection: `connection("warehouse").host`. Its attributes are the settings of its kind.

    Secret ones are `SecretStr`: `get_secret_value()` gives the text. Printing a connection shows none of them.
    """

    __slots__ = ("kind", "name", "settings")

    def __init__(self, name: str, kind: str, settings: Any) -> None:
        self.name = name
        self.kind = kind
        self.settings = settings

    @classmethod
    def load(cls, name: str) -> Connection:
        """The connection of that name. Raises NotFoundError, UnavailableError."""
        loaded = port.runtime().connection(name)
        return cls(loaded.name, loaded.kind, loaded.settings)

    def settings_as(self, kind: str, model: type[T]) -> T:
        """Its settings, for code that works with this kind alone. Raises UsageError for a connection of another."""
        if not isinstance(self.settings, model):
            raise UsageError(
                f"the connection {self.name!r} is of the kind {self.kind}, not {kind}",
                hint=f"`hub connections create {kind} NAME` makes one.",
            )
        return self.settings

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in Connection.__slots__:
            raise AttributeError(name)
        return getattr(self.settings, name)

    def __repr__(self) -> str:
        return f"Connection({self.name!r}, kind={self.kind!r})"

    def __reduce__(self) -> Any:
        # Secrets are in it: only its name travels.
        return (Connection.load, (self.name,))


def connection(name: str) -> Connection:
    """The connection of that name. Raises NotFoundError, UnavailableError."""
    return Connection.load(name)
