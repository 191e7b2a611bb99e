"""Echo: one hook. ECHO_MODE chooses how it misbehaves: raise, hang, import_error."""

import json
import os
import time

from hub import hookimpl

if os.environ.get("ECHO_MODE") == "import_error":
    raise ImportError("hub_echo was told to fail at its import")


@hookimpl
def hub_run_state(event, run):
    """Append the transition to ECHO_FILE."""
    mode = os.environ.get("ECHO_MODE")
    if mode == "raise":
        raise RuntimeError("hub_echo was told to raise")
    if mode == "hang":
        time.sleep(10)
    path = os.environ.get("ECHO_FILE")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"type": event["type"], "run": run["id"]}) + "\n")
