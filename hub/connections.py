"""What a connection is: named, typed settings of a service, some of them secret.

A plugin describes a kind by a pydantic model (hook `hub_connection_kinds`); fields of the type `SecretStr` are sealed
where they are kept and never shown. Names of connections are what flows, tasks and result stores use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from hub.errors import UsageError

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
        return frozenset(name for name, info in self.settings.model_fields.items() if _is_secret(info.annotation))

    def parse(self, fields: Mapping[str, Any]) -> BaseModel:
        """The checked settings. Raises UsageError that names every wrong field, never a value."""
        try:
            return self.settings.model_validate(dict(fields))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        known = ", ".join(self.settings.model_fields)
        raise UsageError(f"a connection of the kind {self.name} cannot be made: {wrong}", hint=f"Its fields: {known}.")

    def split(self, settings: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
        """The settings as JSON without the secret ones, and the secret ones that are given."""
        hidden = self.secrets()
        plain = settings.model_dump(mode="json", exclude=set(hidden))
        given = {name: getattr(settings, name) for name in sorted(hidden)}
        return plain, {name: _text(value) for name, value in given.items() if value is not None}

    def described(self) -> list[dict[str, Any]]:
        """Its fields for forms and help: name, type, required, secret, default, description."""
        hidden, shapes = self.secrets(), self.settings.model_json_schema().get("properties", {})
        return [
            {
                "name": name, "type": _type(shapes.get(name, {})), "required": info.is_required(),
                "secret": name in hidden, "description": info.description or "",
                "default": None if info.is_required() or name in hidden else shapes.get(name, {}).get("default"),
            }
            for name, info in self.settings.model_fields.items()
        ]  # fmt: skip


def scrubbed(text: str, settings: BaseModel) -> str:
    """A text of the service itself, such as an error, without the secrets of the connection."""
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if _is_secret(info.annotation) and value is not None and _text(value):
            text = text.replace(_text(value), "***")
    return text


def _is_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(map(_is_secret, get_args(annotation)))


def _text(value: Any) -> str:
    revealed = value.get_secret_value()
    return revealed.decode() if isinstance(revealed, bytes) else str(revealed)


def _type(shape: Mapping[str, Any]) -> str:
    kinds = [part.get("type") for part in shape.get("anyOf", [shape])]
    return next((str(kind) for kind in kinds if kind not in (None, "null")), "string")
