"""Models of settings some of whose fields are secret: which, taken apart, described, kept out of texts.

Connections and plugins have such models. Fields of the type `SecretStr` or `SecretBytes` are the secret ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr


def secret_names(model: type[BaseModel]) -> frozenset[str]:
    """The names of the fields that are secret."""
    return frozenset(name for name, info in model.model_fields.items() if _is_secret(info.annotation))


def split(settings: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings as JSON without the secret ones, and the secret ones that are given."""
    hidden = secret_names(type(settings))
    plain = settings.model_dump(mode="json", exclude=set(hidden))
    return plain, secrets_of(settings)


def secrets_of(settings: BaseModel) -> dict[str, str]:
    """The secret ones that are given, open."""
    given = {name: getattr(settings, name) for name in sorted(secret_names(type(settings)))}
    return {name: _text(value) for name, value in given.items() if value is not None}


def described(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Its fields for forms and help: name, type, required, secret, default, description."""
    hidden, shapes = secret_names(model), model.model_json_schema().get("properties", {})
    return [
        {
            "name": name, "type": json_type(shapes.get(name, {})), "required": info.is_required(),
            "secret": name in hidden, "description": info.description or "",
            "default": None if info.is_required() or name in hidden else shapes.get(name, {}).get("default"),
        }
        for name, info in model.model_fields.items()
    ]  # fmt: skip


def scrubbed(text: str, settings: BaseModel) -> str:
    """A text of the service itself, such as an error, without the secrets of the settings."""
    for value in secrets_of(settings).values():
        if value:
            text = text.replace(value, "***")
    return text


def json_type(shape: Mapping[str, Any]) -> str:
    """string, integer, number, boolean, array or object: the first type of a property that is not null."""
    kinds = [part.get("type") for part in shape.get("anyOf", [shape])]
    return next((str(kind) for kind in kinds if kind not in (None, "null")), "string")


def _is_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(map(_is_secret, get_args(annotation)))


def _text(value: Any) -> str:
    revealed = value.get_secret_value()
    return revealed.decode() if isinstance(revealed, bytes) else str(revealed)
