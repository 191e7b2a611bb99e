"""A run that asks for an input, and the link to it."""

from __future__ import annotations

from typing import Any

from hub.runtime import asked, links
from hub.runtime.links import Link
from hub.store import Store, waits
from hub.store.tables import RunRow
from hub.types import SECOND, Scope, derived_id, now_us
from pydantic import BaseModel, Field
from tests.unit.web.ui.seed import Seed


class Approval(BaseModel):
    """What it asks for."""

    approved: bool = Field(description="Whether the release may go out.")
    amount: int = Field(3, ge=0, le=100)
    reason: str = Field("", max_length=100)


def asking_run(store: Store, *, key: str = "approval", timeout: float = 3600, **asks: Any) -> tuple[str, str]:
    """The id of a run without a process that asks, and the token of the link to its input."""
    seed = Seed(store)
    run_id = seed.add(
        RunRow, name="release-1", flow_name="release", state_type="PAUSED", state_name="Suspended", attempt=1,
        version=3, state_message=f"waits for input '{key}'", home="worker", started_at=seed.ago(60),
    )  # fmt: skip
    return run_id, ask(store, run_id, key=key, timeout=timeout, **asks)


def ask(store: Store, run_id: str, *, key: str, timeout: float = 3600, **asks: Any) -> str:
    """One more input that it asks for; the token of its link."""
    told = {"schema": asked.Shape(Approval).schema, "description": "May release 7 go out?", "initial": {}, **asks}
    with store.write() as tx:
        point = waits.Point(
            derived_id(run_id, key, str(tx.now)), Scope().workspace_id, run_id, run_id, f"{key}:{tx.now}", "input",
            key, "open", told, None, None, tx.now, tx.now + int(timeout * SECOND),
        )  # fmt: skip
        waits.opened(tx, Scope(), point)
    return link_to(store, point.id)


def link_to(store: Store, point_id: str, *, seconds: float = 600) -> str:
    """The token of a link."""
    return links.sign(store.keyring, Link(point_id, now_us() + int(seconds * SECOND)))


def state_of(store: Store, run_id: str) -> list[tuple[str, Any, str | None]]:
    """What became of the inputs of a run."""
    query = waits.TABLE.select().where(waits.TABLE.c.run_id == run_id).order_by(waits.TABLE.c.created_at)
    with store.read() as tx:
        return [(row["state"], row["answer"], row["answered_by"]) for row in tx.conn.execute(query).mappings()]
