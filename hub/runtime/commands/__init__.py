"""Every change from outside is a command: one `apply`, whether it came by API, CLI, automation or link."""

from __future__ import annotations

from hub.runtime.commands.apply import Command, Outcome, Via, apply, apply_all, apply_in
from hub.runtime.commands.registry import Handler, Op, register, register_given

__all__ = ["Command", "Handler", "Op", "Outcome", "Via", "apply", "apply_all", "apply_in", "register", "register_given"]
