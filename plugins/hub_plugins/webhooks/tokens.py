"""Requests that a signed token vouches for: any JSON Web Token, Google Pub/Sub, Plaid, Netlify, Atlassian Connect."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlsplit

from hub.errors import TransientError
from hub.outbound.call import Caller
from hub.types import SECOND
from hub.webhooks.body import MAX_FIELDS
from hub.webhooks.reference import Rejected
from hub.webhooks.request import WebhookRequest
from hub.webhooks.verify import Verdict

from hub_plugins.webhooks.asked import Asked
from hub_plugins.webhooks.documents import Unavailable
from hub_plugins.webhooks.jose import (
    Algorithm,
    JwsKey,
    Token,
    check_claims,
    jwk,
    key_set,
    number,
    open_token,
    open_with_secrets,
    read_token,
    suits,
)

UNKNOWN_KEY_S = 60.0
"""A key set so old is read again when a token names a key that is not in it; a younger one is believed."""
GOOGLE = "https://www.googleapis.com/oauth2/v3/certs"
_GOOGLE_HOSTS = re.compile(r"www\.googleapis\.com")
_GOOGLE_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_PLAID_HOSTS = {"production": "production.plaid.com", "sandbox": "sandbox.plaid.com"}
_PLAID_WINDOW_S = 300
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def verify_jwt(asked: Asked) -> Verdict:
    """A token by any issuer; settings: algorithm, header, prefix, keys_url, issuer, audience, body_claim."""
    settings = asked.settings
    text = asked.header(settings["header"])
    prefix = settings.get("prefix", "")
    if text[: len(prefix)].lower() != prefix.lower():
        raise Rejected(f"the header {settings['header']} does not begin with {prefix!r}")
    token = read_token(text[len(prefix) :], cast("Algorithm", settings["algorithm"]))
    if settings.get("keys_url"):
        claims, secret_id = _open_published(asked, token, settings["keys_url"], None), None
    else:
        claims, secret_id = open_with_secrets(asked, token)
    issuers = [settings["issuer"]] if settings.get("issuer") else []
    check_claims(claims, asked.seconds, issuers=issuers, audience=settings.get("audience", ""))
    body_claim = settings.get("body_claim", "")
    if body_claim:
        _check_body(asked, claims.get(body_claim))
    # Without a hash the token says nothing about this body and may come with many others.
    signed = token.signed if body_claim else None
    return Verdict(True, "", secret_id, asked.now is not None, signed=signed)


def verify_pubsub(asked: Asked) -> Verdict:
    """Google Cloud Pub/Sub push: a token of Google's for our audience and one service account."""
    token = read_token(asked.bearer("Bearer"), "RS256")
    claims = _open_published(asked, token, GOOGLE, _GOOGLE_HOSTS)
    check_claims(claims, asked.seconds, issuers=_GOOGLE_ISSUERS, audience=asked.settings["audience"])
    if claims.get("email") != asked.settings["email"]:
        raise Rejected("the token is not of the service account that is expected")
    if claims.get("email_verified") is not True:
        raise Rejected("the token's e-mail address is not verified")
    return Verdict(True, "", None, asked.now is not None)


def verify_plaid(asked: Asked) -> Verdict:
    """Plaid: ES256 with a key that its API gives by id, over the hash of the body."""
    token = read_token(asked.header("Plaid-Verification"), "ES256")
    if token.kid is None or not _KID.match(token.kid):
        raise Rejected("the token names no key")
    missing: Unavailable | None = None
    for secret in asked.usable(decode_credential):
        try:
            key = _plaid_key(asked, secret.value, token.kid)
        except Unavailable as problem:
            missing = problem  # a retired credential must not stand in the way of the new one
            continue
        claims = None if key is None else open_token(token, key)
        if claims is None:
            continue
        _check_body(asked, claims.get("request_body_sha256"))
        at = int(number(claims, "iat")) * SECOND
        return asked.proved(secret.id, token.signed, at, _PLAID_WINDOW_S)
    raise missing or Rejected("the token's signature does not match, or Plaid does not know its key")


def decode_credential(text: str) -> tuple[bytes, bool]:
    """A client id and a secret of Plaid's API, CLIENT_ID:SECRET; raises ValueError on anything else."""
    client, _, secret = text.partition(":")
    if not (client and secret):
        raise ValueError("the secret of a Plaid source is CLIENT_ID:SECRET")
    return text.encode("utf-8", "surrogatepass"), False


def verify_netlify(asked: Asked) -> Verdict:
    """Netlify: HS256 over the hash of the body."""
    token = read_token(asked.header("X-Webhook-Signature"), "HS256")
    claims, secret_id = open_with_secrets(asked, token)
    check_claims(claims, asked.seconds, issuers=["netlify"], expires=False)
    _check_body(asked, claims.get("sha256"))
    return Verdict(True, "", secret_id, signed=token.signed)


def verify_connect(asked: Asked) -> Verdict:
    """Atlassian Connect: HS256 over method, path and query; the body is not covered."""
    given = asked.request.query_values("jwt")
    if len(given) > 1:
        raise Rejected("the query holds several tokens")
    token = read_token(given[0] if given else asked.bearer("JWT"), "HS256")
    claims, secret_id = open_with_secrets(asked, token)
    client = asked.settings.get("client_key", "")
    check_claims(claims, asked.seconds, issuers=[client] if client else [])
    expected = sha256(canonical_request(asked.request, asked.settings)).hexdigest()
    if not _same(claims.get("qsh"), expected):
        raise Rejected("the token was made for another address")
    return Verdict(True, "", secret_id, asked.now is not None)


def canonical_request(request: WebhookRequest, settings: Mapping[str, str]) -> bytes:
    """What the claim `qsh` is the hash of: method, path below the app's base URL, sorted query."""
    parts = urlsplit(request.url)
    base = settings.get("base_path", "").rstrip("/")
    if base and not (parts.path == base or parts.path.startswith(base + "/")):
        raise Rejected("the request is not below the base path of the app")
    path = parts.path[len(base) :].rstrip("/") or "/"
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Rejected("the query cannot be read") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name != "jwt":
            values.setdefault(_escaped(name), []).append(_escaped(value))
    query = "&".join(f"{name}={','.join(sorted(values[name]))}" for name in sorted(values))
    return "&".join((request.method.upper(), path.replace("&", "%26"), query)).encode("utf-8", "surrogatepass")


def _open_published(asked: Asked, token: Token, url: str, hosts: re.Pattern[str] | None) -> dict[str, Any]:
    """The claims of a token whose key is published at `url`. Raises Rejected, Unavailable."""
    keys = asked.documents.fetch(url, hosts, asked.source, key_set)
    key = _chosen(keys, token)
    if key is None:
        # The issuer may have a new key; an unknown id can make us ask only so often.
        keys = asked.documents.fetch(url, hosts, asked.source, key_set, max_age=UNKNOWN_KEY_S)
        key = _chosen(keys, token)
    if key is None:
        raise Rejected("the token's key is not among those that its issuer publishes")
    claims = open_token(token, key)
    if claims is None:
        raise Rejected("the token's signature does not match")
    return claims


def _chosen(keys: dict[str | None, JwsKey], token: Token) -> JwsKey | None:
    key = next(iter(keys.values())) if token.kid is None and len(keys) == 1 else keys.get(token.kid)
    return key if key is not None and suits(key, token.algorithm) else None


def _plaid_key(asked: Asked, credential: bytes, kid: str) -> JwsKey | None:
    """Ask Plaid's API for a key; None if there is none of this id, or it has ended. Raises Rejected, Unavailable."""
    client, _, secret = credential.decode("utf-8", "replace").partition(":")
    host = _PLAID_HOSTS[asked.settings["environment"]]
    url = f"https://{host}/webhook_verification_key/get"
    body = json.dumps({"client_id": client, "secret": secret, "key_id": kid}).encode()
    found = asked.documents.get(
        f"{url} {sha256(credential).hexdigest()} {kid}",
        asked.source,
        lambda: _ask_plaid(asked.documents.caller, url, body),
    )
    ended = None if found is None else found.get("expired_at")
    if ended is not None and asked.seconds is not None and number(found or {}, "expired_at") < asked.seconds:
        return None
    key = jwk(found)
    return key if key is not None and suits(key, "ES256") else None


def _ask_plaid(caller: Caller, url: str, body: bytes) -> dict[str, Any] | None:
    answer = caller.call("POST", url, headers={"Content-Type": "application/json"}, body=body)
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise TransientError(f"Plaid answered {answer.status} without JSON")
    if answer.status == 200 and isinstance(document.get("key"), dict):
        found: dict[str, Any] = document["key"]
        return found
    if answer.status == 400 and document.get("error_code") in ("INVALID_WEBHOOK_VERIFICATION_KEY_ID", "INVALID_FIELD"):
        return None
    raise TransientError(f"Plaid answered {answer.status} {str(document.get('error_code'))[:60]}")


def _check_body(asked: Asked, claimed: Any) -> None:
    if not _same(claimed, sha256(asked.request.body).hexdigest()):
        raise Rejected("the token was made for another body")


def _same(claimed: Any, expected: str) -> bool:
    return isinstance(claimed, str) and compare_digest(claimed.lower().encode("utf-8", "replace"), expected.encode())


def _escaped(text: str) -> str:
    return quote(text, safe="-._~")
