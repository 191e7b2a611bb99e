"""`flow.visualize()`: call a flow while its tasks are only noted."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.errors import HubError
from hub.graphs.picture import Picture
from hub.runtime import parameters
from hub.runtime.drawing import pen
from hub.runtime.drawing.pen import Pen
from hub.runtime.executor.loops import running_loop
from hub.sdk.flows import Flow

_NOTE = "(while it was drawn: tasks without viz_return_value gave placeholders)"


def visualize(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Picture:
    """Draw what a call of a flow would do. See the SDK."""
    values = parameters.from_call(flow, args, kwargs)
    drawn = Pen(flow.name)
    token = pen.drawing.set(drawn)
    try:
        _call(flow, *(parameters.call_arguments(flow, values) if values else ((), {})))
    except HubError:
        raise
    except Exception as error:
        if not drawn.empty:
            error.add_note(_NOTE)
        raise
    finally:
        pen.drawing.reset(token)
    return Picture(drawn.graph)


def _call(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wrapped = flow._wrapped
    if wrapped.is_async:
        _beside(lambda: asyncio.run(pen.whole(wrapped, args, kwargs)))
    elif wrapped.generates:
        list(wrapped.call(args, kwargs))
    else:
        wrapped.call(args, kwargs)


def _beside(call: Callable[[], Any]) -> None:
    """Here, or on a thread of its own where a loop runs already, as in a notebook."""
    if running_loop() is None:
        call()
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, call).result()
