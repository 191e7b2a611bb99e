"""What a source may take and what is kept of it, as a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hub.errors import HubError, NotFoundError, UsageError
from hub.moments import span, span_text
from hub.runtime.presets import installed
from hub.store import sources as store_sources
from hub.web.ui.faults import Faults, faults_of
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import Form, View
from hub.webhooks.preset import UNIQUE_BODY, Option, Preset

pages = Pages()
OPTION = "option."
NUMBERS = {"max_body": "bytes", "rate_per_minute": "requests a minute", "keep_bytes": "bytes"}
SPANS = ("keep_s", "alert_after_s")
LISTS = ("redact", "allow_from")
ANSWER = {"answer_status": "200", "answer_type": "application/json", "answer_text": ""}
TYPES = ("application/json", "text/plain", "application/xml", "text/xml")
KNOWN = (*NUMBERS, *SPANS, *LISTS, "order_by", "mode", "verify", "connection", "answer", *ANSWER)


@pages.get("/ui/sources/{source_id}/edit", needs="sources:write")
def ask(view: View) -> Response:
    """The form, with what holds now."""
    source = _source(view)
    return _form(view, source, _texts(source), Faults(), None)


@pages.post("/ui/sources/{source_id}/edit", needs="sources:write")
def change(view: View) -> Response:
    """Change what differs from what holds. A fault shows the form again, with everything that was typed."""
    source = _source(view)
    before, typed = _texts(source), _typed(view.form, source)
    changed = {name: text for name, text in typed.items() if text != before.get(name)}
    args, faults = _read(changed)
    if any(name.startswith(OPTION) for name in changed):
        args["options"] = _chosen(source, typed)
    if {"answer", *ANSWER} & changed.keys():
        args["answer"] = _answer(typed)
    error: HubError | None = None
    if not faults and args:
        try:
            view.change("source.update", source["id"], args)
        except UsageError as refused:
            error, faults = refused, _placed(faults_of(refused))
        except NotFoundError as refused:
            error, faults = refused, faults_of(refused)
    if faults or error:
        return _form(view, source, typed, faults, error or UsageError("a field cannot be read"))
    return view.go(link("/ui/sources", source["id"], done="source-updated"))


def _source(view: View) -> dict[str, Any]:
    with view.store.read() as tx:
        return store_sources.row(tx, view.scope, view.id_of("source_id", "source"))


def _options(preset: Preset | None) -> dict[str, Option]:
    return {**preset.options, "unique_body": UNIQUE_BODY} if preset else {}


def _chosen(source: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, str]:
    """The options that are not as the preset has them anyway."""
    options = _options(installed().find(source["preset"]))
    given = {name: typed.get(OPTION + name, "") for name in options}
    return {name: text for name, text in given.items() if text and text != options[name].default}


def _texts(source: Mapping[str, Any]) -> dict[str, str]:
    """What holds, as it would be typed."""
    options = _options(installed().find(source["preset"]))
    return {
        **{name: str(source[name]) for name in NUMBERS},
        **{name: span_text(source[name] or 0) for name in SPANS},
        **{name: "\n".join(source[name] or ()) for name in LISTS}, "mode": source["mode"],
        "order_by": source["order_by"], "connection": source["connection"] or "", **_answered(source["answer"]),
        "verify": "none" if source["verify_none"] else "preset",
        **{OPTION + name: source["options"].get(name, one.default) or "" for name, one in options.items()},
    }  # fmt: skip


def _answered(answer: Mapping[str, Any] | None) -> dict[str, str]:
    if answer is None:
        return {"answer": "preset", **ANSWER}
    return {"answer": "own", **{f"answer_{name}": str(answer[name]) for name in ("status", "type", "text")}}


def _answer(typed: Mapping[str, str]) -> Any:
    """The argument of the command."""
    if typed.get("answer") != "own":
        return "preset"
    return {name.removeprefix("answer_"): typed.get(name, default) for name, default in ANSWER.items()}


def _placed(faults: Faults) -> Faults:
    """A fault of the answer, or of an item of a list, at the field that shows it."""
    found = Faults()
    for name, text in faults.items():
        first, _, rest = name.partition(".")
        part = f"answer_{rest.rpartition('.')[2]}"
        place = part if part in ANSWER else "answer_text"
        found[place if first == "answer" else first if first in LISTS else name] = text
    return found


def _typed(form: Form, source: Mapping[str, Any]) -> dict[str, str]:
    options = _options(installed().find(source["preset"]))
    names = (*KNOWN, *(OPTION + name for name in options))
    found = {name: form.text(name) for name in names if name in form}
    return found | {name: "\n".join(found[name].split()) for name in LISTS if name in found}


def _read(changed: Mapping[str, str]) -> tuple[dict[str, Any], Faults]:
    """The arguments of the command; what is no number or no length of time is told at its field."""
    args: dict[str, Any] = {}
    faults = Faults()
    for name, text in changed.items():
        if name in NUMBERS:
            if not (text.isascii() and text.isdecimal() and len(text) <= 16):
                faults[name] = f"expected a whole number of {NUMBERS[name]}"
            else:
                args[name] = int(text)
        elif name in SPANS:
            try:
                args[name] = span(text)
            except UsageError as error:
                faults[name] = f"{error.detail} {error.hint}"
        elif name in ("mode", "verify", "order_by", "connection"):
            args[name] = text
        elif name in LISTS:
            args[name] = text.split()
    return args, faults


def _form(
    view: View, source: dict[str, Any], values: dict[str, str], faults: Faults, error: HubError | None
) -> Response:
    preset = installed().find(source["preset"])
    return view.page(
        "source-edit.html", status=error.status if error else 200, source=source, preset=preset, error=error,
        values=_texts(source) | values, faults=faults, prefix=OPTION, options=_options(preset), types=TYPES,
    )  # fmt: skip
