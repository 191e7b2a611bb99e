"""Requests as GitHub sends them: documented payloads, signed with HMAC-SHA256 over the raw body."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx2

_REPOSITORY: dict[str, Any] = {
    "id": 186853002,
    "name": "Hello-World",
    "full_name": "Codertocat/Hello-World",
    "private": False,
    "owner": {"login": "Codertocat", "id": 21031067, "type": "User"},
    "html_url": "https://github.com/Codertocat/Hello-World",
    "default_branch": "main",
}
_SENDER = {"login": "Codertocat", "id": 21031067, "type": "User", "site_admin": False}
_COMMIT = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"

PUSH: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
    "after": _COMMIT,
    "created": False,
    "deleted": False,
    "forced": False,
    "compare": "https://github.com/Codertocat/Hello-World/compare/0d1a26e67d8f...6113728f27ae",
    "commits": [
        {
            "id": _COMMIT,
            "message": "Adding a .gitignore file",
            "timestamp": "2026-05-15T15:20:41Z",
            "author": {"name": "Codertocat", "email": "codertocat@example.com", "username": "Codertocat"},
            "added": [".gitignore"],
            "removed": [],
            "modified": [],
        }
    ],
    "pusher": {"name": "Codertocat", "email": "codertocat@example.com"},
    "repository": _REPOSITORY,
    "sender": _SENDER,
}

WORKFLOW_RUN: dict[str, Any] = {
    "action": "completed",
    "workflow_run": {
        "id": 289782451,
        "name": "CI",
        "head_branch": "main",
        "head_sha": _COMMIT,
        "run_number": 562,
        "event": "push",
        "status": "completed",
        "conclusion": "failure",
        "html_url": "https://github.com/Codertocat/Hello-World/actions/runs/289782451",
    },
    "workflow": {"id": 3081501, "name": "CI", "path": ".github/workflows/ci.yml", "state": "active"},
    "repository": _REPOSITORY,
    "sender": _SENDER,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request, byte for byte; sending it twice is what GitHub's "Redeliver" does."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door said."""

    status: int
    document: dict[str, Any]


def delivery(event: str, payload: dict[str, Any], secret: str) -> Delivery:
    """Sign a payload the way GitHub does."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-GitHub-Hook-ID": "292430182",
        "X-Hub-Signature-256": signature(body, secret),
    }
    return Delivery(body, headers)


def signature(body: bytes, secret: str) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def send(client: httpx2.Client, url: str, request: Delivery) -> Answer:
    """Send it over HTTP and give the answer, whatever its status."""
    answer = client.post(url, content=request.body, headers=request.headers)
    return Answer(answer.status_code, _document(answer.content))


def _document(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
