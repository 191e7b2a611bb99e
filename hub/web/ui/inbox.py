"""What somebody wants to see of the inbox, as the address of the page says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import select

from hub.errors import HubError
from hub.moments import moment
from hub.store import inbox
from hub.store import sources as store_sources
from hub.store.base import Tx
from hub.store.inbox import Wanted
from hub.store.pages import Page
from hub.types import Id, Scope, from_rfc3339, rfc3339
from hub.web.ui.faults import Faults
from hub.web.ui.queries import PAGE
from hub.web.ui.verdicts import VERDICTS

FIELDS = ("source", "verdict", "type", "text", "since", "failed", "mended")
LONGEST = 256
MOST_SOURCES = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter: what was typed by field, what is wrong with it, and what it comes to."""

    query: dict[str, str]
    wanted: Wanted
    faults: Faults = field(default_factory=Faults)

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out."""
        return any(self.query.values())

    @property
    def words(self) -> str:
        """The filter for people."""
        said = {name: value for name, value in self.query.items() if value and name not in ("failed", "mended")}
        kinds = {"failed": "dead letters", "mended": "dead letters that were replayed"}
        of_kind = [word for name, word in kinds.items() if self.query[name]]
        return ", ".join([*of_kind, *(f"{k} {v}" for k, v in said.items())])

    @property
    def home(self) -> str:
        """The address of the list that it filters."""
        return "/ui/dead-letters" if self.query["failed"] else "/ui/receipts"

    def before(self, request: Id) -> Asked:
        """What this replay means, however late it looks: nothing that came after it began, and no replays."""
        begun = int(request.replace("-", "")[:12], 16) * 1000
        since = {"since": rfc3339(self.wanted.since)} if self.wanted.since is not None else {}
        return replace(self, query=self.query | since, wanted=replace(self.wanted, until=begun, replays=False))

    def search(
        self, tx: Tx, scope: Scope, cursor: str = "", *, limit: int = PAGE,
        order: Literal["newest", "oldest"] = "newest",
    ) -> Page[dict[str, Any]]:  # fmt: skip
        """A page of what fits; nothing while the filter is wrong."""
        if self.faults:
            return Page([])
        return inbox.search(tx, scope, self.wanted, limit=limit, cursor=cursor or None, order=order)


def asked(tx: Tx, scope: Scope, given: Callable[[str], str]) -> Asked:
    """Read a filter from its fields."""
    query = {name: given(name)[:LONGEST].strip() for name in FIELDS}
    if query["verdict"] not in VERDICTS:
        query["verdict"] = ""
    for name in ("failed", "mended"):
        query[name] = "yes" if query[name] == "yes" else ""
    wanted = Wanted(
        verdict=query["verdict"], type=query["type"], text=query["text"], failed=bool(query["failed"]),
        mended=bool(query["mended"]),
    )  # fmt: skip
    faults = Faults()
    if query["source"]:
        try:
            source = store_sources.row(tx, scope, query["source"])
            query["source"], wanted = source["name"], replace(wanted, source_id=source["id"])
        except HubError as error:
            faults["source"] = error.detail
    if query["since"]:
        try:
            at = moment(query["since"], now=tx.now)
            wanted = replace(wanted, since=from_rfc3339(at) if at else None)
        except HubError as error:
            faults["since"] = f"{error.detail} {error.hint}"
    return Asked(query, wanted, faults)


def source_names(tx: Tx, scope: Scope, chosen: str) -> list[tuple[str, str]]:
    """The sources to choose from, and what was chosen even where it is none of them."""
    table = store_sources.TABLE
    query = select(table.c.name).where(table.c.workspace_id == scope.workspace_id, table.c.deleted_at.is_(None))
    found = tx.conn.execute(query.order_by(table.c.name).limit(MOST_SOURCES)).scalars()
    return [("", "All sources"), *((name, name) for name in dict.fromkeys([*found, *filter(None, [chosen])]))]
