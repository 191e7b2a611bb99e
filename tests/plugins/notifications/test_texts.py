"""What arrives: readable in every format, no longer than the service takes, and nothing in it is a payload's doing."""

from __future__ import annotations

import html.parser
import itertools
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hub.texts.cutting import UNITS, measure
from hub.texts.formats import FORMATS, Format
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_notifications.outline import rooms
from hub_notifications.samples import SAMPLES, Sample, sample
from hub_notifications.shapes import Shape
from hub_notifications.texts import VARIABLES, Templates, compose

RUN = "https://hub.example/ui/runs/01993f2a-7c11-7e55-9d5e-5b1f0c9a7d01"
ATTACKS = (
    "@everyone", "<!channel>", "<@U1>", "<#C1>", "<@&1>", "@bob", "<at>x</at>", "[x](https://evil.example/)",
    "<https://evil.example|x>", "[x](javascript:alert(1))", "<img src=https://evil.example/>", "```\n", "</pre><b>",
    "\n# big", "&lt;", "**", "\u202e", "\ud800", "\r\n\r\n", "word " * 50, "x" * 300, "\n" * 5, '"><script>', "``", "|",
)  # fmt: skip
payloads = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=5), max_size=4).map("".join)
PINGS = re.compile(
    r"@(everyone|here|channel|all|room)(?![a-z0-9])|<[@#!]|<at>|(?<![A-Za-z0-9_])@(\w|\*)", re.IGNORECASE
)


def with_payload(name: Sample, payload: str) -> dict[str, Any]:
    """A sample in which everything that somebody outside can write is the payload."""
    made: dict[str, Any] = sample(name)
    for alert in made["alerts"]:
        alert.update(title=payload, text=payload, flow=payload, deployment=payload, task=payload)
        alert.update(acknowledged_by=payload, labels={payload: payload}, logs=[payload] * 30)
        alert["error"] = {"type": payload, "message": payload}
        alert["run"] = {"id": payload, "name": payload, "state": payload, "attempt": 2}
        for run in alert["runs"]:
            run["name"] = payload
    return made


class Tags(html.parser.HTMLParser):
    """The elements of a text, which must be closed in their order, and its links."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == [], "an element is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}
        assert {name for name, _ in attrs} <= {"href", "style", "class", "role", "cellpadding", "cellspacing"}
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@settings(max_examples=15, deadline=None)
@given(payloads, st.sampled_from(SAMPLES), st.integers(0, 4_000), st.sampled_from([0, 60]), st.sampled_from(UNITS))
def test_no_message_is_too_long_or_does_what_a_payload_says(
    payload: str, name: Sample, limit: int, max_title: int, unit: Any
) -> None:
    for form in FORMATS:
        made = compose(with_payload(name, payload), Shape(form, max_title, limit, unit))
        made.text.encode()
        assert measure(made.text, unit) <= limit
        assert measure(made.title, unit) <= (max_title or 200)
        assert "\n" not in made.title
        assert not PINGS.search(made.title)
        assert not PINGS.search(made.text.replace("@media", "")), made.text
        check_links(made.text, form)


def check_links(text: str, form: Format) -> None:
    if form == "html":
        found = Tags(text)
        assert found.names <= {"style", "table", "tr", "td", "strong", "span", "div", "pre", "a", "br"}
        assert all(one.startswith("https://hub.example/") for one in found.links)
    if form == "slack":
        assert all(one.startswith("https://hub.example/") for one in re.findall(r"<([^>]*)", text))
        assert text.count("<") == text.count(">")
        assert not re.search(r"&(?!(amp|lt|gt);)", text)
    if form in ("slack", "markdown"):
        assert text.count("```") % 2 == 0
    if form == "markdown":
        outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        links = re.findall(r"(?<!\\)\]\(([^)]*)\)", outside)
        assert all(one.startswith("https://hub.example/") for one in links)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_says_what_somebody_needs_to_act(name: Sample, form: Format) -> None:
    document = sample(name)
    made = compose(document, Shape(form, max_text=20_000))
    first = document["alerts"][0]
    assert made.format == form
    assert made.has_title
    wanted = ["https://hub.example/ui/"]
    if name in ("firing", "more", "digest"):
        wanted += [
            "nightly-42",
            "attempt 3",
            "27 Nov 2026 04:00 UTC",
            "2 h 4 min ago",
            "ConnectionError",
            "load: gave up",
        ]
        wanted += ["/alerts/acknowledge/sample", "/alerts/silence/sample", first["task"]]
    if name == "resolved":
        wanted += ["2 h 4 min, from 27 Nov 2026 04:00 UTC", "12 times in all"]
        assert "acknowledge" not in made.text
    for one in wanted:
        assert one in made.text, (one, made.text)
    assert (
        made.title
        == {
            "firing": "nightly failed",
            "more": "nightly failed (37 more times)",
            "resolved": "Resolved: nightly failed",
            "digest": "12 firing, 1 resolved: nightly failed, Source shop has been silent and 11 more",
            "test": "Test from Hubspoke",
        }[name]
    )
    assert not made.text.startswith(made.title)


def test_reasons_are_in_the_title() -> None:
    for reason, wanted in (
        ("repeat", "Still firing: nightly failed (1 more time)"),
        ("escalation", "Nobody has acknowledged: nightly failed"),
        ("digest", "nightly failed"),
    ):
        assert compose({**sample("firing"), "reason": reason}, Shape()).title == wanted


@pytest.mark.parametrize("form", FORMATS)
def test_what_goes_first_goes_first(form: Format) -> None:
    """Logs, then further runs, then the middle of the error; the title and the link to the run stay to the end."""
    document: dict[str, Any] = sample("more")
    alert = document["alerts"][0]
    alert["error"]["message"] = "begins here " + "and goes on and on " * 80 + "ends here"
    alert["logs"] = [f"log line {number}" for number in range(20)]
    seen: list[tuple[bool, ...]] = []
    for limit in range(12_000, 230 if form != "html" else 700, -150):
        made = compose(document, Shape(form, 0, limit))
        assert len(made.text) <= limit
        assert "nightly failed" in made.text
        assert RUN in made.text
        seen.append(
            (
                "log line 19" in made.text,
                "nightly-36" in made.text,
                "ends here" in made.text and "left out …" not in made.text,
            )
        )
    assert seen[0] == (True, True, True)
    for earlier, later in itertools.pairwise(seen):
        assert all(before or not after for before, after in zip(earlier, later, strict=True)), (
            "what went does not return"
        )
    logs, runs, errors = ([flags[place] for flags in seen].count(True) for place in range(3))
    assert logs <= runs <= errors


def test_what_is_left_out_is_said() -> None:
    document: dict[str, Any] = sample("more")
    document["alerts"][0]["logs"] = [f"log line {number} " + "x" * 100 for number in range(20)]
    text = compose(document, Shape("text", max_text=1_400)).text
    assert re.search(r"Last log lines \(1\d lines left out\):", text)
    assert "log line 19" in text
    document["alerts"][0]["error"]["message"] = "begins here " + "and on " * 500 + "ends here"
    text = compose(document, Shape("text", max_text=1_400)).text
    assert "… 20 log lines left out" in text
    assert re.search(r"begins here .* … [\d,]+ characters left out … .*ends here", text)


def test_a_text_message_of_160_characters_has_what_counts() -> None:
    made = compose(sample("firing"), Shape("text", 0, 160))
    assert len(made.text) <= 160
    assert made.text.startswith("nightly failed\n")
    assert "ConnectionError: warehouse did" in made.text
    assert made.text.endswith(RUN)
    assert not made.has_title


def test_room_only_ever_gets_less() -> None:
    found = list(rooms())
    for name in ("logs", "runs", "alerts", "links", "has_facts", "text", "error"):
        values = [getattr(room, name) for room in found]
        assert values == sorted(values, reverse=True)


def same_parts(shape: Any, value: Any, where: str = "message") -> None:
    """Whether a value has exactly the members that a shape says."""
    if isinstance(shape, Mapping) and value is not None:
        assert set(shape) == set(value), where
        for name in shape:
            same_parts(shape[name], value[name], f"{where}.{name}")
    elif isinstance(shape, list):
        for item in value:
            same_parts(shape[0], item, f"{where}[]")


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_have_all_that_templates_may_name(name: Sample) -> None:
    document: dict[str, Any] = sample(name)
    same_parts(VARIABLES, {**document, "alert": document["alerts"][0], "title": "", "text": "", "messages": None})


def test_a_channel_writes_its_own_texts() -> None:
    templates = Templates("{{ alert.severity | upper }} {{ title }}", "<!here> *{{ alert.error.message }}*\n{{ text }}")
    made = compose(sample("firing"), Shape("slack"), templates)
    assert made.problem == ""
    assert made.title == "ERROR nightly failed"
    assert made.text.startswith(
        "<!here> *warehouse did not answer &lt;within 30 s&gt; &amp; was given up*\n*Flow*: nightly"
    )
    made = compose(sample("firing"), Shape("slack", 0), templates)
    assert made.text.startswith("*ERROR nightly failed*\n<!here>")


def test_a_title_stays_one_plain_line() -> None:
    templates = Templates("{{ title }}\n<!channel> @everyone {{ alert.error.message }}")
    made = compose(sample("firing"), Shape("html"), templates)
    assert made.title == (
        "nightly failed <\u200b!channel> @\u200beveryone warehouse did not answer <within 30 s> & was given up"
    )
    assert "ConnectionError" in made.text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        (Templates("", "{{ alert.eror }}"), "body_template, line 1: alert has no 'eror'; did you mean 'error'?"),
        (Templates("{{ titel }}", ""), "title_template, line 1: there is no variable 'titel'; did you mean 'title'?"),
        (Templates("", "one\n{{ 1 / 0 }}"), "body_template, line 2: ZeroDivisionError: division by zero"),
    ],
)
def test_a_template_that_fails_loses_nothing(form: Format, templates: Templates, problem: str) -> None:
    made = compose(sample("firing"), Shape(form), templates)
    assert made.problem.startswith(problem)
    assert made.title == "nightly failed"
    assert RUN in made.text
    assert "ConnectionError" in made.text
    assert "The text of this channel is not its own: " in made.text


def test_a_template_that_never_ends_loses_nothing() -> None:
    templates = Templates("", "{% for a in range(1000) %}" * 4 + "{% endfor %}" * 4)
    made = compose(sample("firing"), Shape("slack"), templates)
    assert made.problem == "body_template: it computes for longer than 1 s"
    assert RUN in made.text
    assert f"The text of this channel is not its own: {made.problem}" in made.text


def test_a_text_of_a_template_is_cut_to_what_the_service_takes() -> None:
    made = compose(sample("firing"), Shape("text", max_text=500), Templates("", "{{ 'line\n' * 5000 }}"))
    assert len(made.text) <= 500
    assert re.search(r"… 4,?\d+ lines left out$", made.text)
