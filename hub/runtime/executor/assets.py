"""What tasks make outside, and from what: followed from call to call, noted with the end of the task that makes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hub.errors import UsageError
from hub.runtime.executor.texts import MESSAGE_CHARS, clean
from hub.sdk.context import RunContext, current
from hub.sdk.futures import Future
from hub.store import assets
from hub.store.assets import Tried
from hub.store.base import Tx

if TYPE_CHECKING:
    from hub.runtime.executor.session import Session
    from hub.runtime.executor.tasklife import Call
    from hub.sdk.options import Options

MAX_BYTES = 65_536
MAX_UPSTREAM = 200
_MADE = "assets"


def follow(session: Session, task_run_id: str, options: Options, futures: Iterable[Future[Any]]) -> tuple[str, ...]:
    """The assets that a call is made from. A task that makes none itself hands on those it had."""
    upstream = dict.fromkeys(options.asset_deps)
    for future in futures:
        upstream.update(dict.fromkeys(session.assets.get(future.task_run_id, ())))
    found = tuple(upstream)[:MAX_UPSTREAM]
    hands_on = options.assets or found
    if hands_on:
        session.assets[task_run_id] = hands_on
    return found


def begin(call: Call, context: RunContext) -> None:
    """A try of a task that makes assets: its code may say more of them."""
    context.made = {_MADE: {key: {} for key in call.options.assets}}


def ended(call: Call, context: RunContext, error: str | None = None) -> Callable[[Tx], object] | None:
    """What is to be written with the end of a task that makes assets; None for others."""
    if not call.options.assets:
        return None
    tried = Tried(
        call.options.assets, tuple(key for key in call.made_from if key not in call.options.assets),
        call.session.info.run_id, call.id, call.session.info.flow_name, call.task_name, context.task_attempt,
        error=None if error is None else clean(error, MESSAGE_CHARS), details=(context.made or {}).get(_MADE, {}),
    )  # fmt: skip
    scope = call.session.root.scope
    return lambda tx: assets.record(tx, scope, tried)


def add_metadata(key: str, metadata: Mapping[str, Any]) -> None:
    """Say more of an asset that the calling task makes. See the SDK."""
    context = current.get()
    made: dict[str, dict[str, Any]] = (context.made or {}).get(_MADE, {}) if context is not None else {}
    if key not in made:
        hint = f"It makes {', '.join(made)}." if made else "Write @materialize(KEY) above the task."
        raise UsageError(f"the calling task does not make the asset {str(key)[:200]!r}", hint=hint)
    if not isinstance(metadata, Mapping):
        raise UsageError(f"the metadata of an asset is a dictionary, not {type(metadata).__name__}")
    wanted = {**made[key], **{str(name): value for name, value in metadata.items()}}
    try:
        text = json.dumps(wanted, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the metadata of {key} is no JSON: {error}") from None
    if len(text) > MAX_BYTES:
        raise UsageError(f"the metadata of {key} has {len(text)} bytes, more than {MAX_BYTES}")
    made[key] = json.loads(text)
