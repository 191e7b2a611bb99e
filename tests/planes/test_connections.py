"""Connections on every store: typed, sealed, never shown, used by name in code."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path

import pytest
from hub import Connection, connection, flow, task
from hub.connections import ConnectionKind
from hub.crypto import Keyring, new_key
from hub.errors import ConflictError, NotFoundError, UnavailableError, UsageError
from hub.runtime import connections as known
from hub.runtime.commands import Command, apply
from hub.secretfields import described, scrubbed
from hub.store import Store, connections, open_store
from hub.store.tables import AuditEntry, CommandOutcome
from hub.store.tables import Connection as Row
from hub.types import Scope, new_id
from pydantic import BaseModel, SecretStr
from tests.planes.conftest import Plane

pytestmark = pytest.mark.usefixtures("every_plugin")

SCOPE = Scope()
CANARY = "canary-password-7731"
FIELDS = {"database": "test", "port": "5433", "password": CANARY}


def make(store: Store, name: str = "warehouse", kind: str = "postgresql", **more: object) -> None:
    args = {"name": name, "kind": kind, "fields": FIELDS, **more}
    apply(store, Command("connection.set", SCOPE, name, args))


def test_a_connection_is_typed_sealed_and_leaves_no_trace_of_its_secrets(store: Store) -> None:
    make(store)
    loaded = known.load(store, SCOPE, "warehouse")
    assert (loaded.kind, loaded.settings.port, loaded.settings.host) == ("postgresql", 5433, "127.0.0.1")
    assert loaded.settings.password.get_secret_value() == CANARY
    assert CANARY not in repr(loaded)
    with store.read() as tx:
        for model in (Row, AuditEntry, CommandOutcome):
            rows = tx.conn.execute(model.__table__.select()).all()  # type: ignore[attr-defined]
            assert rows
            assert CANARY not in repr(rows)
        listed = connections.listing(tx, SCOPE).items
    assert [(row["name"], row["secret_fields"]) for row in listed] == [("warehouse", ["password"])]
    assert "sealed" not in listed[0]


def test_a_second_one_of_that_name_replaces_the_first_only_where_that_is_said(store: Store) -> None:
    make(store)
    with pytest.raises(ConflictError, match="already"):
        make(store)
    make(store, replace=True, fields={"database": "other"})
    settings = known.load(store, SCOPE, "warehouse").settings
    assert (settings.database, settings.password) == ("other", None)
    apply(store, Command("connection.delete", SCOPE, "warehouse"))
    for op in ("connection.delete", "connection.test"):
        with pytest.raises(NotFoundError):
            apply(store, Command(op, SCOPE, "warehouse"))


def test_wrong_settings_are_refused_by_their_names_and_never_shown(store: Store) -> None:
    wrong = {"port": CANARY, "pasword": CANARY}
    with pytest.raises(UsageError) as caught:
        make(store, fields=wrong)
    text = str(caught.value)
    assert all(name in text for name in ("port", "pasword", "database"))
    assert CANARY not in text + caught.value.hint
    with pytest.raises(UsageError, match="no kind of connection 'oracle'"):
        make(store, kind="oracle")
    with pytest.raises(UsageError, match="own place"):
        make(store, name="local")
    with pytest.raises(UsageError, match="NUL"):
        make(store, fields={"database": "a\x00"})


def test_another_workspace_sees_none_of_it(store: Store) -> None:
    make(store)
    elsewhere = Scope(workspace_id=new_id())
    with pytest.raises(NotFoundError):
        known.load(store, elsewhere, "warehouse")
    with store.read() as tx:
        assert connections.listing(tx, elsewhere).items == []


def test_a_kind_whose_plugin_is_gone_is_said_to_be_missing(store: Store) -> None:
    with store.write() as tx:
        connections.put(tx, SCOPE, "old", "mainframe", fields={}, secrets={})
    with pytest.raises(UnavailableError, match="needs a plugin that brings the connection kind mainframe"):
        known.load(store, SCOPE, "old")


def test_rotation_seals_connections_anew(tmp_path: Path) -> None:
    old, new = (base64.urlsafe_b64decode(new_key()) for _ in range(2))
    url = f"sqlite:///{tmp_path}/hub.db"
    first = open_store(url, Keyring((old,)))
    first.migrate()
    make(first)
    first.close()
    both = open_store(url, Keyring((new, old)))
    assert apply(both, Command("secret.rotate", SCOPE)).result["resealed"] == 1
    both.close()
    again = open_store(url, Keyring((new,)))
    assert known.load(again, SCOPE, "warehouse").settings.password.get_secret_value() == CANARY
    again.close()


def test_code_loads_a_connection_by_its_name(plane: Plane) -> None:
    make(plane.store)

    @task
    def where() -> tuple[str, int, str]:
        found = connection("warehouse")
        assert isinstance(found, Connection)
        assert CANARY not in repr(found)
        return found.kind, found.port, found.password.get_secret_value()[:6]

    @flow
    def ask() -> tuple[str, int, str]:
        return where()

    assert ask() == ("postgresql", 5433, "canary")
    outside = Connection.load("warehouse")
    travelled = pickle.dumps(outside)
    assert CANARY.encode() not in travelled
    assert pickle.loads(travelled).database == "test"
    with pytest.raises(AttributeError):
        _ = outside.no_such_setting
    with pytest.raises(NotFoundError, match="no connection"):
        connection("no-such")


def test_a_kind_says_its_secrets_and_scrubs_them_from_texts() -> None:
    class Mail(BaseModel):
        server: str
        password: SecretStr

    mail = ConnectionKind("mail", "A mail server.", Mail)
    assert mail.secrets() == {"password"}
    assert [field["secret"] for field in described(Mail)] == [False, True]
    settings = mail.parse({"server": "s", "password": CANARY})
    assert scrubbed(f"login with {CANARY} refused", settings) == "login with *** refused"
