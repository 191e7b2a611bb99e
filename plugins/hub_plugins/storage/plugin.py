"""The kinds of connection, result stores on them, and what flows and sources do with objects in buckets."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hub.connections import ConnectionKind
from hub.consumers import ConsumerKind
from hub.hookspecs import hookimpl
from hub.plugins import PresetText
from hub.resultstores import ResultStoreKind
from hub.resultstores.files import FileResults

from hub_plugins.storage import checks, objects, settings
from hub_plugins.storage.postgresql import PostgresqlResults
from hub_plugins.storage.results import ObjectResults
from hub_plugins.storage.watching import ObjectConsumer

if TYPE_CHECKING:
    from hub.actions import Action

_BUCKETS = ("s3", "azure-blob", "gcs")


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kinds; what they need is imported when one is used."""
    yield ConnectionKind("files", "A folder on this machine or a shared disk.", settings.Files, checks.files)
    yield ConnectionKind("http", "An HTTP service.", settings.Http, checks.http)
    yield ConnectionKind("postgresql", "A PostgreSQL database.", settings.Postgresql, checks.postgresql)
    yield ConnectionKind("s3", "A bucket of Amazon S3 or of a service like it.", settings.S3, objects.check)
    yield ConnectionKind("azure-blob", "A container of Azure Blob Storage.", settings.AzureBlob, objects.check)
    yield ConnectionKind("gcs", "A bucket of Google Cloud Storage.", settings.Gcs, objects.check)


@hookimpl
def hub_result_stores() -> Iterator[ResultStoreKind]:
    """Give the stores, by the kind of their connection."""
    yield ResultStoreKind("files", lambda given: FileResults(Path(given.path), made=True))
    yield ResultStoreKind("postgresql", PostgresqlResults)
    for kind in _BUCKETS:
        yield ResultStoreKind(kind, ObjectResults)


@hookimpl
def hub_consumers() -> Iterator[ConsumerKind]:
    """Give what watches a bucket, for each kind."""
    for kind in _BUCKETS:
        yield ConsumerKind(kind, kind, ObjectConsumer)


@hookimpl
def hub_presets() -> Iterator[PresetText]:
    """Give the presets by which a source watches a bucket."""
    folder = files(__package__) / "presets"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        yield PresetText(f"hub_plugins.storage/presets/{entry.name}", entry.read_text("utf-8"))


@hookimpl
def hub_actions() -> Iterator[Action]:
    """Give what a flow can do with objects."""
    from hub.actions import Action  # noqa: PLC0415 - loaded where actions are asked for

    from hub_plugins.storage import tasks  # noqa: PLC0415

    yield Action("put", tasks.put, "Write an object.", effect="once")
    yield Action("get", tasks.get, "Read an object's bytes.", effect="none")
    yield Action("get_text", tasks.get_text, "Read an object's text.", effect="none")
    yield Action("get_json", tasks.get_json, "Read a JSON document.", effect="none")
    yield Action("list", tasks.list_objects, "List the objects under a prefix.", effect="none")
    yield Action("copy", tasks.copy, "Copy an object within its bucket.", effect="again")
    yield Action("delete", tasks.delete, "Delete objects.", effect="again")
    yield Action(
        "presign",
        tasks.presign,
        "Make an address by which others may read or write an object for a while.",
        effect="none",
    )
    yield Action("upload", tasks.upload, "Write a file of the worker as an object.", effect="once")
    yield Action("download", tasks.download, "Write an object to a file of the worker.", effect="again")
