"""Links and sites over the API of two whole applications, with the real threads between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from hub.client import Client
from hub.client.inprocess import InProcess
from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.plugins import load_plugins
from hub.runtime.commands import registry
from hub.runtime.sequencer import Sequencer
from hub.settings import Settings, load_settings
from hub.store import Store, open_store, runs
from hub.types import Scope, new_id
from hub.web.app import build_app

from hub_hybrid import api, links, wire
from hub_hybrid.credentials import credentials_of, keys_of
from hub_hybrid.supervisor import Pace, Supervisor

LOCAL = "http://127.0.0.1"


class End:
    """One hub: store, application, client."""

    def __init__(self, stack: ExitStack, **settings: str) -> None:
        self.settings: Settings = load_settings({"plugins": "only:hybrid", **settings})
        self.store: Store = open_store("sqlite://")
        stack.callback(self.store.close)
        self.store.migrate()
        plugins = load_plugins(self.settings, process="web", store=self.store)
        self.transport = InProcess(build_app(self.settings, self.store, plugins=plugins))
        stack.callback(self.transport.close)
        self.client = stack.enter_context(Client(LOCAL, transport=self.transport, tries=1))


class Shared(httpx2.BaseTransport):
    """The plane's application as a network; closing a client does not end it."""

    def __init__(self, plane: End) -> None:
        self.plane = plane

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.plane.transport.handle_request(request)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[End, End]]:
    with ExitStack() as stack:
        site, plane = End(stack), End(stack, sync_interval="0.1")
        # The seam to the network: what the site's API and agent send goes to the plane's application.
        real = wire.HttpWire
        monkeypatch.setattr(api, "HttpWire", lambda url, token: real(url, token, Shared(plane)))
        yield site, plane


@pytest.fixture
def linked(ends: tuple[End, End]) -> Iterator[tuple[End, End]]:
    site, plane = ends
    token = plane.client.post("/sites", {"name": "berlin"})["token"]
    site.client.post("/links", {"url": LOCAL, "token": token})
    supervisor = Supervisor(site.store, Pace(beat=0.2, poll=2.0, longest=0.5), Shared(plane))
    supervisor.step()
    yield site, plane
    supervisor.stop()


def until(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return found


def make_run(site: End, flow_name: str = "a") -> str:
    run_id = new_id()
    row = {"id": run_id, "name": "a-run", "flow_name": flow_name, "parameters": {"said": "s3cret"}}
    with site.store.write() as tx:
        runs.create(tx, Scope(), row)
    stamp(site)
    return run_id


def reported(plane: End) -> dict[str, dict[str, Any]]:
    return {str(run["id"]): run for run in plane.client.page("/sites/berlin/runs")[0]}


def stamp(site: End) -> bool:
    sequencer = Sequencer(site.store)
    done = sequencer.step()
    sequencer.close()
    return done


def test_a_run_is_reported_cancelled_from_afar_and_both_ends_agree(linked: tuple[End, End]) -> None:
    site, plane = linked
    run = make_run(site)
    until(lambda: run in reported(plane))
    asked = plane.client.post(f"/sites/berlin/runs/{run}/cancel")
    assert asked["status"] in ("waiting", "delivered", "accepted")

    def cancelled() -> bool:
        stamp(site)
        return bool(reported(plane)[run]["state_type"] == "CANCELLED")

    until(cancelled)
    (command,) = until(lambda: [c for c in plane.client.page("/sites/berlin/commands")[0] if c["outcome_at"]])
    assert command["status"] == "accepted"
    (shown,) = plane.client.page("/sites")[0]
    assert shown["presence"] == "online"
    (link,) = site.client.page("/links")[0]
    assert (link["status"], link["lag"], link["last_error"]) == ("connected", 0, "")
    digest = site.client.get("/links/cloud/digest")
    assert digest["equal"]
    assert (
        digest["site"]["sha256"]
        == plane.client.get("/sites/berlin/digest", {"since": digest["site"]["since"]})["sha256"]
    )


def test_a_cancel_for_a_site_that_is_away_is_shown_as_asked_for_only(ends: tuple[End, End]) -> None:
    site, plane = ends
    token = plane.client.post("/sites", {"name": "berlin"})["token"]
    site.client.post("/links", {"url": LOCAL, "token": token})
    supervisor = Supervisor(site.store, Pace(beat=0.2, poll=1.0, longest=0.5), Shared(plane))
    supervisor.step()
    run = make_run(site)
    until(lambda: run in reported(plane))
    supervisor.stop()
    until(lambda: plane.client.page("/sites")[0][0]["presence"] == "offline")
    asked = plane.client.post(f"/sites/berlin/runs/{run}/cancel")
    assert asked["status"] == "waiting"
    assert asked["notice"].startswith("cancel requested, site offline since 2")
    shown = plane.client.get(f"/sites/berlin/runs/{run}")
    assert shown["state_type"] == "SCHEDULED"
    assert shown["notice"].startswith("cancel requested, site offline since 2")
    plane.client.delete(f"/sites/berlin/commands/{asked['id']}")
    assert plane.client.page("/sites/berlin/commands")[0][0]["status"] == "withdrawn"
    assert plane.client.get(f"/sites/berlin/runs/{run}")["notice"].startswith("presumed")


def test_the_token_is_checked_before_a_link_is_made(ends: tuple[End, End]) -> None:
    site, plane = ends
    with pytest.raises(ConflictError, match="not the token of a site"):
        site.client.post("/links", {"url": LOCAL, "token": "hub_site_nonsense"})
    assert site.client.page("/links")[0] == []
    token = plane.client.post("/sites", {"name": "berlin"})["token"]
    plane.client.delete("/sites/berlin")
    with pytest.raises(ConflictError, match="no join token"):
        site.client.post("/links", {"url": LOCAL, "token": token})


@pytest.mark.parametrize(
    "url", ["http://plane.example.org", "ftp://127.0.0.1", "https://u:p@plane", "https://plane/x", "plane", "https://"]
)
def test_only_https_or_this_machine_is_a_planes_address(url: str) -> None:
    with pytest.raises(UsageError):
        links.checked_url(url)


@pytest.mark.parametrize(
    "url", ["https://plane.example.org", "http://127.0.0.1:4300", "http://[::1]:4300/", "http://localhost"]
)
def test_https_anywhere_and_http_to_this_machine_are_fine(url: str) -> None:
    assert links.checked_url(url) == url.rstrip("/")


def test_a_join_token_is_good_for_one_hub_and_the_same_hub_may_try_again(
    ends: tuple[End, End], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, plane = ends
    token = plane.client.post("/sites", {"name": "berlin"})["token"]
    real = links.connect

    def killed(*_: Any) -> Any:
        raise RuntimeError("killed after the plane has answered")

    monkeypatch.setitem(registry._ops, "link.connect", replace(registry.find("link.connect"), handler=killed))
    with pytest.raises(HubError):
        site.client.post("/links", {"url": LOCAL, "token": token})
    monkeypatch.setitem(registry._ops, "link.connect", replace(registry.find("link.connect"), handler=real))
    site.client.post("/links", {"url": LOCAL, "token": token})
    with ExitStack() as stack:
        other = End(stack)
        with pytest.raises(ConflictError, match="has been used"):
            other.client.post("/links", {"url": LOCAL, "token": token})
    again = plane.client.post("/sites", {"name": "berlin-2"})["token"]
    with pytest.raises(ConflictError, match="reports here already"):
        site.client.post("/links", {"url": LOCAL, "token": again, "name": "second"})


def test_keys_are_kept_sealed_at_the_site_and_tokens_hashed_at_the_plane(ends: tuple[End, End]) -> None:
    site, plane = ends
    token = plane.client.post("/sites", {"name": "berlin"})["token"]
    site.client.post("/links", {"url": LOCAL, "token": token})
    with site.store.read() as tx:
        (link,) = links.live(tx)
        keys = keys_of(tx, link)
        assert keys is not None
        tables = ("links", "audit", "command_outcomes", "events")
        dump = "".join(str(row) for table in tables for row in _all(tx, table))
    for secret in (token, keys.sign.hex(), keys.seal.hex()):
        assert secret not in dump
    with plane.store.read() as tx:
        tables = ("audit", "command_outcomes", "plane_joins", "plane_keys", "plane_access", "plane_sites")
        assert token not in "".join(str(row) for table in tables for row in _all(tx, table))


def access_token(site: End, plane: End) -> str:
    """What the site shows the plane now."""
    with site.store.read() as tx:
        (link,) = links.live(tx)
        known = credentials_of(tx, link)
    network = wire.HttpWire(LOCAL, known, Shared(plane))
    token = known.bearer(network._asked)
    assert isinstance(token, str)
    return token


def _all(tx: Any, table: str) -> list[Any]:
    from sqlalchemy import text

    return list(tx.conn.execute(text(f"SELECT * FROM {table}")))


def test_a_disconnected_link_forgets_its_token_and_can_come_back(ends: tuple[End, End]) -> None:
    site, plane = ends
    token = plane.client.post("/sites", {"name": "berlin"})["token"]
    site.client.post("/links", {"url": LOCAL, "token": token})
    site.client.delete("/links/cloud")
    assert site.client.page("/links")[0] == []
    with pytest.raises(NotFoundError):
        site.client.post("/links/cloud/promote")
    with pytest.raises(ConflictError, match="has been used"):
        site.client.post("/links", {"url": LOCAL, "token": token})
    token = plane.client.post("/sites/tokens", {"site": "berlin"})["token"]
    assert site.client.post("/links", {"url": LOCAL, "token": token})["primary"] is True


def test_a_sites_token_opens_nothing_but_the_sync_endpoints(ends: tuple[End, End]) -> None:
    site, plane = ends
    made = plane.client.post("/sites", {"name": "berlin"})
    site.client.post("/links", {"url": LOCAL, "token": made["token"]})
    token = access_token(site, plane)
    with httpx2.Client(base_url=LOCAL, transport=Shared(plane)) as http:
        headers = {"authorization": f"Bearer {token}"}
        assert http.get("/api/v1/runs", headers=headers).status_code in (401, 403)
        assert http.get("/sync/v1/digest", headers=headers).status_code == 200
        assert http.get("/sync/v1/digest").status_code == 401
        joined = {"authorization": f"Bearer {made['token']}"}
        assert http.get("/sync/v1/digest", headers=joined).status_code == 401
        assert http.get("/sync/v1/digest", headers={"authorization": "Bearer hub_api_x"}).status_code == 401
        assert http.get("/sync/v1/digest?since=-1", headers=headers).status_code == 422
        assert http.post("/sync/v1/sessions", headers=headers, content=b"[]").status_code == 422
        assert http.post("/sync/v1/sessions", headers=headers, content=b"x" * 2_000_000).status_code == 413


def test_the_preview_is_what_is_sent(ends: tuple[End, End]) -> None:
    site, _ = ends
    run = make_run(site)
    (event,) = site.client.get("/links/preview")["items"]
    assert set(event) == {"seq", "hash", "id", "type", "subject", "run_id", "at", "schema_version", "body"}
    assert event["run_id"] == run
    assert "s3cret" not in str(event)
    assert "parameters" not in event["body"]
