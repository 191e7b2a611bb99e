"""Confirms subscriptions of SNS topics where a source's owner wants it: in upkeep, never at the door.

Only confirmations that were verified and are of a topic that the source allows now. Opening a SubscribeURL twice does
no harm, so only how it went is written down, once: after a restart the last hour is looked at again.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.errors import PermanentError, TransientError
from hub.outbound.call import Caller
from hub.store import Store, Tx, events, sources
from hub.store.tables import Receipt, Source
from hub.types import SECOND, Id, Micros, Scope, dated_id
from hub.webhooks.body import BodyError, parse_json
from sqlalchemy import select

from hub_plugins.webhooks.certificates import SNS_HOSTS
from hub_plugins.webhooks.documents import PROVIDERS

KIND = "SubscriptionConfirmation"
INTERVAL_S = 10.0
DELAYS_S = (10.0, 60.0, 300.0, 1_800.0)
_LOOK_BACK_S = 3_600
_OVERLAP_S = 120
_AT_ONCE = 20
_SOURCES: Any = Source.__table__
_RECEIPTS: Any = Receipt.__table__
log = logging.getLogger("hub.webhooks")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A confirmation that is to be made. `due` on the confirmer's clock."""

    source: Mapping[str, Any]
    at: Micros
    url: str
    tries: int = 0
    due: float = 0.0


class Confirmer:
    """What one upkeep process knows: until when it has looked, what it has seen lately, and what waits."""

    def __init__(self, store: Store, caller: Caller, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        rule = replace(
            caller.rule, schemes=PROVIDERS.schemes, ports=PROVIDERS.ports, port_written=False, hosts=SNS_HOSTS
        )
        self._caller = replace(caller, rule=rule)
        self._since: Micros = 0
        self._noted: set[Id] = set()
        self._waiting: dict[Id, Waiting] = {}

    def step(self) -> bool:
        """Look for new confirmations and make those that are due; True when there was one."""
        self._look()
        due = [(ident, one) for ident, one in self._waiting.items() if one.due <= self._clock()][:_AT_ONCE]
        for ident, one in due:
            self._confirm(ident, one)
        return bool(due)

    def _look(self) -> None:
        with self._store.read() as tx:
            alive = (_SOURCES.c.preset == "aws-sns", _SOURCES.c.enabled.is_(True), _SOURCES.c.deleted_at.is_(None))
            rows = tx.conn.execute(select(_SOURCES).where(*alive)).mappings().all()
            for source in (dict(row) for row in rows if row["options"].get("confirm") == "yes"):
                for receipt in _confirmations(tx, source, max(self._since, tx.now - _LOOK_BACK_S * SECOND)):
                    self._note(source, receipt)
            # Ids are made before the commit that shows them: what is recent is looked at again.
            self._since = tx.now - _OVERLAP_S * SECOND
        horizon = _first_id(self._since - _OVERLAP_S * SECOND)
        self._noted = {ident for ident in self._noted if ident >= horizon}

    def _note(self, source: dict[str, Any], receipt: dict[str, Any]) -> None:
        if receipt["id"] in self._noted:
            return
        self._noted.add(receipt["id"])
        url = subscribe_url(receipt["body"] or b"", source["options"].get("topics", ""))
        self._waiting[receipt["id"]] = Waiting(source, receipt["received_at"], url or "")

    def _confirm(self, ident: Id, one: Waiting) -> None:
        try:
            if not one.url:
                raise PermanentError("its address is not the one of the topic")
            answer = self._caller.call("GET", one.url)
            if answer.status >= 500 or answer.status == 429:
                raise TransientError(f"the answer was {answer.status}")
            if answer.status != 200:
                raise PermanentError(f"the answer was {answer.status}")
        except TransientError as error:
            if one.tries < len(DELAYS_S):
                due = self._clock() + DELAYS_S[one.tries]
                self._waiting[ident] = replace(one, tries=one.tries + 1, due=due)
                return
            self._tell(ident, one, str(error))
        except PermanentError as error:
            self._tell(ident, one, str(error))
        else:
            self._tell(ident, one)
        del self._waiting[ident]

    def _tell(self, ident: Id, one: Waiting, error: str = "") -> None:
        """Write down how it went, on the source and as an event: once, whoever looks at it again."""
        event_id, scope = dated_id(one.at, ident, "confirmed"), Scope(one.source["workspace_id"])
        with self._store.write() as tx:
            source = sources.taken(tx, one.source["id"])
            if source is None or events.get(tx, scope, event_id) is not None:
                return
            about: dict[str, Any] = {"subject": source["id"], "name": source["name"], "by": "subscription"}
            if error:
                sources.change(tx, source, {"confirm_error": error})
                events.append(tx, scope, "hub.source.unconfirmed", event_id=event_id, reason=error, **about)
            else:
                sources.change(tx, source, {"confirmed_at": tx.now, "confirm_error": None})
                events.append(tx, scope, "hub.source.confirmed", event_id=event_id, **about)
        said = f"could not be confirmed: {error}" if error else "is confirmed"
        log.log(logging.WARNING if error else logging.INFO, "source %s: its subscription %s", source["name"], said)


def _confirmations(tx: Tx, source: dict[str, Any], since: Micros) -> list[dict[str, Any]]:
    table = _RECEIPTS.c
    mine = (table.workspace_id == source["workspace_id"], table.source_id == source["id"], table.id >= _first_id(since))
    wanted = (table.event_type == KIND, table.verdict == "accepted")
    query = (
        select(table.id, table.body, table.received_at).where(*mine, *wanted).order_by(table.id).limit(_AT_ONCE * 10)
    )
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def _first_id(at: Micros) -> Id:
    """Ids are made of their time: nothing older comes after this one."""
    text = f"{at // 1_000:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def subscribe_url(body: bytes, topics: str) -> str | None:
    """The address that confirms, if it confirms just the message's topic and that is allowed; otherwise None."""
    try:
        message = parse_json(body)
    except BodyError:
        return None
    if not isinstance(message, dict) or message.get("Type") != KIND:
        return None
    url, topic, token = (message.get(name) for name in ("SubscribeURL", "TopicArn", "Token"))
    if not (isinstance(url, str) and isinstance(topic, str) and isinstance(token, str) and topic in topics.split(",")):
        return None
    if not re.fullmatch(r"https://[^/?#\\]+/\?[!-~]{1,2000}", url):
        return None
    asked = parse_qs(urlsplit(url).query, keep_blank_values=True, max_num_fields=10)
    wanted = {"Action": ["ConfirmSubscription"], "TopicArn": [topic], "Token": [token]}
    return url if asked == wanted else None
