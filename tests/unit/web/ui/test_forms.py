from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hub.web.ui.forms import Filled, fields_of, read
from hub.web.ui.view import Form
from tests.unit.web.ui.workspace import SCHEMA


def typed(schema: dict[str, Any], preset: dict[str, Any] | None = None, **values: str) -> Filled:
    """The schema's form with these texts typed in."""
    return read(schema, preset or {}, Form(urlencode({f"p.{name}": text for name, text in values.items()}).encode()))


def one(rule: dict[str, Any], text: str | None, *, required: bool = False) -> Any:
    """The value of a single parameter, or its error."""
    schema = {"properties": {"x": rule}, "required": ["x"] if required else []}
    filled = typed(schema) if text is None else typed(schema, x=text)
    return filled.fields[0].error or filled.values.get("x", "left out")


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "integer"}, "-3", -3),
        ({"type": "number"}, "0.5", 0.5),
        ({"type": "number"}, "7", 7),
        ({"type": "string"}, "  kept as typed ", "  kept as typed "),
        ({"type": "string"}, "a\r\nb", "a\nb"),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "false", False),
        ({"type": "boolean", "default": True}, None, False),
        ({"type": "boolean", "default": False}, "true", True),
        ({"enum": ["low", "high"]}, '"low"', "low"),
        ({"enum": [1, 2]}, "2", 2),
        ({"type": "array"}, '["a"]', ["a"]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "5", 5),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5", 5),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "five", "five"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None}, "", "left out"),
        ({}, '{"a": 1}', {"a": 1}),
        ({}, "plain", "plain"),
        ({"type": "string"}, "", "left out"),
        ({"type": "integer", "default": 3}, "", "left out"),
    ],
)
def test_texts_become_values(rule: dict[str, Any], text: str | None, expected: Any) -> None:
    value = one(rule, text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("rule", "text", "says"),
    [
        ({"type": "integer"}, "many", "whole number"),
        ({"type": "integer"}, "1.5", "whole number"),
        ({"type": "integer"}, "9" * 5000, "whole number"),
        ({"type": "number"}, "NaN", "a number"),
        ({"type": "number"}, "-inf", "a number"),
        ({"type": "integer", "minimum": 3}, "2", "at least 3"),
        ({"type": "array"}, "a, b", "JSON"),
        ({"type": "array"}, "[" * 100_000, "JSON"),
        ({"type": "object"}, '{"a": NaN}', "JSON"),
        ({"type": "object"}, "[1]", "expected an object"),
        ({"enum": ["low"]}, '"huge"', "expected one of low"),
        ({"type": "string", "maxLength": 3}, "four", "3 characters"),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(rule: dict[str, Any], text: str, says: str) -> None:
    assert says in one(rule, text)


def test_a_required_parameter_must_be_given() -> None:
    assert one({"type": "string"}, "", required=True) == "missing"
    assert one({"type": "boolean"}, None, required=True) is False, "a box that is not ticked says no"


def test_a_value_of_the_deployment_stands_in_place_of_a_required_one() -> None:
    filled = typed(SCHEMA, {"repository": "octocat/hello", "target": {"host": "x"}})
    assert not filled.wrong
    fields = {field.name: field for field in fields_of(SCHEMA, {"repository": "octocat/hello"})}
    assert fields["repository"].value == "octocat/hello"
    assert not fields["repository"].required


def test_a_fault_deep_inside_stands_at_the_outer_field() -> None:
    filled = typed(SCHEMA, repository="r", target='{"port": "no"}')
    errors = {field.name: field.error for field in filled.fields if field.error}
    assert list(errors) == ["target"]
    assert "host" in errors["target"]


def test_everything_typed_is_kept_but_passwords() -> None:
    schema = {"properties": {"n": {"type": "integer"}, "s": {"type": "string", "format": "password"}}}
    filled = typed(schema, n="many", s="hunter2")
    assert {field.name: field.value for field in filled.fields} == {"n": "many", "s": ""}


def test_required_fields_come_first_and_kinds_fit() -> None:
    fields = fields_of(SCHEMA, {})
    assert [field.name for field in fields][:2] == ["repository", "target"]
    kinds = {field.name: field.kind for field in fields}
    assert kinds == {
        "repository": "text", "target": "textarea", "retries": "number", "ratio": "number", "dry_run": "checkbox",
        "level": "select", "labels": "textarea", "note": "text",
    }  # fmt: skip


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"properties": {"x": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert fields_of(schema, {})[0].name == "x"


@pytest.mark.parametrize("raw", [b"\xff=1", b"&".join([b"a=1"] * 2000), b"novalue"])
def test_a_form_that_is_none_is_refused(raw: bytes) -> None:
    from hub.errors import UsageError

    with pytest.raises(UsageError, match="could not be read"):
        Form(raw)
