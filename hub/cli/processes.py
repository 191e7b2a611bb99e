"""Commands that start processes: all on this machine, or one kind of them."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from hub.settings import Settings, load_settings

Port = Annotated[int | None, Parameter(help="Port of the web process; 0: any free one.")]
Host = Annotated[str | None, Parameter(help="Address to listen on; not loopback: an owner account must exist.")]
Queues = Annotated[tuple[str, ...] | None, Parameter(name=("--queue", "-q"), help="Serve this queue; repeatable.")]
Slots = Annotated[int | None, Parameter(help="Runs executed at once.")]


def up(*, host: Host = None, port: Port = None, slots: Slots = None, queues: Queues = None) -> int:
    """Start everything on this machine: embedded broker, web, upkeep loops and a worker. Ctrl-C stops it."""
    from hub.runtime.supervisor import up as start

    return start(_settings(web_host=host, web_port=port, worker_slots=slots, worker_queues=queues))


def web(
    *,
    host: Host = None,
    port: Port = None,
    door: Annotated[bool, Parameter(negative=(), help="Serve only the webhook door, for a place in the open.")] = False,
) -> int:
    """Start only the web process (API, dashboard, webhook door)."""
    from hub.runtime.supervisor import web as start

    return start(_settings(web_host=host, web_port=port), door=door)


def worker(
    *,
    name: Annotated[str | None, Parameter(help="Name of the worker; made from host and process without it.")] = None,
    slots: Slots = None,
    queues: Queues = None,
) -> int:
    """Start only a worker."""
    from hub.runtime.supervisor import worker as start

    return start(_settings(worker_name=name, worker_slots=slots, worker_queues=queues))


def upkeep() -> int:
    """Start only the upkeep loops."""
    from hub.runtime.supervisor import upkeep as start

    return start(_settings())


def _settings(**flags: Any) -> Settings:
    return load_settings(flags)
