"""The command `hub`. Commands are imported when they are used, so that `--help` and `--version` stay quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hub.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 75 temporary."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"], ["version"]):
        print(f"hubspoke {__version__}")
        return 0
    from hub.cli.app import dispatch

    return dispatch(words)
