"""Authlib's framework-neutral server on Starlette: how its requests are made, and how its answers leave."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Payload, OAuth2Request
from starlette.requests import Request
from starlette.responses import Response

from hub.errors import UsageError
from hub.store import Store

MAX_FIELDS = 50
_SECURE = "https://hub.invalid"
"""Authlib refuses what is not https. Whether the hub may be reached without TLS was decided when it began to listen."""


class Payload(OAuth2Payload):  # type: ignore[misc]
    """The fields of a form. One that is given twice is refused, as RFC 6749 demands."""

    def __init__(self, form: Mapping[str, str]) -> None:
        self._form = dict(form)

    @property
    def data(self) -> dict[str, str]:
        """By name."""
        return self._form

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """By name, as lists."""
        return defaultdict(list, {name: [value] for name, value in self._form.items()})


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request as Authlib reads it; `address` and `base` are for our own use."""

    def __init__(self, request: Request, raw: bytes, *, address: str, base: str) -> None:
        super().__init__(request.method, f"{_SECURE}{request.url.path}", headers=request.headers)
        self.payload = Payload(_fields(raw))
        self.address = address
        self.base = base
        self.assertion_id = ""

    @property
    def args(self) -> dict[str, str]:
        """Nothing is read from the query: it ends in logs."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The fields."""
        found: dict[str, str] = self.payload.data
        return found


class Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server; `clients` finds a client by its id, `save` keeps a token that was given."""

    def __init__(self, store: Store, clients: Callable[[str], Any], save: Callable[[Any, FormRequest], None]) -> None:
        super().__init__()
        self.store = store
        self._clients = clients
        self._save = save

    def query_client(self, client_id: str) -> Any:
        """See Authlib."""
        return self._clients(client_id)

    def save_token(self, token: Any, request: FormRequest) -> None:
        """See Authlib."""
        self._save(token, request)

    def create_oauth2_request(self, request: Any) -> Any:
        """See Authlib; it is one already."""
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens: what is done is in the audit trail."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        """See Authlib."""
        text = json.dumps(body) if isinstance(body, dict | list) else (body or "")
        return Response(text, status, dict(headers))


def _fields(raw: bytes) -> dict[str, str]:
    try:
        found = parse_qs(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise UsageError("the form could not be read", hint="Send application/x-www-form-urlencoded.") from None
    twice = [name for name, values in found.items() if len(values) > 1]
    if twice:
        raise UsageError(f"the parameter {twice[0][:60]!r} is given twice", hint="Give it once.")
    return {name: values[0] for name, values in found.items()}
