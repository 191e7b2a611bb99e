"""Markdown from runs as safe HTML: no HTML of its own, no script, no style, nothing loaded from elsewhere.

Images become links. Headings begin at h3, under those of the page. Links lead to http, https and mailto only; whatever
else stands there stays text.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from markupsafe import Markup

from hub.web.ui import show

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_CHARS = 200_000
SCHEMES = ("http", "https", "mailto")
_REL = "noopener noreferrer nofollow"


def markdown(text: str) -> Markup:
    """The text as HTML; what is longer than `MAX_CHARS` is cut."""
    parser = _parser()
    env: dict[str, Any] = {}
    tokens = parser.parse(show.cut(text, MAX_CHARS), env)
    for token in tokens:
        _tame(token)
    # Every tag is the parser's own, and every text and attribute was escaped by it.
    return Markup(parser.renderer.render(tokens, parser.options, env))  # noqa: S704


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - 20 ms that only pages with artifacts pay

    parser = MarkdownIt("js-default", {"html": False, "linkify": False, "typographer": False})
    parser.validateLink = _allowed  # type: ignore[method-assign]
    return parser


def _allowed(url: str) -> bool:
    try:
        return urlsplit(url.strip()).scheme.lower() in SCHEMES
    except ValueError:
        return False


def _tame(token: Token) -> None:
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
    elif token.type in ("th_open", "td_open"):
        # The policy of the dashboard allows no inline styles.
        style = str(token.attrs.pop("style", ""))
        if style.endswith("right"):
            token.attrSet("class", "right")
    elif token.type == "inline" and token.children:
        token.children = _inline(token.children)


def _inline(children: list[Token]) -> list[Token]:
    made: list[Token] = []
    depth = 0
    for token in children:
        if token.type in ("link_open", "link_close"):
            depth += token.nesting
            if token.type == "link_open":
                token.attrSet("rel", _REL)
        if token.type == "image":
            made += _linked(token, inside=depth > 0)
        else:
            made.append(token)
    return made


def _linked(image: Token, *, inside: bool) -> list[Token]:
    """An image as a link to it; within a link as its text."""
    kind = type(image)
    text = kind("text", "", 0, content=image.content or "image")
    if inside:
        return [text]
    attrs: Any = {"href": image.attrs.get("src", ""), "rel": _REL}
    return [kind("link_open", "a", 1, attrs=attrs), text, kind("link_close", "a", -1)]
