"""Requests to Slack's Web API, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hub.errorclasses import ErrorClass
from hub.outbound.again import retry_after
from hub.secretfields import scrubbed

from hub_plugins.slack.settings import Slack

LARGEST = 8 * 1024 * 1024
_LONGEST_WAIT_S = 3_600.0
_HOOKS = ("hooks.slack.com", "hooks.slack-gov.com")
_PASSING = {
    "ratelimited": ErrorClass.RATE_LIMITED, "rate_limited": ErrorClass.RATE_LIMITED,
    "message_limit_exceeded": ErrorClass.RATE_LIMITED, "request_timeout": ErrorClass.TIMEOUT,
    "internal_error": ErrorClass.INFRASTRUCTURE, "fatal_error": ErrorClass.INFRASTRUCTURE,
    "service_unavailable": ErrorClass.INFRASTRUCTURE, "team_added_to_org": ErrorClass.INFRASTRUCTURE,
}  # fmt: skip
"""Errors that another try may well not meet; every other one is about what was asked for."""


class SlackError(Exception):
    """Slack refused or did not answer. `error` is Slack's own word, such as `channel_not_found`; "": it said none."""

    def __init__(
        self, message: str, *, error: str = "", status: int | None = None, retry_after: float | None = None,
        error_class: ErrorClass | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.error = error
        self.status = status
        self.retry_after = retry_after
        self.error_class = error_class


class Client:
    """Requests with the token of one connection."""

    def __init__(self, settings: Slack) -> None:
        self._settings = settings

    def write(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that changes something, as JSON. Raises SlackError."""
        given = {name: value for name, value in arguments.items() if value is not None}
        return self._call(method, json.dumps(given).encode(), "application/json; charset=utf-8")

    def read(self, method: str, **arguments: str | int) -> dict[str, Any]:
        """Call a method that takes a form, as those that only read do. Raises SlackError."""
        from urllib.parse import urlencode  # noqa: PLC0415 - beside its only use

        return self._call(method, urlencode(arguments).encode(), "application/x-www-form-urlencoded")

    def upload(self, url: str, data: bytes) -> None:
        """Send a file to the address that Slack gave for it, without the token. Raises SlackError."""
        self._post("the upload", url, data, {"content-type": "application/octet-stream"}, 60.0)

    def respond(self, url: str, document: Mapping[str, Any]) -> None:
        """Answer to the address that came with a command or an interaction, without the token. Raises SlackError."""
        if not _is_hook(url, self._settings.url):
            raise SlackError("what is to be answered to is no response_url of Slack's: https://hooks.slack.com/...")
        body = json.dumps(document).encode()
        self._post("the response", url, body, {"content-type": "application/json; charset=utf-8"}, 0.0)

    def _call(self, method: str, body: bytes, kind: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._settings.token.get_secret_value()}", "content-type": kind}
        data = self._post(method, f"{self._settings.url.rstrip('/')}/{method}", body, headers, 0.0)
        try:
            found = json.loads(data)
            taken = found["ok"]
        except (ValueError, KeyError, TypeError):
            raise SlackError(f"what answers {method} is not Slack's API: no JSON with `ok`") from None
        if not taken:
            raise _refused(method, found)
        return dict(found)

    def _post(self, what: str, url: str, body: bytes, headers: dict[str, str], more_time: float) -> bytes:
        import httpx2  # noqa: PLC0415 - a quarter of a second that only users of Slack should pay

        timeout = self._settings.timeout + more_time
        headers = {**headers, "user-agent": "hubspoke", "accept": "application/json"}
        try:
            with (
                httpx2.Client(timeout=timeout, follow_redirects=False) as client,
                client.stream("POST", url, headers=headers, content=body) as answer,
            ):
                data = b""
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > LARGEST:
                        raise SlackError(f"Slack's answer is larger than {LARGEST // 1024**2} MiB")
        except httpx2.TimeoutException:
            told = f"Slack did not answer {what} within {timeout:g} s"
            raise SlackError(told, error_class=ErrorClass.TIMEOUT) from None
        except httpx2.HTTPError as error:
            told = scrubbed(f"Slack cannot be reached: {type(error).__name__}: {error}", self._settings)
            raise SlackError(told, error_class=ErrorClass.INFRASTRUCTURE) from None
        except (httpx2.InvalidURL, UnicodeEncodeError):
            raise SlackError("no request can be made: the address or the token is not ASCII") from None
        if answer.status_code != 200:
            raise _not_200(what, answer.status_code, answer.headers.get("retry-after"), data)
        return data


def _not_200(what: str, status: int, wait: str | None, data: bytes) -> SlackError:
    word = data.decode("utf-8", "replace").strip()
    said = f": {word}" if word.replace("_", "").isalnum() and len(word) < 60 else ""
    seconds = retry_after(wait)
    if status == 429:
        seconds = min(seconds if seconds is not None else 30.0, _LONGEST_WAIT_S)
    return SlackError(f"Slack answers {status} to {what}{said}", status=status, retry_after=seconds)


def _refused(method: str, found: Mapping[str, Any]) -> SlackError:
    """`"ok": false`, with a word, and sometimes with more."""
    word = str(found.get("error") or "unknown_error")[:100]
    more = found.get("response_metadata") or {}
    told = [str(one) for one in (more.get("messages") if isinstance(more, dict) else None) or ()]
    if word == "missing_scope":
        told.append(f"the app needs the scope {found.get('needed')}")
    said = f": {'; '.join(told)[:300]}" if told else ""
    return SlackError(f"Slack refuses {method}: {word}{said}", error=word, error_class=_PASSING.get(word))


def _is_hook(url: str, api: str) -> bool:
    """Whether an address is one of Slack's for responses, or of the API that the connection names itself."""
    parts, own = urlsplit(url), urlsplit(api)
    if "@" in parts.netloc:
        return False
    return (parts.scheme == "https" and parts.netloc in _HOOKS) or (parts.scheme, parts.netloc) == own[:2]
