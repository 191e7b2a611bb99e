"""A message in plain text, Markdown and Slack's mrkdwn. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hub.texts.formats import Format, Safe, block, bold, escape, link
from hub.texts.words import counted

from hub_notifications.outline import Line, Link, Outline, Section

_MARKS = {"critical": "🔴", "error": "🔴", "warning": "🟠", "info": "🔵"}


def write(found: Outline, title: str, form: Format) -> str:
    """The text; begins with `title` unless that is empty."""
    parts: list[str] = [bold(title, form)] if title else []
    for section in found.sections:
        parts += _section(section, form)
    if found.left_out > 0:
        parts.append(escape(f"… and {counted(found.left_out, 'more alert')}", form))
    if found.links:
        parts.append(_links(found.links, form))
    if found.note:
        parts.append(escape(found.note, form))
    return _break(form, 2).join(str(part) for part in parts if part)


def _section(section: Section, form: Format) -> Iterator[Safe | str]:
    head = [_heading(section, form)] if section.title else []
    facts = [_fact(fact.name, fact.line, form) for fact in section.facts]
    yield _break(form).join(line for line in (*head, *facts) if line)
    if section.text:
        yield _lines(section.text, form)
    if section.error:
        yield _labelled("Error", section.error, form)
    if section.logs:
        left = f" ({counted(section.logs_left_out, 'line')} left out)" if section.logs_left_out else ""
        yield _labelled(f"Last log lines{left}", "\n".join(section.logs), form)
    elif section.logs_left_out:
        yield escape(f"… {counted(section.logs_left_out, 'log line')} left out", form)
    if section.runs:
        more = f" and {section.runs_left_out:,} more" if section.runs_left_out else ""
        names = ", ".join(_inline((one,), form) if form != "text" else escape(one.text, form) for one in section.runs)
        yield f"{bold('Further runs', form)}: {names}{more}"


def _heading(section: Section, form: Format) -> str:
    if form == "text":
        return f"{section.status}: {escape(section.title, form)}"
    mark = "🟢" if section.status == "resolved" else _MARKS.get(section.severity, "🔴")
    return f"{mark} {bold(section.title, form)}"


def _fact(name: str, line: Line, form: Format) -> str:
    return f"{bold(name, form)}: {_inline(line, form)}"


def _inline(line: Line, form: Format) -> str:
    """Words of one line. In plain text the links are given by themselves, once, at the end."""
    parts = []
    for part in line:
        if isinstance(part, Link):
            parts.append(escape(part.text, form) if form == "text" or not part.url else link(part.url, part.text, form))
        else:
            parts.append(escape(part.replace("\n", " "), form))
    return "".join(parts)


def _lines(text: str, form: Format) -> str:
    return str(escape(text, form)).replace("\n", "<br>\n") if form == "html" else str(escape(text, form))


def _labelled(name: str, text: str, form: Format) -> str:
    if form == "text" and "\n" not in text:
        return f"{name}: {escape(text, form)}"
    between = "" if form == "html" else "\n"  # a block of HTML begins a line by itself
    return f"{bold(name, form)}:{between}{block(text, form)}"


def _links(links: tuple[Link, ...], form: Format) -> str:
    if form != "text":
        return " · ".join(link(one.url, one.text, form) for one in links)
    if len(links) == 1:
        return str(link(links[0].url, links[0].url, form))
    return "\n".join(link(one.url, one.text, form) for one in links)


def _break(form: Format, count: int = 1) -> str:
    """Between lines that belong together, or twice between parts."""
    if form == "html":
        return "<br>\n" * count
    # Two spaces at the end are a line break in Markdown.
    return "  \n" if form == "markdown" and count == 1 else "\n" * count
