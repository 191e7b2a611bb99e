"""A bucket of S3 as a result store, through obstore.

obstore starts threads, so it is imported when a store is opened: in the process that uses it, never before a fork.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

from hub.errors import PermanentError, TransientError
from hub.resultstores import Kept, ResultMissing
from hub.secretfields import scrubbed
from hub.types import SECOND

from hub_plugins.storage.settings import S3

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"\b(4\d\d|5\d\d)\b")
_REFUSED = frozenset(
    {
        "AccessDenied", "AccountProblem", "AllAccessDisabled", "EntityTooLarge", "ExpiredToken", "InvalidAccessKeyId",
        "InvalidBucketName", "InvalidToken", "NoSuchBucket", "PermanentRedirect", "QuotaExceeded",
        "SignatureDoesNotMatch", "TokenRefreshRequired",
    }
)  # fmt: skip
"""Answers that no retry changes."""


class S3Results:
    """See `hub.resultstores.ResultStore`."""

    def __init__(self, settings: S3) -> None:
        self._settings = settings
        self._obstore = _library()
        prefix = settings.prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        with self._told(""):
            self._store = self._obstore.store.S3Store(**_options(settings))

    def put(self, key: str, data: bytes) -> bool:
        """See ResultStore.put. S3 answers when the object is kept; `If-None-Match` keeps what stands."""
        try:
            with self._told(key):
                # In one request: an upload in parts cannot be refused for what stands already.
                self._obstore.put(self._store, self._prefix + key, data, mode="create", use_multipart=False)
        except _Stands:
            return False
        return True

    def get(self, key: str) -> bytes:
        """See ResultStore.get."""
        with self._told(key):
            return bytes(self._obstore.get(self._store, self._prefix + key).bytes())

    def delete(self, keys: Iterable[str]) -> None:
        """See ResultStore.delete."""
        names = [self._prefix + key for key in keys]
        for at in range(0, len(names), 1000):
            try:
                with self._told(""):
                    self._obstore.delete(self._store, names[at : at + 1000])
            except ResultMissing:
                continue

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Sequence[Kept]:
        """See ResultStore.list."""
        # Only whole parts of a path can be asked for.
        folder = (self._prefix + prefix).rpartition("/")[0] or None
        offset = self._prefix + after if after else None
        found: list[Kept] = []
        with self._told(""):
            for chunk in self._obstore.list(self._store, prefix=folder, offset=offset, chunk_size=min(limit, 1000)):
                found += [self._kept(meta) for meta in chunk if meta["path"].startswith(self._prefix + prefix)]
                if len(found) >= limit:
                    break
        return sorted(found, key=lambda kept: kept.key)[:limit]

    def _kept(self, meta: Any) -> Kept:
        at = int(meta["last_modified"].timestamp() * SECOND)
        return Kept(meta["path"].removeprefix(self._prefix), int(meta["size"]), at)

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        errors = self._obstore.exceptions
        try:
            yield
        except (FileNotFoundError, errors.NotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise PermanentError(f"there is no bucket {self._settings.bucket}") from None
            raise ResultMissing(key) from None
        except (FileExistsError, errors.AlreadyExistsError, errors.PreconditionError):
            raise _Stands from None
        except (PermissionError, errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise PermanentError(f"S3 refuses the credential ({self._code(error)})") from None
        except (errors.BaseError, OSError, ValueError) as error:
            raise self._judged(error) from None
        except BaseException as error:
            # What obstore cannot make a request of: a panic of Rust's, no Exception, which would end an upkeep loop.
            if type(error).__name__ != "PanicException":
                raise
            raise PermanentError("no request can be made of its settings: endpoint, region or access key") from None

    def _judged(self, error: BaseException) -> TransientError | PermanentError:
        code = self._code(error)
        if code in _REFUSED:
            return PermanentError(f"S3 refuses: {code}")
        if code:
            return TransientError(f"S3 answers {code}")
        first = scrubbed(str(error).strip().split("\n", 1)[0], self._settings)
        # What the service sent may hold anything: only our own words go on.
        return TransientError("S3 does not answer" if "error sending request" in str(error) else first[:200])

    def _code(self, error: BaseException) -> str:
        found = _CODE.search(str(error))
        status = _STATUS.search(str(error))
        return found[1] if found else status[1] if status else ""


class _Stands(Exception):
    pass


def check(settings: S3) -> str:
    """Whether the bucket can be listed."""
    found = S3Results(settings).list("", limit=1)
    return f"bucket {settings.bucket} can be read" + ("" if found else "; nothing is kept there yet")


def _library() -> Any:
    try:
        obstore = import_module("obstore")
        import_module("obstore.exceptions")
        import_module("obstore.store")
    except ModuleNotFoundError:
        raise PermanentError("it needs the package obstore: pip install 'hubspoke[s3]'") from None
    return obstore


def _options(settings: S3) -> dict[str, Any]:
    given: dict[str, Any] = {
        "bucket": settings.bucket, "region": settings.region,
        "client_options": {"timeout": timedelta(seconds=settings.timeout), "connect_timeout": timedelta(seconds=10)},
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=settings.timeout)},
    }  # fmt: skip
    if settings.endpoint:
        given["endpoint"] = settings.endpoint
        given["virtual_hosted_style_request"] = False
        given["client_options"]["allow_http"] = settings.endpoint.startswith("http://")
    if settings.access_key_id:
        given["access_key_id"] = settings.access_key_id
    for name in ("secret_access_key", "session_token"):
        value = getattr(settings, name)
        if value is not None:
            given[name] = value.get_secret_value()
    return given
