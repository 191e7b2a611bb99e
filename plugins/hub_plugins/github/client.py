"""Requests to GitHub's REST API, and what its answers mean."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from hub.errorclasses import ErrorClass
from hub.secretfields import scrubbed

from hub_plugins.github.settings import GitHub

if TYPE_CHECKING:
    import httpx2

API_VERSION = "2022-11-28"
LARGEST = 8 * 1024 * 1024
_TOKEN_LIFE_S = 3_600
_EARLY_S = 300
_LONGEST_WAIT_S = 3_600.0


class GitHubError(Exception):
    """GitHub refused or did not answer. `status` of its answer; `retry_after` in seconds where it asks to wait."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None,
        error_class: ErrorClass | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.error_class = error_class


class Client:
    """Requests with the credential of one connection."""

    def __init__(self, settings: GitHub) -> None:
        self._settings = settings

    def request(self, method: str, path: str, body: Any = None, **query: str | int) -> Any:
        """The document that GitHub answers; None for an answer without one. Raises GitHubError."""
        return self._ask(method, path, body, query, _credential(self, self._settings))

    def _ask(self, method: str, path: str, body: Any, query: dict[str, str | int], credential: str) -> Any:
        import httpx2  # noqa: PLC0415 - a quarter of a second that only users of GitHub should pay

        headers = {
            "accept": "application/vnd.github+json", "authorization": f"Bearer {credential}",
            "x-github-api-version": API_VERSION, "user-agent": "hubspoke",
        }  # fmt: skip
        url = self._settings.url.rstrip("/") + path
        content = None if body is None else json.dumps(body).encode()
        try:
            with (
                httpx2.Client(timeout=self._settings.timeout, follow_redirects=False) as client,
                client.stream(method, url, headers=headers, content=content, params=query or None) as answer,
            ):
                data = _bounded(answer)
        except httpx2.TimeoutException:
            told = f"GitHub did not answer {method} {path} within {self._settings.timeout:g} s"
            raise GitHubError(told, error_class=ErrorClass.TIMEOUT) from None
        except httpx2.HTTPError as error:
            told = scrubbed(f"GitHub cannot be reached: {type(error).__name__}: {error}", self._settings)
            raise GitHubError(told, error_class=ErrorClass.INFRASTRUCTURE) from None
        except (httpx2.InvalidURL, UnicodeEncodeError):
            raise GitHubError("no request can be made: the address or the credential is not ASCII") from None
        if not 200 <= answer.status_code < 300:
            raise _refused(method, path, answer, data)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise GitHubError(f"what answers {method} {path} is not GitHub's API: no JSON") from None


def _bounded(answer: httpx2.Response) -> bytes:
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > LARGEST:
            raise GitHubError(f"GitHub's answer is larger than {LARGEST // 1024**2} MiB", status=answer.status_code)
        parts.append(part)
    return b"".join(parts)


def _refused(method: str, path: str, answer: httpx2.Response, data: bytes) -> GitHubError:
    """What an answer means that is no success. GitHub says 403 for limits, too, and 404 for what may not be seen."""
    status, said = answer.status_code, _message(data)
    wait = _wait(answer)
    told = f"GitHub answers {status} to {method} {path}: {said}"
    if wait is not None and status in (403, 429):
        return GitHubError(told, status=429, retry_after=min(wait, _LONGEST_WAIT_S))
    if status in (301, 302, 307, 308):
        return GitHubError(f"{told} (was the repository renamed or moved? use its new name)", status=status)
    if status == 404:
        return GitHubError(f"{told} (or the credential may not see it)", status=status)
    return GitHubError(told, status=status)


def _wait(answer: httpx2.Response) -> float | None:
    after = answer.headers.get("retry-after", "")
    if after.isascii() and after.isdecimal():
        return float(after)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdecimal():
        return max(1.0, int(reset[:12]) - time.time())
    # A secondary limit may come without either.
    return 60.0 if answer.status_code == 429 else None


def _message(data: bytes) -> str:
    try:
        found = json.loads(data)
        parts = [str(found["message"])]
        parts += [str(one.get("message") or " ".join(map(str, one.values()))) for one in found.get("errors", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it does not say why"
    return "; ".join(parts)[:500]


# --- an app's tokens -------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_tokens: dict[tuple[str, str, int], tuple[float, str]] = {}
_MOST = 100


def _credential(client: Client, settings: GitHub) -> str:
    """The token; of an app one for its installation, which GitHub gives for an hour."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    assert settings.installation_id is not None
    name = (settings.url, settings.app_id, settings.installation_id)
    with _lock:
        until, token = _tokens.get(name, (0.0, ""))
    if time.monotonic() < until:
        return token
    path = f"/app/installations/{settings.installation_id}/access_tokens"
    made = client._ask("POST", path, None, {}, _assertion(settings))
    if not isinstance(made, dict) or not isinstance(made.get("token"), str):
        raise GitHubError("what answers is not GitHub's API: it gave no token for the installation")
    with _lock:
        _tokens.pop(name, None)
        _tokens[name] = (time.monotonic() + _TOKEN_LIFE_S - _EARLY_S, made["token"])
        while len(_tokens) > _MOST:
            del _tokens[next(iter(_tokens))]
    return str(made["token"])


def _assertion(settings: GitHub) -> str:
    """A token that says which app asks, signed with its key; for ten minutes at most, and clocks may differ."""
    from joserfc import jwt  # noqa: PLC0415 - most connections have a plain token
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import RSAKey  # noqa: PLC0415

    assert settings.private_key is not None
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 540, "iss": settings.app_id}
    try:
        key = RSAKey.import_key(settings.private_key.get_secret_value().replace("\\n", "\n"))
        return jwt.encode({"alg": "RS256"}, claims, key)
    except (JoseError, ValueError, TypeError):  # its text may hold the key
        raise GitHubError("the private key of the app is no RSA key in PEM") from None
