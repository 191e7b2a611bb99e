"""The site's part in who it is: keys that never leave, access tokens of ten minutes, successors of keys in time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hub.crypto import Keyring
from hub.errors import TransientError
from hub.store import stream
from hub.store.base import Store, Tx
from hub.types import SECOND, Id, now_us
from hub.version import __version__
from pydantic import ValidationError

from hub_hybrid import links
from hub_hybrid.exchange import Answer, meaning
from hub_hybrid.keys import Bundle, Keys
from hub_hybrid.protocol import KeyAdded, NewKey, Register, Registered, Token

RENEW_AT = 0.75
"""The part of its life after which a token or a key gets its successor."""
GRANT = {
    "grant_type": "client_credentials",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
}
GIVE_UP_S = 5.0
_ENDED = frozenset({"key-revoked", "key-expired", "site-removed"})
"""Words of a plane for which this hub's key is worthless already."""
Ask = Callable[[str, dict[str, Any]], Answer]


class Sender(Protocol):
    """What joining needs of the network."""

    def send(self, method: str, path: str, body: Any = None, *, limit: float) -> Answer:
        """Send one request. Raises TransientError when no answer comes."""


class Credentials(Protocol):
    """What a request is sent with."""

    def bearer(self, ask: Ask) -> str | Answer:
        """The token to send; or the plane's answer, when it gives none."""

    def refused(self) -> bool:
        """The token was not accepted: whether another one may be."""


class Fixed:
    """One token and no other: of a join, or of a site of the time before keys."""

    def __init__(self, token: str) -> None:
        self._token = token

    def bearer(self, ask: Ask) -> str | Answer:  # noqa: ARG002 - see Credentials
        """See Credentials."""
        return self._token

    def refused(self) -> bool:
        """See Credentials."""
        return False


class ByKey:
    """Access tokens for a key (RFC 7523), fetched anew in time. Threads share it."""

    def __init__(self, keys: Keys, client_id: str, audience: str) -> None:
        self._keys, self._client_id, self._audience = keys, client_id, audience
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0
        self._offset = 0.0

    def bearer(self, ask: Ask) -> str | Answer:
        """See Credentials."""
        with self._lock:
            if self._token and time.monotonic() < self._renew_at:
                return self._token
            answer = self._fetched(ask)
            if answer.code == "clock-skew" and isinstance(told := answer.body.get("server_time"), int):
                # Whose clock is wrong does not matter: what is said to the plane is said in its time.
                self._offset = told / SECOND - now_us() / SECOND
                answer = self._fetched(ask)
            if meaning(answer) != "ok":
                return answer
            return self._keep(answer)

    def plane_now(self) -> float:
        """The plane's time, as far as it is known, in seconds."""
        return now_us() / SECOND + self._offset

    def _fetched(self, ask: Ask) -> Answer:
        said = self._keys.assertion(self._client_id, self._audience, self.plane_now())
        return ask("/token", {**GRANT, "client_assertion": said})

    def _keep(self, answer: Answer) -> str:
        try:
            token = Token.model_validate(answer.body)
        except ValidationError:
            raise TransientError("the plane's answer is no access token") from None
        self._token, self._renew_at = token.access_token, time.monotonic() + token.expires_in * RENEW_AT
        return self._token

    def refused(self) -> bool:
        """See Credentials."""
        with self._lock:
            had, self._token = bool(self._token), ""
        return had

    def shows(self, keys: Keys | None) -> bool:
        """Whether these are its keys."""
        return self._keys == keys

    def succeeded(self, keys: Keys) -> None:
        """Go on with another key."""
        with self._lock:
            self._keys, self._token = keys, ""


def credentials_of(tx: Tx, link: Mapping[str, Any]) -> Credentials:
    """Those of a link."""
    keys = keys_of(tx, link)
    return Fixed(links.token_of(tx, link)) if keys is None else ByKey(keys, link["site_id"], link["audience"])


def keys_of(tx: Tx, link: Mapping[str, Any], which: str = "now") -> Keys | None:
    """A link's keys, opened; `next`: those that it will have. None for a link of the time before keys."""
    bundle = links.bundle_of(tx, link)
    return None if bundle is None else bundle.next if which == "next" else bundle.now


def for_token(keyring: Keyring, token: str) -> Keys:
    """The keys with which this hub joins by a token: made of the hub's own key, so that a join that was interrupted is
    the same again."""
    return Keys(*(bytes.fromhex(keyring.digest(token, purpose=f"link-{name}")) for name in ("sign", "seal")))


def join(store: Store, wire: Sender, token: str, name: str) -> tuple[Answer, dict[str, Any]]:
    """Join a plane by a token, with keys made here. Gives its answer, and who this hub is to it, if that is good."""
    with store.write() as tx:
        here, keys = stream.site_id(tx), for_token(tx.keyring, token)
    answer = _join(wire, joining(keys, token, here, name, now_us() / SECOND))
    if answer.code == "clock-skew" and isinstance(told := answer.body.get("server_time"), int):
        answer = _join(wire, joining(keys, token, here, name, told / SECOND))
    if meaning(answer) != "ok":
        return answer, {}
    got = Registered.model_validate(answer.body)
    if not got.audience:  # a plane of the time before keys, to which the token itself is shown
        return answer, {"site_id": got.site}
    named = {"site_id": got.site, "audience": got.audience, "key_until": got.key_until}
    return answer, {**named, "keys": written(keys)}


def _join(wire: Sender, message: Register) -> Answer:
    return wire.send("POST", "/register", message.model_dump(), limit=10.0)


def joining(keys: Keys, token: str, site_id: Id, name: str, now: float) -> Register:
    """The first word of a hub that joins."""
    return Register(
        site_id=site_id, version=__version__, name=name, sign_key=keys.public, seal_key=keys.seal_public,
        proof=keys.proof(site_id, hashlib.sha256(token.encode()).hexdigest(), now),
    )  # fmt: skip


def rotate(store: Store, link_id: Id, fence: int, credentials: ByKey, ask: Ask) -> None:
    """Give the link's key a successor. Killed anywhere, it is the same successor the next time.

    It is kept here before the plane hears of it, and used only when the plane has it; the plane lets the old key go
    when the new one was used.
    """
    with store.write() as tx:
        link = links.current(tx, link_id)
        old = links.bundle_of(tx, link)
        assert old is not None
        successor = old.next or Keys.new()
        both = Bundle(old.now, successor, old.seals)
        links.move(tx, link_id, fence, **links.sealed_keys(tx, link_id, both.written()))
    proof = successor.proof(link["site_id"], "", credentials.plane_now())
    message = NewKey(sign_key=successor.public, seal_key=successor.seal_public, proof=proof)
    answer = ask("/keys", message.model_dump())
    if meaning(answer) != "ok":
        raise TransientError(f"the plane does not take the new key: {answer.body.get('detail', answer.status)}")
    until = KeyAdded.model_validate(answer.body).key_until
    with store.write() as tx:
        values = links.sealed_keys(tx, link_id, both.followed_by(successor).written())
        moved = links.move(tx, link_id, fence, **values, key_made_at=tx.now, key_until=until)
    if moved:
        credentials.succeeded(successor)


def give_up(wire: Sender) -> str:
    """Ask the plane to take nobody for this hub any more. Gives why that is not certain; empty when it is done."""
    try:
        answer = wire.send("DELETE", "/keys", limit=GIVE_UP_S)
    except TransientError as error:
        return str(error)
    if meaning(answer) == "ok" or answer.code in _ENDED:
        return ""
    if answer.status in (404, 405):
        return "the plane is too old to be told"
    return str(answer.body.get("detail", f"the plane answered {answer.status}"))[:300]


def enrol(store: Store, link_id: Id, fence: int, ask: Ask) -> None:
    """Give a link of the time before keys some, once its plane knows of them. Its token ends with their first use."""
    with store.write() as tx:
        link = links.current(tx, link_id)
        token, here = links.token_of(tx, link), stream.site_id(tx)
        keys = for_token(tx.keyring, token)
    answer = ask("/register", joining(keys, token, here, link["name"], now_us() / SECOND).model_dump())
    if meaning(answer) != "ok":
        raise TransientError(f"the plane does not take a key: {answer.body.get('detail', answer.status)}")
    got = Registered.model_validate(answer.body)
    if not got.audience:
        return
    with store.write() as tx:
        sealed = links.sealed_keys(tx, link_id, written(keys))
        values = {"site_id": got.site, "audience": got.audience, "key_made_at": tx.now, "key_until": got.key_until}
        links.move(tx, link_id, fence, **values, **sealed, sealed_token=None)


def written(keys: Keys) -> str:
    """Keys as they are sealed with a link."""
    return Bundle(keys).written()


def due(link: Mapping[str, Any], now: int) -> bool:
    """Whether the link's key should have a successor."""
    if not link["key_until"]:
        return False
    return bool(now >= link["key_made_at"] + RENEW_AT * (link["key_until"] - link["key_made_at"]))
