"""What a verifier is asked, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hub.types import SECOND, Micros
from hub.webhooks.reference import Ref, Rejected, scalar_text
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import Decoder, Key, SecretValue, decode_plain
from hub.webhooks.secrets import usable as usable_keys
from hub.webhooks.signatures import NO_USABLE_KEY
from hub.webhooks.timestamp import check_window
from hub.webhooks.verify import Verdict

from hub_plugins.webhooks.documents import Documents

MAX_TEXT = 16_384


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that is to be verified. `proxies` is how many reverse proxies are trusted."""

    request: WebhookRequest
    secrets: Sequence[SecretValue]
    settings: Mapping[str, str]
    now: Micros | None
    documents: Documents
    proxies: int = 0

    @property
    def source(self) -> str:
        """What look-ups are counted by: secrets belong to one source, and so do a keyless one's settings."""
        return self.secrets[0].id if self.secrets else "&".join(f"{k}={v}" for k, v in sorted(self.settings.items()))

    @property
    def seconds(self) -> float | None:
        """The time in Unix seconds; None leaves windows unchecked."""
        return None if self.now is None else self.now / SECOND

    def header(self, name: str) -> str:
        """The one value of a header. Raises Rejected when it is missing, too long or came twice."""
        text = scalar_text(Ref("header", name).demand(self.request, f"the header {name}")) or ""
        if not text:
            raise Rejected(f"the header {name} is missing")
        if len(text) > MAX_TEXT:
            raise Rejected(f"the header {name} is longer than {MAX_TEXT} characters")
        return text

    def bearer(self, scheme: str) -> str:
        """The credentials of the Authorization header. Raises Rejected."""
        said, _, token = self.header("Authorization").partition(" ")
        if said.lower() != scheme.lower() or not token:
            raise Rejected(f"the Authorization header is not {scheme}")
        return token.strip(" ")

    def listed(self, name: str, separator: str = ",") -> tuple[str, ...]:
        """The items of a setting that is a list."""
        items = (item.strip() for item in self.settings.get(name, "").split(separator))
        return tuple(item for item in items if item)

    def usable(self, decode: Decoder | None = None) -> list[Key]:
        """The keys of the source's secrets. Raises Rejected when there is none."""
        found = usable_keys(self.secrets, self.now, decode or decode_plain("utf8"))
        if not found:
            raise Rejected(NO_USABLE_KEY)
        return found

    def proved(self, secret_id: str | None, signed: bytes | None, at: Micros | None = None, window: int = 0) -> Verdict:
        """The verdict on a request whose signature holds, once its time is judged. Raises Rejected."""
        if at is None or self.now is None:
            return Verdict(True, "", secret_id, signed=signed, timestamp=at)
        check_window(at, self.now, window)
        return Verdict(True, "", secret_id, True, at, signed)


Verify: TypeAlias = Callable[[Asked], Verdict]
"""Judges a request; raises Rejected, or Unavailable when a key cannot be had."""
