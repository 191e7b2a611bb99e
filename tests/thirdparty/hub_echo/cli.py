"""`hub echo`."""

import sys

from cyclopts import App

app = App(name="echo", help="Says things again.")


@app.command
def again(text: str) -> None:
    """Print a text twice."""
    sys.stdout.write(f"{text} {text}\n")
