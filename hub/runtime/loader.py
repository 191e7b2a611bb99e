"""From an entrypoint (`path/file.py:flow` or `package.module:flow`) to the flow it names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from hub.errors import FlowLoadError, UsageError
from hub.sdk.flows import Flow
from hub.sdk.tasks import Task

_lock = threading.RLock()
_loaded: dict[str, tuple[tuple[int, int], ModuleType]] = {}
_lent: dict[str, Flow[..., Any]] = {}


def load_flow(entrypoint: str) -> Flow[..., Any]:
    """Import the flow. The file is imported again when it has changed since.

    Raises FlowLoadError saying what is wrong, in which line of the user's code.
    """
    if entrypoint in _lent:
        return _lent[entrypoint]
    place, name = split(entrypoint)
    with _lock:
        module = _module_of_file(place) if is_file(place) else _module_of_name(place)
    return _find(module, name, place)


def lend(flows: dict[str, Flow[..., Any]]) -> None:
    """Have these entrypoints mean flows that this process has already, wherever they stand; replaces those before.

    `hub.testing` executes the very flows of a test by it.
    """
    global _lent
    _lent = flows


def load_task(entrypoint: str) -> Task[..., Any]:
    """Import the task that `task_entrypoint` named in another process. Raises FlowLoadError."""
    place, name = split(entrypoint)
    with _lock:
        module = _module_of_file(place) if is_file(place) else _module_of_name(place)
    found = _named(module, name)
    if not isinstance(found, Task):
        raise FlowLoadError(f"{place}: {name} is not a task", hint="Workers need the file as the flow has it.")
    return found


def task_entrypoint(task: Task[..., Any]) -> str:
    """Where a worker finds this very task. Raises UsageError when it could not, saying why."""
    wrapped, hint = task._wrapped, "Put it at the top level of a file that workers have, with all its options there."
    module = sys.modules.get(wrapped.module)
    name = wrapped.qualname if wrapped.made_of is None else _variable(module, task)
    found = _named(module, name) if module is not None and wrapped.bound is None else None
    if not isinstance(found, Task) or found.options != task.options or found._wrapped.fn is not wrapped.fn:
        raise UsageError(f"workers cannot find task {task.name} as it is used here", hint=hint)
    file = getattr(module, "__file__", None) or wrapped.code.co_filename
    if not Path(file).is_file():
        raise UsageError(f"task {task.name} is not in a file", hint=hint)
    return f"{Path(file).resolve()}:{name}"


def _variable(module: ModuleType | None, task: Task[..., Any]) -> str:
    """The name that a module gives to a task that is no function and so has none of its own."""
    fn = task._wrapped.fn
    for name, value in list(vars(module).items()) if module is not None else ():
        if isinstance(value, Task) and value._wrapped.fn is fn and value.options == task.options:
            return name
    return ""


def load_function(entrypoint: str) -> Callable[..., Any]:
    """Import the function that `function_entrypoint` named in another process. Raises FlowLoadError."""
    place, name = split(entrypoint)
    with _lock:
        module = _module_of_file(place) if is_file(place) else _module_of_name(place)
    found = _named(module, name)
    if not callable(found):
        raise FlowLoadError(f"{place}: there is no function {name}", hint="Workers need the file as the flow has it.")
    return found  # type: ignore[no-any-return]


def function_entrypoint(fn: Any) -> str:
    """Where another process finds this very function. Raises UsageError when it could not."""
    module, name = sys.modules.get(getattr(fn, "__module__", "")), getattr(fn, "__qualname__", "")
    file = getattr(module, "__file__", None)
    if module is None or not file or not Path(file).is_file() or _named(module, name) is not fn:
        raise UsageError(f"{name or fn!r} does not stand at the top level of a file")
    return f"{Path(file).resolve()}:{name}"


def _named(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split(".") if name else ():
        found = getattr(found, part, None)
    return found


def split(entrypoint: str) -> tuple[str, str]:
    """The place and the flow's name in it (empty: the only flow there)."""
    place, colon, name = entrypoint.rpartition(":")
    if not colon:
        place, name = entrypoint, ""
    if not place or "\0" in entrypoint:
        raise FlowLoadError(f"{entrypoint!r} does not name a flow", hint="Write path/file.py:flow_name or module:flow.")
    return place, name


def is_file(place: str) -> bool:
    """Whether the place is a file rather than a module's name."""
    return place.endswith(".py") or os.sep in place


def absolute(entrypoint: str) -> str:
    """The entrypoint with a file's path made absolute, so that another process finds it."""
    place, name = split(entrypoint)
    return f"{Path(place).resolve()}:{name}" if is_file(place) else f"{place}:{name}"


def entrypoint_of(flow: Flow[..., Any]) -> str:
    """Where a worker finds this very flow. Raises FlowLoadError for one that is in no file or inside a function."""
    return _lent_as(flow) or f"{_file_of(flow)}:{_name_of(flow)}"


def _lent_as(flow: Flow[..., Any]) -> str | None:
    return next((entrypoint for entrypoint, lent in _lent.items() if lent is flow), None)


def _name_of(flow: Flow[..., Any]) -> str:
    """The name that its module gives to a flow: its function's, or that of a copy with other options."""
    module = sys.modules.get(flow.__module__)
    found = _named(module, flow.__qualname__) if module is not None else None
    copied = isinstance(found, Flow) and found._wrapped.fn is flow._wrapped.fn and found.options != flow.options
    if module is None or not copied:
        return flow.__qualname__
    for name, value in list(vars(module).items()):
        if value is flow:
            return name
    raise FlowLoadError(
        f"flow {flow.name} is a copy with other options that no worker can find",
        hint="Give it a name at the top level of its file: nightly = report.with_options(...).",
    )


def _file_of(flow: Flow[..., Any]) -> Path:
    if "<" in flow.__qualname__:
        raise FlowLoadError(
            f"flow {flow.name} is defined inside a function, where no worker can find it",
            hint="Move it to the top level of its file.",
        )
    file = getattr(sys.modules.get(flow.__module__), "__file__", None) or flow._wrapped.code.co_filename
    if not file or not Path(file).is_file():
        raise FlowLoadError(f"flow {flow.name} is not in a file", hint="Workers import flows from files.")
    return Path(file).resolve()


def same_elsewhere(flow: Flow[..., Any]) -> str | None:
    """Where another process finds this flow with the very hooks it has here; None when it does not."""
    try:
        found = _named(sys.modules[flow.__module__], flow.__qualname__)
        same = isinstance(found, Flow) and found.options.hooks == flow.options.hooks
        return _lent_as(flow) or f"{_file_of(flow)}:{flow.__qualname__}" if same else None
    except (FlowLoadError, KeyError):
        return None


def code_digest(flow: Flow[..., Any]) -> str | None:
    """SHA-256 of the flow's file, as its version; None when there is no file to read."""
    try:
        return hashlib.sha256(Path(flow._wrapped.code.co_filename).read_bytes()).hexdigest()
    except OSError:
        return None


def user_lines(error: BaseException, *, limit: int = 30) -> str:
    """The traceback of an error with the user's own lines only: the hub's and importlib's are left out."""
    own = str(Path(__file__).resolve().parents[1])
    shown = traceback.TracebackException(type(error), error, _users_part(error.__traceback__, own, limit), compact=True)
    _trim(shown, own, limit)
    return "".join(shown.format())


def _users_part(tb: TracebackType | None, own: str, limit: int) -> TracebackType | None:
    """The last frames of the user. Looking up the place of every frame takes seconds where flows are nested deeply."""
    kept: deque[TracebackType] = deque(maxlen=limit)
    while tb is not None:
        if not _foreign(tb.tb_frame.f_code.co_filename, own):
            kept.append(tb)
        tb = tb.tb_next
    made: TracebackType | None = None
    while kept:
        last = kept.pop()
        made = TracebackType(made, last.tb_frame, last.tb_lasti, last.tb_lineno)
    return made


def _trim(shown: traceback.TracebackException, own: str, limit: int, depth: int = 0) -> None:
    frames = [frame for frame in shown.stack if not _foreign(frame.filename, own)]
    shown.stack = traceback.StackSummary.from_list(frames[-limit:])
    for linked in (shown.__cause__, shown.__context__):
        if linked is not None and depth < 5:
            _trim(linked, own, limit, depth + 1)


def _foreign(filename: str, own: str) -> bool:
    return filename.startswith(("<frozen importlib", own + os.sep))


def _module_of_name(name: str) -> ModuleType:
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and name.startswith(error.name or "\0")
        raise _not_imported(name, error, f"There is no module {name}." if missing else "") from error
    except SystemExit as error:
        raise _not_imported(name, error, "It called sys.exit().") from error


def _module_of_file(place: str) -> ModuleType:
    # As texts: this is done for every run, and path objects would take as long as the claim.
    path = os.path.realpath(os.path.expanduser(place))
    try:
        stat = os.stat(path)
    except OSError as error:
        raise FlowLoadError(
            f"the flow file {path} cannot be read: {error.strerror}",
            hint="Workers need the file at this path; deploy it again after moving it.",
        ) from None
    stamp = (stat.st_mtime_ns, stat.st_size)
    known = _loaded.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    module = _execute(Path(path))
    _loaded[path] = (stamp, module)
    return module


def _execute(path: Path) -> ModuleType:
    # A name of its own: two flow files called main.py must not meet in sys.modules.
    name = f"hub_flow_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FlowLoadError(f"{path} is not a Python file", hint="Flow files end in .py.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _not_imported(str(path), error, "") from error
    return module


def _not_imported(place: str, error: BaseException, more: str) -> FlowLoadError:
    line = _line(error, place)
    where = f", line {line}" if line else ""
    detail = f"{place}{where} does not import: {type(error).__name__}: {error}"
    return FlowLoadError(
        detail.replace("\0", "\ufffd"),
        hint=more or "Run the file with python to see the same error.",
        line=line,
        trace=user_lines(error).replace("\0", "\ufffd"),
    )


def _line(error: BaseException, place: str) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    line, step = None, error.__traceback__
    while isinstance(step, TracebackType):
        if step.tb_frame.f_code.co_filename == place:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _find(module: ModuleType, name: str, place: str) -> Flow[..., Any]:
    found = _named(module, name) if name else None
    if isinstance(found, Flow):
        return found
    flows = {key: value for key, value in vars(module).items() if isinstance(value, Flow)}
    if not name:
        own = {key: value for key, value in flows.items() if value.__module__ == module.__name__}
        if len(own) == 1:
            return next(iter(own.values()))
        raise FlowLoadError(f"{place} holds {len(own)} flows", hint=_choices(place, own or flows))
    named = [value for value in flows.values() if value.name == name]
    if len(named) == 1:
        return named[0]
    what = f"{name} is not a flow" if found is not None else f"there is no {name}"
    raise FlowLoadError(f"{place}: {what}", hint=_choices(place, flows))


def _choices(place: str, flows: dict[str, Flow[..., Any]]) -> str:
    names = ", ".join(f"{place}:{name}" for name in sorted(flows)[:20])
    return f"Choose one of {names}." if names else "Decorate the function with @flow."
