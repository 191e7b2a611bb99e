"""`@materialize`: tasks that make a thing outside, such as a file or a table, and say which and from what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack

from hub.errors import UsageError
from hub.sdk import port

if TYPE_CHECKING:
    from hub.sdk.options import TaskOptions
    from hub.sdk.tasks import Task

P = ParamSpec("P")
R = TypeVar("R")
MAX_KEY = 500
MAX_ASSETS = 50
_URI = re.compile(r"[a-z][a-z0-9+.-]{0,39}://[^\s/?#][^\s]*")
_PASSWORD = re.compile(r"^[^:]+://[^/?#]*:[^/?#@]*@")


def materialize(*keys: str, **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that makes the assets of these keys: `@materialize("s3://lake/orders.parquet", retries=2)`.

    A key is a URI without a password. `asset_deps` are the assets that it is made from; those of the tasks whose
    futures it gets are added. Other options are those of `@task`.
    """
    from hub.sdk.tasks import Task  # noqa: PLC0415 - its options check asset keys with this module

    if not keys or not all(isinstance(key, str) for key in keys):
        raise UsageError("@materialize needs the keys of its assets", hint='Write @materialize("s3://bucket/file").')
    asset_keys("@materialize", keys)
    given: Any = {**options, "assets": keys}
    return lambda fn: Task(fn, given)


def add_asset_metadata(key: str, metadata: Mapping[str, Any]) -> None:
    """Add to what is known of an asset that the calling task makes: `add_asset_metadata(KEY, {"rows": 7})`.

    JSON of up to 64 KiB in all. Raises UsageError for a key that is not the task's own.
    """
    port.runtime().add_asset_metadata(key, metadata)


def asset_keys(option: str, given: Iterable[str] | str) -> tuple[str, ...]:
    """Check the keys of assets. Raises UsageError."""
    found = (given,) if isinstance(given, str) else tuple(given)
    if len(found) > MAX_ASSETS:
        raise UsageError(f"{option} names {len(found)} assets, more than {MAX_ASSETS}")
    for key in found:
        if not isinstance(key, str) or len(key) > MAX_KEY or not key.isprintable() or _URI.fullmatch(key) is None:
            raise UsageError(
                f"{option}: {str(key)[:200]!r} is not the key of an asset",
                hint="Give a URI: 's3://lake/orders.parquet', 'postgres://warehouse/public/orders'.",
            )
        if _PASSWORD.match(key):
            raise UsageError(f"{option}: the key of an asset holds a password", hint="Leave it out: keys are shown.")
    return tuple(dict.fromkeys(found))
