"""Which address the web process takes, and which it refuses."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hub.errors import HubError, RefusedError
from hub.runtime.commands import Command, apply
from hub.settings import Settings
from hub.store import Store, open_hub
from hub.types import Scope
from hub.web.auth import LOCAL
from hub.web.serve import bind, refuse_exposure, serve


def test_a_taken_port_is_a_plain_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HubError, match=f"port {port} on 127.0.0.1 is taken") as caught:
            bind(Settings(web_port=port))
    assert (caught.value.code, caught.value.exit_code) == ("port-taken", 1)
    assert "HUB_WEB_PORT" in caught.value.hint


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_a_plain_error(host: str) -> None:
    with pytest.raises(HubError, match="cannot listen"):
        bind(Settings(web_host=host, web_port=0))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.lan"])
def test_it_does_not_listen_for_others_without_an_owner(host: str, memory: Store) -> None:
    settings = Settings(web_host=host)
    with pytest.raises(RefusedError, match="no owner account"):
        serve(settings, store=memory)
    refuse_exposure(settings, memory, door_only=True)
    owner = {"name": "ann", "password_hash": "$argon2id$v=19$m=64,t=1,p=1$abc$def"}
    apply(memory, Command("user.owner", Scope(actor=LOCAL), args=owner))
    refuse_exposure(settings, memory)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_owner(host: str, memory: Store) -> None:
    refuse_exposure(Settings(web_host=host), memory)


def test_a_home_that_is_not_writable_is_a_plain_error(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("a file where a folder should be")
    with pytest.raises(HubError) as caught:
        serve(Settings(home=home, web_port=0))
    assert str(home) in caught.value.detail


def test_it_opens_the_store_that_the_settings_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", web_port=0, web_host="0.0.0.0")
    store = open_hub(settings)
    store.migrate()
    store.close()
    with pytest.raises(RefusedError):
        serve(settings)
    assert os.stat(settings.home / "key").st_mode & 0o777 == 0o600
