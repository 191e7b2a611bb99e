"""A message as HTML for mail: plain tables and inline styles, in light and dark. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape as attribute

from hub.texts.formats import Safe, escape, web_address
from hub.texts.words import counted

from hub_notifications.outline import Line, Link, Outline, Section

_COLOURS = {"critical": "#b42318", "error": "#d92d20", "warning": "#dc6803", "info": "#1570ef", "resolved": "#039855"}
_FONT = "font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
_DARK = (
    "<style>@media (prefers-color-scheme:dark){.hub,.hub td,.hub strong{color:#e6e8ec!important}"
    ".hub{background:#16181d!important}.hub pre{background:#23262d!important;color:#e6e8ec!important}"
    ".hub .quiet{color:#9aa1ad!important}.hub a{color:#84b6ff!important}.hub a.button{color:#fff!important}}</style>"
)


def write(found: Outline, title: str, *, has_dark: bool = True) -> str:
    """The HTML; begins with `title` unless that is empty. `has_dark`: with the rules for dark programs."""
    rows = [_row(f'<strong style="font-size:17px">{escape(title, "html")}</strong>')] if title else []
    for section in found.sections:
        rows += [_row(part) for part in _section(section)]
    if found.left_out > 0:
        rows.append(_row(_quiet(f"… and {counted(found.left_out, 'more alert')}")))
    if found.links:
        rows.append(_row(" ".join(_button(one, is_first=place == 0) for place, one in enumerate(found.links))))
        # For those who read the mail as plain text, where a button is words alone.
        rows.append(_row(_addresses(found.links)))
    if found.note:
        rows.append(_row(_quiet(found.note)))
    style = f"{_FONT};font-size:14px;line-height:1.45;color:#1d2129;background:#ffffff;width:100%;max-width:640px"
    table = f'<table class="hub" role="presentation" cellpadding="0" cellspacing="0" style="{style}">'
    dark = f"{_DARK}\n" if has_dark else ""
    return f"{dark}{table}\n{chr(10).join(rows)}\n</table>"


def _row(inner: str) -> str:
    return f'<tr><td style="padding:6px 12px">{inner}</td></tr>'


def _section(section: Section) -> Iterator[str]:
    colour = _COLOURS["resolved"] if section.status == "resolved" else _COLOURS.get(section.severity, "#d92d20")
    if section.title:
        bar, status = f"border-left:4px solid {colour};padding-left:8px", _quiet(f"· {section.status}")
        yield f'<div style="{bar}"><strong>{escape(section.title, "html")}</strong> {status}</div>'
    if section.facts:
        bar = "" if section.title else f"border-left:4px solid {colour};"
        yield f'<div style="{bar}">{"".join(_fact(fact.name, fact.line) for fact in section.facts)}</div>'
    if section.text:
        yield f'<div style="white-space:pre-line">{escape(section.text, "html")}</div>'
    if section.error:
        yield _block("Error", section.error)
    if section.logs:
        left = f" ({counted(section.logs_left_out, 'line')} left out)" if section.logs_left_out else ""
        yield _block(f"Last log lines{left}", "\n".join(section.logs))
    elif section.logs_left_out:
        yield _quiet(f"… {counted(section.logs_left_out, 'log line')} left out")
    if section.runs:
        more = f" and {section.runs_left_out:,} more" if section.runs_left_out else ""
        yield f"{_quiet('Further runs')} {', '.join(_inline((one,)) for one in section.runs)}{more}"


def _fact(name: str, line: Line) -> str:
    # No cells of a table: made plain text, each would be a line.
    style = "color:#667085;display:inline-block;min-width:96px"
    head = f'<span class="quiet" style="{style}">{escape(name, "html")}:</span>'
    return f'<div style="padding:1px 8px;overflow-wrap:anywhere">{head} {_inline(line)}</div>'


def _inline(line: Line) -> str:
    return "".join(_link(one) if isinstance(one, Link) else escape(one, "html") for one in line)


def _link(one: Link) -> str:
    address = web_address(one.url)
    words = escape(one.text, "html")
    return f'<a href="{attribute(address)}" style="color:#1570ef">{words}</a>' if address else str(words)


def _button(one: Link, *, is_first: bool) -> str:
    look = "background:#1570ef;color:#ffffff;" if is_first else "border:1px solid #98a2b3;color:#1570ef;"
    style = f"{look}display:inline-block;padding:6px 12px;margin:2px 0;border-radius:6px;text-decoration:none"
    kind = ' class="button"' if is_first else ""
    return f'<a{kind} href="{attribute(web_address(one.url))}" style="{style}">{escape(one.text, "html")}</a>'


def _addresses(links: Sequence[Link]) -> str:
    lines = "<br>".join(f"{escape(one.text, 'html')}: {attribute(web_address(one.url))}" for one in links)
    return f'<div class="quiet" style="color:#667085;font-size:11px;overflow-wrap:anywhere">{lines}</div>'


def _block(name: str, text: str) -> str:
    style = f"{_MONO};font-size:12px;background:#f2f4f7;padding:8px;margin:4px 0 0;border-radius:6px"
    return (
        f'{_quiet(name)}<pre style="{style};white-space:pre-wrap;overflow-wrap:anywhere">{escape(text, "html")}</pre>'
    )


def _quiet(text: str) -> Safe:
    return Safe(f'<span class="quiet" style="color:#667085">{escape(text, "html")}</span>')
