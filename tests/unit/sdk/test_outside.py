"""What `shell` and `http` make of their templates and options, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hub import http, shell
from hub.errorclasses import class_of
from hub.errors import ParameterError, ProgramFailed, UsageError
from hub.sdk import Task
from hub.sdk.outside.templates import names_in, parsed

build = shell("make {target} -j {jobs}", defaults={"jobs": 2})
ODD = "a'b\"c $(touch {mark}) `touch {mark}`; touch {mark} \\ *  &"


def test_placeholders_become_parameters_and_those_with_defaults_come_last() -> None:
    assert isinstance(build, Task)
    assert build.name == "make"
    assert str(build._wrapped.signature) == "(target, jobs=2) -> str"
    other = shell(["cp", "{a}", "{b}"], env={"DAY": "{day}"}, cwd="{a}", stdin="{text}", name="copy", retries=2)
    assert list(other._wrapped.parameters) == ["a", "b", "day", "text"]
    assert (other.name, other.options.retry.retries) == ("copy", 2)


def test_braces_of_its_own_are_written_twice() -> None:
    pieces = parsed("awk '{{print $1}}' {file:>5}", "command")
    assert names_in([pieces]) == ["file"]
    assert "".join(map(str, pieces)) == "awk '{print $1}' {file:>5}"
    assert shell("echo 1 {n} | awk '{{ print $2 }}'").fn(7) == "7"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: shell("echo {print $1}"), "not a parameter's name"),
        (lambda: shell("echo ${HOME}"), "write \\$\\{\\{HOME\\}\\} for a variable"),
        (lambda: shell("echo }"), "not a template"),
        (lambda: shell("echo {x!r}"), "not a parameter's name"),
        (lambda: shell(" "), "the command is empty"),
        (lambda: shell("x", output="xml"), "output='xml'"),  # type: ignore[call-overload]
        (lambda: shell("x", retriess=1), "no option 'retriess'"),  # type: ignore[call-overload]
        (lambda: shell("x {a}", defaults={"b": 1}), "'b', which is no parameter"),
        (lambda: shell("x", exit_classes={75: "odd"}), "exit_classes has 75"),
        (lambda: shell("x", env={"A=B": "x"}), "no variable's name"),
        (lambda: shell("x", env={"A": 3}), r"env\['A'\] is a int"),  # type: ignore[dict-item]
        (lambda: shell("x {wait_for}"), "parameter 'wait_for'"),
        (lambda: shell("x", max_output=0), "max_output=0"),
        (lambda: shell("x", grace_seconds=0), "grace_seconds=0"),
        (lambda: http("ftp://x"), "is no address"),
        (lambda: http("https://x/y", connection="api"), "is not a path of connection 'api'"),
        (lambda: http("https://x", method="BREW"), "method='BREW'"),
        (lambda: http("https://x", json={}, data="x"), "not both"),
        (lambda: http("https://x", json={"a": object()}), "holds a object"),
        (lambda: http("https://x", expected=99), "not HTTP status codes"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


@pytest.mark.parametrize(
    "command",
    [
        "printf %s {x}", "printf %s '{x}'", 'printf %s "{x}"', ["printf", "%s", "{x}"], "printf %s {x} | cat",
        'printf %s "$(printf %s "{x}")"', "# it's a comment\nprintf %s {x}", "echo \\' > /dev/null; printf %s {x}",
        "printf %s `printf %s {x} >&2; printf ok` > /dev/null; printf %s {x}",
    ],
)  # fmt: skip
def test_a_value_is_one_argument_whatever_is_in_it(command: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = ODD.replace("{mark}", str(mark))
    assert shell(command).fn(text) == text
    assert not mark.exists()


def test_values_are_written_as_other_languages_expect_them() -> None:
    given = [True, 3, 1.5, Path("a b"), {"k": ["v"]}, b"raw"]
    assert shell(["printf", "%s\n", "{x}"], output="lines").fn(given) == [
        "true",
        "3",
        "1.5",
        "a b",
        '{"k": ["v"]}',
        "raw",
    ]
    assert shell("printf '%s|' {x}").fn(["a b", "c"]) == "a b|c|"
    assert shell("printf %s {x:03d}").fn(7) == "007"
    for bad, says in ((None, "cannot be written"), ("a\0b", "NUL")):
        with pytest.raises(ParameterError, match=says):
            shell("echo {x}").fn(bad)
    with pytest.raises(ParameterError, match="inside quotes"):
        shell("echo '{x}'").fn([1])


@pytest.mark.parametrize(
    ("output", "script", "value"),
    [
        ("text", "printf 'a\\nb\\n'", "a\nb"),
        ("text", "printf '\\377\\000'", "\ufffd\ufffd"),
        ("lines", "printf 'a\\r\\nb'", ["a", "b"]),
        ("json", "echo '{{\"a\": 1}}'", {"a": 1}),
        ("last_json_line", "seq 1 20000; echo '[1]'; echo", [1]),
        ("text_file", "printf 'x\\n' > $HUB_OUTPUT", "x\n"),
        ("json_file", "echo noise; echo 3 > $HUB_OUTPUT", 3),
        ("none", "seq 1 20000", None),
    ],
)
def test_outputs(output: Any, script: str, value: Any) -> None:
    assert shell(script, output=output).fn() == value


@pytest.mark.parametrize(
    ("task", "says", "code", "kind"),
    [
        (shell("echo why >&2; exit 3"), "exit code 3\nwhy", 3, "user_error"),
        (shell("exit 75", exit_classes={75: "infrastructure"}), "exit code 75", 75, "infrastructure"),
        (shell("kill -9 $$"), "it was killed by SIGKILL", -9, "infrastructure"),
        (shell("sh -c 'kill -SEGV $$'; exit $?"), "a program in it was killed by SIGSEGV", 139, "user_error"),
        (shell("nonsense-program"), "command not found", 127, "user_error"),
        (shell(["nonsense-program"]), "there is no program 'nonsense-program'", None, "user_error"),
        (shell("pwd", cwd="/nonsense"), "cannot be started in /nonsense", None, "user_error"),
        (shell("echo no", output="json"), "its output is not JSON", None, "user_error"),
        (shell(":", output="last_json_line"), "is empty, which is no JSON", None, "user_error"),
        (shell(":", output="json_file"), "did not write \\$HUB_OUTPUT", None, "user_error"),
        (shell("ln -s /etc/passwd $HUB_OUTPUT", output="text_file"), "cannot be read", None, "user_error"),
        (shell("yes", max_output=10_000), "larger than 10000 bytes", None, "user_error"),
        (shell("seq 9999 > $HUB_OUTPUT", output="text_file", max_output=10_000), "larger", None, "user_error"),
    ],
)  # fmt: skip
def test_a_program_that_ends_badly_says_how(task: Any, says: str, code: int | None, kind: str) -> None:
    with pytest.raises(ProgramFailed, match=says) as caught:
        task.fn()
    assert (caught.value.returncode, class_of(caught.value).value) == (code, kind)


def test_an_argument_too_large_for_the_system_is_a_clear_error_and_stdin_takes_it() -> None:
    large = "x" * 3_000_000
    with pytest.raises(ProgramFailed, match="rgument list too long"):
        shell("echo {x}").fn(large)
    assert shell("wc -c", stdin="{x}").fn(large).strip() == "3000000"
    assert shell("head -c 3", stdin="{x}").fn(large) == "xxx", "a program need not read it all"


def test_variables_folder_and_input(tmp_path: Path) -> None:
    task = shell(
        "echo $DAY $ASKED; pwd; cat", env={"DAY": "d-{day}", "ASKED": lambda: "now"}, cwd=tmp_path, stdin="{day}!"
    )
    assert task.fn(day=3) == f"d-3 now\n{tmp_path}\n3!"
    with pytest.raises(ParameterError, match="variable A gave a int"):
        shell("x", env={"A": lambda: 3}).fn()


def test_what_a_program_leaves_running_goes_with_it(tmp_path: Path) -> None:
    pid = int(shell("sleep 300 & echo $!").fn())
    deadline = time.monotonic() + 60  # it was sent its SIGKILL; it dies when it is next scheduled
    while _alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_making_one_is_quick_and_importing_flow_loads_none_of_it() -> None:
    code = "import sys; from hub import flow, task; print([m for m in sys.modules if 'outside' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys; from hub import http, shell\nprint({'httpx2', 'asyncio'} & set(sys.modules) or [])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_two_that_nobody_named_are_told_apart_by_what_they_do() -> None:
    keys = {shell("git log")._wrapped.key, shell("git fetch")._wrapped.key}
    assert len(keys) == 2
    named = {shell("git log", name="git")._wrapped.key, shell("git log -1", name="git")._wrapped.key}
    assert named == {"test_outside.git"}
