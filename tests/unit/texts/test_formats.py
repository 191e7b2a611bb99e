"""No payload pings, links, opens markup or ends a code block, in any format; and no cut breaks anything."""

from __future__ import annotations

import html.parser
import re
import string

import pytest
from hub.texts import formats
from hub.texts.cutting import UNITS, Unit, cut, measure
from hub.texts.formats import FORMATS, Format, escape
from hub.texts.words import counted, moment, spoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

ATTACKS = [
    "@everyone", "@here", "@channel", "@all", "@room", "@EVERYONE", "@@everyone", "x@everyone", "@bob", "<!channel>",
    "<!here|x>", "<!subteam^S1>", "<@U123>", "<@!123>", "<@&123>", "<#C1>", "<at>Bob</at>", "@**all**", "@_**Bob**",
    "[x](javascript:alert(1))", "[x](https://evil.example)", "![x](https://evil.example/p.png)", "<http://evil|text>",
    "<https://evil>", "<mailto:a@b|x>", "[x][y]\n\n[y]: https://evil", "<b>x</b>", "<script>alert(1)</script>",
    "<img src=x onerror=y>", '" onmouseover="x', "&lt;!channel&gt;", "&#64;everyone", "```\n<!channel>\n```", "`x`",
    "``", "````", "\\`\\`\\`", "~~~\n", "# big", "> quote", "- item", "1. item", "1) item", "---", "===", "| a | b |",
    "||x||", "**x**", "__x__", "*x*", "_x_", "~x~", "\\", "\\\\`", "</pre>", "</code>", "]]>", "]](",
    "]\u200b(", "\ud800", "\u202e",
    "\u2028", "\r", "\x00", "<t:1:R>", "<:e:1>", "</x:1>", "https://x.org/a_b_c", "<@\u200bU1>", "@\u200bhere",
    "   code",
]  # fmt: skip
payloads = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=8), max_size=6).map("".join)
PINGS = re.compile(
    r"@(everyone|here|channel|all|room)(?![a-z0-9])|<[@#!]|<at>|(?<![A-Za-z0-9_])@(\w|\*)", re.IGNORECASE
)


def unescaped(text: str) -> str:
    """What a service could make of Markdown before it looks for pings."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


class Tags(html.parser.HTMLParser):
    """Every tag of a text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.links: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert {name for name, _ in attrs} <= {"href", "style", "role"}

    def handle_data(self, data: str) -> None:
        self.data += data


def tags(text: str) -> Tags:
    parser = Tags()
    parser.feed(text)
    parser.close()
    return parser


@settings(max_examples=50, deadline=None)
@given(payloads)
@example("".join(ATTACKS))
def test_no_payload_pings_in_any_format(payload: str) -> None:
    for form in FORMATS:
        for made in written(payload, form):
            assert not PINGS.search(made), (form, made)
            assert not PINGS.search(unescaped(made)), (form, made)
            made.encode()  # no half of a pair is left


def written(payload: str, form: Format) -> list[str]:
    return [
        str(one)
        for one in (
            escape(payload, form), formats.bold(payload, form), formats.code(payload, form),
            formats.block(payload, form), formats.link("https://hub.example/r/1", payload, form),
        )
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(payloads)
@example("".join(ATTACKS))
def test_no_payload_is_markup_in_html(payload: str) -> None:
    found = tags(escape(payload, "html"))
    assert found.tags == []
    assert found.data == formats.defuse(payload)
    assert tags(f'<a href="{escape(payload, "html")}">x</a>').tags == ["a"]
    assert set(tags(formats.block(payload, "html")).tags) <= {"pre"}


@settings(max_examples=50, deadline=None)
@given(payloads)
@example("".join(ATTACKS))
def test_no_payload_is_markup_in_slack(payload: str) -> None:
    for made in written(payload, "slack"):
        links = re.findall(r"<([^<>]*)>", made)
        assert all(one.startswith("https://hub.example/r/1|") for one in links), made
        assert made.count("<") == made.count(">") == len(links)
        assert not re.search(r"&(?!(amp|lt|gt);)", made)


@settings(max_examples=50, deadline=None)
@given(payloads)
@example("".join(ATTACKS))
def test_no_payload_is_markup_in_markdown(payload: str) -> None:
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(f"before {escape(payload, 'markdown')}")
    found = tags(shown)
    assert set(found.tags) <= {"p", "br"}, shown
    shown = MarkdownIt("commonmark").render(str(escape(payload, "markdown")))
    assert set(tags(shown).tags) <= {"p", "br"}, shown
    shown = MarkdownIt("commonmark").render(str(formats.link("https://hub.example/r/1", payload, "markdown")))
    assert set(tags(shown).links) <= {"https://hub.example/r/1"}, shown


@settings(max_examples=50, deadline=None)
@given(payloads)
@example("".join(ATTACKS))
def test_no_payload_ends_a_code_block(payload: str) -> None:
    for form in ("markdown", "slack"):
        made = str(formats.block(payload, form))
        if made:
            assert made.count("```") == 2, made
            assert made.startswith("```\n")
            assert made.endswith("\n```")
    shown = MarkdownIt("commonmark").render(str(formats.block(payload, "markdown")))
    assert tags(shown).tags in ([], ["pre", "code"]), shown
    shown = MarkdownIt("commonmark").render(f"x {formats.code(payload, 'markdown')}")
    assert set(tags(shown).tags) <= {"p", "code"}, shown


@settings(max_examples=40, deadline=None)
@given(payloads)
def test_what_is_escaped_stays_as_it_is(payload: str) -> None:
    assert formats.defuse(formats.defuse(payload)) == formats.defuse(payload)
    assert formats.one_line(formats.one_line(payload)) == formats.one_line(payload)
    assert "\n" not in formats.one_line(payload)
    for form in FORMATS:
        assert escape(escape(payload, form), form) == escape(payload, form)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://hub.example/ui/runs/1?a=1&b=2#x", "https://hub.example/ui/runs/1?a=1&b=2#x"),
        ("http://[::1]:4300/ui", "http://[::1]:4300/ui"),
        ("https://x.org/a b)c|d>e<f\"g'h`i;j", "https://x.org/a%20b%29c%7Cd%3Ee%3Cf%22g%27h%60i%3Bj"),
        ("javascript:alert(1)", ""), (" javascript:alert(1)", ""), ("java\nscript:x", ""), ("data:text/html,x", ""),
        ("http://", ""), ("//evil", ""), ("/ui", ""), ("", ""), ("mailto:a@b.c", ""), ("https:///x", ""),
    ],
)  # fmt: skip
def test_only_web_addresses_are_links(address: str, kept: str) -> None:
    assert formats.web_address(address) == kept
    for form in FORMATS:
        made = str(formats.link(address, "name", form))
        assert (made == "name") == (not kept), made


LETTERS = st.text(
    st.sampled_from(string.ascii_letters + " \n\\`*&<>;")
    | st.sampled_from("é👩‍👩‍👧👍🏽漢e\u0301\u200d")
    | st.characters(codec="utf-8"),
    max_size=60,
)
PIECES: dict[Format, st.SearchStrategy[str]] = {
    "slack": st.sampled_from(
        ["<https://x.org/a|a name of it>", "&amp;", "&lt;b&gt;", "*bold*", "```\nlog\nlog 2\n```"]
    ),
    "markdown": st.sampled_from(["[a name](https://x.org/a)", "\\*", "&amp;", "**b**", "```\nlog\nlog 2\n```"]),
    "html": st.sampled_from(
        ['<a href="https://x.org/a">a name</a>', "&amp;", "<table><tr><td>x y</td></tr></table>", "<pre>a\nb\n</pre>"]
    ),
    "text": st.sampled_from(["https://x.org/a/b?c=d", "plain words here"]),
}


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from(FORMATS), st.sampled_from(UNITS), st.integers(0, 120))
def test_a_cut_fits_and_breaks_nothing(data: st.DataObject, form: Format, unit: Unit, limit: int) -> None:
    letters = LETTERS.map(lambda text: str(escape(text, form)))
    text = "".join(data.draw(st.lists(letters | PIECES[form], max_size=6)))
    short = cut(text, limit, form, unit)
    assert measure(short, unit) <= limit
    if measure(text, unit) <= limit:
        assert short == text
        return
    short.encode()
    if form == "slack":
        assert re.sub(r"<https://x\.org/a\|a name of it>", "", short).count("<") == 0
        assert not re.search(r"&(?!(amp|lt|gt);)", short)
        assert short.count("```") % 2 == 0
    if form == "markdown":
        assert "](" not in re.sub(r"\[a name\]\(https://x\.org/a\)", "", short).replace("]\u200b(", "")
        assert short.count("```") % 2 == 0
        assert not re.search(r"(?<!\\)(\\\\)*\\(…|$|\n```$)", short)
    if form == "html":
        assert not re.search(r"&(?!#?\w+;)", short)
        assert short.count("<a ") == short.count("</a>")
        assert short.count("<pre>") == short.count("</pre>")
        assert short.count("<td>") == short.count("</td>")
        assert "<" not in re.sub(r"</?(a|table|tr|td|pre|br)( href=\"[^\"]*\")?>", "", short)


def test_a_cut_is_made_at_the_end_of_a_line_and_says_how_much_is_left_out() -> None:
    text = "\n".join(f"line {number} of the log" for number in range(30))
    short = cut(text, 150)
    assert short.startswith("line 0 of the log\n")
    assert re.fullmatch(r"(line \d+ of the log\n)+… 2\d lines left out", short)
    assert cut("one two three four five", 12) == "one two…"
    assert cut("👩‍👩‍👧" * 3, 10, unit="utf16") == "👩‍👩‍👧…"
    assert cut("x" * 50, 0) == ""


def test_lengths_are_counted_as_the_service_counts() -> None:
    assert [measure("é👍", unit) for unit in UNITS] == [2, 3, 6]


def test_times_and_numbers_in_words() -> None:
    assert [spoken(value) for value in (0.26, 0, 59.6, 61, 7500, 90000, 3600, -5)] == [
        "0.3 s", "0 s", "1 min", "1 min 1 s", "2 h 5 min", "1 d 1 h", "1 h", "-5 s",
    ]  # fmt: skip
    assert [counted(1, "run"), counted(0, "run"), counted(2000, "entry", "entries")] == [
        "1 run",
        "0 runs",
        "2,000 entries",
    ]
    assert moment("yesterday") is None
    at = moment("2026-01-01T00:00:00Z")
    assert at is not None
    assert at.isoformat() == "2026-01-01T00:00:00+00:00"
