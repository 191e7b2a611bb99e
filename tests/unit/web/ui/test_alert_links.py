"""Acknowledging and silencing by a link in a message: looking changes nothing, the button does it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub.crypto import Keyring
from hub.runtime import alert_links
from hub.runtime.alert_links import AlertLink
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import Store
from hub.store.tables import Alert, AlertSilence, AuditEntry
from hub.types import SECOND, Id, Scope, new_id
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import open_browser, send

from hub_notifications import firing, notices
from hub_notifications.content import content
from hub_notifications.links import with_links
from hub_notifications.plugin import hub_commands
from hub_notifications.rules import AlertEvent
from hub_notifications.samples import sample
from hub_notifications.shapes import Shape
from hub_notifications.texts import compose

SCOPE = Scope()
ALERTS = Alert.__table__  # type: ignore[attr-defined]
SILENCES = AlertSilence.__table__  # type: ignore[attr-defined]


@pytest.fixture
def stranger(store: Store, tmp_path: Path) -> TestClient:
    """A browser of somebody without a login, on a hub that asks for one."""
    register(*hub_commands())
    return open_browser(store, tmp_path, web_login="always")


def told(store: Store, *names: str, seconds: int = 3_600) -> tuple[list[Id], AlertLink]:
    """A message about new alerts, and the link in it."""
    register(*hub_commands())
    args = {"name": f"chat{len(names)}", "address": "slack+https://chat.example.com/hooks/x"}
    channel = str(apply(store, Command("channel.add", SCOPE, args=args)).result["id"])
    with store.write() as tx:
        events = [AlertEvent("firing", name, "1", "run-failed", title=f"{name} <b>failed") for name in names]
        ids = [str(firing.fire(tx, SCOPE, one)) for one in events]
        pairs = [{"alert_id": one, "status": "firing", "occurrences": 1} for one in ids]
        rows = [firing.find(tx, SCOPE, one) for one in ids]
        message = notices.plan(tx, SCOPE, content("firing", rows, pairs, tx.now), pairs, [channel])
        return ids, AlertLink(message, channel, (tx.now // SECOND + seconds) * SECOND)


def path(store: Store, link: AlertLink, action: str = "acknowledge") -> str:
    return f"{alert_links.PATH}{action}/{alert_links.sign(store.keyring, link)}"


def standing(store: Store) -> list[tuple[str, str]]:
    with store.read() as tx:
        rows = tx.conn.execute(select(ALERTS.c.title, ALERTS.c.acknowledged_by).order_by(ALERTS.c.id))
        return [(title.split()[0], by) for title, by in rows]


def silences(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        return [dict(row) for row in tx.conn.execute(select(SILENCES)).mappings()]


def test_messages_have_links_that_lead_here(store: Store, tmp_path: Path) -> None:
    _, link = told(store, "nightly")
    token = alert_links.sign(store.keyring, link)
    assert alert_links.read(store.keyring, token) == link
    settings = load_settings({"home": tmp_path, "public_url": "https://hub.example"}, environ={})
    text = compose(with_links(sample("firing"), settings, token), Shape()).text
    assert f"Acknowledge: https://hub.example{path(store, link)}\n" in text
    assert f"Silence: https://hub.example{path(store, link, 'silence')}\n" in text


def test_looking_changes_nothing_and_the_button_acknowledges_once(stranger: TestClient, store: Store) -> None:
    ids, link = told(store, "nightly", "hourly")
    address = path(store, link)
    apply(store, Command("alert.acknowledge", SCOPE, ids[1], {"by": "Ada"}))
    for _ in range(3):
        answer = stranger.get(address)
        assert answer.status_code == 200
        assert "nightly &lt;b&gt;failed" in answer.text
        assert "/ui/runs" not in answer.text, "a stranger sees nothing else of the hub"
    assert stranger.head(address).status_code == 200
    assert stranger.post(address, data={}).status_code == 403, "only by the button of the page"
    assert standing(store) == [("nightly", ""), ("hourly", "Ada")]
    assert (answer.headers["referrer-policy"], answer.headers["cache-control"]) == ("no-referrer", "no-store")
    done = send(stranger, address, address)
    assert (done.status_code, done.headers["location"]) == (303, f"{address}?thanks=yes")
    assert "acknowledged by somebody in channel chat2" in stranger.get(done.headers["location"]).text
    assert standing(store) == [("nightly", "somebody in channel chat2"), ("hourly", "Ada")]
    apply(store, Command("alert.unacknowledge", SCOPE, ids[0]))
    again = stranger.get(address)
    assert (again.status_code, "This has been done" in again.text) == (410, True)
    with store.read() as tx:
        audit = AuditEntry.__table__  # type: ignore[attr-defined]
        actors = tx.conn.execute(select(audit.c.actor).where(audit.c.op == "notification.acknowledge")).scalars().all()
    assert actors == ["link-holder:chat2"]


def test_a_button_that_is_pressed_twice_at_once_does_it_once(stranger: TestClient, store: Store) -> None:
    _, link = told(store, "nightly")
    address = path(store, link, "silence")
    html = stranger.get(address).text
    csrf = html.partition('name="csrf" value="')[2].partition('"')[0]
    for seconds, status in (("5", 422), ("3600", 303), ("86400", 410)):
        assert stranger.post(address, data={"csrf": csrf, "for_s": seconds}).status_code == status
    (silence,) = silences(store)
    assert silence["match"] == '(labels.about == "nightly" && labels.kind == "run-failed")'
    assert silence["ends_at"] - silence["created_at"] == 3_600 * SECOND
    assert silence["author"] == "somebody in channel chat1"
    assert stranger.get(path(store, link)).status_code == 200, "acknowledging is another thing"


def test_links_that_do_nothing_say_why(stranger: TestClient, store: Store) -> None:
    ids, link = told(store, "nightly")
    token = alert_links.sign(store.keyring, link)
    late = AlertLink(link.notification_id, link.channel_id, 1)
    for address, status, says in (
        (path(store, link)[:-1] + ("0" if token[-1] != "0" else "1"), 404, "not valid"),
        (f"{alert_links.PATH}acknowledge/{alert_links.sign(Keyring((b'y' * 32,)), link)}", 404, "not valid"),
        (f"{alert_links.PATH}delete/{token}", 404, "not valid"),
        (f"{alert_links.PATH}acknowledge/{'x' * 5000}", 404, "not valid"),
        (path(store, late), 410, "too old"),
        (path(store, AlertLink(new_id(), link.channel_id, link.until)), 410, "holds no longer"),
        (path(store, AlertLink(link.notification_id, new_id(), link.until)), 410, "holds no longer"),
    ):
        answer = stranger.get(address)
        assert (answer.status_code, says in answer.text) == (status, True), address
    apply(store, Command("alert.acknowledge", SCOPE, ids[0], {"by": "Ada"}))
    answer = stranger.get(path(store, link))
    assert (answer.status_code, "acknowledged by Ada" in answer.text) == (410, True)
    apply(store, Command("alert.end", SCOPE, ids[0]))
    for action in ("acknowledge", "silence"):
        answer = stranger.get(path(store, link, action))
        assert (answer.status_code, "This is over" in answer.text) == (410, True)
