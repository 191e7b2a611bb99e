"""A message as its channel's service takes it: by the channel's own templates, or as the hub writes it.

Nothing is ever lost because of a template: one that cannot be rendered is told in a line of the hub's own text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub.errors import TemplateError, UnavailableError
from hub.texts.cutting import cut, measure
from hub.texts.formats import bold, link, one_line
from hub.texts.renderer import Rendering, render
from hub.verdicts import Message

from hub_notifications import mail, writing
from hub_notifications.outline import Document, Link, outline, rooms, title_of
from hub_notifications.shapes import LONGEST_TITLE, Rendered, Shape

_ALERT: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            "id", "status", "kind", "severity", "title", "about", "dedup_key", "occurrences", "total", "started_at",
            "ended_at", "acknowledged_by", "flow", "deployment", "task", "text",
        )
    ),
    "labels": "*",
    "run": dict.fromkeys(("id", "name", "state", "attempt")),
    "error": dict.fromkeys(("type", "message")),
    "logs": [None],
    "runs": [dict.fromkeys(("id", "name", "link"))],
    "links": dict.fromkeys(("run", "alert")),
}  # fmt: skip
VARIABLES: Mapping[str, Any] = {
    **dict.fromkeys(("reason", "route", "channel", "created_at", "messages", "note")),
    "counts": dict.fromkeys(("firing", "resolved", "occurrences", "left_out")),
    "alerts": [_ALERT],
    "alert": _ALERT,
    "links": dict.fromkeys(("acknowledge", "silence", "dashboard")),
    "title": None,
    "text": None,
}
"""What templates see, as `hub.texts.grammar` has it: the document, `alert` for its first alert, and the hub's own
title and text."""


@dataclass(frozen=True, slots=True)
class Templates:
    """A channel's own; an empty one: the hub's text."""

    title: str = ""
    body: str = ""


NONE = Templates()


def compose(document: Document, shape: Shape, templates: Templates = NONE) -> Rendered:
    """The message as its service takes it. A template that fails is told in `problem` and in the text."""
    try:
        return by_templates(document, shape, templates)
    except TemplateError as error:
        problem = error.detail
    except UnavailableError as error:
        problem = f"its template was not used: {error.detail}"
    made = by_the_hub(document, shape, note=f"The text of this channel is not its own: {problem}"[:300])
    return replace(made, problem=problem)


def as_given(message: Message, shape: Shape) -> Rendered:
    """The message that a plugin has written, cut to what the service takes."""
    title = _title(message.title, shape)
    text = message.text if shape.max_title else f"{title}\n{message.text}"
    return Rendered(title, cut(text, shape.max_text, shape.format, shape.unit), shape.format, shape.max_title > 0)


def by_templates(document: Document, shape: Shape, templates: Templates) -> Rendered:
    """The message by the channel's templates. Raises TemplateError, and UnavailableError where none can be rendered."""
    written = render_title(document, templates.title).text if templates.title else title_of(document)
    title = _title(written, shape)
    if not templates.body:
        return by_the_hub(document, shape, title=title)
    body = render_body(document, shape, templates.body, title).text.strip()
    if not shape.max_title and templates.title:  # else the body is all that was written
        between = "<br>\n" if shape.format == "html" else "\n"
        body = f"{bold(title, shape.format)}{between}{body}"
    return Rendered(title, cut(body, shape.max_text, shape.format, shape.unit), shape.format, shape.max_title > 0)


def render_title(document: Document, template: str) -> Rendering:
    """What the template of a title prints: plain text. Raises as `by_templates`."""
    seen = {**_seen(document), "text": ""}
    return render(template, seen, form="text", shape=VARIABLES, name="title_template")


def render_body(document: Document, shape: Shape, template: str, title: str) -> Rendering:
    """What the template of a body prints, in the format of the service. Raises as `by_templates`."""
    seen = {**_seen(document), "title": title or title_of(document)}
    text, _ = _default(document, shape, "", "")
    return render(template, seen, form=shape.format, shape=VARIABLES, name="body_template", written={"text": text})


def _seen(document: Document) -> dict[str, Any]:
    first = document["alerts"][0] if document["alerts"] else None
    return {**dict.fromkeys(VARIABLES), **document, "alert": first, "title": title_of(document)}


def by_the_hub(document: Document, shape: Shape, *, title: str = "", note: str = "") -> Rendered:
    """The message as the hub writes it."""
    title = title or _title(title_of(document), shape)
    text, logs = _default(document, shape, "" if shape.max_title else title, note)
    return Rendered(title, text, shape.format, shape.max_title > 0, logs)


def _title(text: str, shape: Shape) -> str:
    return cut(one_line(text), shape.max_title or LONGEST_TITLE, "text", shape.unit)


def _default(document: Document, shape: Shape, head: str, note: str) -> tuple[str, int]:
    """The text, and how many log lines it shows."""
    links: tuple[Link, ...] = ()
    for room in rooms():
        is_tight = room.links == 1
        found = outline(document, room, note="" if is_tight else note)
        if shape.format == "html" and shape.is_page:
            text = mail.write(found, head, has_dark=not is_tight)
        else:
            text = writing.write(found, head, shape.format)
        if measure(text, shape.unit) <= shape.max_text:
            return text, sum(len(section.logs) for section in found.sections)
        links = found.links
    return _least(head, links, shape), 0


def _least(head: str, links: Sequence[Link], shape: Shape) -> str:
    """The title and where to look, as long as there is room for both."""
    lines = [bold(head, shape.format), *(link(one.url, "", shape.format) for one in links[:1])]
    text = ("<br>\n" if shape.format == "html" else "\n\n").join(line for line in lines if line)
    return cut(text, shape.max_text, shape.format, shape.unit)
