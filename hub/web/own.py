"""The socket on which this machine's own commands reach a running hub, so that they need not be one themselves.

It is a file in the hub's home that only its user may open, and who may open it may open the database and the key as
well: so a request that comes this way is the local owner's. Nothing of it is on the network.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("hub.web")
BACKLOG = 64
SCOPE_KEY = "hub.own_socket"
"""Set in the ASGI scope of a request that came this way."""


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket | None]:
    """Listen there until the end; None where another web process of the same hub does, or no socket can be."""
    sock = None
    try:
        sock = _bind(path)
    except OSError as error:
        log.warning("commands on this machine open the database themselves: %s: %s", path, error.strerror or error)
    made = _inode(path) if sock is not None else None
    try:
        yield sock
    finally:
        if sock is not None:
            sock.close()
        if made is not None and _inode(path) == made:
            path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket | None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if answers(path):
        return None
    path.unlink(missing_ok=True)  # left by one that was killed
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o600)  # before it listens: until then nobody can connect
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def answers(path: Path) -> bool:
    """Whether somebody listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
