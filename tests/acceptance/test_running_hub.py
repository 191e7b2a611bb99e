"""A running hub as its neighbours on the machine see it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_nothing_among_the_temporary_files(
    make_site: Callable[..., Site], tmp_path: Path, how: signal.Signals
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    site = make_site(TMPDIR=str(temporary))
    hub = site.up()
    site.stop(hub, how)
    # A home whose path is too long for a socket has its short stand-in there.
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("hub-")] == []
