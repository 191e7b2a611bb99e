"""A plugin that keeps every rule of the conformance kit, and what must be changed to break one of them."""

from __future__ import annotations

PLUGIN = "hub_judged/plugin.py"
MANIFEST = "hub_judged/manifest.toml"
PYPROJECT = "pyproject.toml"

GOOD = {
    PYPROJECT: """\
[project]
name = "hub-judged"
version = "1.0"
readme = "README.md"
dependencies = ["hubspoke>=0.1"]
[project.entry-points."hub.plugins"]
judged = "hub_judged.plugin"
""",
    "README.md": "# judged\n\nThe plugin judged is there to be judged by the conformance kit of the hub, in a test of"
    " the hub, which changes one thing of it after the other.\n",
    "hub_judged/__init__.py": "",
    MANIFEST: """\
name = "judged"
summary = "It is judged."
hookspec = ">=1.0,<2"
runs_in = ["worker"]
maturity = "gold"
""",
    PLUGIN: """\
import logging
import socket

from hub.channels import ChannelKind
from hub.connections import ConnectionKind
from hub.errors import TransientError
from hub.hookspecs import hookimpl
from pydantic import BaseModel, Field, SecretStr, field_serializer


class Service(BaseModel):
    host: str = Field("127.0.0.1", description="Its host.")
    port: int = Field(1, description="Its port.")
    login: SecretStr = Field(description="What it lets us in by.")


def check(settings):
    try:
        socket.create_connection((settings.host, settings.port), timeout=5).close()
    except OSError as error:
        raise TransientError(f"it cannot be reached: {error}") from None
    return "it answers"


def send(message):
    try:
        socket.create_connection(("127.0.0.1", 1), timeout=5).close()
    except OSError as error:
        raise TransientError(f"it cannot be reached: {error}") from None


@hookimpl
def hub_connection_kinds():
    yield ConnectionKind("judged", "A service.", Service, check)


@hookimpl
def hub_channel_kinds():
    yield ChannelKind("judged", "A service.", send, example="judged://HOST/TOKEN")
""",
}
"""File -> text."""

_TOP = "import socket\n"
_BUSY = "import time\nend = time.process_time() + 0.31\nwhile time.process_time() < end: pass\n"
_THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, args=(2,), daemon=True).start()\n"
_CONNECTS = "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n    s.connect(('127.0.0.1', 9))\n"
_UNEVEN = "    @field_serializer('port')\n    def _port(self, port):\n        return port + 1\n\n\n"
BAD: list[tuple[str, str, str, str, str]] = [
    # rule, file, text in it, what stands there instead, what is told
    ("C01", PLUGIN, _TOP, _TOP + _BUSY, "ms of processor time"),
    ("C01", PLUGIN, _TOP, _TOP + _THREAD, "starts the thread"),
    ("C01", PLUGIN, _TOP, _TOP + _CONNECTS, "socket.connect"),
    ("C02", PYPROJECT, 'judged = "hub_judged.plugin"', 'other = "hub_judged.plugin"', "make them the same"),
    ("C02", MANIFEST, 'maturity = "gold"', 'maturity = "gold"\n[exemptions]\nC99 = "why not"', "no such rule"),
    ("C02", MANIFEST, 'summary = "It is judged."', "", "summary: Field required"),
    ("C03", MANIFEST, ">=1.0,<2", "==1.0", "leaves out 1.1"),
    ("C04", PLUGIN, "def hub_channel_kinds", "def hub_chanel_kinds", "did you mean hub_channel_kinds"),
    ("C04", PLUGIN, "hub_channel_kinds()", "hub_channel_kinds(channels)", "channels"),
    ("C04", PLUGIN, "@hookimpl\ndef hub_channel_kinds", "def hub_channel_kinds", "put @hookimpl above it"),
    ("C04", PLUGIN, "def hub_channel_kinds", "async def hub_channel_kinds", "is async"),
    ("C04", PLUGIN, 'yield ChannelKind("judged",', 'yield dict(a=1) or ChannelKind("judged",',
     "and must give hub.channels.ChannelKind"),
    ("C04", PLUGIN, 'yield ChannelKind("judged"', 'return 1 or ChannelKind("judged"', "it gave int, not a list"),
    ("C04", PLUGIN, 'yield ChannelKind("judged",', 'yield ChannelKind(Service.nothing,', "hub_channel_kinds fails"),
    ("C05", PLUGIN, 'Field(1, description="Its port.")', "1", "Service.port has no description"),
    ("C05", PLUGIN, 'Field(1, d', 'Field("one", d', "the default of Service.port"),
    ("C05", PLUGIN, "login: SecretStr", 'password: str = Field("", description="Word.")\n    login: SecretStr',
     "Service.password seems to be secret"),
    ("C06", PLUGIN, "def check(", _UNEVEN + "def check(", "Service.port comes back otherwise"),
    ("C12", PLUGIN, "def check(settings):\n", "def check(settings):\n    print(settings.login.get_secret_value())\n",
     "the check of judged lets a secret out in its output"),
    ("C12", PLUGIN, 'reached: {error}") from None\n    return',
     'reached by {settings.login.get_secret_value()}") from None\n    return', "in an error"),
    ("C12", PLUGIN, "def send(message):\n", "def send(message):\n    logging.getLogger('x').debug(message.address)\n",
     "judged:// lets a secret out in a log line"),
    ("README", "README.md", "judged", "it", "never says 'judged'"),
]  # fmt: skip
