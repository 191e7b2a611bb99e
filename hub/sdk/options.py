"""The options of flows and tasks: one typed list of names, one frozen value each."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict

from hub.errors import UsageError
from hub.sdk.retries import Condition, Delay, Retriable, RetryOptions, retry_options

MAX_TIMEOUT = 30 * 86_400.0
RunName: TypeAlias = "str | Callable[[Mapping[str, Any]], str]"


class _Common(TypedDict, total=False):
    name: str
    description: str
    tags: Iterable[str]
    retries: int
    retry_delay_seconds: Delay
    retry_jitter_factor: float
    retry_delay_cap: float
    retry_on: Retriable
    retry_condition: Condition
    timeout_seconds: float
    log_prints: bool
    persist: bool


class FlowOptions(_Common, total=False):
    """What `@flow(...)` takes; `Flow` says what each means."""

    version: str
    flow_run_name: RunName
    crash_retries: int
    max_threads: int


class TaskOptions(_Common, total=False):
    """What `@task(...)` takes; `Task` says what each means."""

    task_run_name: RunName


@dataclass(frozen=True, slots=True)
class Options:
    """The checked options of a flow or a task. Times in seconds."""

    name: str
    description: str = ""
    version: str = ""
    run_name: RunName | None = None
    tags: tuple[str, ...] = ()
    retry: RetryOptions = field(default_factory=RetryOptions)
    timeout: float | None = None
    log_prints: bool = False
    persist: bool = True
    crash_retries: int = 2
    max_threads: int | None = None


def flow_options(default_name: str, description: str, given: Mapping[str, Any]) -> Options:
    """Check the options of a flow. Raises UsageError for a wrong or unknown one."""
    _refuse_unknown("flow", given, FlowOptions)
    crashes, threads = given.get("crash_retries", 2), given.get("max_threads")
    if not isinstance(crashes, int) or not 0 <= crashes <= 100:
        raise UsageError(f"crash_retries={crashes!r} is not a whole number from 0 to 100")
    if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= 512):
        raise UsageError(f"max_threads={threads!r} is not a whole number from 1 to 512")
    common = _common(default_name, description, given)
    return Options(
        **common,
        version=str(given.get("version") or ""),
        run_name=_run_name("flow_run_name", given),
        crash_retries=crashes,
        max_threads=threads,
    )


def task_options(default_name: str, description: str, given: Mapping[str, Any]) -> Options:
    """Check the options of a task. Raises UsageError for a wrong or unknown one."""
    _refuse_unknown("task", given, TaskOptions)
    return Options(**_common(default_name, description, given), run_name=_run_name("task_run_name", given))


def _common(default_name: str, description: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(given.get("name") or default_name),
        "description": str(given.get("description") or description),
        "tags": _tags(given.get("tags") or ()),
        "retry": retry_options(
            retries=given.get("retries", 0),
            delay=given.get("retry_delay_seconds", 0.0),
            jitter=given.get("retry_jitter_factor", 0.0),
            cap=given.get("retry_delay_cap"),
            retry_on=given.get("retry_on") or (),
            condition=given.get("retry_condition"),
        ),
        "timeout": _timeout(given.get("timeout_seconds")),
        "log_prints": bool(given.get("log_prints", False)),
        "persist": bool(given.get("persist", True)),
    }


def _refuse_unknown(kind: str, given: Mapping[str, Any], shape: type) -> None:
    known = shape.__annotations__.keys() | _Common.__annotations__.keys()
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known))}."
            raise UsageError(f"@{kind} has no option {name!r}", hint=hint)


def _name(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 200 or "\0" in name or "\n" in name:
        raise UsageError(f"name={name!r} is not a name", hint="A name is one line of 1 to 200 characters.")
    return name


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    found = (tags,) if isinstance(tags, str) else tuple(tags)
    if len(found) > 50 or not all(isinstance(tag, str) and 0 < len(tag) <= 100 for tag in found):
        raise UsageError(f"tags={tags!r} are not tags", hint="Give up to 50 texts of up to 100 characters.")
    return tuple(dict.fromkeys(found))


def _timeout(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_TIMEOUT:
        raise UsageError(
            f"timeout_seconds={seconds!r} is not a number of seconds above 0", hint="Leave it out for no timeout."
        )
    return float(seconds)


def _run_name(option: str, given: Mapping[str, Any]) -> RunName | None:
    value: RunName | None = given.get(option)
    if value is not None and not isinstance(value, str) and not callable(value):
        raise UsageError(f"{option}={value!r} is neither a text nor a function of the parameters")
    return value
