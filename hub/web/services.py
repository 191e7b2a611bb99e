"""What the operations and pages of one application share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from hub.plugins import Plugins
from hub.runtime import brought, contributed
from hub.runtime.presets import install
from hub.settings import Settings
from hub.store import Store
from hub.types import Scope
from hub.web.auth import Auth
from hub.web.door import Door
from hub.web.door.plugged import verifiers
from hub.web.tail import Tail


@dataclass(frozen=True)
class Services:
    """Made once for an application and kept on `app.state.services`."""

    settings: Settings
    store: Store
    auth: Auth
    tail: Tail
    door: Door
    plugins: Plugins
    stopping: threading.Event = field(default_factory=threading.Event)
    on_stop: list[Callable[[], None]] = field(default_factory=list)
    """Called from the signal handler's loop when the server begins to stop: whatever keeps streams open ends them."""

    def authorize(self, request: Request, needs: str | None) -> Scope:
        """See `Auth.authorize`."""
        return self.auth.authorize(request, needs)

    def stop(self) -> None:
        """Begin to stop: end streams, so that the server need not wait for them."""
        self.stopping.set()
        self.tail.close()
        for callback in self.on_stop:
            callback()


def make_services(settings: Settings, store: Store, plugins: Plugins) -> Services:
    """Put the parts together."""
    contributed.install(plugins.hooks)
    hooks = plugins.hooks
    door = Door(settings, store, install(hooks), verifiers=verifiers(hooks), forwarders=hooks.webhook_forwarders())
    brought.remember(store)
    return Services(settings, store, Auth(settings, store, plugins.hooks), Tail(store), door, plugins)
