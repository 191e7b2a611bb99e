"""What a payload may look like in each format: text stays text, it pings nobody, links nowhere and ends no code block.

`escape` makes a whole value safe, once: what is `Safe` stays as it is. The functions under it write the few constructs
that all formats have, from texts that are not escaped yet. Pure.
"""

from __future__ import annotations

import re
from html import escape as html_escape
from typing import Literal, TypeAlias, get_args
from urllib.parse import quote

from markupsafe import Markup

Format: TypeAlias = Literal["text", "markdown", "html", "slack"]
FORMATS: tuple[Format, ...] = get_args(Format)
Safe = Markup
"""A text that is written in its format already."""

_GAP = "\u200b"
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_PING = re.compile(r"@(?=(?:everyone|here|channel|all|room)(?![a-z0-9]))|(?<![a-z0-9_])@(?=[\w*|])", re.IGNORECASE)
_ANGLE = re.compile(r"<(?=[@#!&:^]|/?at\b|/?\w[\w .+-]*:)", re.IGNORECASE)
_FENCE = re.compile("``(?=`)")
_MARKDOWN = re.compile(r"[\\`*\[\]<>~|]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"^([ \t]*)([#+=-]|\d+(?=[.)]))", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+(?=\S)", re.MULTILINE)
_URL = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)


def clean(text: str) -> str:
    """Without what no service shows well: control characters, marks that turn the direction, halves of a pair."""
    return _UNWANTED.sub("\ufffd", _LINE_ENDS.sub("\n", text))


def defuse(text: str) -> str:
    """Clean, and without what makes a service ping somebody or hide an address; for a service that shows text as it is.

    An invisible gap does it; what was defused stays the same when it is defused again.
    """
    text = _PING.sub(f"@{_GAP}", clean(text))
    return _ANGLE.sub(f"<{_GAP}", text).replace("](", f"]{_GAP}(")


def one_line(text: str) -> str:
    """Fit for a subject line: plain text in every format."""
    return " ".join(defuse(text).split())


def escape(value: str, form: Format) -> Safe:
    """The text as the format writes it; what is Safe already is given back."""
    if isinstance(value, Markup):
        return value
    text = defuse(value)
    if form == "slack":
        # There is no way to write a backtick that opens no code.
        return Safe(_entities(text).replace("`", "ˋ"))
    if form == "html":
        return Safe(html_escape(text))
    return Safe(_markdown(text) if form == "markdown" else text)


def bold(text: str, form: Format) -> Safe:
    """A text of one line that stands out."""
    inner = escape(" ".join(text.split()), form)
    if not inner:
        return inner
    if form == "slack":
        return Safe(f"*{inner.replace('*', '∗')}*")
    return Safe({"markdown": f"**{inner}**", "html": f"<strong>{inner}</strong>"}.get(form, inner))


def code(text: str, form: Format) -> Safe:
    """A text of one line in letters of equal width."""
    line = " ".join(text.split())
    if not line or form == "text":
        return escape(line, form)
    if form == "html":
        return Safe(f"<code>{escape(line, form)}</code>")
    if form == "slack":
        return Safe(f"`{escape(line, form)}`")
    line = defuse(line).replace("`", "ˋ")
    return Safe(f"`{line}`")


def block(text: str, form: Format) -> Safe:
    """Lines as they are, in letters of equal width; what they hold does not end the block."""
    lines = clean(text).strip("\n")
    if not lines:
        return Safe("")
    if form == "text":
        return Safe("\n".join(f"  {line}" for line in defuse(lines).split("\n")))
    if form == "html":
        return Safe(f"<pre>{html_escape(defuse(lines))}</pre>")
    inner = _FENCE.sub(f"`{_GAP}`{_GAP}", defuse(lines))
    return Safe(f"```\n{_entities(inner) if form == 'slack' else inner}\n```")


def link(url: str, text: str, form: Format) -> Safe:
    """A link by its name. An address that is not http(s) is no link: its name alone is shown."""
    address = web_address(url)
    name = " ".join(text.split()) or address
    if not address:
        return escape(name, form)
    if form == "text":
        return Safe(address if name == address else f"{escape(name, form)}: {address}")
    inner = escape(name, form)
    if form == "slack":
        return Safe(f"<{_entities(address)}|{inner}>")
    if form == "html":
        return Safe(f'<a href="{html_escape(address)}">{inner}</a>')
    return Safe(f"[{inner}]({address})")


def web_address(url: str) -> str:
    """The address with what could end a link percent-encoded; empty when it is not http(s)."""
    url = clean(url).strip()
    return quote(url, safe="/:?#[]@!$&+,=%~-._") if _URL.match(url) else ""


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown(text: str) -> str:
    """As CommonMark has it: Apprise turns that into the dialect of each service."""
    text = _MARKDOWN.sub(lambda found: f"\\{found[0]}", _INDENT.sub("", text))
    return _BLOCK.sub(lambda found: f"{found[1]}{_block_mark(found[2])}", text)


def _block_mark(mark: str) -> str:
    """What begins a line, so that it begins no heading, list or rule; of a number its point is escaped."""
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"
