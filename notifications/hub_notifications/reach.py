"""Where channels may lead: which services, which hosts.

open: wherever this machine's owner could connect to anyway, but never to metadata services of clouds. public: public
hosts, and the private networks of HUB_OUTBOUND_NETWORKS. fixed: only services whose hosts are fixed, and signed
webhooks; for a hub that sends for people who do not own it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hub.outbound.call import Caller, Limits
from hub.outbound.rule import Rule, networks, own_addresses
from hub.settings import Settings, local_without_login

Level: TypeAlias = Literal["open", "public", "fixed"]
TIMEOUT = 20.0
"""The longest an attempt takes, whatever is set."""
_CONNECT = 5.0
_PATIENCE = 2.0
_ANSWER = 1_048_576
_LONGEST = 16_384
_EVERYWHERE = ("0.0.0.0/0", "::/0")
_MAIL_PORTS = frozenset({25, 465, 587, 2525})


@dataclass(frozen=True, slots=True)
class Reach:
    """What a channel may reach, and what reaches it. `schemes` empty: all that `level` allows."""

    level: Level
    web: Caller = field(repr=False)
    """For HTTP, under the rule of the level."""
    mail: Rule = field(repr=False)
    """For SMTP: names and addresses are judged by it, ports are not."""
    mail_ports: frozenset[int] | None = None
    """Ports that public mail servers may have; None: any."""
    schemes: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT


def reach_of(settings: Settings) -> Reach:
    """What the settings allow."""
    return make_reach(
        level_of(settings), private=settings.outbound_networks, schemes=settings.alerts_schemes,
        timeout_s=settings.alerts_timeout,
    )  # fmt: skip


def level_of(settings: Settings) -> Level:
    """The level that is set; `auto` is open only where whoever can ask owns this machine."""
    if settings.alerts_reach != "auto":
        return settings.alerts_reach
    return "open" if local_without_login(settings) else "public"


def make_reach(
    level: Level, *, private: tuple[str, ...] = (), schemes: tuple[str, ...] = (), timeout_s: float = TIMEOUT,
    hosts: re.Pattern[str] | None = None,
) -> Reach:  # fmt: skip
    """The rules of a level. `hosts` narrows them to certain hosts."""
    allowed = networks(_EVERYWHERE if level == "open" else () if level == "fixed" else private)
    own = frozenset() if level == "open" else own_addresses()
    only = frozenset({"https"}) if level == "fixed" else frozenset({"https", "http"})
    web = Rule(schemes=only, private=level != "fixed", networks=allowed, own=own, hosts=hosts, longest=_LONGEST)
    limits = Limits(min(_CONNECT, timeout_s), timeout_s, _ANSWER, patience_s=min(_PATIENCE, timeout_s))
    ports = None if level == "open" else _MAIL_PORTS
    return Reach(level, Caller(web, limits), Rule(networks=allowed, own=own), ports, schemes, timeout_s)
