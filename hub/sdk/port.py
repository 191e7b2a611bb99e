"""The one door from the SDK to what executes it: loads `hub.runtime.inline` by name on the first call.

It is the only dynamic import of the hub, so that importing a flow costs tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Coroutine
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from hub.sdk.flows import Deployed, Flow
    from hub.sdk.futures import Future, Futures
    from hub.sdk.tasks import Task


class Runtime(Protocol):
    """What the SDK needs of the runtime."""

    def call_flow(self, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def call_task(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def submit(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any
    ) -> Future[Any]: ...

    def map_over(
        self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any
    ) -> Futures[Any]: ...

    def deploy(self, flow: Flow[..., Any], options: dict[str, Any]) -> Deployed: ...

    def before_wait(self, future: Future[Any], timeout: float | None) -> None: ...

    def awaiting(self, future: Future[Any]) -> Coroutine[Any, Any, Any]: ...


_loaded: Runtime | None = None


def runtime() -> Runtime:
    """What executes flows, loaded on the first call."""
    global _loaded
    if _loaded is None:
        _loaded = cast(Runtime, import_module("hub.runtime.inline"))
    return _loaded
