from __future__ import annotations

import json
from typing import Any

import pytest
from hub.errors import UsageError
from hub.webhooks.catalog import MAX_ISSUES, MAX_PATH, Schema, applying
from hub.webhooks.learning import MAX_NAMES, learn

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer"},
        "state": {"enum": ["open", "paid"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}, "required": ["n"]}},
}


def issues(value: Any, document: Any = ORDER) -> set[tuple[str, str, str, bool]]:
    return {tuple(issue) for issue in Schema(document).issues(value)}  # type: ignore[misc]


def test_a_payload_that_fits_departs_from_nothing() -> None:
    assert issues({"id": 1, "state": "open", "lines": [{"n": 1}, {"n": None}]}) == set()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, ("id", "missing", "it is missing", True)),
        ({"id": "1"}, ("id", "type", "string in place of integer", True)),
        ({"id": True}, ("id", "type", "boolean in place of integer", True)),
        ({"id": 1, "lines": [{"n": 1}, {}]}, ("lines.*.n", "missing", "it is missing", True)),
        ({"id": 1, "lines": [{"n": 1.5}]}, ("lines.*.n", "type", "number in place of integer or null", True)),
        ({"id": 1, "more": []}, ("more", "new", "array", False)),
        ({"id": 1, "lines": [{"n": 1, "m": {}}]}, ("lines.*.m", "new", "object", False)),
        ({"id": 1, "state": "4111"}, ("state", "other", "it does not fit `enum`", True)),
        ([], ("", "type", "array in place of object", True)),
    ],
)
def test_each_departure_says_where_and_how_and_tells_no_value(value: Any, found: tuple[Any, ...]) -> None:
    assert issues(value) == {found}
    assert "4111" not in repr(issues(value))


def test_what_is_forbidden_violates_and_is_new() -> None:
    closed = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    assert issues({"a": 1, "b": 2}, closed) == {("b", "new", "integer, which is not allowed here", True)}


def test_where_properties_are_described_elsewhere_nothing_is_called_new() -> None:
    both = {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}], "properties": {"c": {}}}
    assert issues({"a": 1, "b": 2, "c": 3, "d": 4}, both) == set()
    assert issues({"x": 1}, {"properties": {}, "additionalProperties": {"type": "integer"}}) == set()


def test_redacted_values_fit_everything() -> None:
    assert issues({"id": "[redacted]", "state": "[redacted]"}) == set()


def test_issues_and_paths_are_bounded() -> None:
    many = Schema({"properties": {}}).issues({f"{n:03}" + "x" * 500: n for n in range(400)})
    assert len(many) == MAX_ISSUES
    assert max(len(issue.path) for issue in many) == MAX_PATH
    assert "\x00" not in Schema({"properties": {}}).issues({"a\x00b": 1})[0].path


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "JSON object"),
        ({"type": "text"}, "no JSON schema: type"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, r"properties.a.pattern is not supported"),
        ({"items": {"uniqueItems": True}}, "items.uniqueItems is not supported"),
        ({"anyOf": [{}, {"patternProperties": {}}]}, "anyOf.1.patternProperties is not supported"),
        ({"$ref": "https://elsewhere.example/s.json"}, "which is not in this schema"),
        ({"$ref": "#/$defs/none"}, "which is not in this schema"),
        ({"$ref": "#"}, "without end"),
        ({"title": "x" * 131_072}, "more than"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_words(document: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Schema(document)


def test_a_property_may_be_called_pattern() -> None:
    assert issues({"pattern": 1}, {"properties": {"pattern": {"type": "string"}}}) == {
        ("pattern", "type", "integer in place of string", True)
    }


def test_a_schema_that_is_deep_is_refused_and_a_deep_payload_is_checked() -> None:
    deep: Any = {}
    for _ in range(70):
        deep = {"items": deep}
    with pytest.raises(UsageError, match="deeper"):
        Schema(deep)
    nested: Any = 1
    for _ in range(60):
        nested = [nested]
    recursive = {
        "$defs": {"a": {"anyOf": [{"type": "integer"}, {"items": {"$ref": "#/$defs/a"}}]}},
        "$ref": "#/$defs/a",
    }
    assert issues(nested, recursive) == set()


def test_the_schema_of_a_type_is_its_own_or_that_of_all_others() -> None:
    own, others = Schema({}), Schema({})
    assert applying({"a": own, "*": others}, "a") is own
    assert applying({"a": own, "*": others}, "b") is others
    assert applying({"a": own}, "b") is None


def test_what_is_learned_fits_what_it_was_learned_from() -> None:
    values: list[Any] = [
        {"id": 1, "user": {"name": "a", "age": None}, "tags": ["x"], "lines": [{"n": 1}]},
        {"id": 2.5, "user": {"name": "b"}, "tags": [], "lines": [{"n": 2, "more": True}], "extra": {}},
    ]
    document = learn(values)
    assert document["required"] == ["id", "lines", "tags", "user"]
    properties: Any = document["properties"]
    assert properties["id"] == {"type": "number"}
    assert properties["user"]["required"] == ["name"]
    assert properties["user"]["properties"]["age"] == {"type": "null"}
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}}
    assert properties["lines"]["items"]["required"] == ["n"]
    assert [Schema(document).issues(value) for value in values] == [[], []]
    assert {issue.kind for issue in Schema(document).issues({"id": "x", "new": 1})} == {"type", "missing", "new"}


def test_objects_with_very_many_names_are_maps() -> None:
    values: list[Any] = [{"by_id": {f"k{n}": {"v": n} for n in range(MAX_NAMES + 1)}}]
    document: Any = learn(values)
    assert document["properties"]["by_id"] == {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]},
    }
    assert Schema(document).issues({"by_id": {"other": {"v": 1}}}) == []


def test_what_was_redacted_may_be_anything() -> None:
    document: Any = learn([{"a": "[redacted]"}])
    assert document["properties"]["a"] == {}


def test_a_proposal_is_bounded_and_still_fits() -> None:
    value: Any = [{f"{a}": {f"{b}": {f"{c}": 1 for c in range(20)} for b in range(20)} for a in range(20)}]
    document = learn(value)
    assert len(json.dumps(document)) < 131_072
    assert Schema(document).issues(value[0]) == []
    assert learn([]) == {"$schema": "https://json-schema.org/draft/2020-12/schema"}
