"""Four threads for every link: one opens sessions, pushes and beats, one polls, one sends log lines, one fetches
webhooks. They never give up."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2
from hub.errors import HubError, NotFoundError, TransientError
from hub.plugins import Loop
from hub.runtime import process
from hub.settings import Settings
from hub.store import leaders
from hub.store.base import Listener, Store, Tx
from hub.types import Id

from hub_hybrid import exchange, links
from hub_hybrid.addresses import Teller
from hub_hybrid.agent import Agent, LinkOutdated, LinkRefused, SessionLost
from hub_hybrid.credentials import ByKey, Credentials, credentials_of, due, enrol, keys_of, rotate
from hub_hybrid.lines import Lines
from hub_hybrid.protocol import Beat
from hub_hybrid.receiving import Receiver
from hub_hybrid.wire import HttpWire
from hub_hybrid.working import Offer

log = logging.getLogger("hub.hybrid")

IDLE_S = 1.0
COMPANY_S = 0.2
"""Seconds that events wait for company, once the plane has had all others."""
REFUSED_S = 60.0
JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things happen, in seconds."""

    beat: float = 30.0
    poll: float = 50.0
    longest: float = 300.0
    lease: float = 30.0
    backlog: int = 1_000_000
    rejected: int = 60
    """Refused webhooks of a source that are kept in a minute."""
    offer: Offer = field(default_factory=Offer)

    @classmethod
    def of(cls, settings: Settings) -> Pace:
        """As it is set."""
        return cls(
            settings.sync_interval,
            settings.sync_poll,
            settings.sync_longest_wait,
            settings.lease,
            settings.sync_log_backlog,
            settings.door_rejected_per_minute,
            Offer.of(settings),
        )


class Worker:
    """The threads of one link."""

    def __init__(
        self, store: Store, link: dict[str, Any], credentials: Credentials, pace: Pace, transport: Any = None
    ) -> None:
        self._store = store
        self._link_id: Id = link["id"]
        self._credentials = credentials
        self._pace = pace
        self._lock_name = links.lock_name(link["id"])
        # Names the process, so that the sweeper gives the lock back when it dies.
        self._holder = process.holder()
        self._leads_until = 0.0
        self._next_beat = self._next_tell = 0.0
        self._rng = Random()  # noqa: S311 - spreads load
        self._wire = HttpWire(link["url"], credentials, transport)
        self._stop = threading.Event()
        self.agent = Agent(store, link["id"], self._wire, pace.offer)
        self._lines = Lines(store, link["id"], self.agent, pace.backlog)
        self._teller = Teller(store, link["id"], self.agent)
        self._receiver = Receiver(store, link["id"], self.agent, self._teller, poll=pace.poll, rejected=pace.rejected)
        self.key = key_of(link)
        self._threads = [
            threading.Thread(target=self._forever, args=(step, topic), name=f"link-{name}", daemon=True)
            for name, step, topic in (
                ("push", self._push, "events"),
                ("commands", self._poll, ""),
                ("logs", self._logs, "logs"),
                ("webhooks", self._receive, ""),
            )
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End in good order: closing the session also ends the poll that is under way."""
        self._stop.set()
        try:
            self.agent.close()
            with self._store.write() as tx:
                leaders.give_back(tx, self._lock_name, self._holder)
        except (HubError, TransientError) as error:
            log.info("the link was not closed in good order: %s", error)
        for thread in self._threads:
            thread.join(JOIN_S)
        self._wire.close()

    @property
    def alive(self) -> bool:
        """Whether all threads work; a link that was ended ends them."""
        return all(thread.is_alive() for thread in self._threads)

    def fits(self, tx: Tx, link: dict[str, Any]) -> bool:
        """Whether it works for the link as it is now. One that was refused may have joined anew, with other keys."""
        if self.key != key_of(link):
            return False
        if link["status"] != "refused" or not isinstance(self._credentials, ByKey):
            return True
        try:
            return self._credentials.shows(keys_of(tx, link))
        except HubError:  # one link's lost key must not stop the others
            return True

    def _forever(self, step: Callable[[], bool], topic: str) -> None:
        listener = self._store.listen(topic) if topic else None
        failures = 0
        try:
            while not self._stop.is_set():
                try:
                    busy = step()
                    failures = 0
                except NotFoundError:
                    return  # the link was ended
                except Exception as error:  # noqa: BLE001 - a link never gives up
                    failures += 1
                    self._stop.wait(self._trouble(error, failures))
                    continue
                if not busy:
                    self._idle(listener)
        finally:
            if listener is not None:
                listener.close()

    def _idle(self, listener: Listener | None) -> None:
        if listener is None:
            self._stop.wait(0.1)
        else:
            listener.wait(IDLE_S)

    def _trouble(self, error: Exception, failures: int) -> float:
        """Note what is wrong and say how long to wait."""
        if isinstance(error, SessionLost):
            return 0.0 if failures == 1 else exchange.backoff(failures, self._rng, longest=self._pace.longest)
        if isinstance(error, LinkOutdated):
            self._note("outdated", error.detail)
            return exchange.backoff(0, self._rng, min(REFUSED_S, self._pace.longest))
        if isinstance(error, LinkRefused):
            self._note("refused", f"{error.code}: {error.detail}")
            return exchange.backoff(0, self._rng, min(REFUSED_S, self._pace.longest))
        if isinstance(error, TransientError):
            self._note("offline", str(error))
            return exchange.backoff(failures, self._rng, error.retry_after, longest=self._pace.longest)
        if not isinstance(error, HubError):
            log.exception("a link's step failed", exc_info=error)
        self._note("failing", f"{type(error).__name__}: {error}")
        return exchange.backoff(failures, self._rng, longest=self._pace.longest)

    def _note(self, status: str, error: str) -> None:
        try:
            self.agent.note_trouble(status, error)
        except HubError:
            log.warning("the link's trouble could not be kept: %s", error)

    def _push(self) -> bool:
        if not self._lead():
            self.agent.session = None
            self._stop.wait(IDLE_S)
            return False
        if self.agent.session is None:
            self.agent.open()
            self._next_beat = self._next_tell = 0.0
        if time.monotonic() >= self._next_beat or self._has_news():
            self._keep_key(self.agent.beat())
            self._next_beat = time.monotonic() + self._pace.beat * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
        if time.monotonic() >= self._next_tell:
            self._teller.step()
            self._next_tell = time.monotonic() + IDLE_S
        pushed = self.agent.push()
        if pushed and not self.agent.behind:
            # A request for each event costs the site more than the run that made it.
            self._stop.wait(COMPANY_S)
        return pushed

    def _has_news(self) -> bool:
        """Whether what this hub offers is not what the last heartbeat said."""
        if not self._pace.offer.runs:
            return False
        with self._store.read() as tx:
            workspace = links.current(tx, self._link_id)["workspace_id"]
            return self.agent.told != self._pace.offer.told(tx, workspace)

    def _keep_key(self, beat: Beat) -> None:
        """See to it that the link has a key that is good for long enough."""
        session = self.agent.session
        if session is None or session.protocol < 2:
            return
        with self._store.read() as tx:
            link, now = links.current(tx, self._link_id), tx.now
        if not isinstance(self._credentials, ByKey):
            enrol(self._store, self._link_id, session.fence, self._wire.ask)
        elif beat.rotate_key or due(link, now):
            rotate(self._store, self._link_id, session.fence, self._credentials, self._wire.ask)

    def _poll(self) -> bool:
        if not self.agent.ready:
            return False
        try:
            self.agent.poll(self._pace.poll)
        except SessionLost:
            return False  # the other thread opens the next one
        return True

    def _receive(self) -> bool:
        try:
            return self._receiver.step()
        except SessionLost:
            return False

    def _logs(self) -> bool:
        try:
            busy = self._lines.step()
        except SessionLost:
            return False
        if busy and self._lines.pause:
            self._stop.wait(self._lines.pause)
        return busy

    def _lead(self) -> bool:
        """Whether this process works for the link; renewed in the lease's last two thirds."""
        if time.monotonic() < self._leads_until:
            return True
        with self._store.write() as tx:
            mine = leaders.take(tx, self._lock_name, self._holder, lease_s=self._pace.lease) is not None
        self._leads_until = time.monotonic() + self._pace.lease / 3 if mine else 0.0
        return mine


def key_of(link: dict[str, Any]) -> tuple[Any, ...]:
    """What a worker is for: with another one of these it is another worker. A key's successor changes none of them."""
    return link["url"], link["site_id"], link["sealed_token"], link["audience"]


class Supervisor:
    """Keeps a worker for every live link of this database."""

    def __init__(self, store: Store, pace: Pace, transport: httpx2.BaseTransport | None = None) -> None:
        self._store = store
        self._pace = pace
        self._transport = transport
        self._workers: dict[Id, Worker] = {}
        self._ending = threading.Lock()
        self._ended = False

    def step(self) -> bool:
        """Start what is missing, stop what is gone; nothing once all was stopped."""
        with self._ending:
            return False if self._ended else self._step()

    def _step(self) -> bool:
        with self._store.read() as tx:
            wanted = {link["id"]: link for link in links.live(tx)}
            fit = {key for key, worker in self._workers.items() if key in wanted and worker.fits(tx, wanted[key])}
        for link_id, worker in list(self._workers.items()):
            if link_id not in fit or not worker.alive:
                del self._workers[link_id]
                worker.stop()
        for link_id, link in wanted.items():
            if link_id not in self._workers:
                self._start(link)
        return False

    def _start(self, link: dict[str, Any]) -> None:
        try:
            with self._store.read() as tx:
                found = credentials_of(tx, link)
        except HubError as error:  # one link's lost key must not stop the others
            log.error("link %s cannot be used: %s", link["name"], error)
            return
        self._workers[link["id"]] = Worker(self._store, link, found, self._pace, self._transport)
        self._workers[link["id"]].start()

    def stop(self) -> None:
        """End all of them."""
        with self._ending:
            self._ended = True
            for worker in self._workers.values():
                worker.stop()
            self._workers.clear()

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("links", self.step, interval=1.0)
