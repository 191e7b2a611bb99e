"""The JSON schema of `hub.yaml`, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from hub.runtime.commands.projects import NAME
from hub.runtime.definitions.section import Definition, Section

_SPAN = {"type": "string", "pattern": r"^(\d{1,6}[smhd]|off)$", "description": "90s, 30m, 2h, 7d or off"}


def document_schema(sections: Mapping[str, Section]) -> dict[str, Any]:
    """The schema (2020-12) of a document with these sections."""
    models = {section.model for section in sections.values()}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, shared = models_json_schema([(model, "validation") for model in ordered], by_alias=True)
    shapes = shared["$defs"]
    for model in Definition.__subclasses__():  # those within others, too
        _accept_spans(shapes.get(model.__name__, {}))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hub.yaml",
        "description": "What a hub shall do: see docs/hub-yaml.md.",
        "type": "object",
        "properties": {
            "project": {"type": "string", "pattern": NAME, "description": "whose the definitions of this file are"},
            **{name: _part(section) for name, section in sections.items()},
        },
        "patternProperties": {"^x-": {"description": "not read: a place for anchors"}},
        "additionalProperties": False,
        "$defs": shapes,
    }


def _part(section: Section) -> dict[str, Any]:
    one = {"anyOf": [{"$ref": f"#/$defs/{section.model.__name__}"}, {"type": "null"}]}
    required = any(info.is_required() for info in section.model.model_fields.values())
    return {
        "description": section.summary,
        "type": ["object", "null"],
        "propertyNames": {"pattern": section.names},
        "additionalProperties": one["anyOf"][0] if required else one,
    }


def _accept_spans(shape: dict[str, Any]) -> None:
    for name, setting in shape.get("properties", {}).items():
        if name.endswith("_s"):
            about = {key: setting.pop(key) for key in ("default", "description", "title") if key in setting}
            variants = setting.pop("anyOf", None) or [dict(setting)]
            setting.clear()
            setting |= {**about, "anyOf": [*variants, _SPAN]}
