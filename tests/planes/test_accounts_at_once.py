"""Accounts, invitations and logins that several processes change at the same moment: done once, or refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hub.errors import HubError
from hub.runtime import retention
from hub.runtime.commands import Command, apply
from hub.settings import Settings
from hub.store import Store, device_logins, identity, open_store
from hub.store.tables import DeviceLogin, Invitation
from hub.types import Actor, Scope, new_id
from hub.web.auth import LOCAL
from sqlalchemy import func, select

HASH = "not the hash of any password"
SCOPE = Scope(actor=LOCAL)
AT_ONCE = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    opened = open_store(url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def sqlite_url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/hub.db"


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each gave or raised, all called at the same moment."""
    barrier, found = threading.Barrier(len(calls)), [None] * len(calls)

    def one(place: int, call: Callable[[], Any]) -> None:
        barrier.wait(30)
        try:
            found[place] = call()
        except HubError as error:
            found[place] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def user(store: Store, name: str, role: str = "owner") -> str:
    args = {"name": name, "role": role, "password_hash": HASH}
    return str(apply(store, Command("user.create", SCOPE, name, args)).result["id"])


def good(found: list[Any]) -> list[Any]:
    return [one for one in found if not isinstance(one, HubError)]


def test_an_invitation_makes_one_account_however_many_use_it_at_once(store: Store) -> None:
    made = apply(store, Command("invitation.create", SCOPE, args={"role": "viewer"})).result
    guest = Scope(actor=Actor("invitation", made["id"]))

    def accept(number: int) -> Callable[[], Any]:
        args = {"name": f"guest {number}", "password_hash": HASH}
        return lambda: apply(store, Command("invitation.accept", guest, made["id"], args))

    found = at_once([accept(number) for number in range(AT_ONCE)])
    assert len(good(found)) == 1
    with store.read() as tx:
        assert len(identity.users(tx, SCOPE).items) == 1


def test_of_accounts_of_one_name_one_is_made(store: Store) -> None:
    found = at_once([lambda: user(store, "ben")] * AT_ONCE)
    assert len(good(found)) == 1
    assert {error.code for error in found if isinstance(error, HubError)} <= {"conflict", "contention"}


def test_one_person_who_signs_on_by_several_ways_has_one_account(store: Store) -> None:
    args = {"subject": "https://id.example.org 7", "name": "ada", "role": "developer"}
    found = at_once([lambda: apply(store, Command("user.sign_on", Scope(actor=Actor("oidc")), args=args))] * AT_ONCE)
    assert len({one.result["id"] for one in good(found)}) == 1
    with store.read() as tx:
        assert [row["name"] for row in identity.users(tx, SCOPE).items] == ["ada"]


def test_two_owners_who_stop_being_one_at_once_leave_one(store: Store) -> None:
    for _ in range(5):
        owners = [user(store, new_id()) for _ in range(2)]
        changes = [Command("user.update", SCOPE, owner, {"role": "viewer"}) for owner in owners]
        at_once([lambda change=change: apply(store, change) for change in changes])
        with store.read() as tx:
            query = select(func.count()).select_from(identity.USERS).where(identity.USERS.c.role == "owner")
            assert tx.conn.execute(query).scalar() >= 1
            left = [row["id"] for row in identity.users(tx, SCOPE).items if row["role"] == "owner"]
        for owner in left:
            with store.write() as tx:
                tx.conn.execute(identity.USERS.delete().where(identity.USERS.c.id == owner))


def test_a_login_is_answered_with_one_token(store: Store) -> None:
    ann, login = user(store, "ann"), new_id()
    with store.write() as tx:
        row = {"id": login, "workspace_id": SCOPE.workspace_id, "digest": "d", "user_code": "BCDF-GHJK"}
        device_logins.add(tx, **row, client="hub-cli", scopes=["*"], created_at=tx.now, expires_at=tx.now + 10**9)
    me = Scope(actor=Actor("user", ann))
    answers = [{"user_code": "BCDF-GHJK", "allow": number % 2 == 0} for number in range(AT_ONCE)]
    decided = at_once([lambda args=args: apply(store, Command("login.decide", me, "", args)) for args in answers])
    assert len(good(decided)) == 1

    def take(number: int) -> Callable[[], Any]:
        args = {"name": "t", "kind": "login", "digest": f"{number:064x}", "prefix": "hub_login_", "scopes": ["*"]}
        return lambda: apply(store, Command("login.issue", me, "", {**args, "expires_in": 60, "login": login}))

    found = good(at_once([take(number) for number in range(AT_ONCE)]))
    assert len(found) == (1 if good(decided)[0].result["allowed"] else 0)


def test_what_is_past_its_time_is_forgotten(store: Store) -> None:
    ann = user(store, "ann")
    me = Scope(actor=Actor("user", ann))
    for kind in ("login", "access"):
        args = {
            "name": "t",
            "kind": kind,
            "digest": f"{len(kind):064x}",
            "prefix": "",
            "scopes": ["*"],
            "expires_in": 1,
        }
        apply(store, Command("login.issue", me, "", args))
    apply(store, Command("token.create", SCOPE, args={"name": "kept", "expires_in": 1}))
    apply(store, Command("invitation.create", SCOPE, args={"role": "viewer", "expires_in": 1}))
    with store.write() as tx:
        row = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "digest": "d", "user_code": "BCDF-GHJK"}
        device_logins.add(tx, **row, client="hub-cli", scopes=["*"], created_at=1, expires_at=1)
        for table in (identity.TOKENS, identity.INVITATIONS):
            tx.conn.execute(table.update().values(expires_at=1))
    retention.Retention(store, Settings()).step()
    with store.read() as tx:
        counts = [
            tx.conn.execute(select(func.count()).select_from(model.__table__)).scalar()  # type: ignore[attr-defined]
            for model in (DeviceLogin, Invitation)
        ]
        assert counts == [0, 0]
        assert [row["name"] for row in identity.tokens(tx, SCOPE).items] == ["kept"]
