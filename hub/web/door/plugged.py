"""Presets whose verification is code: the verifiers of plugins, by the hook `hub_webhook_verify`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import anyio
import anyio.to_thread

from hub.hooks import Hooks
from hub.types import Micros
from hub.web.door.judge import Arrived, Judged, judge
from hub.web.door.known import Known
from hub.web.door.limits import Refused
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, Verifier


def verifiers(hooks: Hooks) -> Mapping[str, Verifier]:
    """The verifier of every name: it asks the plugins, and what none of them vouches for is not verified."""
    return _Plugged(hooks)


AT_ONCE = 16
"""Verifications by plugins that one loop has under way at once: threads of their own, so that others need not wait."""
LONGEST_S = 8.0
"""How long one may take, its wait for a thread included; the sender is asked to send again."""


class Beside:
    """Judges where a plugin verifies: it may have to fetch a key, so it happens beside the event loop."""

    def __init__(self, verifiers: Mapping[str, Verifier], *, at_once: int = AT_ONCE, longest_s: float = LONGEST_S):
        self._verifiers = verifiers
        self._at_once, self._longest_s = at_once, longest_s
        self._limiters: dict[asyncio.AbstractEventLoop, anyio.CapacityLimiter] = {}
        self._waiting = 0

    async def judge(self, source: Known, arrived: Arrived) -> Judged:
        """See `judge`. Raises Refused 503 when it takes too long or too many wait."""
        if self._waiting >= 8 * self._at_once:
            raise Refused(503, "verifiers-busy", retry_after=1)
        self._waiting += 1
        limiter = self._limiters.setdefault(asyncio.get_running_loop(), anyio.CapacityLimiter(self._at_once))
        try:
            with anyio.fail_after(self._longest_s):
                return await anyio.to_thread.run_sync(
                    judge, source, arrived, self._verifiers, abandon_on_cancel=True, limiter=limiter
                )
        except TimeoutError:
            raise Refused(503, "verifier-slow", retry_after=5) from None
        finally:
            self._waiting -= 1


class _Plugged(Mapping[str, Verifier]):
    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def __getitem__(self, name: str) -> Verifier:
        def ask(
            request: WebhookRequest, secrets: Sequence[SecretValue], settings: Mapping[str, str], now: Micros | None
        ) -> Verdict:
            source = {"verifier": name, "settings": dict(settings), "now": now}
            verdict = self._hooks.webhook_verify(source=source, request=request, secrets=secrets)
            if isinstance(verdict, Verdict):
                return verdict
            return Verdict(False, f"no plugin vouches for it (plugin:{name})")

        return ask

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
