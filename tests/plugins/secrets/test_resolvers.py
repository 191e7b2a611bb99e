"""What `env:`, `file:` and `vault:` give and refuse; the value is in no text, whatever goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hub.errors import UnavailableError
from hub.hooks import Hooks
from hub.plugins import load_plugins
from hub.settings import load_settings

from hub_plugins.secrets import plugin
from hub_plugins.secrets.vault import Vault as Client

VALUE = "canary-value-9921"
TOKEN = "hvs.canary-token"


@dataclass
class Vault:
    """Answers as KV version 2 of Vault does: `GET /v1/MOUNT/data/PATH`, the token in a header, errors as a list."""

    kept: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def vault() -> Iterator[Vault]:
    known = Vault({"apps/db": {"password": VALUE, "port": 5432}})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append((self.path, self.headers.get("X-Vault-Namespace", "")))
            name = self.path.removeprefix("/v1/secret/data/")
            if self.headers.get("X-Vault-Token") != TOKEN:
                self._say(403, {"errors": ["permission denied"]})
            elif self.path == "/v1/odd/data/x":
                self._say(200, {"data": {"password": VALUE}})  # as version 1 answers
            elif self.path == "/v1/sealed/data/x":
                self._say(503, {"errors": ["Vault is sealed"]})
            elif name not in known.kept:
                self._say(404, {"errors": []})
            else:
                self._say(200, {"data": {"data": known.kept[name], "metadata": {"version": 1}}})

        def _say(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    yield known
    server.shutdown()
    server.server_close()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hooks:
    """The callers with a Vault client that remembers nothing of another test."""
    monkeypatch.setitem(plugin._RESOLVERS, "vault", Client().resolve)
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "password").write_text(VALUE + "\n")
    (allowed / "empty").write_text("")
    (allowed / "binary").write_bytes(b"\xff\xfe")
    (allowed / "outside").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text(VALUE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_PLUGIN__SECRETS__FILES", str(allowed))
    monkeypatch.setenv("HUB_PLUGIN__SECRETS__ENV", "HUB_*,PG_*")
    monkeypatch.setenv("PG_PASSWORD", VALUE)
    monkeypatch.setenv("OTHER", VALUE)
    monkeypatch.setenv("HUB_ENCRYPTION_KEY", VALUE)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    return load_plugins(load_settings({"plugins": "only:secrets,echo"}, environ={}), process="worker").hooks


@pytest.mark.parametrize("ref", ["env:PG_PASSWORD", "file:{allowed}/password", "vault:secret/apps/db#password"])
def test_a_reference_gives_the_value(
    hooks: Hooks, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    monkeypatch.setenv("VAULT_ADDR", vault.url)
    found = hooks.secret_resolve(ref.format(allowed=tmp_path / "allowed"))
    assert found.get_secret_value() == VALUE
    assert VALUE not in repr(found)


def test_another_plugin_resolves_its_own(hooks: Hooks) -> None:
    assert hooks.secret_resolve("plugin:echo:drawer").get_secret_value() == "reward"


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("env:OTHER", "may not be read"),
        ("env:HUB_ENCRYPTION_KEY", "may not be read"),  # whatever is allowed
        ("env:PG_USER", "not set in this process"),
        ("file:{allowed}/missing", "No such file"),
        ("file:{allowed}/empty", "is empty"),
        ("file:{allowed}/binary", "is no text"),
        ("file:{allowed}/outside", "may not be read"),
        ("file:{allowed}/../elsewhere", "may not be read"),
        ("file:/no-such-folder/x", "may not be read"),
        ("file:elsewhere", "may not be read"),
        ("vault:secret/apps/db#user", "no text under the key user"),
        ("vault:secret/apps/db#port", "no text under the key port"),
        ("vault:secret/apps/web#password", "no such secret"),
        ("vault:secret/../../sys/x#y", "vault:MOUNT/PATH#KEY"),
        ("vault:secret#password", "vault:MOUNT/PATH#KEY"),
        ("vault:odd/x#password", "no KV version 2"),
        ("vault:sealed/x#password", "Vault answers 503"),
        ("plugin:nobody:x", "no plugin here resolves it"),
    ],
)
def test_what_cannot_be_resolved_says_which_and_why(
    hooks: Hooks, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str, said: str
) -> None:
    monkeypatch.setenv("VAULT_ADDR", vault.url)
    ref = ref.format(allowed=tmp_path / "allowed")
    with pytest.raises(UnavailableError) as caught:
        hooks.secret_resolve(ref)
    assert caught.value.detail.startswith(f"secret unavailable: {ref}: ")
    assert said in caught.value.detail
    assert not {VALUE, TOKEN} & set(f"{caught.value.detail} {caught.value.hint}".split())
    # That a secret is missing is an answer: it must not keep others from theirs.
    assert [row["errors"] for row in hooks.health_of_hooks().get("secrets", [])] == [0]


def test_vault_is_asked_once_a_while_with_its_namespace_and_a_token_that_may_change(
    hooks: Hooks, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("an-old-one\n")
    monkeypatch.setenv("HUB_PLUGIN__SECRETS__VAULT_URL", vault.url)
    monkeypatch.setenv("HUB_PLUGIN__SECRETS__VAULT_NAMESPACE", "team/a")
    monkeypatch.setenv("HUB_PLUGIN__SECRETS__VAULT_TOKEN_FILE", str(token))
    with pytest.raises(UnavailableError, match="refuses the token"):
        hooks.secret_resolve("vault:secret/apps/db#password")
    token.write_text(TOKEN)
    for _ in range(3):
        assert hooks.secret_resolve("vault:secret/apps/db#password").get_secret_value() == VALUE
    assert vault.asked == [("/v1/secret/data/apps/db", "team/a")] * 2


def test_a_vault_that_is_away_is_not_waited_for_by_everybody(
    hooks: Hooks, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    for _ in range(6):
        with pytest.raises(UnavailableError, match="Vault does not answer: ConnectError"):
            hooks.secret_resolve("vault:secret/apps/db#password")
    assert hooks.secret_resolve("env:PG_PASSWORD").get_secret_value() == VALUE


@pytest.mark.parametrize(("name", "value"), [("VAULT_TIMEOUT", "soon"), ("VAULT_URL", "ftp://x"), ("COLOUR", "red")])
def test_a_wrong_setting_is_named(hooks: Hooks, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"HUB_PLUGIN__SECRETS__{name}", value)
    with pytest.raises(UnavailableError, match=f"HUB_PLUGIN__SECRETS__{name}"):
        hooks.secret_resolve("env:PG_PASSWORD")


def test_what_a_stranger_s_plugin_says_of_its_failure_is_kept_from_texts(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_MODE", "raise")
    with pytest.raises(UnavailableError) as caught:
        hooks.secret_resolve("plugin:echo:" + VALUE)
    assert caught.value.detail.endswith(": echo: RuntimeError")
    assert hooks.breakers["echo", "hub_secret_resolve"].last_error == "RuntimeError"
