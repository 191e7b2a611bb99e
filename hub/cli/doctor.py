"""`hub doctor`: is this installation in order, and if not, what to do."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson, Column
from hub.errors import HubError
from hub.settings import Settings, load_settings

Check = Callable[[Settings], str]
COLUMNS = (
    Column("CHECK", "name"),
    Column("", lambda item: "ok" if item["ok"] else "failed", "state"),
    Column("DETAIL", "detail"),
)


def doctor(*, as_json: AsJson = False) -> int:
    """Check this installation and say what is wrong. Exit code 1 when something is."""
    results = list(results_of(load_settings()))
    output.table(results, COLUMNS, as_json=as_json, empty="")
    return 0 if all(result["ok"] for result in results) else 1


def results_of(settings: Settings) -> Iterator[Mapping[str, Any]]:
    """Run every check; one that fails does not keep the others from running."""
    for name, check in CHECKS.items():
        try:
            yield {"name": name, "ok": True, "detail": check(settings)}
        except HubError as error:
            yield {"name": name, "ok": False, "detail": f"{error.detail} {error.hint}".strip()}
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding like any other
            yield {"name": name, "ok": False, "detail": f"{type(error).__name__}: {error}"}
    yield from _plugin_checks(settings)


def _python(_settings: Settings) -> str:
    return f"Python {platform.python_version()} at {sys.executable}"


def _home(settings: Settings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryFile(dir=settings.home):
        pass
    return f"{settings.home} can be written"


def _key(settings: Settings) -> str:
    from hub.crypto import load_keyring

    file = settings.home / "key"
    keyring = load_keyring(settings)
    if file.exists() and not settings.encryption_key.get_secret_value() and os.stat(file).st_mode & 0o077:
        raise HubError(f"{file} can be read by others.", hint=f"Run `chmod 600 {file}`.")
    return f"secrets are sealed with key {keyring.key_id}"


def _database(settings: Settings) -> str:
    from sqlalchemy import text

    from hub.store.opening import open_hub

    store = open_hub(settings)
    try:
        with store.read() as tx:
            tx.conn.execute(text("SELECT 1"))
    finally:
        store.close()
    return str(settings.sqlite_path or "PostgreSQL answers")


def _broker(settings: Settings) -> str:
    if not settings.broker_url:
        return "embedded: started by `hub up`"
    from kombu import Connection

    with Connection(settings.broker_url, connect_timeout=3) as connection:
        connection.ensure_connection(max_retries=1, timeout=3)
        return f"{connection.transport_cls} answers"


def _workers(_settings: Settings) -> str:
    with connect() as client:
        alive = list(client.items("/workers"))
    return f"{len(alive)} alive" if alive else "none is alive; `hub up` or `hub worker` starts one"


CHECKS: dict[str, Check] = {
    "python": _python,
    "home": _home,
    "encryption key": _key,
    "database": _database,
    "broker": _broker,
    "workers": _workers,
}


def _plugin_checks(settings: Settings) -> Iterator[Mapping[str, Any]]:
    from hub.plugins import load_plugins

    for plugin in load_plugins(settings, process="cli").table:
        fine = plugin.state in ("loaded", "disabled")  # what is degraded works, and is a finding all the same
        yield {"name": f"plugin {plugin.name}", "ok": fine, "detail": plugin.problem or plugin.state}
