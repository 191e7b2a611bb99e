"""A preset: one provider as data. `load_preset` reads it, `Preset.rules` applies the options of a source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

import yaml
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from hub.errors import UsageError
from hub.webhooks.rules import Rules
from hub.webhooks.scheme import Model, NoScheme

try:
    from yaml import CSafeLoader as _YamlLoader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _YamlLoader  # type: ignore[assignment]

ID = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_PRESET_CHARS = 262_144
_OPTION = re.compile(r"\{option:([a-z_]+)\}")
_RULES_KEPT = 256


class Option(Model):
    """A choice that the owner of a source makes; without a default it must be given."""

    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    pattern: str = r"[A-Za-z0-9_.:/=-]{0,200}"
    example: str = "example"
    """A value that fits, of an option that must be given."""

    def check(self, value: str) -> str | None:
        """Return what is wrong with a value, or None."""
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if not self.choices and not re.fullmatch(self.pattern, value):
            return f"must match {self.pattern}"
        return None


UNIQUE_BODY = Option(
    description="yes: every body of this source is unique, so the same signed bytes twice are a duplicate",
    default="preset",
    choices=("preset", "yes", "no"),
)


class Answer(Model):
    """What the provider expects: the status, and how soon (milliseconds). `text` replaces the receipt's id."""

    status: int = Field(default=202, ge=200, le=299)
    deadline_ms: int = Field(default=10_000, ge=100, le=60_000)
    text: str | None = Field(default=None, max_length=4_096)
    type: str = Field(default="text/plain", pattern=r"^[a-z]+/[a-z0-9.+-]+$")

    @model_validator(mode="after")
    def _says_nothing_with_204(self) -> Answer:
        if self.status == 204 and self.text:
            raise ValueError("an answer with status 204 cannot hold a text")
        return self


class Sample(Model):
    """A documented payload: `body` is exactly what is sent, `query` stands behind the source's address."""

    name: str
    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


Options: TypeAlias = Mapping[str, str] | Rules | None
"""A source's options as they were given, or the rules that were made of them."""


class Preset(Model):
    """One provider. The parts that may hold `{option:NAME}` stay as written until `rules` fills them in."""

    id: str = Field(pattern=ID, max_length=40)
    """Events are named after it, `<id>.<type>`; `hub` is the hub's own."""
    name: str
    summary: str
    docs: str = Field(pattern=r"^https://")
    where: str
    maturity: Literal["stable", "beta", "experimental", "draft"] = "beta"
    unchecked: str = ""
    """Of a draft: what nobody has compared with the provider yet."""
    secret: Literal["issued", "chosen"] = "issued"  # noqa: S105 - who makes it, not a secret
    """Who makes the secret: the provider issues it, or whoever sets up the webhook chooses it."""
    consumer: str = Field(default="", pattern=r"^([a-z][a-z0-9-]{1,39})?$")
    """By which kind of consumer (`hub.consumers`) messages come in, if they do not come by HTTP."""
    options: dict[str, Option] = Field(default_factory=dict)
    detect: tuple[tuple[str, ...], ...] = ()
    """Sets of headers; a request that has all of one set may come from this provider."""
    content: tuple[Literal["json", "form", "any"], ...] = ("json",)
    methods: tuple[Literal["POST", "PUT", "GET", "PATCH", "DELETE", "HEAD", "OPTIONS"], ...] = ("POST",)
    events: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    answer: Answer = Answer()
    verify: tuple[dict[str, Any], ...] = Field(min_length=1)
    handshake: tuple[dict[str, Any], ...] = ()
    event: dict[str, Any] = Field(default_factory=dict)
    dedupe: dict[str, Any] = Field(default_factory=dict)
    _rules: dict[tuple[tuple[str, str], ...], Rules] = PrivateAttr(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _not_the_hub(cls, value: str) -> str:
        if value == "hub":
            raise ValueError("hub is the name of the hub's own events")
        return value

    @model_validator(mode="after")
    def _a_draft_says_why(self) -> Preset:
        if (self.maturity == "draft") is not bool(self.unchecked):
            raise ValueError("`unchecked` says of a draft, and only of a draft, what is not checked yet")
        return self

    @model_validator(mode="after")
    def _a_consumer_vouches_for_itself(self) -> Preset:
        if bool(self.consumer) is not all(entry.get("kind") == "consumer" for entry in self.verify):
            raise ValueError("`verify: {kind: consumer}` belongs to a preset with `consumer`, and nothing else does")
        return self

    @field_validator("verify", "detect", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _every_scheme_is_sound(self) -> Preset:
        for entry in self.verify:
            needed = {name: _example(option) for name, option in self.options.items() if option.default is None}
            self.rules({**needed, **{name: choices[0] for name, choices in _when(entry).items()}})
        return self

    @property
    def unverified(self) -> bool:
        """Whether this preset checks nothing, so that its use must be written out."""
        return all(entry.get("kind") == "none" for entry in self.verify)

    def check_options(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return all options with defaults filled in; raises UsageError on a wrong or missing one."""
        known = {**self.options, "unique_body": UNIQUE_BODY}
        for name in given:
            if name not in known:
                raise UsageError(
                    f"preset {self.id} has no option {name!r}", hint=_hint(name, known), field=f"options.{name}"
                )
        values = {name: given.get(name, option.default) for name, option in known.items()}
        for name, value in values.items():
            if value is None:
                hint = known[name].description
                raise UsageError(f"preset {self.id} needs the option {name}", hint=hint, field=f"options.{name}")
            if problem := known[name].check(str(value)):
                wrong = f"option {name} of preset {self.id} {problem}, not {value!r}"
                raise UsageError(wrong, hint=known[name].description, field=f"options.{name}")
        return {name: str(value) for name, value in values.items()}

    def rules(self, options: Options = None) -> Rules:
        """Return what the engine works with under a source's options; raises UsageError on a wrong one.

        Whoever judges many requests of one source gives the rules themselves, which are then returned.
        """
        if isinstance(options, Rules):
            return options
        key = tuple(sorted((options or {}).items()))
        found = self._rules.get(key)
        if found is None:
            found = self._build(self.check_options(options or {}))
            if len(self._rules) < _RULES_KEPT:
                self._rules[key] = found
        return found

    def _build(self, options: dict[str, str]) -> Rules:
        entries = [entry for entry in self.verify if _applies(entry, options)]
        if len(entries) != 1:
            raise UsageError(f"preset {self.id}: {len(entries)} verify entries apply to {options}; exactly one must")
        document = {
            "verify": {name: value for name, value in entries[0].items() if name != "when"},
            "handshake": self.handshake,
            "event": self.event,
            "dedupe": self.dedupe,
        }
        try:
            rules = Rules.model_validate(_fill(document, options))
        except ValidationError as error:
            raise UsageError(f"preset {self.id} with these options is wrong: {_problems(error)}") from None
        return _with_unique_body(rules, options["unique_body"])


NO_VERIFICATION = NoScheme(kind="none")
"""The scheme of a source whose owner has written `verify: none`."""


def load_preset(text: str, origin: str) -> Preset:
    """Read a preset from YAML; `origin` is the file's name for messages. Raises UsageError."""
    if len(text) > MAX_PRESET_CHARS:
        raise UsageError(f"preset {origin} is longer than {MAX_PRESET_CHARS} characters")
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader that also refuses repeated keys
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"preset {origin} is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"preset {origin} must be a mapping with id, name, summary, docs, where and verify")
    try:
        return Preset.model_validate(document)
    except ValidationError as error:
        detail = f"preset {origin} is wrong: {_problems(error)}"
        raise UsageError(detail, hint="docs/webhooks.md shows the keys") from None
    except UsageError as error:
        raise UsageError(f"preset {origin} is wrong: {error.detail}", hint=error.hint) from None


class _Loader(_YamlLoader):
    """YAML's safe loader; a key written twice is an error instead of a silent loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                problem = f"the key {key!r} is written twice"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'the preset'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )


def _when(entry: dict[str, Any]) -> dict[str, list[str]]:
    """Read the options under which a verify entry applies; one value stands for a list of one."""
    when = entry.get("when") or {}
    if not isinstance(when, dict):
        raise UsageError("`when` of a verify entry must map options to values")
    return {name: choices if isinstance(choices, list) else [choices] for name, choices in when.items()}


def _applies(entry: dict[str, Any], options: dict[str, str]) -> bool:
    return all(options.get(name) in choices for name, choices in _when(entry).items())


def _example(option: Option) -> str:
    return option.choices[0] if option.choices else option.example


def _fill(value: Any, options: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _OPTION.sub(lambda found: _option(found[1], options), value)
    if isinstance(value, dict):
        return {key: _fill(item, options) for key, item in value.items()}
    return [_fill(item, options) for item in value] if isinstance(value, list | tuple) else value


def _option(name: str, options: dict[str, str]) -> str:
    if name not in options:
        raise UsageError(f"{{option:{name}}} names an option that the preset does not declare")
    return options[name]


def _with_unique_body(rules: Rules, choice: str) -> Rules:
    if choice == "preset":
        return rules
    dedupe = rules.dedupe.model_copy(update={"unique_body": choice == "yes"})
    return rules.model_copy(update={"dedupe": dedupe})


def _hint(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"its options are {', '.join(sorted(known))}"
