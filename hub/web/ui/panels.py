"""Panels of plugins on the dashboard's pages, through the hook `hub_ui_panels`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.plugins import Panel
from hub.web.ui.view import View


def panels(view: View, name: str, subject: Mapping[str, Any]) -> list[Panel]:
    """What plugins add to page `name`, in order. `subject` also gets the reader's `scope` for queries."""
    found: list[Panel] = view.services.plugins.hooks.ui_panels(name, {**subject, "scope": view.scope})
    return found
