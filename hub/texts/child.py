"""The process that renders templates: reads a request, answers it, and waits for the next one.

It has no secret, no database and no more than a little memory; a template that computes for too long ends it (SIGPROF),
and so does its owner by closing its standard input. Requests and answers are JSON behind their length.

    {"form", "template", "variables": {...}, "shape": {...}, "written": {...}}
    ->  {"text", "is_cut"} or {"error", "line"}
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import signal
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO

from jinja2 import Template, TemplateSyntaxError, UndefinedError

from hub.texts.formats import FORMATS, Format, Safe, clean
from hub.texts.framing import LENGTH
from hub.texts.grammar import TemplateMistake, parsed
from hub.texts.limits import MAX_OUTPUT, MEMORY, Refused
from hub.texts.sandbox import Sandbox, pieces

IDLE_S = 60.0
"""So long it waits for the next request; then it ends, and the next one starts another."""


def main(cpu_s: float) -> None:
    """Answer requests until there are no more; each may compute for so many seconds."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    environments = {form: Sandbox(form) for form in FORMATS}
    first = {"form": "text", "template": "{{ a | date('%Z', 'UTC') | upper }}", "variables": {"a": "2026-01-01"}}
    answer(environments, {**first, "shape": {"a": None}})  # imports what is only imported when it is used
    restrict()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while select.select([source], [], [], IDLE_S)[0] and (request := read(source)) is not None:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        made = answer(environments, request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write(sink, made)


def restrict() -> None:
    """Take away what rendering does not need."""
    limits = {"RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 16}
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        limits["RLIMIT_AS"] = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
    for name, value in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):  # not every system has each of them
            resource.setrlimit(getattr(resource, name), (value, value))


def read(source: BinaryIO) -> dict[str, Any] | None:
    """The next request; None when there will be none."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    body = source.read(LENGTH.unpack(head)[0])
    return None if not body else dict(json.loads(body))


def write(sink: BinaryIO, value: Mapping[str, Any]) -> None:
    """Send one answer."""
    body = json.dumps(value).encode()
    sink.write(LENGTH.pack(len(body)) + body)
    sink.flush()


def answer(environments: Mapping[Format, Sandbox], request: Mapping[str, Any]) -> dict[str, Any]:
    """What comes of a request: a text, or the mistake in the template."""
    template: Template | None = None
    written = request.get("written") or {}
    variables = {**request["variables"], **{name: Safe(text) for name, text in written.items()}}
    try:
        template = compiled(environments[request["form"]], request["template"], json.dumps(request["shape"]))
        return rendered(template, variables)
    except TemplateSyntaxError as error:
        return {"error": str(error.message), "line": error.lineno}
    except TemplateMistake as error:
        return {"error": str(error), "line": error.line}
    except (Refused, UndefinedError) as error:
        return {"error": str(error), "line": line_of(error, template)}
    except RecursionError as error:
        return {"error": "it calls itself, or is nested too deeply", "line": line_of(error, template)}
    except MemoryError:
        return {"error": "it needs too much memory", "line": 0}
    except Exception as error:  # noqa: BLE001 - what an operation of the author's raised, told to its author
        return {"error": f"{type(error).__name__}: {str(error)[:200]}", "line": line_of(error, template)}


@lru_cache(maxsize=64)
def compiled(environment: Sandbox, source: str, shape: str) -> Template:
    """The template, checked. Raises TemplateMistake and TemplateSyntaxError."""
    code = environment.compile(parsed(environment, source, json.loads(shape)))
    made: Template = environment.template_class.from_code(environment, code, environment.make_globals(None))
    return made


def rendered(template: Template, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The text, cut where it is too long for any message."""
    found: list[str] = []
    size = 0
    for piece in pieces(template, variables):
        found.append(piece)
        size += len(piece)
        if size > MAX_OUTPUT:
            return {"text": clean("".join(found)[:MAX_OUTPUT]), "is_cut": True}
    return {"text": clean("".join(found)), "is_cut": False}


def line_of(error: BaseException, template: Template | None) -> int:
    """The line of the template in which an error was raised; 0 where it is not known."""
    line, step = 0, error.__traceback__
    while step is not None and template is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            line = template.get_corresponding_lineno(step.tb_lineno)
        step = step.tb_next
    return line


if __name__ == "__main__":
    main(float(sys.argv[1]))
