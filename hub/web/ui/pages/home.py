"""The first page: put together from panels, the dashboard's own and those of other plugins."""

from __future__ import annotations

from starlette.responses import Response

from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()


@pages.get("/ui", needs="runs:read")
def home(view: View) -> Response:
    """How things are."""
    return view.page("home.html", topics="runs,alerts,events", panels=panels(view, "home", {}))
