"""Site side: webhooks that came to the plane are fetched, opened, and judged as if they had come to the door here.

A request is at the plane until it is committed here, and its id is that of the receipt: killed anywhere in between, it
is fetched again and found to be here already.
"""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

from hub.errors import HubError, UnavailableError
from hub.runtime import contributed
from hub.runtime.presets import installed
from hub.store import events, sources
from hub.store.base import Store
from hub.types import SECOND, Id, Scope, now_us
from hub.webhooks.request import WebhookRequest
from pydantic import BaseModel, ValidationError

from hub_hybrid import links
from hub_hybrid.addresses import Teller
from hub_hybrid.agent import Agent
from hub_hybrid.protocol import Forgotten, WebhookOut, Webhooks, WebhooksDone
from hub_hybrid.sealing import NotOpened, Place, Sealed, opened

if TYPE_CHECKING:
    from hub.web.door.inside import Receiving

log = logging.getLogger("hub.hybrid")
AGAIN_S = 30.0
"""After which what could not be judged is looked at again."""
NOT_JUDGED = "not-judged"
KEPT_US = 7 * 86_400 * SECOND
"""How long it is tried."""


class Head(BaseModel):
    """What is sealed beside the body."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    remote: str
    received_at: int


class Receiver:
    """Fetches for one link, for one thread. `rejected`: how many refused requests of a source are kept in a minute."""

    def __init__(self, store: Store, link_id: Id, agent: Agent, teller: Teller, *, poll: float, rejected: int) -> None:
        self._store, self._link_id, self._agent, self._teller = store, link_id, agent, teller
        self._poll, self._rejected = poll, rejected
        self._after = ""
        self._emptied = 0
        self._door: Receiving | None = None

    def step(self) -> bool:
        """Wait for webhooks and take them in. True when there were some."""
        session = self._agent.session
        if session is None or not session.forwards:
            return False
        # Without an address nothing new can come: what is left there is fetched once.
        if not self._teller.any and self._emptied == session.fence:
            return False
        wait = min(self._poll, AGAIN_S) if self._teller.any else 0
        path = f"/sessions/{session.fence}/webhooks"
        found = self._agent.ask(Webhooks, "GET", f"{path}?after={self._after}&wait={int(wait)}", wait=wait).items
        if not found:
            self._after = ""
            self._emptied = session.fence
            return False
        taken = []
        for webhook in found:
            if self._take(webhook):
                taken.append(webhook.id)
            else:
                self._after = webhook.id
        if taken:
            self._agent.ask(Forgotten, "POST", path, WebhooksDone(ids=taken))
        return True

    def _take(self, webhook: WebhookOut) -> bool:
        """Whether it is here, or never can be; False: later."""
        with self._store.read() as tx:
            link = links.current(tx, self._link_id)
            bundle = links.bundle_of(tx, link)
            source = sources.by_id(tx, Scope(link["workspace_id"]), webhook.source)
        if source is None or source["deleted_at"] is not None or not source["enabled"]:
            return self._lose(link, webhook, "nothing answers at the source's address any more")
        try:
            head, body = _opened(bundle.opening() if bundle else (), link, webhook)
        except NotOpened as error:
            return self._lose(link, webhook, error.detail)
        # The clock of the plane counts: a signature must not grow old while the site is away.
        at = min(now_us(), head.received_at - link["clock_offset"])
        request = WebhookRequest(head.method, _url(link, head), head.headers, body)
        try:
            self._taker().take(Scope(link["workspace_id"]), webhook.source, request, head.query, head.remote, at,
                               webhook.id)  # fmt: skip
        except Exception as error:
            why = error.detail if isinstance(error, HubError) else f"{type(error).__name__}: {error}"
            if isinstance(error, UnavailableError) and error.code != NOT_JUDGED:
                raise
            if at < now_us() - KEPT_US:
                return self._lose(link, webhook, why)
            # One that cannot be judged now, or by a defect of ours never, must not hold up all others.
            log.warning("a webhook for source %s is tried again later: %s", source["name"], why)
            return False
        return True

    def _taker(self) -> Receiving:
        if self._door is None:
            # The door's modules load only where webhooks come this way.
            from hub.web.door.inside import Receiving  # noqa: PLC0415
            from hub.web.door.plugged import verifiers  # noqa: PLC0415

            self._door = Receiving(self._store, installed(), verifiers(contributed.hooks()), self._rejected)
        return self._door

    def _lose(self, link: dict[str, Any], webhook: WebhookOut, why: str) -> bool:
        log.error("a webhook that came by %s is lost: %s", link["name"], why)
        said = {"name": link["name"], "source": webhook.source, "receipt": webhook.id, "reason": why}
        with self._store.write() as tx:
            events.append(tx, Scope(link["workspace_id"]), "hub.link.webhook_lost", subject=link["id"], **said)
        return True


def _opened(seeds: tuple[bytes, ...], link: dict[str, Any], webhook: WebhookOut) -> tuple[Head, bytes]:
    place = Place(webhook.workspace, link["site_id"], webhook.source, webhook.id)
    try:
        wrapped, head, body = (base64.b64decode(one) for one in (webhook.wrapped, webhook.head, webhook.body))
        clear = opened(seeds, place, Sealed(webhook.key_id, wrapped, {"head": head, "body": body}))
        return Head.model_validate(json.loads(clear["head"])), clear["body"]
    except (ValueError, ValidationError):
        raise NotOpened("it is not what a plane seals") from None


def _url(link: dict[str, Any], head: Head) -> str:
    """The address as its sender knows it: some sign it."""
    return f"{link['url']}{head.path}{'?' if head.query else ''}{head.query}"
