"""What `hub channels` shows of schemes, and how it takes the fields of an address."""

from __future__ import annotations

import getpass
import sys

from hub.cli.output import Column
from hub.errors import UsageError

SCHEMES = (
    Column("SCHEME", "scheme"),
    Column("SERVICE", "service"),
    Column("FILES", "attachments", "flag"),
    Column("ALLOWED", "allowed", "flag"),
)
FIELDS = (
    Column("FIELD", "name"),
    Column("WHAT", "label"),
    Column("TYPE", "type"),
    Column("REQUIRED", "required", "flag"),
    Column("SECRET", "private", "flag"),
    Column("IN", "place"),
    Column("DEFAULT", "default"),
)


def named_field(text: str) -> tuple[str, str]:
    """One NAME=VALUE, asked for where the value is `-`. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        # Not the text itself: who writes a value without a name may have written a secret.
        raise UsageError("--field is NAME=VALUE, and one of them has no `=`", hint="For example --field token_a=-")
    return name, ask_secret(name) if value == "-" else value


def ask_secret(what: str) -> str:
    """A secret from the keyboard, unseen, or a line of standard input."""
    return getpass.getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
