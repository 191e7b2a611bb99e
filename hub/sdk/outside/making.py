"""From what a task does outside Python to a Task: its function, its signature, its place."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from hub.errorclasses import ErrorClass
from hub.errors import UsageError
from hub.sdk import port
from hub.sdk.functions import Wrapped
from hub.sdk.tasks import RESERVED, Task

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """What stands behind a task that is no Python function. `spec` says what it does, `file` where it was written."""

    spec: Any
    name: str
    file: str


def made(
    spec: Any, *, default_name: str, summary: str, names: Sequence[str], defaults: Mapping[str, Any] | None,
    returns: Any, options: Mapping[str, Any], depth: int = 2,
) -> Task[..., Any]:  # fmt: skip
    """The task. `names` are its parameters; `depth` frames above this one its author wrote it."""
    frame = sys._getframe(depth)
    module, file = str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename
    signature = _signature(names, defaults or {}, returns)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return port.runtime().call_outside(spec, bound.arguments)

    name = options.get("name") or default_name
    # Two that nobody named are told apart by what they do; one with a name may be changed and is still the same.
    known_as = str(name) if options.get("name") else f"{name}-{blake2b(summary.encode(), digest_size=4).hexdigest()}"
    call.__name__ = call.__qualname__ = re.sub(r"\W", "_", str(name)) or "task"
    call.__module__ = module
    call.__doc__ = summary
    call.__annotations__ = {"return": returns}
    call.__signature__ = signature  # type: ignore[attr-defined]
    wrapped = Wrapped(call, what="task", reserved=RESERVED)
    # Not a method where it stands in a class: it has no use for an object.
    wrapped.kind, wrapped.made_of = "static", Made(spec, known_as, file)
    return Task(wrapped, {"name": name, **options})  # type: ignore[arg-type]


def _signature(names: Sequence[str], defaults: Mapping[str, Any], returns: Any) -> inspect.Signature:
    for name in defaults:
        if name not in names:
            known = ", ".join(names) or "none"
            raise UsageError(f"defaults has {name!r}, which is no parameter", hint=f"Parameters: {known}.")
    ordered = sorted(names, key=lambda name: name in defaults)
    return inspect.Signature(
        [
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=defaults.get(name, inspect.Parameter.empty)
            )
            for name in ordered
        ],
        return_annotation=returns,
    )


def classes(option: str, given: Mapping[int, str] | None) -> tuple[tuple[int, str], ...]:
    """A checked table from numbers to error classes. Raises UsageError."""
    known = [item.value for item in ErrorClass]
    for number, name in (given or {}).items():
        if isinstance(number, bool) or not isinstance(number, int) or name not in known:
            hint = f"Write {{75: 'infrastructure'}}. Classes: {', '.join(known)}."
            raise UsageError(f"{option} has {number!r}: {name!r}", hint=hint)
    return tuple((number, str(name)) for number, name in (given or {}).items())


def one_of(option: str, value: str, choices: Sequence[str]) -> str:
    """A checked choice. Raises UsageError."""
    if value not in choices:
        raise UsageError(f"{option}={value!r} is not known", hint=f"Choose one of {', '.join(choices)}.")
    return value


def seconds(option: str, value: float, *, most: float) -> float:
    """A checked number of seconds above 0. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise UsageError(f"{option}={value!r} is not a number of seconds from 0 to {most:g}")
    return float(value)


def size(option: str, value: int) -> int:
    """A checked number of bytes, at most 1 GiB. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1024 * MIB:
        raise UsageError(f"{option}={value!r} is not a number of bytes from 1 to {1024 * MIB}")
    return value
