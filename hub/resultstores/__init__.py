"""Where results are kept: the protocol of a store, and how a plugin brings one.

A store keeps bytes under keys. Its four methods are synchronous and may be called from several threads at once. A
store knows nothing of runs, of formats, of retries; what it raises says whether a later try may help.

    ResultMissing    there is nothing under that key
    TransientError   it may work later: the service is away, slow, busy
    PermanentError   no retry helps: it is full, the credential is refused or expired, the bucket is not there

A connection names a store: `@task(result_store="lake")` means the connection `lake`, whose kind a plugin's hook
`hub_result_stores` opens. `local`, the folder `results` in `HUB_HOME`, needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hub.types import Micros

LOCAL = "local"
"""The store that needs no connection."""
MAX_KEY = 400


class ResultMissing(Exception):
    """There is nothing under that key."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that a store keeps: its key, its size in bytes, and when it was put there."""

    key: str
    size: int
    at: Micros


class ResultStore(Protocol):
    """Whoever opened a store calls its `close()` at the end, if it has one.

    Keys are up to 400 characters of `A-Za-z0-9._-` and `/`; they never begin with `/` and hold no `..`.
    No key is another's folder."""

    def put(self, key: str, data: bytes) -> bool:
        """Keep bytes; when it returns they outlast a power cut. False: something stands there already, and still does.

        Raises TransientError or PermanentError; then nothing, or all of it, is kept.
        """

    def get(self, key: str) -> bytes:
        """The bytes under a key. Raises ResultMissing, TransientError, PermanentError."""

    def delete(self, keys: Iterable[str]) -> None:
        """Let keys go; those that are not there do not matter. Raises TransientError, PermanentError."""

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Kept]:
        """What is kept under keys that begin with `prefix` and come after the key `after`, in the keys' order.

        At most `limit`; fewer only at the end. Raises TransientError, PermanentError.
        """


@dataclass(frozen=True, slots=True)
class ResultStoreKind:
    """How connections of a kind become stores. `open(settings)` may import a library, and does no more than it must."""

    connection_kind: str
    open: Callable[[Any], ResultStore]
