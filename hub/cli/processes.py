"""Commands that start processes: all on this machine, or one kind of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter

from hub.settings import Settings, load_settings

Port = Annotated[int | None, Parameter(help="Port of the web process; 0: any free one.")]
Host = Annotated[str | None, Parameter(help="Address to listen on; not loopback: an owner account must exist.")]
Queues = Annotated[tuple[str, ...] | None, Parameter(name=("--queue", "-q"), help="Serve this queue; repeatable.")]
Slots = Annotated[int | None, Parameter(help="Runs executed at once.")]


def up(*, host: Host = None, port: Port = None, slots: Slots = None, queues: Queues = None) -> int:
    """Start everything on this machine: embedded broker, web, upkeep loops and a worker. Ctrl-C stops it."""
    from hub.runtime.supervisor import only_one, prepare_home

    settings = _settings(web_host=host, web_port=port, worker_slots=slots, worker_queues=queues)
    prepare_home(settings)
    with only_one(settings):
        return _all(settings)


def web(
    *,
    host: Host = None,
    port: Port = None,
    door: Annotated[bool, Parameter(negative=(), help="Serve only the webhook door, for a place in the open.")] = False,
) -> int:
    """Start only the web process (API, dashboard, webhook door)."""
    settings = _prepared(web_host=host, web_port=port)
    return _web(settings, door=door, announce=_announce)


def worker(
    *,
    name: Annotated[str | None, Parameter(help="Name of the worker; made from host and process without it.")] = None,
    slots: Slots = None,
    queues: Queues = None,
) -> int:
    """Start only a worker."""
    return _worker(_prepared(worker_name=name, worker_slots=slots, worker_queues=queues))


def upkeep() -> int:
    """Start only the upkeep loops."""
    return _upkeep(_prepared())


def _all(settings: Settings) -> int:
    # Imported before the fork, so that the children share it.
    import hub.runtime.keeper
    import hub.runtime.upkeep
    import hub.web.app  # noqa: F401
    from hub.runtime.broker import EmbeddedBroker
    from hub.runtime.supervisor import Child, Supervisor, remove_stale_sockets
    from hub.store import open_hub
    from hub.web.serve import bind, refuse_exposure

    remove_stale_sockets(settings.socket_dir / "wake")
    store = open_hub(settings)
    try:
        store.migrate()
        refuse_exposure(settings, store)
    finally:
        store.close()
    listener = bind(settings)
    broker = None if settings.broker_url else EmbeddedBroker(settings)
    if broker is not None:
        broker.start()
    children = (
        Child("web", partial(_web, settings, listener=listener, announce=_announce), grace=15),
        Child("upkeep", partial(_upkeep, settings), grace=10),
        Child("worker", partial(_worker, settings), grace=settings.worker_stop_grace + 15),
    )
    return Supervisor(children, broker).run()


def _web(settings: Settings, *, announce: Callable[[str], None], door: bool = False, listener: Any = None) -> int:
    from hub.web.serve import serve

    return serve(settings, door_only=door, listener=listener, ready=announce)


def _upkeep(settings: Settings) -> int:
    from hub.runtime.upkeep import run

    return run(settings)


def _worker(settings: Settings) -> int:
    from hub.runtime.keeper import run

    return run(settings)


def _announce(address: str) -> None:
    from hub.cli import output

    output.console().print(f"[bold]Hubspoke[/] is up: [link={address}/ui]{address}/ui[/]  (Ctrl-C stops it)")


def _prepared(**flags: Any) -> Settings:
    """The settings, with a home and a migrated database."""
    from hub.runtime.supervisor import prepare_home
    from hub.store import open_hub

    settings = _settings(**flags)
    prepare_home(settings)
    store = open_hub(settings)
    try:
        store.migrate()
    finally:
        store.close()
    return settings


def _settings(**flags: Any) -> Settings:
    return load_settings(flags)
