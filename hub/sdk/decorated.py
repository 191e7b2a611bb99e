"""What a flow and a task have in common: a function with checked options, that may be a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, ParamSpec, Self, TypeVar

from hub.sdk.functions import Wrapped
from hub.sdk.options import Options
from hub.sdk.statehooks import StateHook, hook_options

P = ParamSpec("P")
R = TypeVar("R")
H = TypeVar("H", bound=StateHook)


class Decorated(Generic[P, R]):
    """A function that became a flow or a task. It keeps the function's name, module and docstring."""

    _given: Any
    what: str
    """What it is called in messages."""

    def __init__(self, wrapped: Wrapped, options: Options) -> None:
        self._wrapped = wrapped
        self.options = options
        self.__name__ = wrapped.fn.__name__
        self.__qualname__ = wrapped.qualname
        self.__module__ = wrapped.module
        self.__doc__ = wrapped.doc
        self.__wrapped__ = wrapped.fn

    def __repr__(self) -> str:
        return f"<{self.what} {self.name}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.options.name

    @property
    def fn(self) -> Callable[P, R]:
        """The function itself: calling it leaves no trace."""
        return self._wrapped.fn

    @property
    def is_async(self) -> bool:
        """Whether calls must be awaited."""
        return self._wrapped.is_async

    def on_running(self, hook: H) -> H:
        """Call `hook(flow_or_task, run, state)` whenever an attempt begins; a decorator."""
        return self._hooked("on_running", hook)

    def on_completion(self, hook: H) -> H:
        """Call `hook(flow_or_task, run, state)` when a run has completed; a decorator."""
        return self._hooked("on_completion", hook)

    def on_failure(self, hook: H) -> H:
        """Call `hook(flow_or_task, run, state)` when a run has failed and is not tried again; a decorator."""
        return self._hooked("on_failure", hook)

    def on_cancellation(self, hook: H) -> H:
        """Call `hook(flow_or_task, run, state)` when a run was cancelled; a decorator."""
        return self._hooked("on_cancellation", hook)

    def _hooked(self, event: str, hook: H) -> H:
        named: tuple[StateHook, ...] = (*self.options.hooks.get(event, ()), hook)
        hook_options({event: named})
        self._given = {**self._given, event: named}
        self.options = replace(self.options, hooks={**self.options.hooks, event: named})
        return hook

    def _bound(self, instance: Any, owner: type | None) -> Self:
        method = self._wrapped.bind_to(instance, owner)
        if method is None:
            return self
        # Bound at every attribute access, so nothing is checked again.
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._wrapped = method
        return copy
