"""Rules of the level gold: it leaves nothing behind, lives with others, and is fully told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hub.actions import Action
from hub.errors import UsageError
from hub.plugins import OWN_DISTRIBUTION
from hub.testing.conformance import living
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject
from hub.version import __version__
from hub.webhooks.preset import load_preset

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)[^)]*\)")


def leaves_nothing_behind(subject: Subject) -> None:
    """C17: After hub_shutdown no thread, log handler, signal handler or open file of it is left."""
    facts = living.look(subject.loaded.table[0].name)
    if facts.failure:
        raise Broken(f"a process that starts and ends with it fails: {facts.failure}")
    if facts.left:
        raise Broken(f"after hub_shutdown there is still {', '.join(facts.left)}: end and close it there")


def lives_with_others(subject: Subject) -> None:
    """C19: It asks for this hub or later, closes out no later minor of it, and pins nothing that the hub needs."""
    asked = dict(requirements(subject.distribution.requires or []))
    if subject.distribution.name == OWN_DISTRIBUTION:
        raise NotHere("it comes with the hub itself")
    own = asked.get(OWN_DISTRIBUTION)
    if own is None:
        raise Broken(f'it does not say that it needs the hub: add "{OWN_DISTRIBUTION}>={__version__}" to dependencies')
    if not any(one.operator in (">=", "~=", ">") for one in own.specifier):
        raise Broken(
            f'"{own}" has no lower bound: write "{OWN_DISTRIBUTION}>={__version__}", the oldest hub it works with'
        )
    ours = Version(__version__)
    for version in (__version__, f"{ours.major}.{ours.minor + 1}.0", f"{ours.major}.99.0"):
        if version not in own.specifier:
            raise Broken(f'"{own}" shuts out the hub {version}: leave out the upper bound, or put it at the next major')
    from importlib.metadata import distribution  # noqa: PLC0415 - only this rule asks what the hub needs

    shared = dict(requirements(distribution(OWN_DISTRIBUTION).requires or []))
    for name, requirement in asked.items():
        if name in shared and any(one.operator in ("==", "===") for one in requirement.specifier):
            raise Broken(f'"{requirement}" pins what the hub needs too: write a range, or leave it to the hub')


def requirements(texts: list[str]) -> Iterator[tuple[str, Requirement]]:
    """Each that is no extra: the name of its distribution, and the range."""
    for text in texts:
        try:
            found = Requirement(text)
        except InvalidRequirement:
            continue
        if found.marker is None or "extra" not in str(found.marker):
            yield canonicalize_name(found.name), found


def is_fully_told(subject: Subject) -> None:
    """C20: Its readme names all that it brings, and every link in it to a file leads somewhere."""
    readme = subject.readme
    untold = sorted(name for name in _brought(subject) if name.lower() not in readme.lower())
    if untold:
        raise Broken(
            f"its readme does not tell of {', '.join(untold)}: `hub plugins docs NAME --markdown` writes"
            " a page of all it brings"
        )
    if subject.folder is None:
        return
    for target in _LINK.findall(readme):
        place = target.partition("#")[0]
        if place and ":" not in place and not (subject.folder / place).exists():
            raise Broken(f"the readme links to {target}, and there is no such file: mend the link")


def _brought(subject: Subject) -> Iterator[str]:
    if subject.distribution.name == OWN_DISTRIBUTION:
        return  # the hub's own documentation tells of those, and tests of it see to that
    yield from subject.manifest.cli
    if subject.has("hub_connection_kinds"):
        yield from (kind.name for kind in subject.connections)
    if subject.has("hub_channel_kinds"):
        yield from (kind.scheme for kind in subject.channels)
    if subject.has("hub_actions"):
        yield from (action.name for action in subject.each("hub_actions", Action))
    if subject.has("hub_presets"):
        for text in subject.given("hub_presets"):
            try:
                yield load_preset(text.text, text.origin).id
            except (UsageError, AttributeError):
                continue
