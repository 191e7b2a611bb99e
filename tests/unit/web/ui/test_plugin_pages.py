"""The pages of plugins: what is wrong, the form of a configuration, switching off and on."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.pluginconfig import Stored
from hub.runtime import plugging
from hub.store import Store
from starlette.testclient import TestClient
from tests.strangers import stranger
from tests.unit.web.ui.conftest import open_browser, send

CODE = """
from hub import hookimpl
from pydantic import BaseModel, Field, SecretStr


class Config(BaseModel):
    room: str = Field(description="Where <it> talks.")
    token: SecretStr | None = Field(None, description="Opens the door.")
    tries: int = Field(3, ge=1)
    loud: bool = False


@hookimpl
def hub_health():
    raise RuntimeError("<b>no health</b>")
"""
SECRET = "open-sesame-4711"
PAGE = "/ui/plugins/gossip"


@pytest.fixture
def gossip(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A browser on a hub with a stranger's plugin, and another that cannot be loaded."""
    folder = tmp_path / "strangers"
    stranger(folder, "gossip", CODE, runs_in=["web"], more='config = "stranger_gossip.plugin:Config"')
    stranger(folder, "broken", "raise RuntimeError('<i>no luck</i>')")
    monkeypatch.syspath_prepend(str(folder))
    for module in ("gossip", "broken"):
        monkeypatch.delitem(sys.modules, f"stranger_{module}.plugin", raising=False)
    monkeypatch.setenv("HUB_PLUGIN__GOSSIP__TRIES", "7")
    return open_browser(store, tmp_path)


def stored(store: Store) -> Stored:
    with store.read() as tx:
        return plugging.read(tx)["gossip"]


def test_what_is_wrong_stands_first_and_is_told(gossip: TestClient) -> None:
    html = gossip.get("/ui/plugins").text
    names = re.findall(r'<a href="/ui/plugins/([a-z]+)">', html)
    assert names[:2] == ["broken", "gossip"]
    assert "RuntimeError: &lt;i&gt;no luck&lt;/i&gt;" in html
    assert "room (neither HUB_PLUGIN__GOSSIP__ROOM nor" in html
    assert "no luck" in gossip.get("/ui/plugins/broken").text
    assert gossip.get("/ui/plugins/no-such-plugin").status_code == 404


def test_a_configuration_is_set_with_a_form_and_shows_no_secret(gossip: TestClient, store: Store) -> None:
    html = gossip.get(PAGE).text
    assert "Where &lt;it&gt; talks." in html
    assert "It is needed, and not set." in html
    assert "Comes from HUB_PLUGIN__GOSSIP__TRIES: 7." in html
    action = f"{PAGE}/configure"
    wrong = send(gossip, PAGE, action, **{"p.room": "lobby", "p.tries": "0", "p.token": SECRET})
    assert wrong.status_code == 422
    assert "lobby" in wrong.text
    assert SECRET not in wrong.text
    done = send(gossip, PAGE, action, **{"p.room": "lobby", "p.loud": "true", "p.token": SECRET})
    assert done.headers["location"] == f"{PAGE}?done=plugin-configured"
    assert dict(stored(store).fields) == {"room": "lobby", "loud": True, "token": SECRET}
    html = gossip.get(PAGE).text
    assert 'value="lobby"' in html
    assert SECRET not in html
    late = send(gossip, PAGE, action, **{"p.room": "hall", "revision": "0"})
    assert late.status_code == 409
    assert "was changed meanwhile" in late.text
    send(gossip, PAGE, action, **{"p.room": "hall"})
    assert dict(stored(store).fields) == {"room": "hall", "token": SECRET}
    send(gossip, PAGE, action, **{"p.room": "hall", "gone.token": "true"})
    assert dict(stored(store).fields) == {"room": "hall"}


def test_failures_are_shown_and_forgotten(gossip: TestClient, store: Store) -> None:
    send(gossip, PAGE, f"{PAGE}/configure", **{"p.room": "lobby"})
    gossip.get(PAGE)  # takes what was set
    for _ in range(6):
        gossip.get("/readyz")
    html = gossip.get(PAGE).text
    assert "RuntimeError: &lt;b&gt;no health&lt;/b&gt;" in html
    assert "Not called for a while" in html
    assert "Skipped" in gossip.get("/ui/plugins").text
    assert 'hub_plugin_hooks_open{plugin="gossip"} 1' in gossip.get("/metrics").text
    assert send(gossip, PAGE, f"{PAGE}/reset").status_code == 303
    assert stored(store).reset_at > 0


def test_a_plugin_is_switched_off_and_on(gossip: TestClient, store: Store) -> None:
    ask = f"{PAGE}/disable"
    assert "health" in gossip.get(ask).text or "nothing here" in gossip.get(ask).text
    assert send(gossip, ask, ask).status_code == 303
    assert not stored(store).enabled
    assert "switched off by `hub plugins disable`" in gossip.get(PAGE).text
    assert send(gossip, PAGE, f"{PAGE}/enable").status_code == 303
    assert stored(store).enabled


def test_who_may_only_look_changes_nothing(browser_of: Callable[[str], TestClient]) -> None:
    viewer = browser_of("viewer")
    assert "notifications" in viewer.get("/ui/plugins").text
    html = viewer.get("/ui/plugins/notifications").text
    assert "/disable" not in html
    assert viewer.get("/ui/plugins/notifications/disable").status_code == 403


def test_safe_mode_is_told(store: Store, tmp_path: Path) -> None:
    html = open_browser(store, tmp_path, safe_mode=True).get("/ui/plugins").text
    assert "Safe mode." in html
