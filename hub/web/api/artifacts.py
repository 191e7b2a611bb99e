"""Artifacts over the API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hub.errors import NotFoundError
from hub.runtime import artifacts as reading
from hub.runtime.commands import Command, apply
from hub.store import artifacts
from hub.web.api.fields import NO_NUL, IdText, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "artifacts:read", "artifacts:write"


class ArtifactQuery(PageQuery):
    """Which artifacts. `latest`: of each key only the newest."""

    key: str | None = Field(default=None, min_length=1, max_length=100, pattern=NO_NUL)
    kind: Literal["table", "markdown", "link", "image", "progress"] | None = None
    run_id: IdText | None = None
    latest: bool = False


class ArtifactOut(Out):
    """An artifact without its content. Those of one `key` are versions of one thing. `size` in bytes of JSON."""

    id: str
    key: str | None
    kind: str
    description: str | None
    size: int
    run_id: str | None
    task_run_id: str | None
    flow_name: str | None
    task_name: str | None
    created_by: str
    created_at: Moment
    updated_at: Moment


class ArtifactContent(ArtifactOut):
    """An artifact with what it holds: `{"columns", "rows"}`, a text, `{"url", "text"}`, `{"url"}`, or a number."""

    content: Any


@api.op("GET", "/api/v1/artifacts", query=ArtifactQuery, out=Page[ArtifactOut], scope=READ)
def list_artifacts(call: Call[NoBody, ArtifactQuery]) -> Page[ArtifactOut]:
    """List artifacts, newest first."""
    query = call.query
    with call.store.read() as tx:
        found = artifacts.listing(
            tx, call.scope, key=query.key, kind=query.kind, run_id=query.run_id, latest=query.latest,
            limit=query.limit, cursor=query.cursor,
        )  # fmt: skip
    return Page[ArtifactOut].of(found)


@api.op("GET", "/api/v1/artifacts/{artifact_id}", out=ArtifactContent, scope=READ, errors=[NotFoundError])
def get_artifact(call: Call[NoBody, NoQuery]) -> ArtifactContent:
    """Show an artifact with its content, wherever that is kept."""
    with call.store.read() as tx:
        row = artifacts.get(tx, call.scope, call.path["artifact_id"])
    content = reading.content(call.store, call.scope, call.services.settings.home / "results", row)
    return ArtifactContent.model_validate({**row, "content": content})


@api.op("DELETE", "/api/v1/artifacts/{artifact_id}", scope=WRITE, errors=[NotFoundError])
def delete_artifact(call: Call[NoBody, NoQuery]) -> None:
    """Remove an artifact; others of its key stay."""
    apply(call.store, Command("artifact.delete", call.scope, call.path["artifact_id"], id=call.command_id))
