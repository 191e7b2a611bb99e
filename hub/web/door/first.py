"""The short way to the door: past routing and the console's middleware, which strangers' requests do not need."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/in/"


class DoorFirst:
    """Outermost middleware: hands `/in/{token}` to the door, everything else to the application."""

    def __init__(self, app: ASGIApp, *, door: ASGIApp) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            token = scope["path"][len(PREFIX) :]
            if token and "/" not in token:
                scope["path_params"] = {"token": token}
                await self.door(scope, receive, send)
                return
        await self.app(scope, receive, send)
