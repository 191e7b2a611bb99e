"""Templates that mean harm end within limits, and say to their author what is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hub.errors import TemplateError
from hub.texts.formats import FORMATS
from hub.texts.limits import MAX_OUTPUT, MAX_SOURCE
from hub.texts.renderer import Renderer, render

VARIABLES = {
    "a": "<@U1> payload",
    "n": 3,
    "list": [3, 1, 2],
    "nothing": None,
    "alert": {"title": "t", "labels": {"k": "v"}},
}
SHAPE = {"a": None, "n": None, "list": [None], "nothing": "*", "alert": {"title": None, "labels": "*"}}


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(cpu_s=0.4)
    yield made
    made.close()


def ask(renderer: Renderer, template: str, form: str = "text") -> dict[str, object]:
    return renderer.ask({"form": form, "template": template, "variables": VARIABLES, "shape": SHAPE})


LOOP = "{% for x in range(1000) %}"
END = "{% endfor %}"
DOUBLING = "{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = WHAT %}{% endfor %}{{ ns.s }}"
HOSTILE = {
    "a range without end": ("{% for x in range(10**9) %}x{% endfor %}", "a range may have 1,000 items"),
    "a range of negative steps": ("{% for x in range(0, -9999999, -1) %}x{% endfor %}", "a range may have"),
    "loops in loops": (LOOP * 4 + END * 4, "computes for longer than"),
    "loops in loops that print": (LOOP * 3 + "x" * 50 + END * 3, "is cut"),
    "50 MB of output": (LOOP + "{{ 'x' * 50000 }}" + END, "is cut"),
    "50 MB in a block": ("{% set b %}" + LOOP * 2 + "x" * 50 + END * 2 + "{% endset %}{{ b }}", "longer than 50,000"),
    "50 MB in a macro": ("{% macro m() %}" + LOOP * 2 + "x" * 50 + END * 2 + "{% endmacro %}{{ m() }}", "longer than"),
    "a macro that calls itself": ("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", "it calls itself"),
    "two macros that call each other": (
        "{% macro a1(f) %}{{ f(f) }}{% endmacro %}{{ a1(a1) }}",
        "it calls itself",
    ),
    "a loop that calls itself": ("{% for x in [[]] recursive %}{{ loop([[]]) }}{% endfor %}", "it calls itself"),
    "include": ("{% include '/etc/passwd' %}", r"\{% include %\} is not available"),
    "import": ("{% import 'os' as os %}", r"\{% import %\} is not available"),
    "from": ("{% from 'os' import system %}", r"\{% from %\} is not available"),
    "extends": ("{% extends 'x' %}", r"\{% extends %\} is not available"),
    "a block that prints itself": ("{% block b %}{{ self.b() }}{% endblock %}", r"\{% block %\} is not available"),
    "escaping switched off": ("{% autoescape false %}{{ a }}{% endautoescape %}", "is always escaped"),
    "a filter around a payload": ("{% filter replace('x', a) %}x{% endfilter %}", r"\{% filter %\} is not available"),
    "a payload that is called": ("{% call a.upper() %}{% endcall %}", r"\{% call %\} is not available"),
    "do": ("{% do list.append(1) %}", "unknown tag 'do'"),
    "format": ("{{ '%999999999s' | format(1) }}", "there is no filter 'format'"),
    "format of texts": ("{{ '{0.__class__}'.format(a) }}", "a text has no 'format'"),
    "format_map": ("{{ '{a}'.format_map(alert) }}", "a text has no 'format_map'"),
    "center": ("{{ 'a' | center(2000000000) }}", "there is no filter 'center'"),
    "center of texts": ("{{ 'a'.center(2000000000) }}", "a text has no 'center'"),
    "zfill": ("{{ 'a'.zfill(2000000000) }}", "a text has no 'zfill'"),
    "replace of texts": ("{{ a.replace('p', 'q') }}", "a has no 'replace'"),
    "a filter that grows": ("{{ ('a' * 50000) | replace('a', 'b' * 50000) }}", "replace makes a text longer"),
    "an indent": ("{{ a | indent(2000000000) }}", "there is no filter 'indent'"),
    "a text times a thousand million": ("{{ 'a' * 10**9 }}", r"\* makes here has more than 50,000"),
    "a thousand million times a text": ("{{ 10**9 * 'a' }}", r"\* makes here has more than 50,000"),
    "a list times a million": ("{{ [1] * 1000000 }}", r"\* makes here has more than 10,000"),
    "% with a width": ("{{ '%9999999999d' % 1 }}", "texts are not made with %"),
    "doubling by ~": (DOUBLING.replace("WHAT", "ns.s ~ ns.s"), "longer than 50,000"),
    "doubling by +": (DOUBLING.replace("WHAT", "ns.s + ns.s"), "longer than 50,000"),
    "doubling by join": (DOUBLING.replace("WHAT", "[ns.s, ns.s] | join"), "longer than 50,000"),
    "doubling of lists": (DOUBLING.replace("'aa'", "[1]").replace("WHAT", "ns.s + ns.s"), "more than 10,000 items"),
    "lists in lists": (DOUBLING.replace("'aa'", "[1]").replace("WHAT", "[ns.s, ns.s]"), "computes for longer|memory"),
    "mappings in mappings": (DOUBLING.replace("WHAT", "{1: ns.s, 2: ns.s}"), "computes for longer|memory"),
    "500 MB of texts": (
        "{% set ns = namespace(l=[]) %}" + LOOP + LOOP + "{% set ns.l = [ns.l, 'x' * 49000 ~ x] %}" + END * 2,
        "it needs too much memory|computes for longer",
    ),
    "doubling by a block": (
        DOUBLING.replace("{% set ns.s = WHAT %}", "{% set b %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = b %}"),
        "longer than 50,000",
    ),
    "a huge number": ("{{ 9 ** 999999999 }}", "more than 256 bits"),
    "squaring": (DOUBLING.replace("'aa'", "9").replace("WHAT", "ns.s * ns.s"), "more than 256 bits"),
    "a number of 5,000 digits": ("{{ " + "9" * 5000 + " }}", "digits"),
    "rounding to a thousand million digits": ("{{ 1.5 | round(1000000000) }}", "round takes 0 to 15 digits"),
    "a date of any width": ("{{ '2026-01-01' | date('%999999999Y') }}", "a date is written with"),
    "a time zone that is a file": ("{{ '2026-01-01' | date('%H', '../../etc/passwd') }}", "there is no time zone"),
    "__class__": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "a text has no '__class__'"),
    "__class__ of a mapping": ("{{ alert.__class__ }}", "alert has no '__class__'"),
    "mro by an item": ("{{ a['__class__']['mro'] }}", "a has no '__class__'"),
    "__globals__ of a macro": ("{% macro m() %}{% endmacro %}{{ m.__globals__ }}", "a macro has no '__globals__'"),
    "__globals__ of a method": ("{{ alert.items.__globals__ }}", "this has no '__globals__'"),
    "__init__ of a namespace": ("{{ namespace(a=1).__init__.__globals__ }}", "the namespace has no '__init__'"),
    "the context of a loop": ("{% for x in list %}{{ loop._recurse }}{% endfor %}", "loop has no '_recurse'"),
    "self": ("{{ self.__dict__ }}", "this has no '__dict__'"),
    "cycler": ("{{ cycler.__init__.__globals__.os }}", "there is no variable 'cycler'"),
    "joiner": ("{{ joiner().sep }}", "there is no variable 'joiner'"),
    "lipsum": ("{{ lipsum(n=100000) }}", "there is no variable 'lipsum'"),
    "dict": ("{{ dict(a=1) }}", "there is no variable 'dict'"),
    "attr": ("{{ a | attr('__class__') }}", "there is no filter 'attr'"),
    "map of an attribute": ("{{ [a] | map(attribute='__class__') | list }}", "a text has no '__class__'"),
    "sort by an attribute": ("{{ [a, a] | sort(attribute='__class__') }}", "a text has no '__class__'"),
    "groupby of an attribute": ("{{ [a] | groupby('__class__') }}", "a text has no '__class__'"),
    "map of a filter": ("{{ [a] | map('attr', '__class__') | list }}", "No filter named 'attr'"),
    "select by a test": ("{{ [a] | select('filter') | list }}", "No test named 'filter'"),
    "xmlattr": ("{{ {'a b': 1} | xmlattr }}", "there is no filter 'xmlattr'"),
    "pprint": ("{{ alert | pprint }}", "there is no filter 'pprint'"),
    "safe": ("{{ a | safe }}", "there is no filter 'safe'"),
    "a text that changes a list": ("{{ list.append(1) }}", "list has no 'append'"),
    "a mapping that is changed": ("{{ alert.update(a=1) }}", "alert has no 'update'"),
    "brackets in brackets": ("{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}", "nested too deeply"),
    "lists in lists in the source": ("{{ " + "[" * 200 + "]" * 200 + " }}", "nested"),
    "ifs in ifs": ("{% if 1 %}" * 900 + "{% endif %}" * 900, "nested"),
    "not not not": ("{{ " + "not " * 3000 + "1 }}", "nested"),
    "a sum of 6,000 parts": ("{{ " + "1+" * 6000 + "1 }}", "nested"),
    "more than 20 kB": ("x" * (MAX_SOURCE + 1), "at most 20,000 are allowed"),
    "a variable that is not there": ("one\ntwo {{ alrt.title }}", "line 2.* no variable 'alrt'; did you mean 'alert'"),
    "a member that is not there": ("one\ntwo {{ alert.titel }}", "line 2.*alert has no 'titel'; did you mean 'title'"),
    "a filter that is not there": ("one\n{{ a | uper }}", "line 2.*there is no filter 'uper'; did you mean 'upper'"),
    "a test that is not there": ("one\n{{ a is nmber }}", "line 2.*there is no test 'nmber'; did you mean 'number'"),
    "a label that is not there": ("one\n{{ alert.labels.team }}", "line 2.*'team'"),
    "a bracket that is open": ("one\n{{ a", "line 2.*unexpected end of template"),
    "an if that is open": ("{% if a %}", "line 1.*Unexpected end of template"),
    "a division by zero": ("one\n\n{{ n / 0 }}", "line 3.*division by zero"),
    "numbers and texts": ("{{ n + a }}", "line 1.*unsupported operand"),
    "a payload that is no number": ("{{ a | abs }}", "line 1.*bad operand"),
    "a call of a text": ("{{ a() }}", "a text cannot be called"),
    "a call of nothing": ("{{ alert.title.upper()() }}", "a text cannot be called"),
    "names in other letters": ("{{ ａlert }}", "there is no variable"),
    "a half of a pair": ("{{ '\\ud800' }}\ud800", "printed"),
    "turned letters": ("{{ '\u202egnp.exe' }}", "printed"),
    "the debug tag": ("{% debug %}", "unknown tag 'debug'"),
    "a loop over a number": ("{% for x in n %}{% endfor %}", "not iterable"),
    "sum of texts": ("{{ [a, a] | sum }}", "sum adds numbers"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_ends_and_says_why(renderer: Renderer, name: str) -> None:
    template, wanted = HOSTILE[name]
    answer = ask(renderer, template)
    told = f"line {answer['line']}: {answer['error']}" if "error" in answer else ""
    if wanted == "printed":
        assert "\ud800" not in str(answer["text"])
        assert "\u202e" not in str(answer["text"])
    elif wanted == "is cut":
        assert answer["is_cut"]
        assert len(str(answer["text"])) == MAX_OUTPUT
    else:
        assert re.search(wanted, told), answer
        assert "Traceback" not in told
        assert "0x" not in told, "no address of an object is shown"
    assert ask(renderer, "{{ n }}")["text"] == "3", "the next template is rendered"


def test_the_renderer_is_given_no_environment_and_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ENCRYPTION_KEY", "s3cretkey7781")
    own = Renderer()
    try:
        ask(own, "x")
        pid = own.child
        with open(f"/proc/{pid}/environ", "rb") as file:
            assert b"s3cretkey7781" not in file.read()
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            limits = {line[:25].strip(): line[26:46].strip() for line in file}
        assert limits["Max file size"] == limits["Max processes"] == limits["Max core file size"] == "0"
        assert int(limits["Max address space"]) < 2**30
        opened = {os.path.basename(os.readlink(f"/proc/{pid}/fd/{one}")) for one in os.listdir(f"/proc/{pid}/fd")}
        assert not any(name.endswith((".db", ".toml", "key")) for name in opened)
    finally:
        own.close()


def test_memory_is_bounded_too() -> None:
    own = Renderer(cpu_s=20)
    try:
        assert ask(own, HOSTILE["500 MB of texts"][0])["error"] == "it needs too much memory"
        assert ask(own, "{{ n }}")["text"] == "3"
    finally:
        own.close()


def test_a_renderer_that_is_killed_between_two_texts_is_replaced(renderer: Renderer) -> None:
    assert ask(renderer, "{{ n }}")["text"] == "3"
    assert renderer.child
    os.kill(renderer.child, signal.SIGKILL)
    assert ask(renderer, "{{ n + 1 }}")["text"] == "4"


def test_a_renderer_that_hangs_is_ended() -> None:
    own = Renderer()
    try:
        own.ask({"form": "text", "template": "", "variables": {}, "shape": {}})
        assert own.child
        own._wall_s = 0.5
        os.kill(own.child, signal.SIGSTOP)
        assert ask(own, "{{ n }}")["error"] == "it took longer than 0.5 s"
        assert own.child is None
    finally:
        own.close()


_OWNER = """
import os, signal
from hub.texts.renderer import render
from hub.texts import renderer
render("{{ a }}", {"a": 1}, form="text", shape={"a": None})
child = os.fork()
if child == 0:
    text = render("{{ a }}", {"a": 2}, form="text", shape={"a": None}).text
    os._exit(0 if text == "2" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert render("{{ a }}", {"a": 3}, form="text", shape={"a": None}).text == "3"
print(renderer._mine().child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_works_in_a_forked_child_and_ends_with_its_owner() -> None:
    done = subprocess.run([sys.executable, "-c", _OWNER], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, deadline = int(done.stdout), time.monotonic() + 30
    while b"hub.texts.child" in command_line(pid):
        assert time.monotonic() < deadline, "the renderer outlives its owner"
        time.sleep(0.05)


def test_a_mistake_is_told_with_the_name_of_the_template_and_its_line() -> None:
    with pytest.raises(TemplateError) as caught:
        render("one\n{{ alert.titel }}", VARIABLES, form="slack", shape=SHAPE, name="body_template")
    assert caught.value.detail == "body_template, line 2: alert has no 'titel'; did you mean 'title'?"


GOOD = [
    ("{{ alert.title | upper }}", "T"),
    ("{{ alert.labels.k }}{{ alert['labels']['k'] }}{{ alert.labels.get('z', '-') }}", "vv-"),
    ("{{ alert.labels.z | default('none') }}", "none"),
    ("{{ nothing.anything.at_all }}|", "|"),
    ("{% for x in list | sort %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "1, 2, 3"),
    ("{% for key, value in alert.labels.items() %}{{ key }}={{ value }}{% endfor %}", "k=v"),
    ("{% set ns = namespace(n=0) %}{% for x in list %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "6"),
    (
        "{{ list | sum }} {{ list | max }} {{ list | first }} {{ list | join('-') }} {{ list | length }}",
        "6 3 3 3-1-2 3",
    ),
    ("{{ 'a' ~ n ~ none ~ true }}", "a3true"),
    ("{{ n | plural('run') }}, {{ 1 | plural('entry', 'entries') }}", "3 runs, 1 entry"),
    ("{{ 7500 | duration }} {{ '2026-01-01T10:00:00Z' | duration('2026-01-01T10:00:45Z') }}", "2 h 5 min 45 s"),
    ("{{ '2026-07-01T10:00:00Z' | date('%d.%m. %H:%M', 'Europe/Berlin') }}", "01.07. 12:00"),
    ("{{ 'one two three' | truncate(8) }} {{ 'a\nb\nc' | lines(2) }}", "one two… b\nc"),
    ("{{ 2 ** 10 }} {{ 7 // 2 }} {{ 1.234 | round(1) }} {{ 5 % 3 }}", "1024 3 1.2 2"),
    ("{{ alert.labels }} {{ alert | tojson }}", '{"k": "v"} {"title": "t", "labels": {"k": "v"}}'),
    ("{% if n > 2 and alert.title is string %}yes{% else %}no{% endif %}{{ 'x' if n > 5 }}", "yes"),
    ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(1) }}{{ m('b') }}", "[1][b]"),
    ("{{ [{'a': 2}, {'a': 1}] | map(attribute='a') | list | sort | tojson }}", "[1, 2]"),
    (
        "{% for g in [{'k': 1}, {'k': 1}] | groupby('k') %}{{ g.grouper }}:{{ g.list | count }}{% endfor %}",
        "1:2",
    ),
]


@pytest.mark.parametrize(("template", "wanted"), GOOD)
def test_what_a_text_needs_is_there(renderer: Renderer, template: str, wanted: str) -> None:
    assert ask(renderer, template).get("text") == wanted, ask(renderer, template)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "template",
    [
        "{{ a }}", "{{ a ~ '' }}", "{{ a + '' }}", "{{ [a] | join }}", "{{ a[0:] }}", "{{ a | upper | lower }}",
        "{% set x = a %}{{ x }}", "{% set x %}{{ a }}{% endset %}{{ x }}", "{% set x %}{{ a }}{% endset %}{{ x[0:] }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(a) }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(a) | upper }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(a) ~ a }}{{ m(a) + a }}", "{{ a | slack }}", "{{ a | html }}",
        "{{ a | markdown }}", "{{ a | e | upper }}", "{{ (a | e).upper() }}", "{{ a | default('x') }}", "{{ [a] }}",
        "{{ 'https://x.org' | link(a) }}", "{{ a | link }}", "{{ a | bold }}", "{{ a | code }}", "{{ a | block }}",
        "{{ a | truncate(12, a) }}", "{{ 'x' | replace('x', a) }}", "{{ {'k': a} | tojson }}", "{{ a | urlencode }}",
        "{{ [a] | first }}", "{{ a.split() | join(' ') }}", "{{ a | reverse | reverse }}",
        "{{ [a, a] | unique | list }}",
    ],
)  # fmt: skip
def test_no_way_of_printing_lets_a_payload_ping(renderer: Renderer, template: str, form: str) -> None:
    answer = ask(renderer, template, form)
    assert "error" not in answer
    assert "<@" not in str(answer["text"])
    if form == "html":
        assert "<@U1" not in str(answer["text"]).replace("\u200b", "").upper()


def test_what_the_template_itself_says_is_not_escaped(renderer: Renderer) -> None:
    assert ask(renderer, "<!here> *{{ a }}*", "slack")["text"] == "<!here> *&lt;\u200b@\u200bU1&gt; payload*"
    assert ask(renderer, "<b>{{ a }}</b>", "html")["text"] == "<b>&lt;\u200b@\u200bU1&gt; payload</b>"


def command_line(pid: int) -> bytes:
    """Of a process; empty when it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
