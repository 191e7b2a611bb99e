"""What a flow does with objects in buckets. A task that is tried again makes no second version of an object.

What a task writes bears the call's idempotency key in the object's metadata; only a try after the first one looks for
it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from hub import connection, runtime_context, task
from hub.errors import PermanentError, UsageError
from pydantic import JsonValue
from typing_extensions import TypedDict

from hub_plugins.storage import frames
from hub_plugins.storage.objects import Bucket, MissingError, ObjectSettings, StandsError, interruptibly
from hub_plugins.storage.settings import S3, AzureBlob, Gcs

MARK = "hubspoketask"
"""A name that is legal everywhere: Azure takes no hyphen, and proxies drop headers with an underscore."""
_LARGEST = 64 * 1024 * 1024
_LONGEST_KEY = 1024
_PLAIN = re.compile(r"[A-Za-z0-9._~/-]+")
_LONGEST_LINK = timedelta(days=7)

_tried_again = partial(
    task, retries=4, retry_delay_seconds=(1, 5, 30, 120), retry_jitter_factor=0.5,
    retry_on=("rate_limited", "infrastructure", "timeout"),
)  # fmt: skip


class Stored(TypedDict):
    """An object. `modified` is RFC 3339; `etag` and `version` as far as the service says."""

    key: str
    size: int
    modified: str
    etag: str | None
    version: str | None


@_tried_again(name="storage-put")
def put(
    key: str, data: bytes | str, *, content_type: str = "", overwrite: bool = True, connection: str = "storage"
) -> Stored:
    """Write an object, text as UTF-8. Without `overwrite` FileExistsError is raised where one stands.

    Raises TransientError, PermanentError.
    """
    body = data.encode() if isinstance(data, str) else bytes(data)
    return _written(key, body, content_type, overwrite=overwrite, connection=connection)


@_tried_again(name="storage-upload")
def upload(path: str, key: str, *, content_type: str = "", connection: str = "storage") -> Stored:
    """Write a file of the worker as an object, in parts when it is large. Raises as `put`, and OSError."""
    return _written(key, Path(path), content_type, overwrite=True, connection=connection)


@_tried_again(name="storage-get")
def get(key: str, *, limit: int = _LARGEST, connection: str = "storage") -> bytes:
    """The bytes of an object. Raises FileNotFoundError; UsageError when it is larger than `limit` bytes."""
    return _read(_bucket(connection), key, limit)


@_tried_again(name="storage-get-text")
def get_text(key: str, *, limit: int = _LARGEST, connection: str = "storage") -> str:
    """The text of an object, which must be UTF-8. Raises as `get`."""
    try:
        return _read(_bucket(connection), key, limit).decode()
    except UnicodeDecodeError as error:
        raise PermanentError(f"{key} is no text: byte {error.start} is not UTF-8") from None


@_tried_again(name="storage-get-json")
def get_json(key: str, *, limit: int = _LARGEST, connection: str = "storage") -> JsonValue:
    """The JSON document in an object. Raises as `get`."""
    try:
        found: JsonValue = json.loads(_read(_bucket(connection), key, limit))
    except ValueError as error:
        raise PermanentError(f"{key} is no JSON: {error}") from None
    return found


@_tried_again(name="storage-download")
def download(key: str, path: str, *, connection: str = "storage") -> Stored:
    """Write an object to a file of the worker, all of it or nothing. Raises FileNotFoundError, OSError."""
    bucket, target = _bucket(connection), Path(path)
    beside = _beside(target)
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file, _told(bucket, key):
            found = bucket.obstore.get(bucket.store, _key(key))
            parts = iter(found)
            while (part := interruptibly(lambda: next(parts, None))) is not None:
                file.write(part)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return _stored(found.meta)


def _beside(target: Path) -> Path:
    """Where a download lies until it is whole. A try after a kill writes over what the last one has left."""
    mark, _ = _mark()
    return target.with_name(f".{target.name}.{sha256((mark or uuid4().hex).encode()).hexdigest()[:16]}")


@_tried_again(name="storage-list")
def list_objects(
    prefix: str = "", *, after: str = "", limit: int = 1_000, connection: str = "storage"
) -> list[Stored]:  # fmt: skip
    """Objects whose key begins with `prefix` and comes after the key `after`, in the keys' order, at most `limit`."""
    bucket = _bucket(connection)
    try:
        found = list(islice(bucket.listed(prefix, offset=after or None, at_once=max(1, min(limit, 1_000))), limit))
    except MissingError:
        return []
    return [_stored(meta) for meta in sorted(found, key=lambda meta: meta["path"])]


@_tried_again(name="storage-delete")
def delete(keys: str | list[str], *, connection: str = "storage") -> None:
    """Delete an object or several. Those that are not there do not matter."""
    _bucket(connection).delete([_key(key) for key in ([keys] if isinstance(keys, str) else keys)])


@_tried_again(name="storage-copy")
def copy(key: str, to: str, *, connection: str = "storage") -> None:
    """Copy an object within its bucket, at the service, over what stands at `to`. Raises FileNotFoundError."""
    bucket = _bucket(connection)
    with _told(bucket, key):
        bucket.obstore.copy(bucket.store, _key(key), _key(to))


@_tried_again(name="storage-presign")
def presign(
    key: str, method: Literal["GET", "PUT"] = "GET", *, expires_in: float = 3_600, connection: str = "storage"
) -> str:
    """An address by which anybody may read or write an object for so many seconds, at most 7 days; it is as secret as
    the object. Whether the object is there is not asked. Raises UsageError.
    """
    wanted = timedelta(seconds=expires_in)
    if not timedelta(0) < wanted <= _LONGEST_LINK:
        raise UsageError(f"{expires_in} s is no time for an address", hint="Give 1 to 604800 seconds (7 days).")
    bucket = _bucket(connection)
    if isinstance(bucket.settings, AzureBlob) and not _PLAIN.fullmatch(key):
        # obstore signs the escaped path, which Azure does not take (seen with 0.12).
        raise UsageError(f"no address can be made for {key!r}", hint="On Azure only for keys of A-Z a-z 0-9 . _ ~ / -.")
    with _told(bucket, key):
        return str(bucket.obstore.sign(bucket.store, method, _key(key), wanted))


@_tried_again(name="storage-read-frame")
def read_frame(
    key: str, *, format: frames.Format | None = None, library: frames.Library = "pandas",
    columns: list[str] | None = None, limit: int = 1024 * 1024 * 1024, connection: str = "storage",
) -> Any:  # fmt: skip
    """A table as a DataFrame of pandas or polars, or an Arrow table. Raises FileNotFoundError, UsageError.

    `format` parquet, arrow or csv; without it the key's ending says so.
    """
    kind = frames.format_of(key, format)
    return frames.read(_read(_bucket(connection), key, limit), kind, library, columns, where=key)


@_tried_again(name="storage-write-frame")
def write_frame(
    frame: Any, key: str, *, format: frames.Format | None = None, connection: str = "storage"
) -> Stored:  # fmt: skip
    """Write a DataFrame of pandas or polars, an Arrow table, or a list of dicts, in a format of `read_frame`."""
    kind = frames.format_of(key, format)
    return _written(key, frames.write(frame, kind), frames.CONTENT_TYPES[kind], overwrite=True, connection=connection)


def _written(key: str, body: bytes | Path, content_type: str, *, overwrite: bool, connection: str) -> Stored:
    bucket, name = _bucket(connection), _key(key)
    mark, again = _mark()
    given: dict[str, Any] = {"attributes": {MARK: mark} if mark else {}}
    if content_type:
        given["attributes"]["Content-Type"] = content_type
    if not overwrite:
        given |= {"mode": "create", "use_multipart": False}  # an upload in parts cannot be refused for what stands
    try:
        if not (again and _is_ours(bucket, name, mark)):
            with bucket.told(key):
                bucket.obstore.put(bucket.store, name, body, **given)
    except StandsError:
        raise FileExistsError(f"{key} is there already") from None
    with _told(bucket, key):
        return _stored(bucket.obstore.head(bucket.store, name))


def _is_ours(bucket: Bucket, name: str, mark: str) -> bool:
    """Whether a try before this one has written the object as it is now."""
    try:
        with bucket.told(name):
            found = bucket.obstore.get(bucket.store, name, options={"head": True})
    except MissingError:
        return False
    return bool(mark) and found.attributes.get(MARK) == mark


def _mark() -> tuple[str, bool]:
    context = runtime_context()
    if context is None or context.task_run_id is None:
        return "", False
    return context.idempotency_key, context.attempt > 1 or context.task_attempt > 1


def _read(bucket: Bucket, key: str, limit: int) -> bytes:
    with _told(bucket, key):
        found = bucket.obstore.get(bucket.store, _key(key))
        size = int(found.meta["size"])
        if size > limit:
            raise UsageError(f"{key} has {size} bytes, at most {limit} are read", hint="Use `download`, or a `limit`.")
        return interruptibly(lambda: bytes(found.bytes()))


@contextmanager
def _told(bucket: Bucket, key: str) -> Iterator[None]:
    """What a bucket says in Python's words for files."""
    try:
        with bucket.told(key):
            yield
    except MissingError:
        raise FileNotFoundError(f"{bucket.settings.where} has no object {key}") from None


def _stored(meta: Any) -> Stored:
    modified = meta["last_modified"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Stored(
        key=meta["path"], size=meta["size"], modified=modified, etag=meta["e_tag"], version=meta["version"]
    )  # fmt: skip


def _key(key: str) -> str:
    parts = key.split("/")
    if not 0 < len(key) <= _LONGEST_KEY or any(part in ("", ".", "..") for part in parts) or not key.isprintable():
        raise UsageError(
            f"{key[:100]!r} is no key", hint="Up to 1024 characters, parts separated by /, none of them empty or dots."
        )
    return key


def _bucket(name: str) -> Bucket:
    found = connection(name)
    if not isinstance(found.settings, S3 | AzureBlob | Gcs):
        raise UsageError(
            f"the connection {name!r} is of the kind {found.kind}, not s3, azure-blob or gcs",
            hint="`hub connections create s3 NAME` makes one.",
        )
    settings: ObjectSettings = found.settings
    # A task is tried again by the hub, and then looks for what its last try has written.
    return Bucket(settings, retries=0)
