"""The templates of a channel: checked when they are saved, used when a message is sent, tried before that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from hub.errors import TemplateError
from hub.store import events
from hub.store.base import Tx
from hub.store.tables import Channel
from hub.texts.cutting import measure
from hub.texts.limits import MAX_OUTPUT, MAX_SOURCE
from hub.types import Id, Scope
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import select, update

from hub_notifications.outline import Document
from hub_notifications.samples import SAMPLES, sample
from hub_notifications.shapes import Shape
from hub_notifications.texts import Templates, by_templates, compose, render_body, render_title

CHANNELS = Channel.__table__
_COLUMNS = ("title_template", "body_template")


def _usable_title(source: str) -> str:
    return _usable(source, "title")


def _usable_body(source: str) -> str:
    return _usable(source, "body")


def _usable(source: str, part: Literal["title", "body"]) -> str:
    """Checked with the arguments, before a transaction is open. Raises TemplateError with the line of the mistake."""
    for name in SAMPLES if source else ():
        document = sample(name)
        made = render_title(document, source) if part == "title" else render_body(document, Shape(), source, "")
        if made.is_cut:
            raise TemplateError(f"{part}_template: it prints more than {MAX_OUTPUT:,} characters")
    return source


TitleTemplate: TypeAlias = Annotated[str, Field(max_length=MAX_SOURCE), AfterValidator(_usable_title)]
BodyTemplate: TypeAlias = Annotated[str, Field(max_length=MAX_SOURCE), AfterValidator(_usable_body)]


def templates_of(args: BaseModel) -> dict[str, Any]:
    """The columns of a channel that the arguments of an operation change."""
    given = {name: getattr(args, name) for name in _COLUMNS if getattr(args, name) is not None}
    return {**given, "template_error": ""} if given else {}


def of_channel(tx: Tx, channel_id: Id) -> Templates:
    """The templates of a channel as they are now."""
    columns = select(CHANNELS.c.title_template, CHANNELS.c.body_template)
    row = tx.conn.execute(columns.where(CHANNELS.c.id == channel_id)).first()
    return Templates(row.title_template, row.body_template) if row is not None else Templates()


def note(tx: Tx, scope: Scope, channel_id: Id, problem: str) -> None:
    """Keep with the channel why its templates were not used; an event when that is new."""
    table = CHANNELS
    changed = update(table).where(table.c.id == channel_id, table.c.template_error != problem)
    done = tx.conn.execute(changed.values(template_error=problem).returning(table.c.name)).first()
    if done is not None and problem:
        events.append(tx, scope, "hub.channel.template_failed", subject=channel_id, name=done.name, error=problem)


def preview(channel: Mapping[str, Any], document: Document, shape: Shape, tried: Mapping[str, str]) -> dict[str, Any]:
    """What a channel would get: {title, text, format, length, limit, unit, problem}. `tried`: templates not saved yet.

    Raises TemplateError for one that is tried; one that is saved and fails is told in `problem`, as it would be sent.
    """
    texts = {name: tried.get(name, channel[name]) for name in _COLUMNS}
    templates = Templates(texts["title_template"], texts["body_template"])
    made = by_templates(document, shape, templates) if tried else compose(document, shape, templates)
    return {
        "title": made.title, "text": made.text, "format": made.format, "length": measure(made.text, shape.unit),
        "limit": shape.max_text, "unit": shape.unit, "problem": made.problem,
    }  # fmt: skip
