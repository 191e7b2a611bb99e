"""What a run leaves for people to read: tables, texts, links, images, progress."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias

from hub.sdk import port

TableData: TypeAlias = "Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | Sequence[Sequence[Any]]"


class ArtifactId(str):
    """The id of an artifact. A coroutine may as well await it: `await create_markdown_artifact(...)`."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, ArtifactId]:
        return self
        yield


def create_table_artifact(
    table: TableData, key: str | None = None, description: str | None = None
) -> ArtifactId:  # fmt: skip
    """Leave a table: a list of dictionaries (a row each), a dictionary of columns, or a list of rows.

    Cells are texts, numbers, booleans or None; anything else becomes its text, NaN becomes None.
    """
    return _create("table", table, key, description)


def create_markdown_artifact(markdown: str, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Leave a text in Markdown. HTML in it stays text."""
    return _create("markdown", markdown, key, description)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None
) -> ArtifactId:
    """Leave a link to an http or https address."""
    return _create("link", {"url": link, "text": link_text}, key, description)


def create_image_artifact(image_url: str, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Leave the http or https address of an image. The dashboard links to it and loads nothing from elsewhere."""
    return _create("image", {"url": image_url}, key, description)


def create_progress_artifact(progress: float, key: str | None = None, description: str | None = None) -> ArtifactId:
    """Leave a progress bar, from 0 to 100; `update_progress_artifact` moves it."""
    return _create("progress", progress, key, description)


def update_progress_artifact(artifact_id: str, progress: float, description: str | None = None) -> ArtifactId:
    """Move a progress bar, from 0 to 100. Raises NotFoundError for what is none."""
    return ArtifactId(port.runtime().update_progress(artifact_id, progress, description))


def _create(kind: str, content: Any, key: str | None, description: str | None) -> ArtifactId:
    """Write it with the run's other facts, at the latest with the end of its task. A replayed step writes it once.

    `key`: small letters, digits and dashes; artifacts of one key are versions of one thing. Raises UsageError for
    what is too large or malformed, UnavailableError when it cannot be kept.
    """
    return ArtifactId(port.runtime().create_artifact(kind, content, key, description))
