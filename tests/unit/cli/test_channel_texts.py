"""Texts of a channel: given, checked, shown and tried from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Shell

CHAT = "slack+https://chat.example.com/hooks/abc"


def test_texts_of_a_channel_are_saved_shown_and_taken_away(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "alert.j2"
    file.write_text("*{{ alert.title }}* <!here>\n{{ alert.error.message }}", encoding="utf-8")
    hub("channels", "add", "chat", CHAT, "--body-template", str(file))
    hub("channels", "update", "chat", "--title-template", "{{ alert.severity | upper }}: {{ title }}")
    found = hub.json("channels", "show", "chat")
    assert found["body_template"] == file.read_text(encoding="utf-8")
    assert "chat.example.com" not in hub("channels", "show", "chat")
    made = hub.json("channels", "preview", "chat")
    assert made["title"] == "ERROR: nightly failed"
    assert made["text"] == (
        "*ERROR: nightly failed*\n"
        "*nightly failed* <!here>\nwarehouse did not answer &lt;within 30 s&gt; &amp; was given up"
    )
    assert made["format"] == "slack"
    assert made["length"] == len(made["text"]) < made["limit"]
    hub("channels", "update", "chat", "--title-template", "", "--body-template", "-", stdin="")
    assert hub.json("channels", "show", "chat")["body_template"] == ""
    assert hub.json("channels", "preview", "chat")["title"] == "nightly failed"


def test_a_preview_shows_and_saves_nothing(hub: Shell) -> None:
    hub("channels", "add", "chat", CHAT)
    shown = hub("channels", "preview", "chat", "--sample", "more")
    assert "nightly failed (37 more times)" in shown
    assert "*Happened*: 37 since the last message, 38 times in all" in shown
    assert "slack, " in shown
    tried = hub(
        "channels", "preview", "chat", "--sample", "resolved", "--body-template", "{{ alert.status }} {{ reason }}"
    )
    assert "resolved resolved" in tried
    assert hub.json("channels", "show", "chat")["body_template"] == ""
    for name in ("digest", "test"):
        assert hub.json("channels", "preview", "chat", "--sample", name)["problem"] == ""


@pytest.mark.parametrize(
    ("address", "form", "begins"),
    [
        ("mailto://mail.example.com?to=ops@example.com&from=hub@example.com&smtp=mail.example.com", "html", "<style>"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "markdown", "**nightly failed**\n\n**Flow**: nightly"),
        ("mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4", "markdown", "**nightly failed**\n\n**Flow**"),
        ("tgram://123456789:abcdefg_hijklmnop/12345", "html", "<strong>nightly failed</strong><br>"),
        ("ntfys://alerts-of-ours", "text", "Flow: nightly"),
        (CHAT, "slack", "*nightly failed*\n\n*Flow*: nightly"),
    ],
)
def test_a_preview_is_in_the_format_of_the_channels_service(hub: Shell, address: str, form: str, begins: str) -> None:
    hub("channels", "add", "one", address)
    made = hub.json("channels", "preview", "one")
    assert made["format"] == form
    assert made["text"].startswith(begins)


def test_a_preview_shows_a_recorded_alert(hub: Shell) -> None:
    hub("channels", "add", "chat", CHAT)
    hub("channels", "test", "chat", "--wait", "0", code=75)
    (alert,) = hub.json("alerts", "ls")
    made = hub.json("channels", "preview", "chat", "--alert", alert["id"])
    assert made["title"] == "Test from Hubspoke"
    assert "This is a test of channel chat." in made["text"]
    hub("channels", "preview", "chat", "--alert", "00000000-0000-7000-8000-000000000009", code=3)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("one\n{{ alert.titel }}", "body_template, line 2: alert has no 'titel'; did you mean 'title'?"),
        ("{{ alrt.title }}", "body_template, line 1: there is no variable 'alrt'; did you mean 'alert'?"),
        ("{{ title | uper }}", "body_template, line 1: there is no filter 'uper'; did you mean 'upper'?"),
        ("{{ title", "body_template, line 1: unexpected end of template"),
        ("{% if title %}", "body_template, line 1: Unexpected end of template"),
        ("{{ title.__class__ }}", "body_template, line 1: title has no '__class__'"),
        ("{{ 'x' * 10**9 }}", "body_template, line 1: what * makes here has more than 50,000 items"),
        (
            "{% for a in range(1000) %}{{ 'x' * 50000 }}{% endfor %}",
            "body_template: it prints more than 50,000 characters",
        ),
        ("{{ 1 / counts.left_out }}", "body_template, line 1: ZeroDivisionError: division by zero"),
        ("{{ 'x' }}" * 3_000, "at most 20"),
        ("no-such-file.j2", "--body-template: cannot read the file 'no-such-file.j2': No such file or directory"),
    ],
)
def test_a_wrong_template_is_not_saved_and_its_author_is_told(hub: Shell, template: str, told: str) -> None:
    hub("channels", "add", "chat", CHAT)
    for words in (("channels", "update", "chat"), ("channels", "preview", "chat")):
        said = (
            hub(*words, "--body-template", template, code=2)
            if not told.startswith("body_template: it prints") or (words[1] == "update")
            else ""
        )
        assert not said or told in " ".join(said.split()), said
    hub("channels", "add", "other", CHAT, "--body-template", template, code=2)
    assert [row["name"] for row in hub.json("channels", "ls")] == ["chat"]
    assert hub.json("channels", "show", "chat")["body_template"] == ""


def test_nothing_to_change_is_said(hub: Shell) -> None:
    hub("channels", "add", "chat", CHAT)
    assert "--title-template" in hub("channels", "update", "chat", code=2)
    hub("channels", "update", "nobody", "--body-template", "{{ title }}", code=3)
    hub("channels", "preview", "nobody", code=3)
    hub("channels", "show", "nobody", code=3)
