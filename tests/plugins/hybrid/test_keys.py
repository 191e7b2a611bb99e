"""Who a site is: join tokens, keys and their successors, access tokens, and what ends each of them."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest
from hub.errors import ConflictError, TransientError
from hub.runtime.commands import Command, apply
from hub.store.tables import Effect
from hub.types import SECOND, Scope, now_us
from sqlalchemy import update

from hub_hybrid import credentials, joining, keys, links, orders, wire
from hub_hybrid.agent import Agent, LinkRefused
from hub_hybrid.credentials import ByKey, credentials_of, due, keys_of
from hub_hybrid.keys import Keys
from hub_hybrid.supervisor import Pace, Supervisor

from .test_links_over_http import LOCAL, End, Shared, ends, make_run, reported, until  # noqa: F401 - fixtures
from .world import answered, old_token, whole

EFFECTS = Effect.__table__  # type: ignore[attr-defined]
SCOPE = Scope()
DAY = 86_400 * SECOND
PACE = Pace(beat=0.05, poll=1.0, longest=0.2)


class Site:
    """A connected site without its threads: a link, and requests with its credentials."""

    def __init__(self, site: End, plane: End, **link: Any) -> None:
        self.end, self.plane = site, plane
        made = plane.client.post("/sites", {"name": "berlin"})
        site.client.post("/links", {"url": LOCAL, "token": made["token"], **link})
        self.row = made["id"]

    def link(self) -> dict[str, Any]:
        with self.end.store.read() as tx:
            (link,) = links.live(tx)
        return link

    def credentials(self) -> ByKey:
        with self.end.store.read() as tx:
            found = credentials_of(tx, links.live(tx)[0])
        assert isinstance(found, ByKey)
        return found

    def wire(self, known: credentials.Credentials | None = None, network: Any = None) -> wire.HttpWire:
        return wire.HttpWire(LOCAL, known or self.credentials(), network or Shared(self.plane))

    def agent(self) -> Agent:
        agent = Agent(self.end.store, self.link()["id"], self.wire())
        agent.open()
        return agent

    def known(self) -> list[dict[str, Any]]:
        with self.plane.store.read() as tx:
            query = joining.KEYS.select().order_by(joining.KEYS.c.created_at)
            return [dict(row) for row in tx.conn.execute(query).mappings()]

    def asked_alerts(self) -> list[dict[str, Any]]:
        with self.end.store.read() as tx:
            query = EFFECTS.select().where(EFFECTS.c.kind == "alert").order_by(EFFECTS.c.id)
            return [dict(row["payload"]) for row in tx.conn.execute(query).mappings()]

    def change(self, table: Any, **values: Any) -> None:
        with self.plane.store.write() as tx:
            tx.conn.execute(update(table).values(**values))


@pytest.fixture
def site(ends: tuple[End, End]) -> Site:  # noqa: F811 - a fixture
    return Site(*ends)


def grant(assertion: str) -> dict[str, str]:
    return {**credentials.GRANT, "client_assertion": assertion}


def asked(site: Site, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    with httpx2.Client(base_url=LOCAL, transport=Shared(site.plane)) as http:
        answer = http.post("/sync/v1/token", json=body)
        return answer.status_code, answer.json()


def test_an_access_token_lasts_ten_minutes_and_one_assertion_is_good_once(site: Site) -> None:
    with site.end.store.read() as tx:
        link = links.live(tx)[0]
        key = keys_of(tx, link)
    assert key is not None
    now = time.time()
    said = key.assertion(link["site_id"], link["audience"], now)
    status, body = asked(site, grant(said))
    assert (status, body["token_type"], body["expires_in"]) == (200, "Bearer", 600)
    assert asked(site, grant(said))[1]["code"] == "replayed-assertion"
    other = Keys.new()
    for wrong, code in (
        (key.assertion(link["site_id"], "hub-plane:another", now), "invalid-client"),
        (key.assertion("another-site", link["audience"], now), "invalid-client"),
        (other.assertion(link["site_id"], link["audience"], now), "invalid-client"),
        (said[:-8] + "AAAAAAAA", "invalid-client"),
        (key.assertion(link["site_id"], link["audience"], now - 3000), "clock-skew"),
        ("nonsense", "invalid-client"),
        ("e30.e30.", "invalid-client"),
    ):
        status, body = asked(site, grant(wrong))
        assert (status, body["code"]) == (401, code), wrong
    assert asked(site, {**grant(said), "grant_type": "password"})[0] == 422
    site.change(joining.ACCESS, expires_at=now_us() - 1)
    assert site.wire().send("GET", "/digest").status == 200, "another token is fetched"


def test_a_token_that_ends_early_is_replaced_and_nothing_is_lost(site: Site) -> None:
    network = site.wire()
    assert network.send("GET", "/digest").status == 200
    site.change(joining.ACCESS, expires_at=now_us() - 1)
    assert network.send("GET", "/digest").status == 200


def test_a_clock_that_is_hours_wrong_is_corrected_by_the_planes(
    ends: tuple[End, End],  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credentials, "now_us", lambda: now_us() + 5 * 3600 * SECOND)
    site = Site(*ends)
    assert site.wire().send("GET", "/digest").status == 200
    agent = site.agent()
    monkeypatch.setattr("hub_hybrid.agent.now_us", lambda: now_us() - 90 * SECOND)
    agent.beat()
    (shown,) = site.end.client.page("/links")[0]
    assert 80 < shown["clock_offset_s"] < 100


def test_at_three_quarters_of_its_life_a_key_gets_a_successor(site: Site) -> None:
    link = site.link()
    life = link["key_until"] - link["key_made_at"]
    assert abs(life - 90 * DAY) < DAY
    assert not due(link, link["key_made_at"] + life * 74 // 100)
    assert due(link, link["key_made_at"] + life * 76 // 100)


@pytest.mark.parametrize("killed", ["no", "before", "after"])
def test_a_key_changes_without_a_lost_event_wherever_the_site_is_killed(site: Site, killed: str) -> None:
    agent, known = site.agent(), site.credentials()
    assert agent.session is not None
    place = (site.end.store, site.link()["id"], agent.session.fence)

    def cut(path: str, body: dict[str, Any]) -> Any:
        if killed == "after":
            site.wire(known).ask(path, body)
        raise TransientError("killed")

    if killed != "no":
        with pytest.raises(TransientError):
            credentials.rotate(*place, known, cut)
        known = site.credentials()
        assert site.wire(known).send("GET", "/digest").status == 200, "the old key is still good"
    credentials.rotate(*place, known, site.wire(known).ask)
    assert len(site.known()) == 2
    make_run(site.end)
    later = Agent(site.end.store, site.link()["id"], site.wire())
    later.open()
    later.push()
    assert [key["revoked_at"] is None for key in site.known()] == [False, True], "the first use ends the old key"
    assert later.session is not None
    assert later.session.acked == later.session.head


def test_the_plane_asks_for_another_key_and_the_link_never_stops(site: Site) -> None:
    supervisor = Supervisor(site.end.store, PACE, Shared(site.plane))
    supervisor.step()
    try:
        until(lambda: site.link()["status"] == "connected")
        site.plane.client.post("/sites/berlin/rotate")
        until(lambda: [key["revoked_at"] is None for key in site.known()] == [False, True])
        run = make_run(site.end)
        until(lambda: run in reported(site.plane))
        assert site.link()["last_error"] == ""
    finally:
        supervisor.stop()


def test_a_revoked_key_is_refused_until_the_site_joins_anew(site: Site) -> None:
    agent = site.agent()
    site.plane.client.post("/sites/berlin/revoke")
    run = make_run(site.end)
    with pytest.raises(LinkRefused) as refused:
        agent.push()
    assert refused.value.code == "key-revoked"
    token = site.plane.client.post("/sites/tokens", {"site": "berlin"})["token"]
    site.end.client.post("/links/cloud/rejoin", {"token": token})
    again = site.agent()
    while again.push():
        pass
    assert run in reported(site.plane)
    assert site.known()[-1]["revoked_at"] is None


def test_a_key_past_its_life_says_so(site: Site) -> None:
    site.change(joining.KEYS, expires_at=now_us() - 1)
    answer = site.wire().send("GET", "/digest")
    assert (answer.status, answer.code) == (403, "key-expired")
    assert "hub sites token" in answer.body["hint"]


def test_another_hub_takes_a_sites_place_and_the_former_one_is_out(
    ends: tuple[End, End],  # noqa: F811 - a fixture
) -> None:
    from contextlib import ExitStack

    site = Site(*ends)
    old = site.wire()
    assert old.send("GET", "/digest").status == 200
    token = site.plane.client.post("/sites/tokens", {"site": "berlin"})["token"]
    with ExitStack() as stack:
        rebuilt = End(stack)
        rebuilt.client.post("/links", {"url": LOCAL, "token": token})
    assert old.send("GET", "/digest").code == "key-revoked"


def test_a_token_for_any_site_is_good_for_so_many_and_for_so_long(
    ends: tuple[End, End],  # noqa: F811 - a fixture
) -> None:
    from contextlib import ExitStack

    _, plane = ends
    token = plane.client.post("/sites/tokens", {"uses": 2})["token"]
    with ExitStack() as stack:
        hubs = [End(stack) for _ in range(3)]
        for number, hub in enumerate(hubs[:2]):
            hub.client.post("/links", {"url": LOCAL, "token": token, "site_name": f"edge-{number}"})
        with pytest.raises(ConflictError, match="has been used"):
            hubs[2].client.post("/links", {"url": LOCAL, "token": token, "site_name": "edge-2"})
        other = plane.client.post("/sites/tokens")["token"]
        with pytest.raises(ConflictError, match="there is a site 'edge-0' already"):
            hubs[2].client.post("/links", {"url": LOCAL, "token": other, "site_name": "edge-0"})
        with plane.store.write() as tx:
            tx.conn.execute(update(joining.JOINS).values(expires_at=now_us() - 1))
        with pytest.raises(ConflictError, match="has expired"):
            hubs[2].client.post("/links", {"url": LOCAL, "token": other, "site_name": "edge-2"})
    assert {site["name"] for site in plane.client.page("/sites")[0]} == {"edge-0", "edge-1"}


def test_a_removed_site_hears_that_it_was(site: Site) -> None:
    network = site.wire()
    assert network.send("GET", "/digest").status == 200
    site.plane.client.delete("/sites/berlin")
    assert (network.send("GET", "/digest").status, site.wire().send("GET", "/digest").status) == (410, 410)


@pytest.fixture
def old(ends: tuple[End, End]) -> Site:  # noqa: F811 - a fixture
    """A site that has joined before there were keys."""
    site = Site(*ends)
    token = old_token(site.plane.store, site.row)
    with site.end.store.write() as tx:
        link = links.live(tx)[0]
        sealed = tx.keyring.seal(token, context=links.token_context(link["id"]))
        fields = {"sealed_keys": None, "audience": "", "key_until": 0, "key_made_at": 0}
        tx.conn.execute(update(links.LINKS).values(sealed_token=sealed, **fields))
    with site.plane.store.write() as tx:
        tx.conn.execute(joining.KEYS.delete())
    return site


def test_a_link_of_the_time_before_keys_gets_one_by_itself(old: Site) -> None:
    supervisor = Supervisor(old.end.store, PACE, Shared(old.plane))
    try:
        until(lambda: supervisor.step() or (old.link()["audience"] and old.link()["status"] == "connected"))
        run = make_run(old.end)
        until(lambda: supervisor.step() or run in reported(old.plane))
        assert old.link()["sealed_token"] is None
        with old.plane.store.read() as tx:
            (token,) = tx.conn.execute(joining.TOKENS.select()).mappings()
        assert token["revoked_at"] is not None, "the old token is worthless now"
    finally:
        supervisor.stop()


class Before(httpx2.BaseTransport):
    """A plane of protocol 1: it knows no keys, no log lines, nothing beside metadata."""

    def __init__(self, plane: End) -> None:
        self.inside, self.asked = Shared(plane), []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        path, content = request.url.path, request.read()
        self.asked.append(path)
        if path.endswith(("/token", "/keys", "/logs")):
            return answered(404, {"code": "not-found"})
        assert b'"more"' not in content
        assert "content-encoding" not in request.headers
        response = whole(self.inside.handle_request(request))
        if path.endswith("/sessions"):
            new = ("protocol", "log_epoch", "capabilities")
            known = {name: value for name, value in json.loads(response.read()).items() if name not in new}
            return answered(response.status_code, known)
        return response


def test_a_plane_of_the_protocol_before_gets_all_that_it_knows_of(old: Site) -> None:
    old.end.client.put("/links/cloud/policy", {"level": "results"})
    network = Before(old.plane)
    supervisor = Supervisor(old.end.store, PACE, network)
    supervisor.step()
    try:
        until(lambda: old.link()["acked_seq"] is not None)  # the snapshot has left
        run = make_run(old.end)
        until(lambda: run in reported(old.plane))
        assert not [path for path in network.asked if path.endswith(("/token", "/keys", "/logs"))]
        assert old.link()["last_error"] == ""
    finally:
        supervisor.stop()


def test_that_a_plane_refuses_the_site_is_an_alert_until_it_is_let_in_again(site: Site) -> None:
    supervisor = Supervisor(site.end.store, PACE, Shared(site.plane))
    supervisor.step()
    try:
        until(lambda: site.link()["status"] == "connected")
        site.plane.client.post("/sites/berlin/revoke")
        until(lambda: site.link()["status"] == "refused")
        said = until(lambda: site.asked_alerts())
        assert [(alert["about"], alert["resolve"]) for alert in said] == [(f"link:{site.link()['id']}", False)]
        assert "key-revoked" in said[0]["body"]
        token = site.plane.client.post("/sites/tokens", {"site": "berlin"})["token"]
        site.end.client.post("/links/cloud/rejoin", {"token": token})
        until(lambda: supervisor.step() or len(site.asked_alerts()) == 2)
        assert site.asked_alerts()[1]["resolve"]
    finally:
        supervisor.stop()


def test_a_site_too_old_for_commands_is_still_heard(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(site.end.store, PACE, Shared(site.plane))
    monkeypatch.setattr(orders, "OLDEST", 3)
    supervisor.step()
    try:
        until(lambda: "commands need 3" in site.link()["last_error"])
        run = make_run(site.end)
        until(lambda: run in reported(site.plane))
    finally:
        supervisor.stop()


def test_what_has_expired_is_forgotten(site: Site) -> None:
    assert site.wire().send("GET", "/digest").status == 200
    long_ago = now_us() - 2 * DAY
    for table in (joining.ACCESS, joining.ASSERTIONS, joining.JOINS):
        site.change(table, expires_at=long_ago)
    with site.plane.store.write() as tx:
        assert joining.forget(tx, 100) >= 4
        assert joining.forget(tx, 100) == 0


def test_keys_say_nothing_of_themselves() -> None:
    made = Keys.new()
    assert made.sign.hex() not in repr(made)
    assert keys.thumbprint(made.public) == made.id
    assert "d" not in made.public
    assert Keys.read(made.written()) == made


def test_secrets_are_sealed_anew_with_links_among_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.crypto import Keyring

    before = site.end.store.keyring
    monkeypatch.setattr(site.end.store, "keyring", Keyring((b"n" * 32, *before._keys.values())))
    assert apply(site.end.store, Command("secret.rotate", SCOPE)).result["resealed"] == 1
    assert site.wire().send("GET", "/digest").status == 200
