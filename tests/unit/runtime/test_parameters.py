"""Parameters: coerced, refused in one sentence each, described, kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow
from hub.errors import ParameterError
from hub.runtime import parameters
from hub.runtime.schemas import check
from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    id: int
    day: date = date(2026, 1, 2)


@dataclass
class Point:
    x: int


@flow
def sample(n: int, when: date, orders: list[Order], colour: Colour = Colour.RED, note: str | None = None) -> None: ...


def test_it_coerces_by_type_hints() -> None:
    values = parameters.from_json(sample, {"n": "3", "when": "2026-11-22", "orders": [{"id": "7"}], "colour": "red"})
    assert values == {"n": 3, "when": date(2026, 11, 22), "orders": [Order(id=7)], "colour": Colour.RED, "note": None}
    args, kwargs = parameters.call_arguments(sample, values)
    assert (args, kwargs) == (tuple(values.values()), {})


def test_it_names_every_wrong_parameter_what_it_expected_and_what_it_got() -> None:
    with pytest.raises(ParameterError) as caught:
        parameters.from_json(sample, {"n": "hunter2", "orders": [{"id": None}], "colour": "blue", "extra": 1})
    text = caught.value.detail
    assert "n: expected a valid integer, unable to parse string as an integer; got a text" in text
    assert "when: missing" in text
    assert "orders.0.id: expected a valid integer; got nothing (null)" in text
    assert "colour: expected 'red'; got a text" in text
    assert "extra: the flow has no such parameter" in text
    assert "hunter2" not in text + caught.value.hint
    assert caught.value.fields["wrong"] == ["colour", "extra", "n", "orders", "when"]


def test_a_call_that_does_not_fit_says_how_the_flow_is_called() -> None:
    with pytest.raises(ParameterError, match="missing a required argument") as caught:
        parameters.from_call(sample, (), {"n": 1})
    assert "sample(n: " in caught.value.hint


def test_its_schema_says_names_types_and_defaults() -> None:
    schema: Any = parameters.schema(sample)
    assert schema["required"] == ["n", "when", "orders"]
    assert schema["properties"]["n"] == {"title": "n", "type": "integer"}
    assert schema["properties"]["note"]["default"] is None
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Order"]["properties"]["id"]["type"] == "integer"


def test_star_parameters_and_odd_names_work() -> None:
    @flow
    def odd(_hidden: int, model_config: str, /, *rest: int, schema: bool = False, **more: float) -> None: ...

    values = parameters.from_call(odd, ("1", "x", "2", 3), {"schema": "yes", "a": "1.5"})
    assert values == {"_hidden": 1, "model_config": "x", "rest": (2, 3), "schema": True, "more": {"a": 1.5}}
    assert parameters.call_arguments(odd, values) == ((1, "x", 2, 3), {"schema": True, "a": 1.5})
    named = parameters.from_json(odd, {"_hidden": 1, "model_config": "x", "a": 2})
    assert named["more"] == {"a": 2.0}


def test_a_method_takes_no_self() -> None:
    class Box:
        @flow
        def ship(self, n: int) -> None: ...

    assert parameters.from_call(Box().ship, ("2",), {}) == {"n": 2}


def test_hints_that_only_type_checkers_can_resolve_count_as_anything() -> None:
    @flow
    def pays(amount: Decimal, times: int) -> None: ...

    assert parameters.from_json(pays, {"amount": "x", "times": "2"}) == {"amount": "x", "times": 2}


def test_what_is_no_json_is_kept_as_its_type() -> None:
    kept: Any = parameters.as_json(
        {"a": object(), "b": Point(1), "c": SecretStr("s"), "d": float("nan"), "e": {1: date(2026, 1, 1)}}
    )
    assert kept == {
        "a": "<builtins.object>",
        "b": {"x": 1},
        "c": "**********",
        "d": "NaN",
        "e": {"1": "2026-01-01"},
    }
    huge: Any = parameters.as_json({"a": "x" * 1_000_000, "b": 1})
    assert huge["b"] == 1
    assert huge["a"].startswith("<left out")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"when": "x", "orders": []}, "n: missing"),
        ({"n": "a", "when": "x", "orders": []}, "n: expected an integer; got a text"),
        ({"n": 1.5, "when": "x", "orders": []}, "n: expected an integer; got a number"),
        ({"n": 1, "when": 3, "orders": []}, "when: expected a text; got an integer"),
        ({"n": 1, "when": "x", "orders": {}}, "orders: expected a list; got an object"),
        ({"n": 1, "when": "x", "orders": [{"id": []}]}, "orders.0.id: expected an integer; got a list"),
        ({"n": 1, "when": "x", "orders": [{}]}, "orders.0.id: missing"),
        ({"n": 1, "when": "x", "orders": [], "colour": "blue"}, "colour: expected one of red; got a text"),
        ({"n": 1, "when": "x", "orders": [], "note": 5}, "note: expected a text or nothing (null); got an integer"),
        ({"n": 1, "when": "x", "orders": [], "zz": 5}, "zz: the flow has no such parameter"),
    ],
)
def test_a_stored_schema_refuses_what_the_hints_would_refuse(given: dict[str, Any], part: str) -> None:
    with pytest.raises(ParameterError) as caught:
        check(given, parameters.schema(sample))
    assert part in caught.value.detail


def test_a_stored_schema_is_as_forgiving_as_the_hints() -> None:
    schema = parameters.schema(sample)
    check({"n": "3", "when": "2026-11-22", "orders": [{"id": 7.0}], "colour": "red", "note": None}, schema)
    check({"anything": 1}, {})
