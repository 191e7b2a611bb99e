"""Addresses that are no source's here: what comes to one is handed to the plugin that knows it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from hub.errors import HubError
from hub.web.door.judge import Arrived
from hub.web.door.limits import BodyReader, Refused
from hub.web.door.refusals import refusal
from hub.web.door.short import Response
from hub.webhooks.elsewhere import Address, Forwarder

log = logging.getLogger("hub.door")
_RETRY_AFTER = 5
_JSON = (b"content-type", b"application/json")
_SANDBOX = (b"content-security-policy", b"sandbox; default-src 'none'")


class Beyond:
    """Asks every forwarder in turn."""

    def __init__(self, forwarders: Sequence[Forwarder], bodies: BodyReader) -> None:
        self._forwarders = forwarders
        self._bodies = bodies
        self._whose: dict[str, Forwarder] = {}

    async def find(self, token: str) -> Address | None:
        """The address behind a token. Raises Refused while nobody can say."""
        for forwarder in self._forwarders:
            try:
                found = await run_in_threadpool(forwarder.find, token)
            except HubError as error:
                log.warning("the door cannot look up addresses: %s", error.detail)
                raise Refused(503, error.code, retry_after=_RETRY_AFTER) from None
            if found is not None:
                self._whose[found.id] = forwarder
                return found
        return None

    async def take(self, address: Address, arrived: Arrived) -> Response:
        """Have a request kept, and answer it; gives its bytes back."""
        taker = self._whose[address.id]
        try:
            receipt = await run_in_threadpool(taker.take, address, arrived.request, arrived.remote, arrived.at)
        except HubError as error:
            log.warning("a webhook could not be taken on: %s", error.detail)
            told = error.fields.get("retry_after")
            return refusal(503, error.code, told if isinstance(told, int) else _RETRY_AFTER)
        finally:
            self._bodies.release(len(arrived.request.body))
        if address.status == 204:
            return 204, b"", []
        if address.text is None:
            return address.status, b'{"receipt": "%s"}' % receipt.encode("ascii"), [_JSON]
        text = address.text.replace("{receipt}", receipt).encode()
        return address.status, text, [(b"content-type", address.type.encode("latin-1", "replace")), _SANDBOX]
