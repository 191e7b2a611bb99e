"""A hub with a whole workspace, and everybody who may come: what asks each route of the table in the manual."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.runtime.commands import Command, apply
from hub.store import Store, identity, tables
from hub.types import DEFAULT_WORKSPACE, Scope, new_id, now_us
from hub.web.auth import LOCAL
from hub.web.login import COOKIE, Session, seal
from hub.web.matrix import ASKERS, LOGIN, YES
from hub.web.ui import csrf
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.testclient import TestClient
from tests.unit.web.conftest import HERE
from tests.unit.web.ui.seed import Seed

MANUAL = Path(__file__).parents[3] / "docs" / "access.md"
OWN_PLUGINS = "only:hybrid,notifications,webhooks,dashboard,storage,brokers,secrets"
SITES_TOKEN = "a site's token"


@dataclass(frozen=True)
class Row:
    """A line of the manual."""

    method: str
    path: str
    needs: str
    answers: dict[str, str]


def _rows() -> list[Row]:
    found = []
    for line in MANUAL.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        route = re.fullmatch(r"`([A-Z*]+) (/\S*)`", cells[0])
        if route:
            found.append(Row(route[1], route[2], cells[1], dict(zip(ASKERS, cells[2:], strict=True))))
    return found


ROWS = _rows()


FORMS = {
    "/ui/endpoints/{endpoint_id}/resend": {"status": "failed"},
    "/ui/sources/{source_id}/catalog": {"mode": "observe"},
    "/ui/sources/{source_id}/catalog/remove": {"type": "order.paid"},
}
"""What is typed, where the page refuses nothing typed before it looks for the thing."""


@dataclass(frozen=True)
class World:
    """A hub that others can reach, with a whole workspace, and everybody who may come."""

    store: Store
    client: TestClient

    def account(self, role: str, workspace: str = DEFAULT_WORKSPACE, **values: Any) -> str:
        user = new_id()
        row = {"id": user, "workspace_id": workspace, "name": user, "role": role, "session_epoch": 0}
        with self.store.write() as tx:
            tx.insert(identity.USERS, {**row, "created_at": tx.now, **values})
        return user

    def token(self, workspace: str = DEFAULT_WORKSPACE, **args: Any) -> dict[str, str]:
        given = {"name": "t", "scopes": ["*"], **args}
        result = apply(self.store, Command("token.create", Scope(workspace, LOCAL), args=given)).result
        return {"authorization": f"Bearer {result['token']}", "id": result["id"]}

    def session(self, user: str) -> dict[str, str]:
        """The headers of a browser in which the account is signed in now, and its form's token."""
        with self.store.read() as tx:
            epoch = (identity.user(tx, user) or {})["session_epoch"]
        cookies = f"{COOKIE}={seal(self.store.keyring, Session(user, epoch, now_us()))}; {csrf.COOKIE}=c"
        return {"cookie": cookies, **HERE}

    def form(self, headers: dict[str, str]) -> dict[str, str]:
        scope = {"type": "http", "headers": [(b"cookie", headers.get("cookie", "").encode())]}
        return {csrf.FIELD: csrf.token(self.store.keyring, Request(scope), "c")}

    def ask(self, row: Row, headers: dict[str, str], path: str = "", body: Any = None) -> Any:
        """Ask for a route as its row has it."""
        # A stream would not end: of the API's only the head is asked for; the dashboard's is given no topics.
        method = "HEAD" if row.path == "/api/v1/stream" else "POST" if row.method == "*" else row.method
        sent: dict[str, Any] = {"json": body} if body is not None else {}
        if row.path.startswith("/ui/") and method == "POST":
            headers = {**HERE, **headers, "cookie": headers.get("cookie", f"{csrf.COOKIE}=c")}
            sent = {"data": {**self.form(headers), **FORMS.get(row.path, {})}}
        given = {name: value for name, value in headers.items() if name != "id"}
        where = path or filled(row.path)
        return self.client.request(method, where, headers=given, follow_redirects=False, **sent)


def filled(path: str) -> str:
    path = re.sub(r"{\w+_id}", new_id(), re.sub(r"{\w+:int}", "1", path))
    return re.sub(r"{\w+(:\w+)?}", "thing", path)


def met(answer: Any) -> str:
    """How the manual calls this answer."""
    if "the name or the password is wrong" in answer.text or "invalid_client" in answer.text:
        return YES  # that is what was sent, not who sent it
    if answer.status_code == 303 and URL(answer.headers["location"]).path == "/ui/login":
        return YES if "done=" in answer.headers["location"] else LOGIN
    assert answer.status_code != 500, answer.text
    return str(answer.status_code) if answer.status_code in (401, 403) else YES


def more(seed: Seed) -> None:
    """What a workspace has besides that no page shows."""
    scope = Scope(actor=LOCAL)
    apply(seed.store, Command("limit.set", scope, "theirs", {"name": "theirs", "slots": 1}))
    apply(seed.store, Command("secret.set", scope, "theirs", {"name": "theirs", "value": "s"}))
    files = {"name": "theirs", "kind": "files", "fields": {"path": "/tmp"}}
    apply(seed.store, Command("connection.set", scope, "theirs", files))
    apply(seed.store, Command("token.create", scope, args={"name": "theirs"}))
    hashed = {"name": "theirs", "role": "viewer", "password_hash": "not the hash of any password"}
    apply(seed.store, Command("user.create", scope, "theirs", hashed))
    apply(seed.store, Command("invitation.create", scope, args={"name": "somebody"}))
    seed.add(tables.SlaRow, name="theirs", spec={})
    link = seed.add(tables.Link, name="theirs", url="https://plane.example.org", site_id=new_id())
    seed.add(tables.LinkAddress, link_id=link, source_id=new_id(), digest="0" * 64, created_at=seed.now)
    site = seed.add(tables.PlaneSite, name="theirs", site_id=new_id(), token_id=new_id())
    seed.add(tables.PlaneCommand, site_row=site, seq=1, op="run.cancel", issued_at=seed.now)
