"""Presets whose verification is code, judged as the door would, with a local HTTPS server for the hosts of keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.types import SECOND, Micros
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, Verifier, verify
from tests.keyhost import KeyHost

from hub_plugins.webhooks.documents import Documents
from hub_plugins.webhooks.plugin import hub_presets
from hub_plugins.webhooks.verifying import VERIFIERS, Verifiers

PRESETS = Presets.load(hub_presets())
URL = "https://hub.example/in/token"


class ByName(Mapping[str, Verifier]):
    """What the door gets of the plugins."""

    def __init__(self, verifiers: Verifiers) -> None:
        self._verifiers = verifiers

    def __getitem__(self, name: str) -> Verifier:
        def ask(request: Any, secrets: Any, settings: Any, now: Any) -> Verdict:
            found = self._verifiers.judge(name, request, secrets, settings, now)
            assert found is not None
            return found

        return ask

    def __iter__(self) -> Iterator[str]:
        return iter(VERIFIERS)

    def __len__(self) -> int:
        return len(VERIFIERS)


@dataclass
class Bench:
    """A key host, a clock for what is remembered, and the verifiers between them."""

    host: KeyHost
    now: int
    clock: float = 1_000.0
    proxies: int = 1
    documents: Documents = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.host.caller(), clock=lambda: self.clock)

    @property
    def verifiers(self) -> ByName:
        return ByName(Verifiers(self.documents, proxies=self.proxies))

    def judge(
        self,
        preset: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        options: dict[str, str] | None = None,
        secret: str | None = None,
        url: str = URL,
        now: int | None = 0,
        method: str = "POST",
    ) -> Verdict:
        """The verdict on one request; `now` in Unix seconds, 0 is the bench's own, None leaves the window unchecked."""
        at: Micros | None = None if now is None else (now or self.now) * SECOND
        secrets = [] if secret is None else [SecretValue("old", "an older secret"), SecretValue("one", secret)]
        request = WebhookRequest(method, url, header_pairs(headers), body)
        return verify(PRESETS.get(preset), request, secrets, now=at, options=options or {}, verifiers=self.verifiers)

    @property
    def look_ups(self) -> int:
        return len(self.host.seen)
