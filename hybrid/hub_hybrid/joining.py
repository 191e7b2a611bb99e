"""The plane's part in who a site is: join tokens, keys, access tokens. One transaction each.

A key is revoked by its successor's first use, by a hub that joins in the site's place, or with the site.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from hub.errors import AuthenticationError, ConflictError, HubError, UsageError
from hub.store import stream
from hub.store.base import Tx
from hub.store.tables import ApiToken, PlaneAccess, PlaneAssertion, PlaneJoin, PlaneKey
from hub.types import DEFAULT_WORKSPACE, SECOND, Id, new_id
from sqlalchemy import delete, select, update

from hub_hybrid import keys, replica
from hub_hybrid.protocol import PROTOCOL, KeyAdded, NewKey, Register, Registered, Token
from hub_hybrid.replica import SITES

JOINS = PlaneJoin.__table__
KEYS = PlaneKey.__table__
ASSERTIONS = PlaneAssertion.__table__
ACCESS = PlaneAccess.__table__
TOKENS = ApiToken.__table__
ACCESS_S = 600
KEY_LIFE_S = 90 * 86_400
PREFIX = "hub_join_"
SCOPE = "sync:events sync:commands sync:heartbeat"


class ClockSkew(AuthenticationError):
    """The clocks are too far apart; the answer tells the plane's."""

    code = "clock-skew"


class KeyRevoked(HubError):
    """The site's key was revoked: it needs a new join token."""

    code = "key-revoked"
    status = 403


def make_token(tx: Tx, workspace_id: Id, site_row: Id | None, *, uses: int, life_s: float, by: str) -> dict[str, Any]:
    """A join token; its text is shown once."""
    text = PREFIX + secrets.token_urlsafe(32)
    row = {
        "id": new_id(), "workspace_id": workspace_id, "site_row": site_row, "prefix": text[:13], "digest": digest(text),
        "uses": uses, "used": 0, "created_at": tx.now, "created_by": by, "expires_at": tx.now + int(life_s * SECOND),
    }  # fmt: skip
    tx.insert(JOINS, row)
    return {"token": text, "expires_at": row["expires_at"]}


def digest(text: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def register(tx: Tx, token: str, message: Register) -> Registered:
    """A hub joins with a join token and the keys that it has made. The same again has the same answer."""
    key_id = _proved(tx, message, token)
    query = select(JOINS).where(JOINS.c.digest == digest(token), JOINS.c.revoked_at.is_(None))
    join = tx.conn.execute(query.with_for_update()).mappings().first()
    if join is None:
        raise AuthenticationError("this is no join token of this plane", hint=_HINT, code="invalid-token")
    known = _key(tx, key_id)
    if known is not None and known["join_id"] == join["id"] and known["revoked_at"] is None:
        return _registered(tx, replica.locked(tx, known["site_row"]), known["expires_at"])
    if join["expires_at"] <= tx.now:
        raise AuthenticationError("this join token has expired", hint=_HINT, code="join-expired")
    if join["used"] >= join["uses"]:
        raise AuthenticationError("this join token has been used", hint=_HINT, code="join-used")
    site = _site_of(tx, join, message)
    tx.conn.execute(update(JOINS).where(JOINS.c.id == join["id"]).values(used=JOINS.c.used + 1))
    revoke_keys(tx, site["id"])
    until = _add_key(tx, site, key_id, message.sign_key, join_id=join["id"])
    replica.save(tx, site, site_id=message.site_id, seal_key=message.seal_key)
    return _registered(tx, site, until)


def enrol(tx: Tx, site_row: Id, token: str, message: Register) -> Registered:
    """A site of the time before keys brings its own; its token is good until the key was used."""
    site = replica.locked(tx, site_row)
    key_id = _proved(tx, message, token)
    known = _key(tx, key_id)
    if known is not None and known["site_row"] != site_row:
        raise ConflictError("this key is that of another site", code="other-site")
    until = known["expires_at"] if known else _add_key(tx, site, key_id, message.sign_key)
    replica.save(tx, site, seal_key=message.seal_key)
    return _registered(tx, site, until)


def add_key(tx: Tx, site_row: Id, message: NewKey) -> KeyAdded:
    """The successor of a site's key. The old one is good until this one was used."""
    site = replica.locked(tx, site_row)
    key_id = keys.thumbprint(message.sign_key)
    _checked(tx, keys.verified(message.proof, message.sign_key), key_id, keys.JOINING)
    known = _key(tx, key_id)
    if known is not None and (known["site_row"] != site_row or known["revoked_at"] is not None):
        raise ConflictError("this key is known and no longer good", code="key-revoked")
    until = known["expires_at"] if known else _add_key(tx, site, key_id, message.sign_key)
    # A site of the time before sealing keeps the key to which is sealed.
    sealed = {"seal_key": _seal_key(message.seal_key)} if message.seal_key else {}
    replica.save(tx, site, rotate_key=False, **sealed)
    return KeyAdded(key_until=until)


def access(tx: Tx, assertion: str) -> Token:
    """An access token for who proves with a key to be a site (RFC 7523)."""
    key = _key(tx, keys.claimed(assertion))
    if key is None:
        raise AuthenticationError("this key is not known here", hint=_HINT, code="invalid-client")
    site = replica.locked(tx, key["site_row"])
    if key["revoked_at"] is not None:
        raise KeyRevoked("this site's key was revoked", hint=_HINT)
    if key["expires_at"] <= tx.now:
        raise KeyRevoked("this site's key has expired", hint=_HINT, code="key-expired")
    claims = _checked(tx, keys.verified(assertion, key["jwk"]), key["id"], plane_id(tx))
    if claims.get("sub") != site["id"] or claims.get("iss") != site["id"]:
        raise AuthenticationError("the assertion is about another site", code="invalid-client")
    if key["used_at"] is None:
        _succeed(tx, site, key)
    text = f"hub_access_{secrets.token_urlsafe(32)}"
    row = {"digest": digest(text), "workspace_id": site["workspace_id"], "site_row": site["id"], "key_id": key["id"]}
    tx.insert(ACCESS, {**row, "expires_at": tx.now + ACCESS_S * SECOND})
    return Token(access_token=text, expires_in=ACCESS_S, scope=SCOPE, server_time=tx.now)


def holder(tx: Tx, text: str) -> Id | None:
    """Whose access token it is; None where it is not good."""
    query = select(ACCESS.c.site_row, SITES.c.removed_at).join_from(ACCESS, SITES, SITES.c.id == ACCESS.c.site_row)
    row = tx.conn.execute(query.where(ACCESS.c.digest == digest(text), ACCESS.c.expires_at > tx.now)).first()
    if row is not None and row.removed_at is not None:
        raise replica.SiteRemoved("this site was removed from the plane", hint=_HINT)
    return None if row is None else str(row.site_row)


def revoke_keys(tx: Tx, site_row: Id, *, besides: str = "") -> None:
    """Make the keys of a site worthless, and what was given for them."""
    live = (KEYS.c.site_row == site_row, KEYS.c.revoked_at.is_(None), KEYS.c.id != besides)
    tx.conn.execute(update(KEYS).where(*live).values(revoked_at=tx.now))
    tx.conn.execute(delete(ACCESS).where(ACCESS.c.site_row == site_row, ACCESS.c.key_id != besides))


def end(tx: Tx, site: Mapping[str, Any]) -> None:
    """Make all worthless by which somebody is this site: keys, the token of the time before keys, an open session."""
    revoke_keys(tx, site["id"])
    if site["token_id"]:
        tx.conn.execute(update(TOKENS).where(TOKENS.c.id == site["token_id"]).values(revoked_at=tx.now))
    replica.save(tx, site, fence=site["fence"] + 1)


def forget(tx: Tx, limit: int) -> int:
    """Remove what has expired."""
    count = 0
    for table, key in ((ACCESS, ACCESS.c.digest), (ASSERTIONS, ASSERTIONS.c.id), (JOINS, JOINS.c.id)):
        old = list(tx.conn.execute(select(key).where(table.c.expires_at < tx.now - _KEPT).limit(limit)).scalars())
        if old:
            tx.conn.execute(delete(table).where(key.in_(old)))
        count += len(old)
    return count


def plane_id(tx: Tx) -> str:
    """Who this plane is to its sites: the audience of what they prove."""
    return f"hub-plane:{stream.site_id(tx)}"


_HINT = "`hub sites token NAME` on the plane makes a join token; at the site: `hub cloud rejoin TOKEN`."
_KEPT = 86_400 * SECOND


def _proved(tx: Tx, message: Register, token: str) -> str:
    """The id of the key that a message brings, whose sender has proved to have it."""
    key_id = keys.thumbprint(message.sign_key)
    claims = _checked(tx, keys.verified(message.proof, message.sign_key), key_id, keys.JOINING)
    if claims.get("tok") != digest(token) or claims.get("iss") != message.site_id:
        raise UsageError("the proof was made for another token", code="invalid-proof")
    _seal_key(message.seal_key)
    return key_id


def _seal_key(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise UsageError("seal_key is not a public X25519 key of 64 hexadecimal digits")
    return text


def _checked(tx: Tx, claims: dict[str, Any] | None, key_id: str, audience: str) -> dict[str, Any]:
    """Claims that are true now, for us, and said for the first time."""
    if claims is None or claims.get("aud") != audience:
        raise AuthenticationError("the assertion is not good", code="invalid-client")
    now = tx.now // SECOND
    if claims["iat"] > now + keys.SKEW_S or claims["exp"] < now - keys.SKEW_S:
        raise ClockSkew("the clocks of site and plane are more than five minutes apart", server_time=tx.now)
    row = {"id": f"{key_id}:{claims['jti'][:100]}", "workspace_id": DEFAULT_WORKSPACE}
    until = (claims["exp"] + keys.SKEW_S) * SECOND
    if not tx.insert_ignore(ASSERTIONS, {**row, "expires_at": until}):
        raise AuthenticationError("this assertion was used already", code="replayed-assertion")
    return claims


def _site_of(tx: Tx, join: Mapping[Any, Any], message: Register) -> dict[str, Any]:
    """The site that a token is for; a new one of the given name where it is for any."""
    where = (SITES.c.workspace_id == join["workspace_id"], SITES.c.removed_at.is_(None))
    twin = tx.conn.execute(select(SITES.c.id, SITES.c.name).where(*where, SITES.c.site_id == message.site_id)).first()
    if join["site_row"] is not None:
        if twin is not None and twin.id != join["site_row"]:
            raise ConflictError(
                f"this installation reports here already, as {twin.name!r}",
                hint=f"Remove that site first: `hub sites rm {twin.name}`.", code="known-site",
            )  # fmt: skip
        return replica.locked(tx, join["site_row"])
    if twin is not None:
        return replica.locked(tx, twin.id)
    if tx.conn.execute(select(SITES.c.id).where(*where, SITES.c.name == message.name)).first() is not None:
        raise ConflictError(
            f"there is a site {message.name!r} already", hint="Give another name: --site-name.", code="name-taken"
        )
    return replica.locked(tx, new_site(tx, join["workspace_id"], message.name))


def new_site(tx: Tx, workspace_id: Id, name: str) -> Id:
    """A site that nobody is yet."""
    site_id = new_id()
    row = {
        "id": site_id, "workspace_id": workspace_id, "site_id": site_id, "name": name, "token_id": "",
        "stream_epoch": "", "chain_hash": "", "authority_id": "", "plane_epoch": "", "acked_seq": 0, "fence": 0,
        "command_head": 0, "command_delivered": 0, "status": {}, "created_at": tx.now,
    }  # fmt: skip
    tx.insert(SITES, row)
    return site_id


def _add_key(tx: Tx, site: Mapping[str, Any], key_id: str, jwk: dict[str, Any], *, join_id: Id | None = None) -> int:
    until = tx.now + KEY_LIFE_S * SECOND
    row = {"id": key_id, "workspace_id": site["workspace_id"], "site_row": site["id"], "join_id": join_id, "jwk": jwk}
    if not tx.insert_ignore(KEYS, {**row, "created_at": tx.now, "expires_at": until}):
        raise ConflictError("this key is known and no longer good", code="key-revoked")
    return until


def _succeed(tx: Tx, site: Mapping[str, Any], key: Mapping[str, Any]) -> None:
    """At a key's first use what came before it ends: older keys, and the token of the time before keys."""
    tx.conn.execute(update(KEYS).where(KEYS.c.id == key["id"]).values(used_at=tx.now))
    revoke_keys(tx, site["id"], besides=key["id"])
    if site["token_id"]:
        tx.conn.execute(update(TOKENS).where(TOKENS.c.id == site["token_id"]).values(revoked_at=tx.now))


def _registered(tx: Tx, site: Mapping[str, Any], until: int) -> Registered:
    return Registered(
        site=site["id"], name=site["name"], protocol=PROTOCOL, audience=plane_id(tx), key_until=until,
        server_time=tx.now,
    )  # fmt: skip


def _key(tx: Tx, key_id: str) -> dict[str, Any] | None:
    row = tx.conn.execute(select(KEYS).where(KEYS.c.id == key_id)).mappings().first()
    return None if row is None else dict(row)
