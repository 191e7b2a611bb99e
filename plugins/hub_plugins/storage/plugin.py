"""The kinds of connection, and result stores on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hub.connections import ConnectionKind
from hub.hookspecs import hookimpl
from hub.resultstores import ResultStoreKind
from hub.resultstores.files import FileResults

from hub_plugins.storage import checks, s3, settings
from hub_plugins.storage.postgresql import PostgresqlResults


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kinds; what they need is imported when one is used."""
    yield ConnectionKind("files", "A folder on this machine or a shared disk.", settings.Files, checks.files)
    yield ConnectionKind("http", "An HTTP service.", settings.Http, checks.http)
    yield ConnectionKind("postgresql", "A PostgreSQL database.", settings.Postgresql, checks.postgresql)
    yield ConnectionKind("s3", "A bucket of Amazon S3 or of a service like it.", settings.S3, s3.check)


@hookimpl
def hub_result_stores() -> Iterator[ResultStoreKind]:
    """Give the stores, by the kind of their connection."""
    yield ResultStoreKind("files", lambda given: FileResults(Path(given.path), made=True))
    yield ResultStoreKind("postgresql", PostgresqlResults)
    yield ResultStoreKind("s3", s3.S3Results)
