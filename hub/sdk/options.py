"""The options of flows and tasks: one typed list of names, one frozen value each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from hub.errors import UsageError
from hub.sdk.alerting import Alerts, AlertsGiven, alerts_option
from hub.sdk.assets import asset_keys
from hub.sdk.caching import CacheOptions, CachePolicy, KeyFunction, cache_options
from hub.sdk.retries import RetryGiven, RetryOptions, RetryPolicy, retry_options, with_policy
from hub.sdk.runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from hub.sdk.statehooks import HookOptions, StateHook, hook_options
from hub.sdk.transactions import TransactionHook, TransactionHooks, transaction_hooks
from hub.types import ExportLevel

if TYPE_CHECKING:
    from datetime import timedelta

UNKNOWN: Any = object()
"""What `viz_return_value` is where the author gave none."""
MAX_TIMEOUT = 30 * 86_400.0
Trigger: TypeAlias = Literal["all_success", "all_done", "one_failed", "none_failed"]
RunName: TypeAlias = "str | Callable[[Mapping[str, Any]], str]"


class _Common(HookOptions, RetryGiven, total=False):
    name: str
    description: str
    tags: Iterable[str]
    retry_policy: RetryPolicy
    timeout_seconds: float
    log_prints: bool
    persist: bool
    result_store: str
    result_serializer: str


class FlowOptions(_Common, total=False):
    """What `@flow(...)` takes; `Flow` says what each means."""

    version: str
    alerts: AlertsGiven
    export: ExportLevel
    on_crashed: Iterable[StateHook]
    flow_run_name: RunName
    crash_retries: int
    max_threads: int
    task_runner: TaskRunner


class TaskOptions(_Common, TransactionHooks, total=False):
    """What `@task(...)` takes; `Task` says what each means."""

    task_run_name: RunName
    cache_policy: CachePolicy
    cache_key_fn: KeyFunction
    cache_expiration: float | timedelta
    refresh_cache: bool
    trigger: Trigger
    viz_return_value: Any
    assets: Iterable[str]
    asset_deps: Iterable[str]


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
    result_store: str | None = None
    result_serializer: str | None = None
    cache: CacheOptions | None = None
    crash_retries: int = 2
    alerts: Alerts = field(default_factory=Alerts)
    export: str = ""
    max_threads: int | None = None
    runner: TaskRunner | None = None
    trigger: str = "all_success"
    assets: tuple[str, ...] = ()
    asset_deps: tuple[str, ...] = ()
    hooks: Mapping[str, tuple[StateHook, ...]] = field(default_factory=dict)
    viz_return_value: Any = field(default=UNKNOWN, compare=False)
    transaction_hooks: Mapping[str, tuple[TransactionHook, ...]] = field(default_factory=dict)


def flow_options(default_name: str, description: str, given: Mapping[str, Any]) -> Options:
    """Check the options of a flow. Raises UsageError for a wrong or unknown one."""
    _refuse_unknown("flow", given, FlowOptions)
    crashes, threads = given.get("crash_retries", 2), given.get("max_threads")
    if not isinstance(crashes, int) or not 0 <= crashes <= 100:
        raise UsageError(f"crash_retries={crashes!r} is not a whole number from 0 to 100")
    if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= 512):
        raise UsageError(f"max_threads={threads!r} is not a whole number from 1 to 512")
    runner = given.get("task_runner")
    if runner is not None and not isinstance(runner, TaskRunner):
        hint = "Give CeleryTaskRunner(...), ProcessPoolTaskRunner(...) or ThreadPoolTaskRunner(...)."
        raise UsageError(f"task_runner={runner!r} is not a task runner", hint=hint)
    common = _common(default_name, description, given)
    return Options(
        **common,
        version=str(given.get("version") or ""),
        run_name=_run_name("flow_run_name", given),
        crash_retries=crashes,
        alerts=alerts_option(given.get("alerts")),
        export=_export(given.get("export")),
        max_threads=threads
        or (runner.max_workers if isinstance(runner, ThreadPoolTaskRunner | ProcessPoolTaskRunner) else None),
        runner=runner,
    )


def task_options(default_name: str, description: str, given: Mapping[str, Any]) -> Options:
    """Check the options of a task. Raises UsageError for a wrong or unknown one."""
    _refuse_unknown("task", given, TaskOptions)
    return Options(
        **_common(default_name, description, given),
        run_name=_run_name("task_run_name", given),
        cache=cache_options(given),
        trigger=_trigger(given),
        viz_return_value=given.get("viz_return_value", UNKNOWN),
        assets=asset_keys("assets", given.get("assets") or ()),
        asset_deps=asset_keys("asset_deps", given.get("asset_deps") or ()),
        transaction_hooks=transaction_hooks(given),
    )


def _common(default_name: str, description: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(given.get("name") or default_name),
        "description": str(given.get("description") or description),
        "tags": _tags(given.get("tags") or ()),
        "retry": retry_options(with_policy(given)),
        "timeout": _timeout(given.get("timeout_seconds")),
        "log_prints": bool(given.get("log_prints", False)),
        "persist": bool(given.get("persist", True)),
        "hooks": hook_options(given),
        "result_store": _word("result_store", given),
        "result_serializer": _word("result_serializer", given),
    }


def _refuse_unknown(kind: str, given: Mapping[str, Any], shape: type) -> None:
    known = shape.__annotations__.keys() | _Common.__annotations__.keys() | HookOptions.__annotations__.keys()
    for name in given:
        if name not in known:
            import difflib  # noqa: PLC0415 - only for this message: it costs two milliseconds

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


def _word(option: str, given: Mapping[str, Any]) -> str | None:
    value = given.get(option)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= 100 or not value.isprintable() or ":" in value:
        raise UsageError(f"{option}={value!r} is not a name")
    return value


def _trigger(given: Mapping[str, Any]) -> str:
    value = given.get("trigger", "all_success")
    if value not in get_args(Trigger):
        raise UsageError(f"trigger={value!r} is not a trigger rule", hint=f"Rules: {', '.join(get_args(Trigger))}.")
    return str(value)


def _export(level: str | None) -> str:
    if level is None:
        return ""
    if level not in get_args(ExportLevel):
        known = ", ".join(get_args(ExportLevel))
        raise UsageError(f"export={level!r} does not say what may leave for a plane", hint=f"One of: {known}.")
    return str(level)


def _run_name(option: str, given: Mapping[str, Any]) -> RunName | None:
    value: RunName | None = given.get(option)
    if value is not None and not isinstance(value, str) and not callable(value):
        raise UsageError(f"{option}={value!r} is neither a text nor a function of the parameters")
    return value
