"""The sandbox in which a user's template is rendered: Jinja2's, and nothing in it that can grow or reach out.

Jinja2's sandbox is the second line only: the nodes of a template are checked before it is compiled (`grammar`), and it
is executed in a process of its own that can be ended (`child`). What is printed is escaped for the format, unless the
template wrote it itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import BuiltinMethodType, MethodType
from typing import Any, NoReturn

from jinja2 import StrictUndefined, Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import _GroupTuple
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from hub.texts.filters import FILTERS, TESTS
from hub.texts.formats import Format, Safe, escape
from hub.texts.limits import MAX_BITS, MAX_ITEMS, MAX_OUTPUT, MAX_RANGE, MAX_STRING, Refused, bounded

MAPPING = frozenset({"items", "keys", "values", "get"})
TEXT = frozenset(
    {
        "upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith", "split",
        "splitlines", "removeprefix", "removesuffix",
    }
)  # fmt: skip
LOOP = frozenset(
    {
        "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem",
        "nextitem", "cycle", "changed",
    }
)  # fmt: skip
"""The members that there are; no object has any other."""


class Missing(StrictUndefined):
    """What is not there: printing it is an error that says what there is."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return str(self._undefined_hint)
        return f"{self._undefined_name!r} is not set here"


class Generator(CodeGenerator):
    """Python code in which joining and slicing go through the environment, and nothing is computed beforehand."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """`a ~ b`."""
        self.write("environment.joined((")
        for one in node.nodes:
            self.visit(one, frame)
            self.write(", ")
        self.write("))")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        """`a[b]` and `a[b:c]`, which is a slice of Python's."""
        self.write("environment.getitem(")
        self.visit(node.node, frame)
        self.write(", slice(" if isinstance(node.arg, nodes.Slice) else ", ")
        if isinstance(node.arg, nodes.Slice):
            for part in (node.arg.start, node.arg.stop, node.arg.step):
                self.write("None") if part is None else self.visit(part, frame)
                self.write(", ")
            self.write(")")
        else:
            self.visit(node.arg, frame)
        self.write(")")

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:  # noqa: ARG002 - Jinja2's
        if isinstance(node, nodes.TemplateData):
            return node.data
        raise nodes.Impossible


class TextTemplate(Template):
    """A template whose code escapes as its environment does."""

    @classmethod
    def from_code(cls, environment: Any, code: Any, globals: Any, uptodate: Any = None) -> Any:  # noqa: ARG003 - Jinja2's
        """As Jinja2's, with our escaping in place of HTML's."""
        namespace: dict[str, Any] = {"environment": environment, "__file__": code.co_filename}
        exec(code, namespace)  # noqa: S102 - how Jinja2 makes a template of the code that it generated
        namespace["escape"] = environment.escape
        return cls._from_namespace(environment, namespace, globals)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for the texts of one format."""

    code_generator_class = Generator
    template_class = TextTemplate
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, form: Format) -> None:
        super().__init__(
            autoescape=True, optimized=False, undefined=Missing, trim_blocks=True, lstrip_blocks=True, cache_size=0
        )
        self.form = form
        self.filters = dict(FILTERS)
        self.tests = {name: self.tests[name] for name in TESTS}
        self.globals = {"range": short_range, "namespace": Namespace}

    def handle_exception(self, source: str | None = None) -> NoReturn:  # noqa: ARG002 - Jinja2's
        """As it was raised: the line is looked up by whoever tells it."""
        raise

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Put together what a block, a macro or a whole template printed."""
        found, size = [], 0
        for part in parts:
            size += len(part)
            if size > MAX_OUTPUT:
                raise Refused(f"it makes a text longer than {MAX_OUTPUT:,} characters")
            found.append(part)
        return "".join(found)

    def escape(self, value: Any) -> Safe:
        """What is printed, as the format writes it."""
        return value if isinstance(value, Safe) else escape(printed(value), self.form)

    def joined(self, parts: Iterable[Any]) -> str:
        """`a ~ b`: once a part is written in the format, all are."""
        parts = list(parts)
        if any(isinstance(part, Safe) for part in parts):
            return Safe(bounded("".join(self.escape(part) for part in parts)))
        return bounded("".join(printed(part) for part in parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """A binary operator, refused where its result could be large."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return self.joined((left, right))
        check_operation(operator, left, right)
        left = str(left) if isinstance(left, Safe) else left
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A member by its name, of those that are known; None has only empty ones."""
        return self._member(obj, attribute, MAPPING)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A member, an item or a slice; of a text written in the format a plain text."""
        if isinstance(argument, str):
            return self._member(obj, argument, frozenset())
        if obj is None or isinstance(obj, Undefined):
            return self._member(obj, argument, frozenset())
        if not isinstance(obj, str | list | tuple | dict | range):
            return self.undefined(f"{named(obj)} has no items", name=str(argument))
        try:
            return (str(obj) if isinstance(obj, Safe) else obj)[argument]
        except (LookupError, TypeError, ValueError):
            return self.undefined(f"{named(obj)} has no item {printed(argument)}", name=str(argument))

    def _member(self, obj: Any, name: Any, methods: frozenset[str]) -> Any:
        if obj is None:
            return None
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        if isinstance(obj, Mapping) and name not in methods:
            return obj[name] if name in obj else self._absent(obj, name, (*obj, *sorted(methods)))
        for kind, known in KNOWN:
            if isinstance(obj, kind) and name in known:
                return getattr(str(obj) if isinstance(obj, Safe) else obj, name)
            if isinstance(obj, kind):
                return self._absent(obj, name, known)
        if isinstance(obj, Namespace):
            kept = object.__getattribute__(obj, "_Namespace__attrs")
            return kept[name] if name in kept else self._absent(obj, name, kept)
        return self._absent(obj, name, ())

    def _absent(self, obj: Any, name: Any, known: Iterable[str]) -> Missing:
        close = get_close_matches(str(name)[:100], list(known), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return Missing(f"{named(obj)} has no {str(name)[:100]!r}{hint}", name=str(name))

    def is_safe_callable(self, obj: Any) -> bool:
        """What a template may call: its macros, the methods above, `range` and `namespace`."""
        if isinstance(obj, Macro | LoopContext) or obj in (short_range, Namespace):
            return True
        if not isinstance(obj, MethodType | BuiltinMethodType):
            return False
        return any(isinstance(obj.__self__, kind) and obj.__name__ in known for kind, known in KNOWN)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call something; what is not callable is told by its name."""
        if isinstance(__obj, Undefined):
            __obj._fail_with_undefined_error()
        if not __self.is_safe_callable(__obj):
            raise Refused(f"{named(__obj)} cannot be called")
        return __context.call(__obj, *args, **kwargs)


KNOWN: tuple[tuple[type, frozenset[str]], ...] = (
    (dict, MAPPING),
    (str, TEXT),
    (LoopContext, LOOP),
    (_GroupTuple, frozenset({"grouper", "list"})),
)


def pieces(template: Template, variables: Mapping[str, Any]) -> Iterator[str]:
    """What a template prints, piece by piece."""
    yield from template.root_render_func(template.new_context(dict(variables)))


def printed(value: Any) -> str:
    """A value as a text: nothing for None, JSON for what has parts."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=printed)
    if isinstance(value, int | float | Undefined):
        return str(value)
    if isinstance(value, range) or hasattr(value, "__iter__"):
        return printed(list(value))
    raise Refused(f"{named(value)} cannot be printed")


def named(value: Any) -> str:
    """What something is, in words of a template's author."""
    names: tuple[tuple[Any, str], ...] = (
        (bool, "a yes or no"), (str, "a text"), (int | float, "a number"), (Mapping, "this"), (list | tuple, "a list"),
        (LoopContext, "loop"), (Macro, "a macro"), (Namespace, "the namespace"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "this")


def short_range(*args: int) -> range:
    """`range` of so many items at most."""
    found = range(*args)
    if found[MAX_RANGE : MAX_RANGE + 1]:
        raise Refused(f"a range may have {MAX_RANGE:,} items")
    return found


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse an operation on texts, lists or numbers whose result could be large. Raises Refused."""
    if operator == "%" and isinstance(left, str):
        raise Refused("texts are not made with %; write {{ a ~ b }}")
    if operator == "*":
        for one, times in ((left, right), (right, left)):
            if isinstance(one, str | list | tuple) and isinstance(times, int):
                limit = MAX_STRING if isinstance(one, str) else MAX_ITEMS
                if len(one) * max(times, 0) > limit:
                    raise Refused(f"what * makes here has more than {limit:,} items")
    are_lists = isinstance(left, list | tuple) and isinstance(right, list | tuple)
    if operator == "+" and are_lists and len(left) + len(right) > MAX_ITEMS:
        raise Refused(f"what + makes here has more than {MAX_ITEMS:,} items")
    if isinstance(left, int) and isinstance(right, int) and bits(operator, left, right) > MAX_BITS:
        raise Refused(f"the number that {operator} makes here has more than {MAX_BITS} bits")


def bits(operator: str, left: int, right: int) -> int:
    """About how many bits the result of an operation on two numbers has."""
    if operator == "**":
        return left.bit_length() * max(right, 1)
    return left.bit_length() + right.bit_length()
