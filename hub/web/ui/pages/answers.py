"""Answering what a run asks for: on the run's page, and behind a signed link that needs no login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from hub.errors import ConflictError, HubError, NotFoundError, ParameterError
from hub.runtime import links
from hub.runtime.commands import Command, apply
from hub.store import runs, waits
from hub.store.base import Tx
from hub.store.waits import Point
from hub.types import Actor, Id, Scope, derived_id
from hub.web.ui import forms
from hub.web.ui.forms import Filled
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
WHO = "link-holder"
"""The kind of actor that answers by a link: whoever had it."""


@dataclass(frozen=True, slots=True)
class Question:
    """An input as a page asks it: `point` or what was typed for it, and where its form goes."""

    point: Point
    action: str
    filled: Filled
    error: HubError | None = None

    @property
    def description(self) -> str:
        """What the author says of it."""
        return str(self.point.asks.get("description", ""))

    @property
    def problem(self) -> str:
        """Why the last answer was refused by the flow."""
        return str(self.point.asks.get("problem", ""))

    @property
    def wrong(self) -> bool:
        """Whether something must be mended before it is accepted."""
        return self.filled.wrong or self.error is not None


def asked_of(tx: Tx, scope: Scope, run_id: Id) -> list[Question]:
    """The inputs that a run asks for now, the oldest first."""
    return [_fresh(point, _address(run_id)) for point in waits.open_of(tx, scope, run_id) if point.kind == "input"]


@pages.get("/ui/runs/{run_id}/answer", needs="runs:write")
def ask(view: View) -> Response:
    """The form for one of the inputs that a run asks for."""
    run_id, point = _point(view)
    return _form(view, _fresh(point, _address(run_id)), link("/ui/runs", run_id))


@pages.post("/ui/runs/{run_id}/answer", needs="runs:write")
def answer(view: View) -> Response:
    """Answer an input; a fault shows the form again, with everything that was typed."""
    run_id, point = _point(view)
    filled = _read(view, point)
    back = link("/ui/runs", run_id)
    if filled.wrong:
        return _form(view, Question(point, _address(run_id), filled), back)
    try:
        view.change("run.answer", run_id, {"point_id": point.id, "value": filled.values})
    except ParameterError as error:
        return _form(view, Question(point, _address(run_id), filled, error), back)
    return view.go(link("/ui/runs", run_id, done="answered"))


@pages.get("/ui/answers/{token}", needs=None, trusts="the signed link")
def linked(view: View) -> Response:
    """What a link asks. Looking changes nothing, however often and by whom: mail programs follow links, too."""
    found = _linked(view)
    if isinstance(found, str):
        return _over(view, found)
    return _form(view, _fresh(found, view.request.url.path))


@pages.post("/ui/answers/{token}", needs=None, trusts="the signed link")
def answer_by_link(view: View) -> Response:
    """Answer by a link, once."""
    found = _linked(view)
    if isinstance(found, str):
        return _over(view, found)
    filled = _read(view, found)
    if filled.wrong:
        return _form(view, Question(found, view.request.url.path, filled))
    # Pressed twice, it is one answer.
    command_id = derived_id(found.id, "by link", view.form.text("command_id"))
    scope = Scope(found.workspace_id, Actor(WHO))
    args = {"point_id": found.id, "value": filled.values}
    try:
        apply(view.store, Command("run.answer", scope, found.run_id, args, id=command_id, via="ui"))
    except ParameterError as error:
        return _form(view, Question(found, view.request.url.path, filled, error))
    except ConflictError:
        return _over(view, "answered")
    return view.go(f"{view.request.url.path}?thanks=yes")


def _linked(view: View) -> Point | str:
    """The open input that the link in the path means, else why there is none. Raises RateLimitedError."""
    view.services.auth.check_links(view.request)
    said = links.read(view.store.keyring, view.path["token"])
    if said is None:
        view.services.auth.wrong_link(view.request)
        return "unknown"
    with view.store.read() as tx:
        point, now = waits.any_of(tx, said.point_id), tx.now
        if point is not None and point.state == "answered":
            point = waits.asked_again(tx, point) or point
    if point is not None and point.state == "answered":
        return "thanks" if view.query("thanks") else "answered"
    if said.until <= now:
        return "expired"
    if point is None:
        return "early"
    if point.state != "open" or (point.expires_at is not None and point.expires_at <= now):
        return "over"
    return point


OVER: dict[str, tuple[int, str, str]] = {
    "thanks": (200, "Thank you", "Your answer has been given. You can close this page."),
    "answered": (410, "This has been answered", "A link is good for one answer, and it has been given."),
    "expired": (410, "This link is too old", "Ask whoever sent it for a new one."),
    "over": (410, "This is not asked any more", "Its time was over, or the run that asked has ended."),
    "early": (404, "This is not asked yet", "The run has not come to its question, or is gone. Try again in a moment."),
    "unknown": (404, "This link is not valid", "Perhaps a part of it was cut off: try to copy the whole address."),
}
"""What a link that leads to no question says: status, title, sentence."""


def _over(view: View, why: str) -> Response:
    status, title, text = OVER[why]
    return view.page("answer-over.html", status=status, title=title, text=text, good=why == "thanks")


def _form(view: View, question: Question, back: str = "") -> Response:
    scope = Scope(question.point.workspace_id)
    with view.store.read() as tx:
        row = runs.row(tx, scope, question.point.run_id)
        now = tx.now
    return view.page(
        "answer-form.html", status=422 if question.wrong else 200, question=question, back=back, now=now,
        flow_name=row["flow_name"] if row is not None else "",
    )  # fmt: skip


def _point(view: View) -> tuple[Id, Point]:
    run_id = view.id_of("run_id", "run")
    wanted = view.form.text("point") or view.query("point")
    with view.store.read() as tx:
        if runs.get(tx, view.scope, run_id) is None:
            raise NotFoundError(f"there is no run {run_id}")
        asked = [point for point in waits.open_of(tx, view.scope, run_id) if point.kind == "input"]
    fit = [point for point in asked if wanted in ("", point.id)]
    if not fit:
        raise ConflictError("this is not asked any more", hint="Its page shows what became of the run.")
    return run_id, fit[0]


def _fresh(point: Point, action: str) -> Question:
    return Question(point, action, Filled(forms.fields_of(point.asks["schema"], _initial(point)), {}))


def _read(view: View, point: Point) -> Filled:
    return forms.read(point.asks["schema"], _initial(point), view.form, what="input")


def _initial(point: Point) -> dict[str, Any]:
    found: dict[str, Any] = point.asks.get("initial") or {}
    return found


def _address(run_id: Id) -> str:
    return link("/ui/runs", run_id, "answer")
