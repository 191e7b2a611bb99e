"""Templates of channels, from the database to the receiver; and the examples of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hub.errors import TemplateError
from hub.runtime.commands import Command, apply, register
from hub.settings import Settings, load_settings
from hub.store import Store
from hub.store.tables import Channel, Event
from hub.texts.formats import FORMATS, Format
from hub.types import Scope
from sqlalchemy import select

from hub_notifications.deliver import Deliverer
from hub_notifications.plugin import hub_commands
from hub_notifications.samples import sample
from hub_notifications.shapes import Shape
from hub_notifications.texts import Templates, by_templates

from .test_alerts import Slack, add_channel, fail_a_run

SCOPE = Scope()
PAGE = Path(__file__).parents[3] / "docs/alerts.md"
EVENTS = Event.__table__  # type: ignore[attr-defined]
CHANNELS = Channel.__table__  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path}, environ={})


def change(store: Store, **args: str) -> None:
    apply(store, Command("channel.update", SCOPE, "chat", args=args))


def send_all(store: Store, settings: Settings) -> None:
    deliverer = Deliverer(store, settings)
    while deliverer.step():
        pass


def failures(store: Store) -> list[dict[str, object]]:
    with store.read() as tx:
        rows = tx.conn.execute(select(EVENTS).where(EVENTS.c.type == "hub.channel.template_failed")).mappings().all()
    return [dict(row) for row in rows]


def problem_of(store: Store) -> str:
    with store.read() as tx:
        return str(tx.conn.execute(select(CHANNELS.c.template_error)).scalar_one())


def test_a_message_is_sent_as_the_channel_writes_it(store: Store, settings: Settings) -> None:
    slack = Slack()
    slack.start()
    try:
        add_channel(store, "chat", slack.address)
        change(
            store,
            title_template="{{ alert.flow }} is down",
            body_template="<!here> {{ alert.error.message }}\n{{ alert.links.run | link('look') }}",
        )
        run_id = fail_a_run(store, settings)
        send_all(store, settings)
    finally:
        slack.stop()
    (text,) = slack.texts
    head, said, look = text.split("\n")
    assert head == "*nightly is down*"
    assert said.startswith("<!here> boom &lt;\u200b!channel&gt; @\u200beveryone")
    assert re.fullmatch(rf"<http://[^|>]+/ui/runs/{run_id}\|look>", look)


def test_without_templates_the_hub_writes_for_the_service(store: Store, settings: Settings) -> None:
    slack = Slack()
    slack.start()
    try:
        add_channel(store, "chat", slack.address)
        run_id = fail_a_run(store, settings)
        send_all(store, settings)
    finally:
        slack.stop()
    (text,) = slack.texts
    assert re.search(rf"\*Run\*: <http://\S+/ui/runs/{run_id}\|nightly-1>", text)
    assert "```\nValueError: boom &lt;\u200b!channel&gt; @\u200beveryone\n```" in text
    assert "the last line it wrote" in text


def test_an_alert_is_never_lost_because_of_a_template(store: Store, settings: Settings) -> None:
    """One that the samples did not find out: it fails on what this alert holds."""
    slack = Slack()
    slack.start()

    def try_it() -> str:
        apply(store, Command("channel.test", SCOPE, "chat"))
        send_all(store, settings)
        return slack.texts[-1]

    try:
        add_channel(store, "chat", slack.address)
        change(
            store,
            body_template="ok\n{% if alert.links.alert.startswith('http://127') %}{{ title | abs }}{% endif %}",
        )
        text = try_it()
        assert "This is a test of channel chat." in text
        told = "body_template, line 2: TypeError: bad operand type for abs(): 'str'"
        assert told in text
        assert problem_of(store) == told
        assert len(failures(store)) == 1
        assert told in try_it()
        assert len(failures(store)) == 1, "the same problem is one event"
        change(store, body_template="{{ title }}")
        assert problem_of(store) == ""
        assert try_it() == "Test from Hubspoke", "no title is told twice"
        assert len(slack.texts) == 3
    finally:
        slack.stop()


@pytest.mark.parametrize("part", ["title_template", "body_template"])
@pytest.mark.parametrize(
    "source", ["{{ nothing }}", "{% for x in range(10**9) %}x{% endfor %}", "{{ title", "x" * 20_001]
)
def test_a_wrong_template_is_refused_and_nothing_is_changed(store: Store, part: str, source: str) -> None:
    add_channel(store, "chat", "slack+http://127.0.0.1:1/x")
    change(store, body_template="{{ title }}")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - too long is told by pydantic's words
        change(store, **{part: source})
    assert part in str(caught.value)
    if len(source) <= 20_000:
        assert isinstance(caught.value, TemplateError)
    with store.read() as tx:
        row = tx.conn.execute(select(CHANNELS)).mappings().one()
    assert (row["title_template"], row["body_template"]) == ("", "{{ title }}")


def examples() -> list[tuple[Format, str, str]]:
    """The templates of the page, each with what it prints."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```jinja (\w+)\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    return [(form, template, printed) for form, template, printed in found if form in FORMATS]


def test_the_examples_of_the_page_print_what_it_says() -> None:
    assert len(examples()) == 2
    for form, template, printed in examples():
        made = by_templates(sample("firing"), Shape(form), Templates("", template))
        assert made.text == printed.strip()


def test_the_page_names_every_variable_and_filter() -> None:
    from hub.texts.filters import FILTERS

    from hub_notifications.texts import VARIABLES

    page = PAGE.read_text(encoding="utf-8")
    names = [*VARIABLES, *(name for name in FILTERS if name not in ("d", "e", "count", "escape"))]
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []
