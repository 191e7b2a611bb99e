"""What to look at when a request was refused: a sentence for each kind of reason, and what is known of the request."""

from __future__ import annotations

import re

_ADVICE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (
            r"outside the window",
            "The signature is right and old or early: a delivery was held up or recorded and sent again, or a clock is"
            " wrong. Compare the clocks; a redelivery by the provider carries a new time.",
        ),
        (
            r"hash of the body does not match",
            "The body is not the one that was signed: something on the way, such as a proxy, has changed or re-encoded"
            " it.",
        ),
        (
            r"(signature|token|secret|credentials|password).* do(es)? not (match|fit)|matches no|fits no",
            "Most often the secret here is not the one at the provider: compare them, or rotate. Else the body was"
            " changed on the way (a proxy that re-encodes it), or the preset's options differ from the provider's.",
        ),
        (
            r"no usable (secret|key)|is configured",
            "The source has no secret that can be used now: give it the provider's.",
        ),
        (
            r"^(the (signature|timestamp|id|header|token|signed)|the request carries no)\b.*"
            r"(missing|not of the form|no basic)|carries no",
            "The sender did not sign, or not in this provider's way: no secret is set there, somebody else has the"
            " address, or the source has another provider's preset.",
        ),
        (
            r"malformed|not a plain number|not an RFC 3339|cannot be read|is longer than|(came|comes) \d+ times",
            "What should be signed is there, but not as this provider writes it. Is it the right preset?",
        ),
        (r"expired|of the future", "The token's time has passed or has not come: compare the clocks."),
    )
)
_GENERAL = "Nothing vouches for this request: it is kept so that you can see it, and started nothing."
_CONTENT = "It was signed rightly, but its body is not what this provider sends: look at content type and body."


def advice(reason: str, status: int = 401) -> str:
    """What usually causes a refusal with this reason, and what to do. `status` is what the sender was answered."""
    if status == 400:
        return _CONTENT
    return next((text for pattern, text in _ADVICE if pattern.search(reason)), _GENERAL)
