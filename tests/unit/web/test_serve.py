"""Which address the web process takes, and which it refuses."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hub.errors import HubError, RefusedError
from hub.runtime.certificates import make
from hub.settings import Settings
from hub.store import Store, open_hub
from hub.web.serve import bind, first_owner_link, refuse_exposure, serve


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
@pytest.mark.parametrize("door", [False, True])
def test_it_serves_nobody_else_without_tls_unless_told_in_so_many_words(host: str, door: bool, memory: Store) -> None:
    with pytest.raises(RefusedError, match="without TLS") as caught:
        serve(Settings(web_host=host), store=memory, door_only=door)
    assert "hub tls create" in caught.value.hint
    refuse_exposure(Settings(web_host=host, web_plain_http=True))
    refuse_exposure(Settings(web_host=host, public_url="https://hub.example.org"))
    with pytest.raises(RefusedError, match="without TLS"):
        refuse_exposure(Settings(web_host=host, public_url="http://hub.example.org"))


def test_a_certificate_that_cannot_be_used_is_told_before_anything_starts(tmp_path: Path) -> None:
    made, other = make(tmp_path / "a").files, make(tmp_path / "b").files
    refuse_exposure(Settings(web_host="0.0.0.0", web_tls_cert=made["cert"], web_tls_key=made["key"]))
    for cert, key in ((made["cert"], None), (made["cert"], other["key"]), (tmp_path / "none.pem", made["key"])):
        with pytest.raises(RefusedError, match="cannot be used") as caught:
            refuse_exposure(Settings(web_tls_cert=cert, web_tls_key=key))
        assert caught.value.code == "bad-certificate"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_neither(host: str, memory: Store) -> None:
    refuse_exposure(Settings(web_host=host))
    assert first_owner_link(Settings(web_host=host), memory, "") is None


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
