"""Values that are made several times for every task or webhook."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """A frozen dataclass whose making costs a third: type checkers still see to it that nobody changes one.

    A frozen dataclass sets each of its fields by a call. This gives it the `__init__` of one that is not frozen.
    """
    known: dict[str, Any] = {}
    parameters, lines = ["self"], []
    for field in fields(cls):  # type: ignore[arg-type]
        name, value = field.name, field.name
        if field.default is not MISSING:
            known[f"_{name}"] = field.default
            parameters.append(f"{name}=_{name}")
        elif field.default_factory is not MISSING:
            known[f"_{name}"], known[f"_{name}_made"] = MISSING, field.default_factory
            parameters.append(f"{name}=_{name}")
            value = f"_{name}_made() if {name} is _{name} else {name}"
        else:
            parameters.append(name)
        lines.append(f"    self.{name} = {value}")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), known)  # noqa: S102 - names of our own fields
    made: Any = cls
    made.__init__ = known["__init__"]
    del made.__setattr__, made.__delattr__
    return cls
