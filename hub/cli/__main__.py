"""`python -m hub.cli` is the command `hub`."""

from __future__ import annotations

import sys

from hub.cli import main

sys.exit(main())
