"""Hooks of adnanh/webhook: what verifies, what filters, what is passed on, and what stays out with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hub.errors import ExpressionError, UsageError
from hub.runtime.expressions import apply_mapping, compile_expression
from hub.webhooks.adnanh import Planned, plan, read
from hub.webhooks.allowing import networks

PLACE = {"match": {"type": "ip-whitelist", "ip-range": "10.0.0.0/8"}}
SIGNED = {
    "match": {
        "type": "payload-hmac-sha256", "secret": "s3cret",
        "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
    }
}  # fmt: skip


def planned(**hook: Any) -> Planned:
    (found,) = read(json.dumps([{"id": "redeploy", "execute-command": "/bin/true", **hook}]), "hooks.json")
    return plan(found)


def value(name: str, wanted: str, source: str = "payload") -> dict[str, Any]:
    return {"match": {"type": "value", "value": wanted, "parameter": {"source": source, "name": name}}}


def regex(name: str, wanted: str, source: str = "payload") -> dict[str, Any]:
    return {"match": {"type": "regex", "regex": wanted, "parameter": {"source": source, "name": name}}}


def lets_in(rule: dict[str, Any], **request: Any) -> bool:
    made = planned(**{"trigger-rule": {"and": [SIGNED, rule]}})
    assert made.blocked == []
    known = {"body": {}, "headers": {}, "query": {}, "method": "POST", **request}
    return compile_expression(made.match).matches(known)


@pytest.mark.parametrize("hash_", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("word", ["hash", "hmac"])
def test_a_signature_becomes_that_of_the_source(hash_: str, word: str) -> None:
    parameter = {"source": "header", "name": "X-Signature"}
    rule = {"match": {"type": f"payload-{word}-{hash_}", "secret": "s3cret", "parameter": parameter}}
    made = planned(**{"trigger-rule": rule})
    assert (made.preset, made.secret, made.match) == ("generic-hmac", "s3cret", "")
    assert made.options == {"header": "X-Signature", "hash": hash_, "prefix": "", "type": "const:redeploy"}
    assert made.event == "generic-hmac.redeploy"
    assert f"-o prefix={hash_}=" in made.problems[0].text
    assert "s3cret" not in repr(made)


def test_the_prefix_of_a_known_header_is_known() -> None:
    made = planned(**{"trigger-rule": SIGNED})
    assert (made.options["prefix"], made.problems) == ("sha256=", [])


def test_a_compared_secret_becomes_a_token() -> None:
    made = planned(**{"trigger-rule": {"and": [value("X-Gitlab-Token", "s3cret", "header"), value("ref", "main")]}})
    assert (made.preset, made.secret) == ("token", "s3cret")
    assert made.options["from"] == "header:X-Gitlab-Token"
    assert planned(**{"trigger-rule": value("token", "x", "url")}).options["from"] == "query:token"


@pytest.mark.parametrize(
    ("rule", "request_", "lets"),
    [
        (value("ref", "main"), {"body": {"ref": "main"}}, True),
        (value("ref", "main"), {"body": {"ref": "other"}}, False),
        (value("ref", "main"), {"body": {}}, False),
        (value("ref", "main"), {"body": ["ref"]}, False),
        (value("a.b.c", "1"), {"body": {"a": {"b": {"c": 1}}}}, True),
        (value("a.b.c", "1"), {"body": {"a": {"b": "text"}}}, False),
        (value("list.1.id", "7"), {"body": {"list": [{}, {"id": 7}]}}, True),
        (value("list.1.id", "7"), {"body": {"list": [{}]}}, False),
        (value("on", "true"), {"body": {"on": True}}, True),
        (value('od"d key', "x"), {"body": {'od"d key': "x"}}, True),
        (value("X-GitHub-Event", "push", "header"), {"headers": {"x-github-event": "push"}}, True),
        (value("X-GitHub-Event", "push", "header"), {"headers": {}}, False),
        (value("page", "2", "url"), {"query": {"page": "2"}}, True),
        (value("method", "POST", "request"), {}, True),
        (regex("ref", "^refs/heads/(main|release-.*)$"), {"body": {"ref": "refs/heads/release-1"}}, True),
        (regex("ref", "^main$"), {"body": {"ref": "domain"}}, False),
        (regex("ref", "ma"), {"body": {"ref": "domain"}}, True),
        ({"not": value("ref", "main")}, {"body": {"ref": "other"}}, True),
        ({"or": [value("ref", "a"), value("ref", "b")]}, {"body": {"ref": "b"}}, True),
        ({"or": [value("no", "a"), value("ref", "b")]}, {"body": {"ref": "b"}}, True),
        ({"and": [value("ref", "a"), {"not": value("x", "1")}]}, {"body": {"ref": "a", "x": 2}}, True),
        (value("ref", 'say "${x}"\n'), {"body": {"ref": 'say "${x}"\n'}}, True),
    ],
)  # fmt: skip
def test_rules_say_what_they_said(rule: dict[str, Any], request_: dict[str, Any], lets: bool) -> None:
    assert lets_in(rule, **request_) is lets


def test_where_all_requests_have_to_come_from_is_the_allow_list() -> None:
    single = {"match": {"type": "ip-whitelist", "ip-range": "2001:db8::7 192.0.2.9/24"}}
    made = planned(**{"trigger-rule": {"and": [SIGNED, {"or": [PLACE, single]}, value("ref", "main")]}})
    assert made.blocked == []
    assert made.allow_from == ["10.0.0.0/8", "2001:db8::7/128", "192.0.2.0/24"]
    assert networks(made.allow_from)
    assert (made.preset, "ref" in made.match, "ip" in made.match) == ("generic-hmac", True, False)
    alone = planned(**{"trigger-rule": PLACE})
    assert (alone.allow_from, alone.match, alone.verified) == (["10.0.0.0/8"], "", False)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"match": {"type": "scalr-signature", "secret": "x"}}, "scalr-signature"),
        ({"not": PLACE}, "have to come from there"),
        ({"or": [PLACE, value("ref", "main")]}, "have to come from there"),
        ({"and": [PLACE, PLACE]}, "several places at once"),
        ({"match": {"type": "ip-whitelist", "ip-range": "10.0.0.0/33"}}, "no network"),
        ({"match": {"type": "ip-whitelist"}}, "no 1 to 200 networks"),
        ({"or": [SIGNED, value("ref", "main")]}, "all requests have to be signed"),
        ({"not": SIGNED}, "all requests have to be signed"),
        ({"and": [SIGNED, SIGNED]}, "more than one signature"),
        ({"match": {**SIGNED["match"], "secret": ""}}, "its secret is empty"),
        ({"match": {**SIGNED["match"], "parameter": {"source": "payload", "name": "sig"}}}, "in no header"),
        ({"xor": []}, "'xor'"),
        ({"and": []}, "has no rules"),
        ({"match": {"type": "value", "value": "x"}}, "no parameter"),
        ({"and": [SIGNED, value("Accept-Language", "de", "header")]}, "not kept"),
        ({"and": [SIGNED, value("X-Api-Token", "x", "header"), value("X-Auth", "y", "header")]}, "not kept"),
        ({"and": [SIGNED, value("remote-addr", "x", "request")]}, "nothing that a hub sees"),
        ({"and": [SIGNED, value("{{ .Payload }}", "x", "template")]}, "nothing that a hub sees"),
    ],
)  # fmt: skip
def test_a_guard_that_is_not_understood_keeps_the_hook_out(rule: dict[str, Any], why: str) -> None:
    made = planned(**{"trigger-rule": rule})
    assert why in made.blocked[0].text


def test_arguments_become_parameters() -> None:
    arguments = [
        {"source": "payload", "name": "head_commit.id"}, {"source": "string", "name": "=sum(1,2)"},
        {"source": "entire-payload"}, {"source": "url", "name": "q"}, {"source": "string", "name": "plain ${x}"},
        {"source": "raw-request-body"},
    ]  # fmt: skip
    environment = [{"source": "header", "name": "X-Event", "envname": "EVENT"}, {"source": "payload", "name": "1st"}]
    made = planned(
        **{"pass-arguments-to-command": arguments, "pass-environment-to-command": environment, "trigger-rule": SIGNED}
    )
    request = {"body": {"head_commit": {"id": "abc"}}, "headers": {"x-event": "push"}, "query": {}}
    assert apply_mapping(dict(made.parameters), request) == {
        "head_commit_id": "abc", "sum_1_2": "=sum(1,2)", "entire_payload": request["body"], "q": "",
        "plain_x": "plain ${x}", "event": "push", "hook_1st": "",
    }  # fmt: skip
    assert made.incomplete
    assert "raw-request-body" in made.problems[-1].text


def test_everything_else_is_named_with_its_line() -> None:
    text = """
- id: "my hook"
  execute-command: /srv/redeploy.sh
  response-message: ok
  http-methods: [GET, POST]
  something-new: 1
- id: second
  execute-command: /bin/true
  pre-hook-command: /bin/look
"""
    first, second = (plan(hook) for hook in read(text, "hooks.yaml"))
    told = {problem.line: problem.text for problem in first.problems}
    assert (first.name, first.command, first.command_line) == ("my-hook", "/srv/redeploy.sh", 3)
    assert "is called my-hook" in told[2]
    assert "receipt" in told[4]
    assert "not GET" in told[5]
    assert "nothing here is like it" in told[6]
    assert (second.blocked[0].line, second.line) == (9, 7)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "neither JSON nor YAML"), ("{}", "must be a list"), ("[1]", "must be a list"),
        ("- id: {{ x }}\n  - y", "neither"),
        ('[{"id": "a", "id": "b"}]', "written twice"), ("[" * 100 + "]" * 100, "nested too deep"),
        (json.dumps([{"id": "a"}] * 201), "at most 200"), ("x" * 1_048_577, "more than 1048576"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]", "too many"),
        ("!!python/object:os.system [x]", "must be a list"), ("hello", "must be a list"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read(text, "hooks.json")


def test_json_may_be_indented_by_tabs() -> None:
    (hook,) = read('[\n\t{\n\t\t"id": "a\\tb",\n\t\t"execute-command": "x"\n\t}\n]', "hooks.json")
    assert (hook.text("id"), hook.line) == ("a\tb", 2)


def test_an_expression_of_a_strange_rule_never_breaks_out_of_its_quotes() -> None:
    made = planned(**{"trigger-rule": {"and": [SIGNED, value('x"] == "" || true || body["', "y")]}})
    expression = compile_expression(made.match)
    try:
        assert not expression.matches({"body": {}, "headers": {}, "query": {}})
    except ExpressionError:
        pytest.fail("it broke")
