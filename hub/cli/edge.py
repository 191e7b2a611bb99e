"""`hub worker --plane`: a small hub on a bare machine that joins a plane and takes runs from it."""

from __future__ import annotations

import getpass
import logging
import os
import random
import subprocess
import sys
import time
from functools import partial

from sqlalchemy import select

from hub.cli.processes import all_of, set_up_logs
from hub.errors import ConflictError, UsageError
from hub.runtime.process import EX_TEMPFAIL
from hub.runtime.supervisor import only_one, prepare_home
from hub.settings import Settings
from hub.store import open_hub
from hub.store.tables import Link

log = logging.getLogger("hub.edge")
LINKS = Link.__table__
LONGEST_WAIT = 30.0


def start(plane: str, name: str, settings: Settings) -> int:
    """Join, if that has not happened yet, and work until it is stopped. Gives the exit status."""
    set_up_logs(settings)
    prepare_home(settings)
    with only_one(settings):
        return all_of(settings, web=False, before=partial(_join, plane.rstrip("/"), name, settings))


def _join(plane: str, name: str, settings: Settings) -> None:
    """Join the plane; one that does not answer is waited for. Raises what speaks against it."""
    store = open_hub(settings)
    try:
        with store.read() as tx:
            found = tx.conn.execute(select(LINKS).where(LINKS.c.disconnected_at.is_(None))).mappings().all()
    finally:
        store.close()
    others = [link["url"] for link in found if link["url"] != plane]
    if others:
        raise ConflictError(
            f"the hub in {settings.home} reports to {others[0]} already",
            hint="Give this one another HUB_HOME, or end that link: hub cloud disconnect.",
        )
    given = settings.sync_join_token.get_secret_value()
    if not found:
        words = ("connect", plane, "-", *(("--site-name", name) if name else ()))
        _cloud(words, given or _asked(plane))
    elif found[0]["status"] == "refused" and given:
        _cloud(("rejoin", "-", "--link", str(found[0]["name"])), given)


def _asked(plane: str) -> str:
    """The token, typed; never a word of the command line, where every user of the machine could read it."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"to join {plane} this machine needs a join token",
            hint="`hub sites token` at the plane prints one: HUB_SYNC_JOIN_TOKEN, or a file: HUB_SYNC_JOIN_TOKEN_FILE.",
        )
    return getpass.getpass(f"Join token of {plane}: ")


def _cloud(words: tuple[str, ...], token: str) -> None:
    """A command about links, in a process of its own: none of what it loads is to be in those forked later."""
    command = [sys.executable, "-m", "hub.cli", "cloud", *words]
    environment = {**os.environ, "HUB_API_URL": "", "HUB_PROFILE": "local"}
    environment.pop("HUB_SYNC_JOIN_TOKEN", None)
    for turn in range(1_000_000):
        status = subprocess.run(command, env=environment, input=token + "\n", text=True, check=False).returncode
        if status == 0:
            return
        if status != EX_TEMPFAIL:
            raise SystemExit(status)
        wait = random.uniform(0.5, 1.0) * min(LONGEST_WAIT, 2.0**turn)  # noqa: S311 - spreads load
        log.warning("the plane does not answer; the next try in %.0f s", wait)
        time.sleep(wait)
