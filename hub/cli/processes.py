"""Commands that start processes: all on this machine, or one kind of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hub.settings import Settings, load_settings

Port = Annotated[int | None, Parameter(help="Port of the web process; 0: any free one.")]
Host = Annotated[str | None, Parameter(help="Address to listen on; another than loopback needs TLS and a login.")]
Cert = Annotated[Path | None, Parameter(name="--tls-cert", help="Certificate (PEM); `hub tls create` makes one.")]
Key = Annotated[Path | None, Parameter(name="--tls-key", help="Key (PEM) of the certificate.")]
Queues = Annotated[tuple[str, ...] | None, Parameter(name=("--queue", "-q"), help="Serve this queue; repeatable.")]
Slots = Annotated[int | None, Parameter(help="Runs executed at once.")]


def up(
    *,
    host: Host = None,
    port: Port = None,
    slots: Slots = None,
    queues: Queues = None,
    tls_cert: Cert = None,
    tls_key: Key = None,
) -> int:
    """Start everything on this machine: embedded broker, web, upkeep loops and a worker. Ctrl-C stops it."""
    from hub.runtime.supervisor import only_one, prepare_home

    settings = _settings(
        web_host=host,
        web_port=port,
        worker_slots=slots,
        worker_queues=queues,
        web_tls_cert=tls_cert,
        web_tls_key=tls_key,
    )
    set_up_logs(settings)
    prepare_home(settings)
    with only_one(settings):
        return all_of(settings)


def web(
    *,
    host: Host = None,
    port: Port = None,
    tls_cert: Cert = None,
    tls_key: Key = None,
    door: Annotated[bool, Parameter(negative=(), help="Serve only the webhook door, for a place in the open.")] = False,
    processes: Annotated[int | None, Parameter(help="So many of them, on the same port.")] = None,
) -> int:
    """Start only the web process (API, dashboard, webhook door), or several of them."""
    settings = _prepared(
        web_host=host, web_port=port, web_processes=processes, web_tls_cert=tls_cert, web_tls_key=tls_key
    )
    if settings.web_processes == 1:
        return _web(settings, door=door, announce=_announce)
    return _webs(settings, door=door)


def worker(
    *,
    name: Annotated[str | None, Parameter(help="Name of the worker; made from host and process without it.")] = None,
    slots: Slots = None,
    queues: Queues = None,
    plane: Annotated[
        str | None, Parameter(help="Be a small hub of its own on this machine that takes runs from this plane.")
    ] = None,
    labels: Annotated[
        tuple[str, ...] | None, Parameter(name=("--label", "-l"), help="A label by which the plane places runs here.")
    ] = None,
) -> int:
    """Start only a worker, or with --plane a small hub of its own that takes runs from a plane."""
    flags = {"worker_name": name, "worker_slots": slots, "worker_queues": queues}
    if plane is not None:
        from hub.cli.edge import start

        return start(plane, name or "", _settings(**flags, sync_takes_runs=True, sync_labels=labels))
    if labels:
        from hub.errors import UsageError

        raise UsageError("--label is for a worker of a plane", hint="Say which: --plane https://plane.example.org.")
    settings = _prepared(**flags)
    _check_broker(settings)
    return _kept(settings, "worker", _worker, grace=settings.worker_stop_grace + 15)


def upkeep() -> int:
    """Start only the upkeep loops."""
    return _kept(_prepared(), "upkeep", _upkeep, grace=15)


def _kept(settings: Settings, name: str, main: Callable[[Settings], int], *, grace: float) -> int:
    """One process and the small one that starts it again when it dies."""
    from hub.runtime.supervisor import Child, Supervisor

    _share(settings, worker=name == "worker", upkeep=name == "upkeep")
    return Supervisor([Child(name, partial(main, settings), grace=grace)]).run()


def _share(settings: Settings, *, worker: bool = True, upkeep: bool = True) -> None:
    """Import before the fork what the children need: it is in memory once, and a restart costs milliseconds."""
    import importlib

    from hub.plugins import preload_own
    from hub.runtime.broker import broker_url, preload

    if upkeep:
        importlib.import_module("hub.runtime.upkeep")
        preload_own(settings)
    if worker:
        importlib.import_module("hub.runtime.keeper").preload(broker_url(settings))
    preload(broker_url(settings))


def _check_broker(settings: Settings) -> None:
    """Refuse a broker that loses messages; one that is not there yet is waited for, and that is said."""
    import logging

    from hub.errors import UnavailableError
    from hub.runtime.broker import broker_url
    from hub.runtime.publish import check

    log = logging.getLogger("hub.broker")
    try:
        for warning in check(broker_url(settings)):
            log.warning(warning)
    except UnavailableError as error:
        log.warning("%s; waiting for it. %s", error.detail, error.hint)


def all_of(settings: Settings, *, web: bool = True, before: Callable[[], None] = lambda: None) -> int:
    """Everything on this machine, or all but the web process. `before` is called once the database is there."""
    from hub.runtime.broker import EmbeddedBroker
    from hub.runtime.supervisor import Child, Supervisor, remove_stale_sockets
    from hub.store import open_ready

    if web:
        from hub.web.serve import bind, refuse_exposure

        refuse_exposure(settings)
    _share(settings)
    remove_stale_sockets(settings.socket_dir / "wake")
    open_ready(settings).close()
    if settings.broker_url:
        _check_broker(settings)
    before()
    listener = bind(settings) if web else None
    broker = None if settings.broker_url else EmbeddedBroker(settings)
    if broker is not None:
        broker.start()
    served = Child("web", partial(_web, settings, listener=listener, announce=_announce), grace=15)
    children = (
        *((served,) if web else ()),
        Child("upkeep", partial(_upkeep, settings), grace=10),
        Child("worker", partial(_worker, settings), grace=settings.worker_stop_grace + 15),
    )
    return Supervisor(children, broker).run()


def _web(settings: Settings, *, announce: Callable[[str], None], door: bool = False, listener: Any = None) -> int:
    from hub.web.serve import serve

    invite = None if announce is _say_nothing else _invite  # of several processes one makes the link
    return serve(settings, door_only=door, listener=listener, ready=announce, invite=invite)


def _webs(settings: Settings, *, door: bool) -> int:
    """Several web processes, and the small one that starts again what dies. The first tells when it is up."""
    from hub.runtime.supervisor import Child, Supervisor
    from hub.web.serve import bind_each, refuse_exposure

    refuse_exposure(settings)
    announced = (_announce, *[_say_nothing] * (settings.web_processes - 1))
    children = [
        Child(f"web-{number}", partial(_web, settings, door=door, listener=listener, announce=announce), grace=15)
        for number, (listener, announce) in enumerate(
            zip(bind_each(settings, settings.web_processes), announced, strict=True), 1
        )
    ]
    return Supervisor(children).run()


def _say_nothing(_address: str) -> None: ...


def _upkeep(settings: Settings) -> int:
    from hub.runtime.upkeep import run

    return run(settings)


def _worker(settings: Settings) -> int:
    from hub.runtime.keeper import run

    return run(settings)


def _announce(address: str) -> None:
    from hub.cli import output

    output.console().print(f"[bold]Hubspoke[/] is up: [link={address}/ui]{address}/ui[/]  (Ctrl-C stops it)")
    if load_settings().safe_mode:
        output.say("Safe mode: of plugins only the hub's own are loaded (HUB_SAFE_MODE).")


def _invite(link: str) -> None:
    from hub.cli import output

    output.console().print("This hub has no owner yet. Whoever opens this link first, within the hour, becomes it:")
    output.console().print(f"  {link}", markup=False)


def _prepared(**flags: Any) -> Settings:
    """The settings, with a home and a migrated database."""
    from hub.runtime.supervisor import prepare_home
    from hub.store import open_ready

    settings = _settings(**flags)
    set_up_logs(settings)
    prepare_home(settings)
    open_ready(settings).close()
    return settings


def set_up_logs(settings: Settings) -> None:
    """Write logs as the settings say."""
    from hub.runtime import logs

    logs.set_up(settings)


def _settings(**flags: Any) -> Settings:
    return load_settings(flags)
