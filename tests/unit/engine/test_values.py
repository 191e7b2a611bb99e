"""A frozen dataclass that is made quickly is still one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hub.engine.values import quick


@quick
@dataclass(frozen=True, slots=True)
class Value:
    first: int
    second: str = "two"
    third: dict[str, int] = field(default_factory=dict)


def test_it_is_made_compared_and_changed_as_any_other() -> None:
    made = Value(1)
    assert (made.first, made.second, made.third) == (1, "two", {})
    assert made == Value(first=1, second="two", third={}) != Value(2)
    assert replace(made, second="three") == Value(1, "three")
    assert repr(made) == "Value(first=1, second='two', third={})"
    assert made.third is not Value(1).third
    assert hash(Value(1, third=())) == hash(Value(1, third=()))  # type: ignore[arg-type]
