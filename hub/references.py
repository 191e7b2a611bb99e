"""References to secrets that are kept elsewhere, in place of their values: `env:NAME`, `vault:path#key`.

One rule for all places that take a secret: what begins with one of the words below is a reference, whether or not the
plugin that resolves it is there. So a name is never taken for the secret itself.
"""

from __future__ import annotations

import re

from hub.errors import UsageError

WORDS = ("env", "file", "vault", "plugin")
"""The kinds of reference; `plugin:NAME:...` is for those of other plugins."""
MAX_SECRET = 65_536
"""Characters of what a reference may stand for."""
_WORD = re.compile(rf"(?:{'|'.join(WORDS)}):(?!//)")
_WHOLE = re.compile(r"[!-~]{1,1000}")


def is_reference(text: str) -> bool:
    """Whether the text says where a secret is, rather than being one."""
    return _WORD.match(text) is not None


def check_reference(text: str) -> str:
    """The reference; UsageError for one that nothing could resolve."""
    if not is_reference(text) or not _WHOLE.fullmatch(text) or not text.partition(":")[2]:
        raise UsageError(
            "a reference to a secret is one word of up to 1000 ASCII characters",
            hint="Write env:NAME, file:/PATH, vault:PATH#KEY or plugin:NAME:WHERE.",
        )
    return text
