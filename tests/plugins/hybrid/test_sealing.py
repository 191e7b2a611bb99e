"""Sealing to a site, and what becomes of webhooks that wait at a plane while keys, sources and rows change."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hub.errors import NotFoundError, TransientError, UsageError
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.presets import installed
from hub.settings import load_settings
from hub.store import events, receipts
from hub.types import SECOND, now_us
from hub.webhooks import standard
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.signing import sign
from sqlalchemy import select, update

from hub_hybrid import addresses, credentials, forwarding
from hub_hybrid.addresses import Teller
from hub_hybrid.agent import Agent
from hub_hybrid.keys import SEALS_KEPT, Bundle, Keys
from hub_hybrid.protocol import Addresses
from hub_hybrid.receiving import Receiver
from hub_hybrid.sealing import NotOpened, Place, opened, seal

from .test_keys import Site
from .test_links_over_http import LOCAL, End, Shared, ends  # noqa: F401 - a fixture

PLACE = Place("workspace", "site", "source", "receipt")
BODY = b'{"ref":"refs/heads/main"}'


def test_what_is_sealed_opens_in_its_place_and_nowhere_else() -> None:
    seeds = [os.urandom(32) for _ in range(2)]
    public = X25519PrivateKey.from_private_bytes(seeds[0]).public_key().public_bytes_raw()
    fields = {"head": b"h", "body": os.urandom(1000), "none": b""}
    sealed = seal(public, PLACE, fields)
    assert opened(reversed(seeds), PLACE, sealed) == fields
    again = seal(public, PLACE, fields)
    assert (again.wrapped, again.fields) != (sealed.wrapped, sealed.fields), "a content key of its own each time"
    places = [replace(PLACE, **{name: "other"}) for name in ("workspace", "site", "source", "receipt")]
    damaged = bytes([sealed.fields["body"][0] ^ 1]) + sealed.fields["body"][1:]
    for where, what in (
        *((place, sealed) for place in places),
        (PLACE, replace(sealed, fields={**sealed.fields, "body": sealed.fields["head"]})),
        (PLACE, replace(sealed, fields={**sealed.fields, "body": damaged})),
        (PLACE, replace(sealed, fields={"head": b""})),
        (PLACE, replace(sealed, wrapped=again.wrapped[:-1] + b"x")),
        (PLACE, replace(sealed, wrapped=b"")),
        (PLACE, replace(sealed, wrapped=again.wrapped)),
    ):
        with pytest.raises(NotOpened, match="damaged, or sealed for another place"):
            opened(seeds, where, what)
    with pytest.raises(NotOpened, match="not here"):
        opened(seeds[1:], PLACE, sealed)


def test_older_keys_stay_to_open_with_and_not_for_ever() -> None:
    bundle = Bundle(Keys.new())
    past = [bundle.now.seal]
    for _ in range(SEALS_KEPT + 3):
        bundle = Bundle.read(bundle.followed_by(Keys.new()).written())
        past.append(bundle.now.seal)
    assert bundle.opening() == tuple(reversed(past))[: SEALS_KEPT + 1]


class World(Site):
    """A site with a source that has an address at the plane, without threads."""

    def __init__(self, site: End, plane: End) -> None:
        super().__init__(site, plane)
        self.secret = standard.new_secret()
        site.client.post("/sources", {"name": "hooks", "preset": "standard-webhooks", "secret": self.secret})
        self.fresh()
        self.url = self.publish("hooks")
        self.http = httpx2.Client(transport=Shared(plane), base_url=LOCAL)

    def fresh(self) -> Agent:
        """The agent of a new session, that of a process that has just begun."""
        self.fetching = self.agent()
        self.teller = Teller(self.end.store, self.link()["id"], self.fetching)
        self.receiver = Receiver(self.end.store, self.link()["id"], self.fetching, self.teller, poll=0, rejected=1)
        return self.fetching

    def publish(self, source: str) -> str:
        url = str(self.end.client.post("/links/cloud/addresses", {"source": source})["url"])
        self.teller.step()
        return url

    def request(self, name: str, at: int = 0) -> WebhookRequest:
        unsigned = WebhookRequest("POST", "", header_pairs({"content-type": "application/json"}), BODY)
        return sign(installed().get("standard-webhooks"), self.secret, unsigned, now=at or now_us(), delivery_id=name)

    def send(self, request: WebhookRequest) -> Any:
        return self.http.post(self.url, content=request.body, headers=dict(request.headers))

    def take(self, request: WebhookRequest, at: int) -> str:
        """What the plane's door does, at another time."""
        taker = forwarding.Forwards(self.plane.store, self.plane.settings)
        address = taker.find(self.url.rpartition("/")[2])
        assert address is not None
        return taker.take(address, replace(request, url=self.url), "192.0.2.1", at)

    def receipts(self) -> dict[str, str]:
        with self.end.store.read() as tx:
            found = tx.conn.execute(select(receipts.TABLE).order_by(receipts.TABLE.c.id)).mappings()
            return {row["id"]: row["verdict"] + ("+" if row["duplicates"] else "") for row in found}

    def lost(self) -> list[tuple[str, str]]:
        with self.end.store.read() as tx:
            query = select(events.TABLE).where(events.TABLE.c.type == "hub.link.webhook_lost")
            rows = tx.conn.execute(query.order_by(events.TABLE.c.id)).mappings()
            return [(row["body"]["receipt"], row["body"]["reason"]) for row in rows]


@pytest.fixture
def world(ends: tuple[End, End], monkeypatch: pytest.MonkeyPatch) -> World:  # noqa: F811 - a fixture
    for name in ("_installed", "_hooks", "around_task"):
        monkeypatch.setattr(contributed, name, None)
    contributed.install(load_plugins(load_settings(), process="upkeep").hooks)
    return World(*ends)


def test_what_was_sealed_to_an_older_key_is_opened_and_what_is_brought_again_is_one_receipt(world: World) -> None:
    before = world.send(world.request("before")).json()["receipt"]
    assert world.fetching.session is not None
    known = world.credentials()
    credentials.rotate(world.end.store, world.link()["id"], world.fetching.session.fence, known, world.wire(known).ask)
    between = world.send(world.request("between")).json()["receipt"]
    token = world.plane.client.post("/sites/tokens", {"site": "berlin"})["token"]
    world.end.client.post("/links/cloud/rejoin", {"token": token})
    world.fresh()
    after = world.send(world.request("after")).json()["receipt"]

    def cut(*_request: Any) -> None:
        raise TransientError("killed before the plane heard of it")

    real, world.fetching.ask = (
        world.fetching.ask,
        lambda kind, method, *rest, **more: (  # type: ignore[method-assign]
            cut() if method == "POST" else real(kind, method, *rest, **more)
        ),
    )
    world.teller.step()
    with pytest.raises(TransientError):
        world.receiver.step()
    assert world.receipts() == dict.fromkeys((before, between, after), "accepted")
    world.fetching.ask = real  # type: ignore[method-assign]
    assert world.receiver.step()
    assert not world.receiver.step(), "the plane has forgotten them"
    assert world.receipts() == dict.fromkeys((before, between, after), "accepted"), "no repeat is counted"
    assert world.send(world.request("after")).status_code == 202
    assert world.receiver.step()
    assert world.receipts() == {before: "accepted", between: "accepted", after: "accepted+"}, "this one is a repeat"
    assert world.lost() == []


def test_the_time_of_arrival_counts_and_what_can_never_be_taken_is_told(world: World) -> None:
    hours_ago = now_us() - 5 * 3600 * SECOND
    good = world.take(world.request("long-ago", hours_ago), hours_ago)
    late = world.take(world.request("signed-long-ago", hours_ago), now_us())
    world.take(world.request("signed-long-ago-too", hours_ago), now_us())
    assert world.receiver.step()
    assert world.receipts() == {good: "accepted", late: "rejected"}, "one refused one is kept a minute"
    moved, gone, kept = (world.take(world.request(name), now_us()) for name in ("moved", "gone", "kept"))
    other = world.end.client.post("/sources", {"name": "other", "preset": "github"})["id"]
    table = forwarding.WEBHOOKS
    with world.plane.store.write() as tx:
        tx.conn.execute(update(table).where(table.c.id == moved).values(source_id=other))
        tx.conn.execute(update(table).where(table.c.id == gone).values(source_id="0" * 36))
    assert world.receiver.step()
    assert world.receipts().keys() == {good, late, kept}
    assert dict(world.lost()) == {
        moved: "it was damaged, or sealed for another place",
        gone: "nothing answers at the source's address any more",
    }
    week_ago = now_us() - forwarding.LONGEST_US - SECOND
    world.take(world.request("too-old"), week_ago)
    answer = world.send(world.request("too-late"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


def test_what_cannot_be_judged_now_waits_and_holds_up_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world.end.client.post("/sources", {"name": "later", "preset": "github", "secret": "env:HUB_SECRET_LATER"})
    url = world.publish(made["id"])
    first = world.http.post(url, content=BODY, headers={"x-github-event": "push"}).json()["receipt"]
    second = world.send(world.request("second")).json()["receipt"]
    assert world.receiver.step()
    assert world.receipts() == {second: "accepted"}
    monkeypatch.setenv("HUB_SECRET_LATER", "here")
    assert not world.receiver.step(), "it begins anew with the oldest after this"
    assert world.receiver.step()
    assert world.receipts() == {first: "rejected", second: "accepted"}


def test_an_address_is_given_taken_back_and_nobody_elses(world: World) -> None:
    post = world.end.client.post
    for name, preset, more in (("shaken", "slack", {"secret": "s3cret"}), ("unknown", "", {})):
        if preset:
            post("/sources", {"name": name, "preset": preset, **more})
        with pytest.raises((UsageError, NotFoundError)):
            post("/links/cloud/addresses", {"source": name})
    (shown,) = world.end.client.page("/links/cloud/addresses")[0]
    assert (shown["source"], shown["status"], "url" in shown) == ("hooks", "open", False)
    stranger = world.plane.client.post("/sites", {"name": "oslo"})["id"]
    link = world.link()["id"]
    with world.end.store.read() as tx:
        stolen = Addresses(items=addresses.declared(tx, link))
    with world.plane.store.write() as tx:
        assert forwarding.take_addresses(tx, stranger, 0, stolen).kept == []
    world.end.client.patch("/sources/hooks", {"enabled": False})
    world.teller.step()
    assert world.send(world.request("off")).status_code == 404
    assert world.end.client.page("/links/cloud/addresses")[0][0]["status"] == "closed"
    world.end.client.patch("/sources/hooks", {"enabled": True})
    world.teller.step()
    assert world.send(world.request("on")).status_code == 202
    world.end.client.delete(f"/links/cloud/addresses/{shown['id']}")
    with pytest.raises(NotFoundError):
        world.end.client.delete(f"/links/cloud/addresses/{shown['id']}")
    world.teller.step()
    assert world.send(world.request("back")).status_code == 404
    assert world.receiver.step(), "what waits still comes"
    assert not world.receiver.step()
    world.plane.client.delete("/sites/berlin")
    with world.plane.store.read() as tx:
        assert not tx.conn.execute(select(forwarding.ADDRESSES)).all()
