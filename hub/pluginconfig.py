"""A plugin's configuration: a pydantic model that the manifest names, and where the value of each field comes from.

Lowest first: the model's defaults, the environment (`HUB_PLUGIN__<NAME>__<FIELD>`, or `..._FILE`), what was set with
`hub plugins configure`. What is wrong is a sentence that names field and source, never a value that may be secret.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ValidationError

from hub.references import is_reference
from hub.secretfields import described, json_type, secret_names

Source: TypeAlias = Literal["default", "environment", "set", "missing"]
PREFIX = "HUB_PLUGIN__"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database knows of a plugin. `fields` are those that were set, secret ones open."""

    enabled: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    version: int = 0
    reset_at: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration put together: `config` is None where `problems` (field, or "" for all -> sentence) is not empty.

    `sources`: the field -> where its value comes from; `values`: what was given, by field.
    """

    config: BaseModel | None
    sources: Mapping[str, Source]
    problems: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def problem(self) -> str:
        """What is wrong, in one line."""
        return "; ".join(self.problems.values())


def variable(plugin: str, name: str) -> str:
    """The environment's name for a field."""
    return f"{PREFIX}{plugin.upper().replace('-', '_')}__{name.upper()}"


def resolve(plugin: str, model: type[BaseModel], stored: Mapping[str, Any], environ: Mapping[str, str]) -> Resolved:
    """Put the configuration of a plugin together and check it."""
    given, problems = _environment(plugin, model, environ)
    sources: dict[str, Source] = dict.fromkeys(given, "environment")
    sources |= dict.fromkeys(stored, "set")
    for name, info in model.model_fields.items():
        sources.setdefault(name, "missing" if info.is_required() else "default")
    values = {**given, **stored}
    try:
        config = model.model_validate(values)
    except ValidationError as error:
        found = _sentences(plugin, model, error, sources, values)
        return Resolved(None, sources, {**problems, **found}, values)
    except Exception as error:  # noqa: BLE001 - a validator of a stranger may raise anything
        problems = {**problems, "": f"its configuration cannot be checked: {type(error).__name__}"}
    return Resolved(None if problems else config, sources, problems, values)


def references(model: type[BaseModel], found: Resolved) -> dict[str, str]:
    """Secret fields whose value is kept elsewhere: the field -> where."""
    given = {name: found.values.get(name) for name in sorted(secret_names(model))}
    return {name: text for name, text in given.items() if isinstance(text, str) and is_reference(text)}


def refers(plugin: str, stored: Mapping[str, Stored], environ: Mapping[str, str]) -> bool:
    """Whether something that is given for a plugin looks like a reference to a secret."""
    given = list(stored.get(plugin, Stored()).fields.values())
    given += [text for name, text in environ.items() if name.startswith(variable(plugin, ""))]
    return any(isinstance(text, str) and is_reference(text) for text in given)


def meant(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Texts as the fields want them: JSON where a field is a list or an object; all else is left to the model."""
    shapes = model.model_json_schema().get("properties", {})
    return {name: _meant(shapes.get(name, {}), value) for name, value in given.items()}


def unknown(model: type[BaseModel], names: Iterable[str]) -> str:
    """A sentence about a name that is no field of the model; empty when all are."""
    for name in names:
        if name not in model.model_fields:
            near = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.6)
            known = f"did you mean {near[0]}?" if near else f"there are {', '.join(model.model_fields) or 'none'}"
            return f"there is no field {name[:60]!r}: {known}"
    return ""


def fields(plugin: str, model: type[BaseModel], found: Resolved) -> list[dict[str, Any]]:
    """Every field for people: what it is, its value (of a secret: none), and where that comes from."""
    shown = found.config.model_dump(mode="json", exclude=set(secret_names(model))) if found.config else found.values
    return [
        {
            **one, "variable": variable(plugin, one["name"]), "source": found.sources[one["name"]],
            "value": None if one["secret"] else shown.get(one["name"], one["default"]),
            "given": found.sources[one["name"]] in ("set", "environment"),
            "problem": found.problems.get(one["name"], ""),
        }
        for one in described(model)
    ]  # fmt: skip


def _environment(
    plugin: str, model: type[BaseModel], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    given, problems = dict[str, Any](), dict[str, str]()
    start = variable(plugin, "")
    names = {name.upper(): name for name in model.model_fields}
    for place, text in environ.items():
        if not place.startswith(start):
            continue
        asked = place.removeprefix(start)
        if asked in names:
            given[names[asked]] = text
        elif asked.endswith("_FILE") and asked.removesuffix("_FILE") in names:
            name = names[asked.removesuffix("_FILE")]
            try:
                given[name] = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                problems[name] = f"{name}: {place} names a file that cannot be read"
        else:
            problems[asked] = f"{place}: {unknown(model, [asked.lower()])}"
    return meant(model, given), problems


def _meant(shape: Mapping[str, Any], value: Any) -> Any:
    if isinstance(value, str) and json_type(shape) in ("array", "object"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _sentences(
    plugin: str,
    model: type[BaseModel],
    error: ValidationError,
    sources: Mapping[str, Source],
    values: Mapping[str, Any],
) -> dict[str, str]:
    hidden = [str(values[name]) for name in secret_names(model) if values.get(name)]
    found: dict[str, str] = {}
    for one in error.errors(include_input=False, include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        says = one["msg"]
        for value in hidden:
            says = says.replace(value, "***")
        place = ".".join(map(str, one["loc"])) or "its configuration"
        found.setdefault(name, f"{place} ({_told(plugin, name, sources.get(name, 'set'))}): {says}"[:500])
    return found


def _told(plugin: str, name: str, source: Source) -> str:
    where = {
        "environment": f"from {variable(plugin, name)}",
        "set": f"set with `hub plugins configure {plugin}`" if name else "as a whole",
        "default": "its default",
        "missing": f"neither {variable(plugin, name)} nor `hub plugins configure {plugin}` gives it",
    }
    return where[source]
