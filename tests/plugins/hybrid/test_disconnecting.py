"""A link that ends: what becomes of its key at the plane, and what is said where the plane cannot be told."""

from __future__ import annotations

import contextlib

import httpx2
import pytest

from hub_hybrid import api, wire
from hub_hybrid.cli import cloud

from .test_keys import Site, site  # noqa: F401 - a fixture
from .test_links_over_http import LOCAL, Shared, ends  # noqa: F401 - a fixture
from .world import answered


def disconnect(hub: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says."""
    monkeypatch.setattr(cloud, "open_client", lambda: contextlib.nullcontext(hub.end.client))
    cloud.disconnect(yes=True)
    assert hub.end.client.page("/links")[0] == []
    return " ".join(capsys.readouterr().out.split())


def test_a_link_that_ends_takes_its_key_with_it(
    site: Site,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = site.wire()
    assert known.send("GET", "/digest").status == 200
    site.agent()
    said = disconnect(site, monkeypatch, capsys)
    assert "The plane has revoked this hub's key." in said
    assert [key["revoked_at"] is None for key in site.known()] == [False]
    assert known.send("GET", "/digest").code == "key-revoked", "its access token is worthless as well"
    token = site.plane.client.post("/sites/tokens", {"site": "berlin"})["token"]
    site.end.client.post("/links", {"url": LOCAL, "token": token})
    site.agent()


@pytest.mark.parametrize(
    ("answer", "why"), [(None, "the plane does not answer"), (404, "the plane is too old to be told")], ids=str
)
def test_a_link_ends_though_its_plane_cannot_be_told_and_says_so(
    site: Site,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: int | None,
    why: str,
) -> None:
    class Away(Shared):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            if answer is None:
                raise httpx2.ConnectError("no route")
            return answered(answer) if request.method == "DELETE" else super().handle_request(request)

    real = wire.HttpWire
    monkeypatch.setattr(api, "HttpWire", lambda url, known: real(url, known, Away(site.plane)))
    said = disconnect(site, monkeypatch, capsys)
    assert "The plane could not be told" in said
    assert why in said
    assert "hub sites revoke NAME" in said
    assert [key["revoked_at"] is None for key in site.known()] == [True]
