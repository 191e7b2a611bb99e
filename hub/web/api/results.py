"""Results over the API: what they are, where they are, who wrote them from what; and letting go what nobody names."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from typing import Any

from pydantic import Field

from hub.errors import NotFoundError, UnavailableError, UsageError
from hub.runtime.collecting import Collector
from hub.runtime.commands import Command, apply
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.recording import record
from hub.store import kept
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "results:read", "results:write"
MAX_DATA = 16 * 1024 * 1024


class ResultQuery(In):
    """Whose result: of a task run by its id or name; without it, of the run."""

    task: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)


class Upstream(Out):
    """A task run whose result this one was made from."""

    id: str
    name: str
    state_name: str


class ResultOut(Out):
    """A result and its lineage. `store` null: it stands in its row; `serializer` null: nothing is kept."""

    run_id: str
    task_run_id: str | None
    name: str
    task_name: str | None
    state_name: str
    attempt: int
    started_at: Moment | None
    ended_at: Moment | None
    store: str | None
    key: str | None
    bytes: int
    sha256: str | None
    serializer: str | None
    upstream: list[Upstream]


class ResultData(Out):
    """The bytes of a result: `text` for JSON, `base64` for everything else."""

    serializer: str
    text: str | None
    base64: str | None


class RecordingOut(Out):
    """A run, written down for a replay by `hub.testing`: `format` says in which form."""

    format: str
    hub: str
    run: dict[str, Any]
    steps: list[dict[str, Any]]


class CollectIn(In):
    """`orphans`: also look through every store. `dry_run`: nothing is deleted, it is only counted."""

    orphans: bool = True
    dry_run: bool = False


class Collected(Out):
    """What went (or would), and what stood in the way, by store; `more`: ask again."""

    results: int
    orphans: int
    bytes: int
    more: bool
    problems: dict[str, str]


@api.op("GET", "/api/v1/runs/{run_id}/result", query=ResultQuery, out=ResultOut, scope=READ, errors=[NotFoundError])
def get_run_result(call: Call[NoBody, ResultQuery]) -> ResultOut:
    """Show the result of a run or of one of its tasks: where it is, and what it was made from."""
    row = _row(call)
    with call.store.read() as tx:
        upstream = kept.names(tx, call.scope, row.get("upstream") or [])
    is_task = call.query.task is not None
    return ResultOut.model_validate(
        {
            **row, **shown(row["result"], row["result_format"]), "upstream": upstream,
            "run_id": row["run_id"] if is_task else row["id"], "task_run_id": row["id"] if is_task else None,
            "task_name": row.get("task_name"),
        }
    )  # fmt: skip


@api.op(
    "GET", "/api/v1/runs/{run_id}/result/data", query=ResultQuery, out=ResultData, scope=READ,
    errors=[NotFoundError, UnavailableError],
)  # fmt: skip
def get_run_result_data(call: Call[NoBody, ResultQuery]) -> ResultData:
    """Give the bytes of a result, at most 16 MiB; they are read as they are, never unpickled."""
    row = _row(call)
    facts = shown(row["result"], row["result_format"])
    if facts["serializer"] is None:
        raise NotFoundError("nothing is kept of this result", hint="It was None, not kept, or lived in memory only.")
    if facts["bytes"] > MAX_DATA:
        raise UsageError(f"the result has {facts['bytes']} bytes, more than {MAX_DATA}", hint="Read it from its store.")
    places = Places(call.services.settings.home / "results", call.store, call.scope)
    try:
        found = places.get(Stored(bytes(row["result"]), row["result_format"]))
    except Unreadable as reason:
        raise NotFoundError(f"the result is gone: {reason}") from None
    finally:
        places.close()
    data = found.data or b""
    if found.format.startswith("json"):
        return ResultData(serializer=found.format, text=data.decode(), base64=None)
    return ResultData(serializer=found.format, text=None, base64=base64.b64encode(data).decode())


@api.op(
    "GET", "/api/v1/runs/{run_id}/recording", out=RecordingOut, scope=READ, errors=[NotFoundError, UnavailableError]
)  # fmt: skip
def get_run_recording(call: Call[NoBody, NoQuery]) -> RecordingOut:
    """Give a run for a replay: its parameters, its steps and their results, at most 32 MiB of them."""
    places = Places(call.services.settings.home / "results", call.store, call.scope)
    try:
        return RecordingOut.model_validate(record(call.store, places, call.scope, call.path["run_id"]))
    finally:
        places.close()


@api.op("POST", "/api/v1/results/gc", body=CollectIn, out=Collected, scope=WRITE)
def collect_results(call: Call[CollectIn, NoQuery]) -> Collected:
    """Delete results in stores that nothing refers to any more. The hub does it by itself, too."""
    if not call.body.dry_run:
        apply(call.store, Command("result.collect", call.scope, "", {"orphans": call.body.orphans}, id=call.command_id))
    collector = Collector(call.store, call.services.settings)
    done = collector.collect(scope=call.scope, dry_run=call.body.dry_run)
    found = asdict(done)
    if call.body.orphans and not done.more:
        lost = collector.orphans(call.scope, dry_run=call.body.dry_run)
        found |= {"orphans": lost.orphans, "bytes": done.bytes + lost.bytes, "more": lost.more}
        found["problems"] = {**done.problems, **lost.problems}
    return Collected.model_validate(found)


def shown(result: bytes | None, format_: str | None) -> dict[str, Any]:
    """Store, key, bytes, digest and serializer of a result, as its row has them."""
    found = kept.reference(result, format_)
    if found is not None:
        return {"store": found.store, "key": found.key, "bytes": found.size, "sha256": found.sha256,
                "serializer": found.serializer}  # fmt: skip
    data = None if result is None else bytes(result)
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    kind = None if data is None else format_
    return {"store": None, "key": None, "bytes": len(data or b""), "sha256": digest, "serializer": kind}


def _row(call: Call[NoBody, ResultQuery]) -> dict[str, Any]:
    with call.store.read() as tx:
        row = kept.of_run(tx, call.scope, call.path["run_id"], call.query.task)
    if row is None:
        what = f"run {call.path['run_id']}" + (f" with a task run {call.query.task!r}" if call.query.task else "")
        raise NotFoundError(f"there is no {what} in this workspace", hint="`hub runs show RUN` lists its tasks.")
    return row
