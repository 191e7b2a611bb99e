"""A second implementation of what providers sign, written from their documentation and sharing no code with the hub.

Each function takes a request as it is before it is signed, and returns it as its provider would send it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

NOW = 1_795_200_000
SECRET = "a secret of the tests"
KEY = b"0123456789abcdef0123456789abcdef"
STANDARD = "whsec_" + base64.b64encode(KEY).decode()
BASIC = "mona:lisa la gioconda"


@dataclass(frozen=True)
class Sent:
    """A request in plain parts; `secret` is what the receiving side holds."""

    body: bytes
    url: str = "https://hub.example/in/x"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    secret: str = SECRET
    now: int = NOW

    def with_headers(self, **headers: str) -> Sent:
        """With these headers, whose names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


Signer = Callable[[Sent], Sent]


def _sha256(sent: Sent, message: bytes) -> bytes:
    return hmac.new(sent.secret.encode(), message, hashlib.sha256).digest()


def _sha1(sent: Sent, message: bytes) -> bytes:
    return hmac.new(sent.secret.encode(), message, hashlib.sha1).digest()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def body_hex(header: str, prefix: str = "") -> Signer:
    """HMAC-SHA256 of the body in hex, the commonest shape."""
    return lambda sent: replace(sent, headers={**sent.headers, header: prefix + _sha256(sent, sent.body).hex()})


def body_base64(header: str, prefix: str = "") -> Signer:
    """HMAC-SHA256 of the body in base64."""
    return lambda sent: replace(sent, headers={**sent.headers, header: prefix + _b64(_sha256(sent, sent.body))})


def gogs(sent: Sent) -> Sent:
    """https://gogs.io/docs/features/webhook: bare hex HMAC-SHA256 of the payload."""
    return sent.with_headers(X_Gogs_Signature=_sha256(sent, sent.body).hex())


def intercom(sent: Sent) -> Sent:
    return sent.with_headers(X_Hub_Signature="sha1=" + _sha1(sent, sent.body).hex())


def vercel(sent: Sent) -> Sent:
    return sent.with_headers(x_vercel_signature=_sha1(sent, sent.body).hex())


def trello(sent: Sent) -> Sent:
    return sent.with_headers(X_Trello_Webhook=_b64(_sha1(sent, sent.body + sent.url.encode())))


def zoom(sent: Sent) -> Sent:
    stamp = str(sent.now)
    message = b"v0:%d:" % sent.now + sent.body
    return sent.with_headers(x_zm_request_timestamp=stamp, x_zm_signature="v0=" + _sha256(sent, message).hex())


def linear(sent: Sent) -> Sent:
    document = json.loads(sent.body)
    document["webhookTimestamp"] = sent.now * 1000
    body = json.dumps(document, separators=(",", ":")).encode()
    return replace(sent, body=body).with_headers(Linear_Signature=_sha256(sent, body).hex())


def grafana_time(sent: Sent) -> Sent:
    message = str(sent.now).encode() + b":" + sent.body
    return sent.with_headers(
        X_Grafana_Alerting_Signature=_sha256(sent, message).hex(), X_Grafana_Alerting_Timestamp=str(sent.now)
    )


def calendly(sent: Sent) -> Sent:
    mac = _sha256(sent, f"{sent.now}.".encode() + sent.body).hex()
    return sent.with_headers(Calendly_Webhook_Signature=f"t={sent.now},v1={mac}")


def workos(sent: Sent) -> Sent:
    millis = sent.now * 1000
    mac = _sha256(sent, f"{millis}.".encode() + sent.body).hex()
    return sent.with_headers(WorkOS_Signature=f"t={millis}, v1={mac}")


def paddle(sent: Sent) -> Sent:
    mac = _sha256(sent, f"{sent.now}:".encode() + sent.body).hex()
    return sent.with_headers(Paddle_Signature=f"ts={sent.now};h1={'0' * 64};h1={mac}")


def zendesk(sent: Sent) -> Sent:
    stamp = datetime.fromtimestamp(sent.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return sent.with_headers(
        X_Zendesk_Webhook_Signature_Timestamp=stamp,
        X_Zendesk_Webhook_Signature=_b64(_sha256(sent, stamp.encode() + sent.body)),
    )


def _box(sent: Sent, header: str) -> Sent:
    stamp = datetime.fromtimestamp(sent.now, UTC).isoformat()
    signed = replace(sent, headers={**sent.headers, header: _b64(_sha256(sent, sent.body + stamp.encode()))})
    return signed.with_headers(
        box_delivery_timestamp=stamp, box_signature_version="1", box_signature_algorithm="HmacSHA256"
    )


def box_primary(sent: Sent) -> Sent:
    return _box(sent, "box-signature-primary").with_headers(box_signature_secondary=_b64(bytes(32)))


def box_secondary(sent: Sent) -> Sent:
    return _box(sent, "box-signature-secondary").with_headers(box_signature_primary=_b64(bytes(32)))


def standard(prefix: str) -> Signer:
    """Standard Webhooks and Svix: base64 HMAC-SHA256 of id, time and body under a base64 key."""

    def sign(sent: Sent) -> Sent:
        message = f"msg_1.{sent.now}.".encode() + sent.body
        mac = _b64(hmac.new(KEY, message, hashlib.sha256).digest())
        made = {"id": "msg_1", "timestamp": str(sent.now), "signature": f"v1,{_b64(bytes(32))} v1,{mac}"}
        headers = {f"{prefix}-{name}": value for name, value in made.items()}
        return replace(sent, headers={**sent.headers, **headers}, secret=STANDARD)

    return sign


def bearer(sent: Sent) -> Sent:
    return sent.with_headers(Authorization=f"Bearer {SECRET}")


def token(header: str) -> Signer:
    """The secret itself in a header."""
    return lambda sent: replace(sent, headers={**sent.headers, header: SECRET})


def query(name: str) -> Signer:
    """The secret itself in the query."""
    return lambda sent: replace(sent, url=f"{sent.url}?{name}={SECRET.replace(' ', '%20')}")


def basic(sent: Sent) -> Sent:
    return replace(sent, secret=BASIC).with_headers(Authorization="Basic " + _b64(BASIC.encode()))


def microsoft_graph(sent: Sent) -> Sent:
    document = json.loads(sent.body)
    for item in document["value"]:
        item["clientState"] = SECRET
    return replace(sent, body=json.dumps(document).encode())


SIGNERS: list[tuple[str, dict[str, str], Signer]] = [
    ("gogs", {}, gogs),
    ("postmark", {}, basic),
    ("zoom", {}, zoom),
    ("microsoft-graph", {}, microsoft_graph),
    ("sentry", {}, body_hex("Sentry-Hook-Signature")),
    ("linear", {}, linear),
    ("jira", {}, body_hex("X-Hub-Signature", "sha256=")),
    ("intercom", {}, intercom),
    ("docker-hub", {}, query("token")),
    ("grafana", {}, grafana_time),
    ("grafana", {"scheme": "body"}, body_hex("X-Grafana-Alerting-Signature")),
    ("grafana", {"scheme": "token"}, bearer),
    ("grafana", {"scheme": "basic"}, basic),
    ("alertmanager", {}, bearer),
    ("alertmanager", {"scheme": "basic"}, basic),
    ("datadog", {}, token("X-Webhook-Token")),
    ("circleci", {}, body_hex("circleci-signature", "v1=")),
    ("vercel", {}, vercel),
    ("typeform", {}, body_base64("Typeform-Signature", "sha256=")),
    ("calendly", {}, calendly),
    ("dropbox", {}, body_hex("X-Dropbox-Signature")),
    ("trello", {}, trello),
    ("zendesk", {}, zendesk),
    ("paddle", {}, paddle),
    ("lemon-squeezy", {}, body_hex("X-Signature")),
    ("clerk", {}, standard("svix")),
    ("resend", {}, standard("svix")),
    ("replicate", {}, standard("webhook")),
    ("auth0", {}, token("Authorization")),
    ("okta", {}, token("Authorization")),
    ("mollie", {}, body_hex("X-Mollie-Signature", "sha256=")),
    ("line", {}, body_base64("x-line-signature")),
    ("box", {}, box_primary),
    ("box", {}, box_secondary),
    ("workos", {}, workos),
    ("razorpay", {}, body_hex("X-Razorpay-Signature")),
    ("gocardless", {}, body_hex("Webhook-Signature")),
    ("x", {}, body_base64("X-Twitter-Webhooks-Signature", "sha256=")),
    ("asana", {}, body_hex("X-Hook-Signature")),
    ("notion", {}, body_hex("X-Notion-Signature", "sha256=")),
    ("cloudevents", {}, bearer),
    ("cloudevents", {"scheme": "query"}, query("access_token")),
    ("cloudevents", {"scheme": "basic"}, basic),
    ("azure-event-grid", {}, query("code")),
]
"""Preset, options, and how a sender of it signs."""
