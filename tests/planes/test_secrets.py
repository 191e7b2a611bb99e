"""Secrets on every store: sealed, never shown, sealed anew after the key was changed."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hub.crypto import Keyring, load_keyring, new_key
from hub.errors import NotFoundError, SettingError, UnavailableError
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import Store, open_store, secrets
from hub.store.tables import AuditEntry, CommandOutcome, Secret
from hub.types import Scope

SCOPE = Scope()
CANARY = "canary-value-5521"


def test_a_secret_is_sealed_and_leaves_no_trace(store: Store) -> None:
    command = Command("secret.set", SCOPE, args={"name": "token", "value": CANARY})
    apply(store, command)
    apply(store, Command("secret.set", SCOPE, args={"name": "token", "value": CANARY}))
    with store.read() as tx:
        assert secrets.reveal(tx, SCOPE, "token") == CANARY
        for model in (Secret, AuditEntry, CommandOutcome):
            rows = tx.conn.execute(model.__table__.select()).all()  # type: ignore[attr-defined]
            assert rows
            assert CANARY not in repr(rows)
    assert CANARY not in repr(command)
    apply(store, Command("secret.delete", SCOPE, "token"))
    with pytest.raises(NotFoundError):
        apply(store, Command("secret.delete", SCOPE, "token"))


def test_rotation_seals_anew_with_the_first_key(tmp_path: Path) -> None:
    old, new = (base64.urlsafe_b64decode(new_key()) for _ in range(2))
    url = f"sqlite:///{tmp_path}/hub.db"
    first = open_store(url, Keyring((old,)))
    first.migrate()
    apply(first, Command("secret.set", SCOPE, args={"name": "a", "value": CANARY}))
    first.close()
    both = open_store(url, Keyring((new, old)))
    assert apply(both, Command("secret.rotate", SCOPE)).result["resealed"] == 1
    both.close()
    for keys, works in (((new,), True), ((old,), False)):
        again = open_store(url, Keyring(keys))
        with again.read() as tx:
            if works:
                assert secrets.reveal(tx, SCOPE, "a") == CANARY
            else:
                with pytest.raises(UnavailableError):
                    secrets.reveal(tx, SCOPE, "a")
        again.close()


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path / "h"}, environ={})
    assert load_keyring(settings).key_id == load_keyring(settings).key_id
    assert (tmp_path / "h" / "key").stat().st_mode & 0o777 == 0o600


def test_many_threads_make_one_key_and_what_a_kill_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f"key.{os.getpid()}").write_text("half a k")  # as versions before left it
    settings = load_settings({"home": tmp_path}, environ={})
    with ThreadPoolExecutor(8) as pool:
        assert len({ring.key_id for ring in pool.map(lambda _: load_keyring(settings), range(32))}) == 1
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_none_is_refused_without_being_shown() -> None:
    settings = load_settings({"home": "/nowhere"}, environ={"HUB_ENCRYPTION_KEY": CANARY})
    with pytest.raises(SettingError) as caught:
        load_keyring(settings)
    assert CANARY not in str(caught.value)
