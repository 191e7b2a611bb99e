"""The command `hub`. Commands are imported when they are used, so that `--help` and `--version` stay quick."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

from hub.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 75 temporary."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"], ["version"]):
        print(f"hubspoke {__version__}")
        return 0
    from hub.cli.app import dispatch

    status = dispatch(words)
    if argv is None:
        _leave(status)
    return status


def _leave(status: int) -> None:
    """End now where a plugin's thread would keep this process from ending by itself."""
    waited_for = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    if waited_for:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
