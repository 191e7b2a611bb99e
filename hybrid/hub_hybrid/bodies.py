"""Reading what a site sends, within bounds."""

from __future__ import annotations

import anyio
from hub.web.problems import BodyCut, BodyTimeout, BodyTooLarge
from starlette.requests import ClientDisconnect, Request

from hub_hybrid.packing import TooLarge, Unpacking


async def read(request: Request, limit: int, seconds: float) -> bytes:
    """The body, unpacked. Raises BodyTooLarge, BodyTimeout, BodyCut, BadGzip, UnknownEncoding."""
    if int(request.headers.get("content-length", "0") or 0) > limit:
        raise BodyTooLarge(limit)
    body = Unpacking(request.headers.get("content-encoding", "").strip().lower(), limit)
    try:
        with anyio.fail_after(seconds):
            async for piece in request.stream():
                body.take(piece)
    except TooLarge:
        raise BodyTooLarge(limit) from None
    except TimeoutError:
        raise BodyTimeout(seconds) from None
    except ClientDisconnect:
        raise BodyCut from None
    return body.whole()
