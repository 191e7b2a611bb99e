"""A server that takes requests as GitHub's own OpenAPI description has them, and refuses all else.

`api.github.com.json` holds the operations that the plugin calls, as GitHub publishes them. The server's answers are
looked at by it, too: it says nothing that GitHub does not say.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from tests.plugins.described import Description
from tests.vendors import Answer, Asked, as_json, serving

TOKEN = "ghp-canary-token-4417"
GIVEN = "ghs-canary-installation-token"
DOCUMENT = Path(__file__).with_name("api.github.com.json")


@dataclass
class GitHub:
    """One repository, octo/spoke. `trouble` says what befalls the request of a number: a status and headers instead of
    the effect; "cut": the effect, and no answer."""

    url: str = ""
    token: str = TOKEN
    key: RSAPublicKey | None = None
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    releases: list[dict[str, Any]] = field(default_factory=list)
    dispatched: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    described: Description = field(default_factory=lambda: Description(DOCUMENT))
    trouble: Callable[[int], tuple[int, dict[str, str]] | Literal["cut"] | None] = lambda _number: None

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], Any]:
        parts = urlsplit(target)
        self.asked.append(f"{method} {parts.path}")
        self.versions.append(headers.get("x-github-api-version", ""))
        if self.versions[-1] not in ("", "2022-11-28"):
            return 400, {}, {"message": "version"}
        if not headers.get("user-agent"):
            return 403, {}, {"message": "Request forbidden by administrative rules."}
        wrong = self.described.faults(method, target, body)
        if wrong:
            # Of what it does not describe GitHub says that there is no such thing.
            errors = [{"message": said} for said in wrong]
            missing = wrong[0].startswith("there is no operation")
            return (404, {}, {"message": "Not Found"}) if missing else (
                422, {}, {"message": "Validation Failed", "errors": errors}
            )  # fmt: skip
        said = headers.get("authorization", "").removeprefix("Bearer ")
        if parts.path == "/app/installations/77/access_tokens":
            return (201, {}, {"token": GIVEN}) if self._is_app(said) else (401, {}, {"message": "Bad credentials"})
        if said != self.token:
            return 401, {}, {"message": "Bad credentials"}
        query = {name: found[-1] for name, found in parse_qs(parts.query).items()}
        status, more, said = self._do(method, parts.path, query, json.loads(body or b"{}"))
        if status < 300:
            assert self.described.unlike(method, target, status, said) == []
        return status, more, said

    def _is_app(self, token: str) -> bool:
        head, claims, signature = token.split(".")
        parts = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, claims)]
        assert self.key is not None
        signed = base64.urlsafe_b64decode(signature + "==")
        self.key.verify(signed, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        now = time.time()
        return parts[0]["alg"] == "RS256" and parts[1]["iss"] == "Iv1.app" and (
            parts[1]["iat"] <= now < parts[1]["exp"] <= now + 600
        )  # fmt: skip

    def _do(self, method: str, path: str, query: dict[str, str], given: Any) -> tuple[int, dict[str, str], Any]:
        if (method, path) == ("GET", "/rate_limit"):
            return 200, {}, {"resources": {"core": {"limit": 5000, "remaining": 4990}}}
        found = re.fullmatch(r"/repos/octo/spoke/(.+)", path)
        if found is None:
            return 404, {}, {"message": "Not Found"}
        match method, found[1].split("/"):
            case "GET", ["issues"]:
                return 200, {}, self._newest(self.issues, query)
            case "POST", ["issues"] if not given["title"]:  # its description does not say so
                errors = [{"field": "title", "code": "missing_field"}]
                return 422, {}, {"message": "Validation Failed", "errors": errors}
            case "POST", ["issues"]:
                return 201, {}, self._add(self.issues, given, "issues")
            case "GET", ["issues", _, "comments"]:
                return 200, {}, self._newest(self.comments, query)
            case "POST", ["issues", "1", "comments"]:
                return 201, {}, self._add(self.comments, given, "comments")
            case "GET", ["commits", sha, "check-runs"]:
                runs = [one for one in self.checks if (one["head_sha"], one["name"]) == (sha, query["check_name"])]
                return 200, {}, {"total_count": len(runs), "check_runs": runs}
            case "POST", ["check-runs"]:
                return 201, {}, self._add(self.checks, given, "runs")
            case "PATCH", ["check-runs", number]:
                self.checks[int(number) - 1] |= given
                return 200, {}, self.checks[int(number) - 1]
            case "GET", ["releases"]:
                return 200, {}, self._newest(self.releases, query)
            case "POST", ["releases"]:
                if any(one["tag_name"] == given["tag_name"] for one in self.releases):
                    errors = [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]
                    return 422, {}, {"message": "Validation Failed", "errors": errors}
                return 201, {}, self._add(self.releases, given, "releases")
            case "POST", ["actions", "workflows", "ci.yml", "dispatches"]:
                self.dispatched.append(("ci.yml", given))
                return 204, {}, None
            case "POST", ["dispatches"]:
                self.dispatched.append(("", given))
                return 204, {}, None
        return 404, {}, {"message": "Not Found"}

    def _newest(self, kept: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        assert 1 <= int(query["per_page"]) <= 100
        return kept[::-1][: int(query["per_page"])]

    def _add(self, kept: list[dict[str, Any]], given: dict[str, Any], where: str) -> dict[str, Any]:
        number = len(kept) + 1
        url = f"https://github.example/octo/spoke/{where}/{number}"
        kept.append({**given, "id": number, "html_url": url} | ({"number": number} if where == "issues" else {}))
        return kept[-1]


@contextmanager
def github() -> Iterator[GitHub]:
    """The server on a free port."""
    made = GitHub()

    def answer(asked: Asked) -> Answer | None:
        trouble = made.trouble(len(made.asked) + 1)
        if isinstance(trouble, tuple):
            made.asked.append(f"{asked.method} {asked.path}")
            return as_json(*trouble, {"message": "in trouble"})
        said = as_json(*made.answer(asked.method, asked.target, asked.headers, asked.body))
        return None if trouble == "cut" else said

    with serving(answer) as made.url:
        yield made
