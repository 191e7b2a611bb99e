"""Passwords and sessions: constant work for every guess, few guesses, a signed cookie.

The cookie says who, since when, and the user's session epoch; raising the epoch ends every session. It is signed
with the installation's key, so it survives a restart and a rotation, and holds no secret.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from hub.crypto import Keyring
from hub.errors import AuthenticationError, RateLimitedError, UsageError
from hub.types import SECOND, Id, Micros

COOKIE = "hub_session"
LIFETIME = 7 * 24 * 3600
"""Seconds a session lasts at most."""
MIN_PASSWORD = 10
AT_ONCE = 2
"""Passwords checked at once: each takes 64 MiB for a moment."""
PATIENCE = 5.0
_PURPOSE = "session"


class Passwords:
    """Argon2 hashes. A guess costs the same whether the account exists or not."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._dummy: str | None = None
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def hash(self, password: str) -> str:
        """Hash a new password. Raises UsageError when it is too short to be one."""
        if len(password) < MIN_PASSWORD:
            raise UsageError(f"the password is shorter than {MIN_PASSWORD} characters", hint="Choose a longer one.")
        return self._hasher.hash(password)

    def verify(self, known: str | None, password: str) -> bool:
        """Whether the password is the one of that hash; None costs as much and is never right."""
        if not self._turns.acquire(timeout=PATIENCE):
            raise RateLimitedError("too many people sign in at once", hint="Try again.", retry_after=1)
        try:
            self._dummy = self._dummy or self._hasher.hash("no account has this password")
            right = self._hasher.verify(known or self._dummy, password)
        except (Argon2Error, InvalidHashError):
            return False
        finally:
            self._turns.release()
        return right and known is not None


@dataclass(frozen=True, slots=True)
class Session:
    """What a session cookie says."""

    user_id: Id
    epoch: int
    since: Micros


def seal(keyring: Keyring, session: Session) -> str:
    """Write a session cookie's value."""
    data = json.dumps([session.user_id, session.epoch, session.since]).encode()
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return f"{text}.{keyring.digest(text, purpose=_PURPOSE)}"


def unseal(keyring: Keyring, value: str, *, now: Micros) -> Session | None:
    """Read a session cookie's value; None when it is not ours, damaged or too old."""
    text, _, signature = value.partition(".")
    digests = keyring.digests(text, purpose=_PURPOSE)
    if not any(hmac.compare_digest(one.encode(), signature.encode()) for one in digests):
        return None
    user_id, epoch, since = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    session = Session(user_id, epoch, since)
    return None if now - session.since > LIFETIME * SECOND else session


class Guesses:
    """How many failed tries are allowed: of logins few per name and address, more per address, some in all.

    Kept in memory, bounded. An account is never locked as such, so nobody can lock its owner out.
    """

    LOGINS = ((("name", "address"), 5), (("address",), 20), ((), 200))
    WINDOW = 60.0
    ROOM = 10_000

    def __init__(self, *limits: tuple[tuple[str, ...], int], what: str = "failed logins") -> None:
        self._limits = limits or self.LOGINS
        self._what = what
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, ...], list[float]] = OrderedDict()

    def check(self, **who: str) -> None:
        """Raise RateLimitedError when there were too many failures lately."""
        now = time.monotonic()
        with self._lock:
            for kinds, limit in self._limits:
                recent = [at for at in self._seen.get(self._key(kinds, who), ()) if now - at < self.WINDOW]
                if len(recent) >= limit:
                    wait = int(self.WINDOW - (now - recent[0])) + 1
                    raise RateLimitedError(f"too many {self._what}", hint=f"Wait {wait} s.", retry_after=wait)

    def failed(self, **who: str) -> None:
        """Count a failure."""
        now = time.monotonic()
        with self._lock:
            for kinds, limit in self._limits:
                key = self._key(kinds, who)
                self._seen[key] = [*self._seen.get(key, [])[-limit:], now]
                self._seen.move_to_end(key)
            while len(self._seen) > self.ROOM:
                self._seen.popitem(last=False)

    @staticmethod
    def _key(kinds: tuple[str, ...], who: dict[str, str]) -> tuple[str, ...]:
        return (*kinds, *(who[kind][:100] for kind in kinds))


def refused() -> AuthenticationError:
    """The one answer to a wrong name and to a wrong password."""
    return AuthenticationError("the name or the password is wrong", code="wrong-login")


def cookie_options(secure: bool) -> dict[str, Any]:
    """How the session cookie is set."""
    return {"max_age": LIFETIME, "path": "/", "httponly": True, "samesite": "lax", "secure": secure}
