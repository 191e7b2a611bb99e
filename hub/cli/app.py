"""The root of the command line: which commands there are, and how a command line ends."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Group

from hub.cli.failures import show_error, show_usage
from hub.errors import HubError
from hub.version import __version__

START = Group("Start", sort_key=1)
WORK = Group("Flows and runs", sort_key=2)
CONNECT = Group("Webhooks and alerts", sort_key=3)
KEEP = Group("Administration", sort_key=4)
OPTIONS = Group("Options", sort_key=5)

COMMANDS: tuple[tuple[str, str, Group, str], ...] = (
    # name, import string, group, first line of help
    ("up", "hub.cli.processes:up", START, "Start everything on this machine: broker, web, upkeep and a worker."),
    ("web", "hub.cli.processes:web", START, "Start only the web process (API, dashboard, webhook door)."),
    ("worker", "hub.cli.processes:worker", START, "Start only a worker."),
    ("upkeep", "hub.cli.processes:upkeep", START, "Start only the upkeep loops."),
    ("demo", "hub.cli.demo:demo", START, "Watch a whole story: webhook, run, retry, failure, email."),
    ("run", "hub.cli.run:run", WORK, "Run a flow in this process: hub run FILE:FLOW -p x=1."),
    ("visualize", "hub.cli.visualize:visualize", WORK, "Draw what a flow would do: hub visualize FILE:FLOW."),
    ("deploy", "hub.cli.deploy:deploy", WORK, "Make or change a deployment of a flow: hub deploy FILE:FLOW."),
    ("apply", "hub.cli.apply:apply", WORK, "Make the hub be as a file says: hub apply hub.yaml."),
    ("export", "hub.cli.export:export", WORK, "Write what is defined as a file for hub apply."),
    ("deployments", "hub.cli.deployments:app", WORK, "List and start deployments, stop their schedules, remove them."),
    ("runs", "hub.cli.runs:app", WORK, "List runs, read their logs, cancel them, ask why one waits."),
    ("results", "hub.cli.results:app", WORK, "What runs and tasks gave, where it is, and what may go."),
    ("artifacts", "hub.cli.artifacts:app", WORK, "Tables, texts, links, images and progress that runs left."),
    ("assets", "hub.cli.assets:app", WORK, "What tasks make outside, when, and from what."),
    ("variables", "hub.cli.variables:app", WORK, "Small values by name that flows read."),
    ("schedules", "hub.cli.schedules:app", WORK, "When deployments start by themselves."),
    ("queues", "hub.cli.queues:app", WORK, "Work queues and their limits."),
    ("limits", "hub.cli.limits:app", WORK, "Named limits and rates that flows and tasks share."),
    ("workers", "hub.cli.workers:app", WORK, "The workers that are alive."),
    ("webhooks", "hub.cli.webhooks:app", CONNECT, "Webhook sources, their receipts and keys."),
    ("listen", "hub.cli.listen:listen", CONNECT, "Send what comes in at a source on to a program on this machine."),
    ("trigger", "hub.cli.trigger:trigger", CONNECT, "Send what a provider would, signed with the source's own secret."),
    ("endpoints", "hub.cli.endpoints:app", CONNECT, "Where webhooks of our own go, and what came of them."),
    ("automations", "hub.cli.automations:app", CONNECT, "When an event matches, do something."),
    ("events", "hub.cli.events:app", CONNECT, "What happened, in order."),
    ("plugins", "hub.cli.plugins:app", CONNECT, "Installed plugins and what is wrong with them."),
    ("login", "hub.cli.login:login", KEEP, "Sign in at a hub; commands talk to it then."),
    ("logout", "hub.cli.login:logout", KEEP, "Make this terminal's token worthless."),
    ("profiles", "hub.cli.profiles:app", KEEP, "Which hub the commands of this machine talk to."),
    ("owner", "hub.cli.owner:app", KEEP, "The first account of this hub."),
    ("users", "hub.cli.users:app", KEEP, "Accounts of people and services, and what they may do."),
    ("audit", "hub.cli.audit:app", KEEP, "Who did what, when and from where."),
    ("tls", "hub.cli.tls:app", KEEP, "A certificate of one's own for a local network."),
    ("tokens", "hub.cli.tokens:app", KEEP, "API tokens."),
    ("secrets", "hub.cli.secrets:app", KEEP, "Secrets that flows and channels use."),
    ("cache", "hub.cli.cache:app", KEEP, "Results of tasks that other runs take."),
    ("connections", "hub.cli.connections:app", KEEP, "Services that flows and result stores reach by name."),
    ("settings", "hub.cli.settings:settings", KEEP, "Every setting, its value and where it comes from."),
    ("migrate", "hub.cli.maintenance:migrate", KEEP, "Bring the database to this version."),
    ("transfer", "hub.cli.transfer:transfer", KEEP, "Move this hub, with its history, into another database."),
    ("doctor", "hub.cli.doctor:doctor", KEEP, "Check this installation and say what is wrong."),
    ("openapi", "hub.cli.maintenance:openapi", KEEP, "Print the OpenAPI document of the API."),
    ("completion", "hub.cli.completion:app", KEEP, "Tab completion for your shell."),
    ("version", "hub.cli.maintenance:version", KEEP, "Print the version."),
)


def build(words: Sequence[str] = ()) -> App:
    """The root app with every command registered by name, none imported.

    Those of plugins are left out where `words`, the command line, begin with one of the hub's own.
    """
    root = App(
        name="hub",
        help="Signed webhooks start Python flows on Celery; failures reach people.",
        version=__version__,
        help_format="plaintext",
        error_formatter=show_usage,
        result_action="return_int_as_exit_code_else_zero",
        suppress_keyboard_interrupt=False,
    )
    for flag in ("--help", "--version"):
        root[flag].group = (OPTIONS,)
    for place, (name, path, group, summary) in enumerate(COMMANDS):
        root.command(path, name=name, group=group, help=summary, sort_key=place)
    if words and any(words[0] == name for name, *_ in COMMANDS):
        return root
    from hub.cli import contributed  # looks at all that is installed, which takes a fifth of a command's time

    for name, summary in contributed.summaries().items():
        if name not in root:
            root.command(f"hub.cli.contributed:{name}", name=name, group=CONNECT, help=summary)
    return root


def dispatch(words: Sequence[str]) -> int:
    """Run the words of a command line and give the exit code. Errors are shown as a sentence and a hint."""
    words, debug = [word for word in words if word != "--traceback"], "--traceback" in words
    root = build(words)
    try:
        _refuse_unknown(root, words)
        return int(root(words, exit_on_error=False, print_error=True) or 0)
    except CycloptsError:
        return 2  # shown already
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe left (`hub runs ls | head`): nothing to say, and nowhere to say it.
        sys.stdout = None
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except Exception as error:
        if debug:
            raise
        return show_error(error, as_json="--json" in words)


def _refuse_unknown(root: App, words: Sequence[str]) -> None:
    """Name the nearest command. Cyclopts would import every command for this."""
    if not words or words[0].startswith("-") or words[0] in root or words[0] == "__complete":
        return
    near = difflib.get_close_matches(words[0], list(root), n=1, cutoff=0.5)
    guess = f"Did you mean `hub {near[0]}`? " if near else ""
    raise _Unknown(f"hub has no command {words[0]!r}.", hint=f"{guess}`hub --help` lists the commands.")


class _Unknown(HubError):
    exit_code = 2
