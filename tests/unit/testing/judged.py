"""A plugin that keeps every rule of the conformance kit, and what must be changed to break one of them."""

from __future__ import annotations

from hub.version import __version__

PLUGIN = "hub_judged/plugin.py"
MANIFEST = "hub_judged/manifest.toml"
PYPROJECT = "pyproject.toml"
TRIALS = "tests/trials.py"
_HUB = f"hubspoke>={__version__}"

GOOD = {
    PYPROJECT: f"""\
[project]
name = "hub-judged"
version = "1.0"
readme = "README.md"
dependencies = ["{_HUB}", "pydantic>=2"]
authors = [{{name = "Ada"}}]
[project.entry-points."hub.plugins"]
judged = "hub_judged.plugin"
""",
    "README.md": "# judged\n\nIt is there to be judged by the conformance kit of the hub, in a test of the hub, which"
    " changes one thing of it after the other. It has the action measure, the action note and"
    " [a list of changes](CHANGELOG.md).\n",
    "CHANGELOG.md": "# 1.0\n\nThe first.\n",
    "hub_judged/__init__.py": "",
    TRIALS: """\
from contextlib import contextmanager

from hub.testing import Trial


@contextmanager
def note(hub):
    folder = hub.home.parent / "noted"
    folder.mkdir()
    yield Trial(lambda: len(list(folder.iterdir())), {"folder": str(folder)})


TRIALS = {"judged.note": note}
""",
    MANIFEST: """\
name = "judged"
summary = "It is judged."
hookspec = ">=1.0,<2"
runs_in = ["upkeep", "worker"]
maturity = "gold"
config = "hub_judged.plugin:Config"
""",
    PLUGIN: '''\
import hashlib
import hmac
import logging
import socket
import threading
import urllib.request
from pathlib import Path

from hub import runtime_context, task
from hub.actions import Action
from hub.channels import ChannelKind
from hub.connections import ConnectionKind
from hub.errors import TransientError
from hub.hookspecs import hookimpl
from hub.plugins import PresetText
from hub.webhooks.placing import with_header
from hub.webhooks.signers import Signature
from hub.webhooks.verify import Verdict
from pydantic import BaseModel, Field, SecretStr, field_serializer


class Service(BaseModel):
    host: str = Field("127.0.0.1", description="Its host.")
    port: int = Field(1, description="Its port.")
    login: SecretStr = Field(description="What it lets us in by.")


class Config(BaseModel):
    room: str = Field(description="Where it talks.")
    tags: list[str] = Field(["a"], description="What it talks of.")
    word: SecretStr = Field(SecretStr(""), description="What it lets us in by.")


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


def fetch(url):
    return urllib.request.urlopen(url, timeout=5)


@task
def measure(text: str, times: int = 1) -> list[int]:
    return [len(text)] * times


@task
def note(folder: str) -> None:
    Path(folder, runtime_context().idempotency_key).touch()


def mac(key, body):
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


@hookimpl
def hub_webhook_verify(source, request, secrets):
    if source["verifier"] != "judged":
        return None
    given = request.first("X-Judged") or ""
    for secret in secrets:
        if hmac.compare_digest(given, mac(secret.value, request.body)):
            return Verdict(True, signed=request.body)
    return Verdict(False, "the signature does not match")


@hookimpl
def hub_webhook_sign(source, request, secret):
    if source["verifier"] == "judged":
        return Signature(with_header(request, "X-Judged", mac(secret, request.body)))


@hookimpl
def hub_presets():
    yield PresetText("judged", PRESET)


stop = threading.Event()
threads = []


@hookimpl
def hub_startup():
    threads.append(threading.Thread(target=stop.wait, name="of judged"))
    threads[0].start()


@hookimpl
def hub_shutdown():
    stop.set()


seen = set()


@hookimpl
def hub_run_state(ctx, event, run):
    seen.add(event["id"])


@hookimpl
def hub_actions():
    yield Action("measure", measure, "Measures a text.", effect="none")
    yield Action("note", note, "Notes that it was called.", effect="once")


@hookimpl
def hub_connection_kinds():
    yield ConnectionKind("judged", "A service.", Service, check)


@hookimpl
def hub_channel_kinds():
    yield ChannelKind("judged", "A service.", send, example="judged://HOST/TOKEN")


PRESET = """
id: judged
name: Judged
summary: Webhooks of a service that signs by code.
docs: https://example.com/webhooks
where: Nowhere but in a test, where it is signed by code.
maturity: beta
events: [it.happened]
verify: {kind: "plugin:judged"}
event: {type: "json:type", id: "json:id"}
dedupe: {keys: [delivery-id]}
samples:
  - name: it.happened
    body: '{"type":"it.happened","id":"e-1"}'
"""
''',
}
"""File -> text."""

_TOP = "import socket\n"
_BUSY = "import time\nend = time.process_time() + 0.31\nwhile time.process_time() < end: pass\n"
_THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, args=(2,), daemon=True).start()\n"
_CONNECTS = "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n    s.connect(('127.0.0.1', 9))\n"
_AROUND = (
    "# judged\n\nIt is there to be judged by the conformance kit of the hub, in a test of the hub, which changes"
    " one thing of it after the other."
)
_CATCH = 'except OSError as error:\n        raise TransientError(f"it cannot be reached: {error}") from None\n'
_DEAF = """\
    while True:
        try:
            threading.Event().wait(1)
        except BaseException:
            pass"""
_COUNTS = """    from hub.store.tables import SiteValue
    from hub.types import new_id
    with ctx.store.write() as tx:
        tx.upsert(SiteValue.__table__, {"name": f"judged/{new_id()}", "value": {}}, keys=["name"])
"""
_DOUBLES = "    @field_serializer('tags')\n    def _t(self, tags):\n        return tags * 2\n\n\n"
_SHOWS = "    def __repr__(self):\n        return self.word.get_secret_value()\n\n\n"
_UNEVEN = "    @field_serializer('port')\n    def _port(self, port):\n        return port + 1\n\n\n"
BAD: list[tuple[str, str, str, str, str]] = [
    # rule, file, text in it, what stands there instead, what is told
    ("C01", PLUGIN, _TOP, _TOP + _BUSY, "ms of processor time"),
    ("C01", PLUGIN, _TOP, _TOP + _THREAD, "starts the thread"),
    ("C01", PLUGIN, _TOP, _TOP + _CONNECTS, "socket.connect"),
    ("C02", PYPROJECT, 'judged = "hub_judged.plugin"', 'other = "hub_judged.plugin"', "make them the same"),
    ("C02", MANIFEST, 'maturity = "gold"', 'maturity = "gold"\n[exemptions]\nC99 = "why not"', "no such rule"),
    ("C02", MANIFEST, 'summary = "It is judged."', "", "summary: Field required"),
    ("C02", MANIFEST, "plugin:Config", "plugin:Konfig", "is no pydantic model"),
    ("C05", PLUGIN, 'Field(description="Where it talks.")', '""', "Config.room has no description"),
    ("C06", PLUGIN, "def check(", _DOUBLES + "def check(",
     "Config comes back otherwise from JSON"),
    ("C12", PLUGIN, "def check(", _SHOWS + "def check(",
     "the repr of Config shows its secret"),
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
    ("C06", PLUGIN, "class Config", _UNEVEN + "class Config", "Service.port comes back otherwise"),
    ("C12", PLUGIN, "def check(settings):\n", "def check(settings):\n    print(settings.login.get_secret_value())\n",
     "the check of judged lets a secret out in its output"),
    ("C12", PLUGIN, 'reached: {error}") from None\n    return',
     'reached by {settings.login.get_secret_value()}") from None\n    return', "in an error"),
    ("C12", PLUGIN, "def send(message):\n", "def send(message):\n    logging.getLogger('x').debug(message.address)\n",
     "judged:// lets a secret out in a log line"),
    ("C07", PLUGIN, "def measure(text: str,", "def measure(text,", "has no type hint for text"),
    ("C07", PLUGIN, ") -> list[int]:", "):", "does not say what it gives"),
    ("C07", PLUGIN, ") -> list[int]:", ") -> socket.socket:", "is no JSON"),
    ("C08", PLUGIN, ', effect="none"', "", "measure does not say what one more try does"),
    ("C08", PLUGIN, "runtime_context().idempotency_key", "__import__('uuid').uuid4().hex", "done 3 times in 3 tries"),
    ("C08", TRIALS, "judged.note", "judged.other", "has no trial of judged.note"),
    ("C09", PLUGIN, '    return "it answers"', _DEAF, "the check of judged goes on for over 5 s"),
    ("C10", PLUGIN, "urlopen(url, timeout=5)", "urlopen(url)", ": urllib.request.urlopen waits for ever"),
    ("C10", PLUGIN, "(settings.host, settings.port), timeout=5)", "(settings.host, settings.port), timeout=None)",
     "socket.create_connection waits for ever"),
    ("C11", PLUGIN, _CATCH + "    return",
     "except KeyError:\n        pass\n    return", "the check of judged raises ConnectionRefusedError"),
    ("C11", PLUGIN, _CATCH + "\n\ndef",
     "except KeyError:\n        pass\n\n\ndef", "judged:// raises ConnectionRefusedError"),
    ("C13", PLUGIN, "    return Verdict(False, ", "    return Verdict(True, ", "signed by another secret is taken"),
    ("C13", PLUGIN, "    for secret in", "    request.body.decode()\n    for secret in", "raises: Unicode"),
    ("C13", PLUGIN, "mac(secret.value, request.body)", "mac(secret.value, request.body.strip())", "was changed after"),
    ("C14", PLUGIN, '"type":"it.happened"', '"kind":"it.happened"', "gives no event type"),
    ("C14", PLUGIN, "[it.happened]", "[it.did]", "none of which is among its `events`"),
    ("C14", PLUGIN, "compare_digest(given,", "compare_digest(given[1:],", "is not accepted as it is signed"),
    ("C15", PLUGIN, "    seen.add(event[\"id\"])", _COUNTS, "changes site_values when it is told the same"),
    ("C15", PLUGIN, "    seen.add(event[\"id\"])", "    assert event['id'] not in seen\n    seen.add(event['id'])",
     "a second time: AssertionError"),
    ("MAINTAINER", PYPROJECT, 'authors = [{name = "Ada"}]\n', "", "nobody is named"),
    ("CHANGELOG", "CHANGELOG.md", "# 1.0\n\nThe first.\n", "", "nowhere is said what changed"),
    ("C16", PLUGIN, "    seen.add(event[\"id\"])", "    seen.add(event[\"id\"])\n    event[\"type\"] = \"mine\"",
     "hub_run_state changes event"),
    ("C17", PLUGIN, "    stop.set()", "    pass", "the thread 'of judged'"),
    ("C17", PLUGIN, "    stop.set()", "    stop.set()\n    logging.getLogger('x').addHandler(logging.NullHandler())",
     "a handler of the logger x"),
    ("C17", PLUGIN, "    stop.set()", "    stop.set()\n    threads.append(open(__file__))", "plugin.py"),
    ("C18", PYPROJECT, _HUB, "hubspoke>=0.0.1", "name the Python of an environment with 0.0.1"),
    ("C19", PYPROJECT, "pydantic>=2", "pydantic==2.1", "pins what the hub needs"),
    ("C19", PYPROJECT, _HUB, f"{_HUB},<0.2", "shuts out the hub 0.2"),
    ("C19", PYPROJECT, _HUB, "hubspoke", "no lower bound"),
    ("C19", PYPROJECT, f'"{_HUB}", ', "", "does not say that it needs the hub"),
    ("C20", "README.md", "the action measure", "an action", "does not tell of measure"),
    ("C20", "README.md", "(CHANGELOG.md)", "(CHANGES.md)", "links to CHANGES.md"),
    ("README", "README.md", _AROUND, "# judged", "it has no readme"),
]  # fmt: skip
