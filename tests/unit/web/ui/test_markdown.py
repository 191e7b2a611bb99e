"""Markdown from runs: rendered, and unable to do anything."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hub.web.ui.markdown import MAX_CHARS, markdown

PLAIN = "p strong em s ul li pre blockquote hr br table thead tbody tr h3 h4 h5 h6"
SAFE: dict[str, set[str]] = {
    "a": {"href", "rel", "title"},
    "code": {"class"},
    "ol": {"start"},
    **{name: {"class"} for name in ("th", "td")},
    **{name: set() for name in PLAIN.split()},
}
PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:x)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](/ui/logout)",
    "[x](//evil.example/a)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zy8+)",
    '![x" onerror="alert(1)](https://a.example/b.png "t\\" onload=\\"alert(1)")',
    '[x](https://a.example/" onmouseover="alert(1))',
    '[x](https://a.example/ "t\\" onclick=\\"alert(1)")',
    "<javascript:alert(1)>",
    "<https://a.example/\"onclick='alert(1)'>",
    '```x" onmouseover="alert(1)\ncode\n```',
    "| a |\n|:-:|\n| <script>alert(1)</script> |",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "# <script>alert(1)</script>",
    "{{7*7}}{% raw %}",
)


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("around", ["{}", "> {}", "* {}", "**{}**", "[{}](https://a.example)", "| a |\n|--|\n| {} |"])
def test_nothing_but_harmless_tags_comes_out(payload: str, around: str) -> None:
    html = str(markdown(around.format(payload)))
    for tag, attrs in Tags(html).found:
        assert tag in SAFE, html
        assert set(attrs) <= SAFE[tag], html
        if tag == "a":
            assert str(attrs["href"]).startswith(("http://", "https://", "mailto:")), html
            assert attrs["rel"] == "noopener noreferrer nofollow"


def test_what_people_write_is_rendered() -> None:
    text = (
        "# Report\n\n* *one*\n* `two`\n\n| a | n |\n|---|--:|\n| x | 1 |\n\n"
        "![chart](https://a.example/c.png) and [![inner](https://a.example/d.png)](https://b.example)\n"
    )
    html = str(markdown(text))
    assert "<h3>Report</h3>" in html
    assert "<em>one</em>" in html
    assert '<td class="right">1</td>' in html
    assert '<a href="https://a.example/c.png" rel="noopener noreferrer nofollow">chart</a>' in html
    assert '<a href="https://b.example" rel="noopener noreferrer nofollow">inner</a>' in html
    assert "<img" not in html
    assert "style=" not in html


def test_a_very_long_text_is_cut_and_deep_nesting_is_no_trouble() -> None:
    assert "more characters" in str(markdown("x" * (MAX_CHARS + 5)))
    for deep in (">" * 5000 + "x", "*" * 5000, "[" * 5000, "- " * 2000 + "x"):
        assert markdown(deep)
