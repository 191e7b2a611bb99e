"""What a connection is: named, typed settings of a service, some of them secret.

A plugin describes a kind by a pydantic model (hook `hub_connection_kinds`); fields of the type `SecretStr` are sealed
where they are kept and never shown. Names of connections are what flows, tasks and result stores use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from hub.errors import UsageError
from hub.secretfields import secret_names

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
RESERVED = frozenset({"local", "file", "memory", "none"})
"""Names that mean a place of the hub's own."""
KIND = re.compile(r"^[a-z][a-z0-9-]{1,39}$")


@dataclass(frozen=True, slots=True)
class ConnectionKind:
    """A kind of service. `check(settings)` reaches it and gives a sentence.

    The check raises TransientError or PermanentError when the service cannot be used.
    """

    name: str
    summary: str
    settings: type[BaseModel]
    check: Callable[[Any], str] | None = None

    def secrets(self) -> frozenset[str]:
        """The names of the fields that are secret."""
        return secret_names(self.settings)

    def parse(self, fields: Mapping[str, Any]) -> BaseModel:
        """The checked settings. Raises UsageError that names every wrong field, never a value."""
        try:
            return self.settings.model_validate(dict(fields))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        known = ", ".join(self.settings.model_fields)
        raise UsageError(f"a connection of the kind {self.name} cannot be made: {wrong}", hint=f"Its fields: {known}.")
