"""The OpenAPI 3.1 document, built from the table of operations."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from hub.errors import AuthenticationError, HubError, PermissionError_, UsageError
from hub.version import __version__
from hub.web.api.fields import Out
from hub.web.api.op import Api, Op, adapter

_REF = "#/components/schemas/{model}"
Mode = Literal["validation", "serialization"]


class Fault(Out):
    """One fault of an input, with its place."""

    location: str
    message: str
    code: str


class Problem(Out):
    """An error (RFC 9457). `type` is /errors/<code>; `hint` says how to mend it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    errors: list[Fault] = Field(default_factory=list)


def document(api: Api) -> dict[str, Any]:
    """Describe every operation of the table."""
    schemas, definitions = _schemas(api)
    paths: dict[str, dict[str, Any]] = {}
    for op in sorted(api.ops, key=lambda op: (op.path, op.method)):
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hubspoke API",
            "version": __version__,
            "summary": "Webhooks in, flows on your own workers, failures to people.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions.items())),
            "responses": {name: _problem(error) for name, error in sorted(_problems(api).items())},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "an API token, hub_api_..."},
                "session": {"type": "apiKey", "in": "cookie", "name": "hub_session"},
            },
        },
    }


def table(described: dict[str, Any]) -> str:
    """The operations of a description as a Markdown table, for the manual."""
    rows = ["| operation | scope | what it does |", "|---|---|---|"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            security = operation["security"]
            scope = (security[0]["token"][0] or "(signed in)") if security else "(public)"
            rows.append(f"| `{method.upper()} {path.removeprefix('/api/v1')}` | {scope} | {operation['summary']} |")
    return "\n".join(rows) + "\n"


def _schemas(api: Api) -> tuple[dict[tuple[str, Mode], Any], dict[str, Any]]:
    wanted: list[tuple[str, Mode, TypeAdapter[Any]]] = [("Problem", "serialization", TypeAdapter(Problem))]
    for op in api.ops:
        if op.body is not None:
            wanted.append((f"{op.name}.body", "validation", TypeAdapter(op.body)))
        if op.query is not None:
            wanted.append((f"{op.name}.query", "validation", TypeAdapter(op.query)))
        if op.out is not None:
            wanted.append((f"{op.name}.out", "serialization", adapter(op.out)))
    schemas, rest = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    definitions = dict(rest.get("$defs", {}))
    for op in api.ops:  # query models are spelled out as parameters
        schema = schemas.get((f"{op.name}.query", "validation"))
        if schema is not None and "$ref" in schema:
            schemas[f"{op.name}.query", "validation"] = definitions.get(schema["$ref"].rsplit("/", 1)[1], {})
    unused = {op.query for op in api.ops if op.query is not None} - {op.body for op in api.ops}
    names = {model.__name__ for model in unused if model is not None}
    return schemas, {name: schema for name, schema in definitions.items() if name not in names}


def _operation(op: Op, schemas: dict[tuple[str, Mode], Any]) -> dict[str, Any]:
    text = inspect.getdoc(op.handler) or ""
    summary, _, description = text.partition("\n\n")
    found: dict[str, Any] = {
        "operationId": op.name,
        "tags": [op.tag],
        "summary": " ".join(summary.split()),
        "parameters": _parameters(op, schemas),
        "responses": _responses(op, schemas),
        "security": [] if op.scope is None else [{"token": [op.scope]}, {"session": [op.scope]}],
    }
    if description:
        found["description"] = description
    if op.body is not None:
        schema = schemas[f"{op.name}.body", "validation"]
        required = any(info.is_required() for info in op.body.model_fields.values())
        found["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    return found


def _parameters(op: Op, schemas: dict[tuple[str, Mode], Any]) -> list[dict[str, Any]]:
    found = [{"name": name, "in": "path", "required": True, "schema": _path_schema(name)} for name in op.path_names]
    query = schemas.get((f"{op.name}.query", "validation"), {})
    for name, schema in query.get("properties", {}).items():
        required = name in query.get("required", [])
        item = {"name": name, "in": "query", "required": required, "schema": _plain(schema)}
        if "description" in schema:
            item["description"] = schema["description"]
        found.append(item)
    if op.method == "POST":
        found.append(_IDEMPOTENCY)
    return found


_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key again is answered with the first outcome; nothing is done twice.",
    "schema": {"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": 200},
}


def _path_schema(name: str) -> dict[str, Any]:
    if name.endswith("_id"):
        return {"type": "string", "format": "uuid"}
    return {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^\\x00-\\x1f/]+$"}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is given or not: there is no null in a query string."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    plain = {key: value for key, value in schema.items() if key not in ("anyOf", "default", "title")}
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    return plain | (options[0] if len(options) == 1 else {"anyOf": options} if options else {})


def _responses(op: Op, schemas: dict[tuple[str, Mode], Any]) -> dict[str, Any]:
    status = op.status if op.out is not None or op.media != "application/json" or op.status != 200 else 204
    good: dict[str, Any] = {"description": "Done" if status != 201 else "Created"}
    if op.out is not None:
        good["content"] = {op.media: {"schema": schemas[f"{op.name}.out", "serialization"]}}
    elif op.media != "application/json":
        good["content"] = {op.media: {"schema": {"type": "string"}}}
    found = {str(status): good}
    told: list[type[HubError]] = [UsageError, *_access(op), *op.errors]
    for error in told:
        found.setdefault(str(error.status), {"$ref": f"#/components/responses/{error.__name__}"})
    found["default"] = {"$ref": "#/components/responses/HubError"}
    return dict(sorted(found.items()))


def _problems(api: Api) -> dict[str, type[HubError]]:
    common: set[type[HubError]] = {HubError, UsageError, AuthenticationError, PermissionError_}
    return {error.__name__: error for error in common.union(*(op.errors for op in api.ops))}


def _access(op: Op) -> tuple[type[HubError], ...]:
    return () if op.scope is None else (AuthenticationError, PermissionError_)


def _problem(error: type[HubError]) -> dict[str, Any]:
    says = (error.__doc__ or "").partition("\n")[0]
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": says, "content": {"application/problem+json": {"schema": schema}}}
