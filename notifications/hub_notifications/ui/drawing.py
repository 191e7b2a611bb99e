"""How a page of this plugin is drawn: from its own templates, on the dashboard's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.errors import HubError
from hub.web.ui.faults import faults_of
from hub.web.ui.view import View
from starlette.responses import Response

TEMPLATES = Path(__file__).parent / "templates"


def draw(view: View, template: str, **context: Any) -> Response:
    """Answer with a page."""
    return view.page(template, folders=(TEMPLATES,), **context)


def draw_form(view: View, template: str, error: HubError | None, **context: Any) -> Response:
    """Answer with a form: empty, or as it came back, with what is wrong at its field (`faults`)."""
    given = {"error": error, "faults": faults_of(error), **context}
    return draw(view, template, status=error.status if error else 200, **given)
