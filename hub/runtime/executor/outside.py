"""The body of a task that is no Python function: a program, an HTTP request, a container."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hub.errors import UsageError
from hub.runtime.executor.slots import hold_tags
from hub.runtime.executor.steps import Blocking, Life, give_back
from hub.runtime.outside import containers, requests, shells
from hub.runtime.outside.setting import Setting
from hub.sdk.context import RunContext, current
from hub.sdk.outside.containers import Container
from hub.sdk.outside.https import Http
from hub.sdk.outside.shells import Shell

if TYPE_CHECKING:
    from hub.runtime.executor.tasklife import Call

_KINDS: dict[type, Callable[[Any, Mapping[str, Any], Setting], Any]] = {
    Shell: shells.run,
    Http: requests.run,
    Container: containers.run,
}


def body(call: Call, context: RunContext, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Life:
    """What a call does instead of calling a function. Its time limit ends what it started, and taints no process."""
    if call.options.tags:
        yield from hold_tags(context, call.options.tags)
    values = call.wrapped.arguments(args, kwargs)
    setting = Setting(context, timeout=call.options.timeout, check=context.session.branch.check)
    try:
        return (yield Blocking(lambda: _within(context, call.wrapped.made_of.spec, values, setting)))
    finally:
        give_back(context)


def call_outside(spec: Any, values: Mapping[str, Any]) -> Any:
    """Do it as a plain function would: no run, no retries, no time limit. See the SDK."""
    context = current.get()
    if context is None:
        return _perform(spec, values, Setting())
    return _perform(spec, values, Setting(context, check=context.session.branch.check))


def _within(context: RunContext, spec: Any, values: Mapping[str, Any], setting: Setting) -> Any:
    token = current.set(context)
    try:
        return _perform(spec, values, setting)
    finally:
        current.reset(token)


def _perform(spec: Any, values: Mapping[str, Any], setting: Setting) -> Any:
    perform = _KINDS.get(type(spec))
    if perform is None:
        raise UsageError(f"nothing here performs a {type(spec).__name__}")
    return perform(spec, values, setting)
