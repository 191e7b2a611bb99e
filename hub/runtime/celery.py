"""The Celery worker: takes doorbells from one queue of its own and hands each to a child that executes the attempt.

The only module that imports Celery. What Celery is used for: a pool of forked children, one consumer, recycling. What
it is not used for is listed with reasons in `docs/decisions/celery-traps.md`.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

import billiard.pool
from celery import Celery, signals
from celery.app.amqp import AMQP
from celery.worker import state as worker_state
from celery.worker.strategy import default as default_strategy
from kombu import Connection, Exchange, Queue

from hub.errors import UnavailableError
from hub.runtime import broker, process
from hub.runtime.publish import TASK, queue_name
from hub.types import Id

log = logging.getLogger("hub.worker")
Execute = Callable[[str, int], bool]
"""(attempt id, epoch) -> whether this child must not be used again."""
_ABANDONED_MS = 600_000
"""RabbitMQ removes a worker's queue when nobody has consumed it for that long."""


class _Tell:
    """What the Celery processes say to the keeper, as lines through a pipe; never blocks, never raises."""

    descriptor = -1

    def __call__(self, line: str) -> None:
        if self.descriptor < 0:
            return
        try:
            os.write(self.descriptor, line.encode() + b"\n")
        except OSError:
            log.debug("the keeper does not listen: %s", line)


tell = _Tell()


class _Connection(Connection):  # type: ignore[misc]
    """Looks for a lost broker every second; Celery's own pauses grow to half a minute."""

    def ensure_connection(self, *args: Any, **more: Any) -> Any:
        more |= {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
        return super().ensure_connection(*args, **more)


class _Amqp(AMQP):  # type: ignore[misc]
    Connection = _Connection


class _App(Celery):  # type: ignore[misc]
    """Its broker is the hub's, whatever CELERY_BROKER_URL the flows' own applications need."""

    def connection_for_read(self, url: str | None = None, **more: Any) -> Any:
        return super().connection_for_read(url or self.conf["broker_read_url"], **more)

    def connection_for_write(self, url: str | None = None, **more: Any) -> Any:
        return super().connection_for_write(url or self.conf["broker_read_url"], **more)


def preload(url: str) -> None:
    """Import now what a worker needs later, so that all processes forked from this one share its memory."""
    for name in _LATER:
        importlib.import_module(name)
    broker.preload(url)


_LATER = (
    "celery.app.log",
    "celery.app.trace",
    "celery.backends.base",
    "celery.concurrency.prefork",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.worker",
)


def make_app(url: str, worker_id: Id, execute: Execute, *, children: dict[str, Any] | None = None) -> Celery:
    """The application with its one task. `children` are further settings of the pool's children."""
    app = _App(
        "hub",
        amqp=_Amqp,
        loader="celery.loaders.app:AppLoader",
        set_as_current=False,
        fixups=(),  # a flow may use Django; the worker is none of its business
        config_source={**_configuration(url, worker_id), **(children or {})},
    )

    @app.task(  # type: ignore[untyped-decorator]
        name=TASK,
        shared=False,
        ignore_result=True,
        acks_late=False,
        max_retries=0,
        typing=False,
        Strategy="hub.runtime.celery:strategy",
    )
    def attempt(attempt_id: str, epoch: int) -> None:
        _guarded(execute, attempt_id, epoch)

    app.finalize()
    for name in set(app.tasks) - {TASK}:
        app.tasks.pop(name)  # canvas, clean-up, ...: nothing of it may be called from the broker
    return app


def _configuration(url: str, worker_id: Id) -> dict[str, Any]:
    arguments = broker.connection_arguments(url, worker_id=worker_id)
    name = queue_name(worker_id)
    # The classic type: a quorum queue for messages that nobody misses would cost a consensus each.
    more = {"x-queue-type": "classic", "x-expires": _ABANDONED_MS} if broker.kind(url) == "amqp" else None
    queue = Queue(name, Exchange(""), routing_key=name, durable=True, queue_arguments=more)
    return {
        "broker_read_url": arguments["hostname"],
        "broker_write_url": arguments["hostname"],
        "broker_url": arguments["hostname"],
        "broker_transport_options": arguments["transport_options"],
        "broker_heartbeat": 30,
        "broker_connection_timeout": 4,
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "result_backend": "disabled://",
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_queues": [queue],
        "task_default_queue": name,
        "task_default_exchange": "",
        "task_default_routing_key": name,
        "task_create_missing_queues": False,
        "task_send_sent_event": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "worker_prefetch_multiplier": 1,
        "worker_enable_prefetch_count_reduction": False,
        "worker_detect_quorum_queues": False,
        "worker_disable_rate_limits": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_proc_alive_timeout": 30.0,
        # Only late acknowledgements are meant by it, of which there are none; said, so that Celery does not warn.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
    }


def _guarded(execute: Execute, attempt_id: str, epoch: int) -> None:
    """Nothing an attempt raises may reach Celery: a MemoryError there would block its whole pool."""
    try:
        tainted = execute(attempt_id, epoch)
    except UnavailableError as error:
        # Nothing was claimed: the sweeper rings again.
        log.warning("attempt %s was not taken: %s", attempt_id, error.detail)
        tainted = False
    except BaseException:
        log.exception("attempt %s ended with an error of the hub's own", attempt_id)
        tainted = True
    if tainted:
        _leave_after_this()


def _leave_after_this() -> None:
    """Have this child replaced once its message is done: it asks then how much memory it uses, and leaves instead."""
    billiard.pool.mem_rss = _leave


def _leave() -> int:
    """End at once: threads that hang, which is why it must end, would keep an orderly end waiting."""
    process.flush()
    os._exit(billiard.pool.EX_RECYCLE)


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:
    """How a message is taken: a canary is answered here, in the parent; anything else goes to a child."""
    usual = default_strategy(task, app, consumer)

    def take(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        number = (message.headers or {}).get("canary")
        if number is None:
            return usual(message, body, ack, reject, callbacks, **more)
        message.ack_log_error(log, consumer.connection_errors)
        tell(f"canary {int(number)}")
        return None

    return take


def run(
    url: str,
    worker_id: Id,
    execute: Execute,
    *,
    slots: int,
    control: int,
    prepare_child: Callable[[], None],
    runs_per_child: int = 500,
    memory_per_child: int = 1 << 30,
) -> int:
    """Be the Celery parent until SIGTERM; gives the exit status. Call it in a process that has one thread.

    `prepare_child` is called once in every new child; `control` is the pipe to the keeper.
    """
    tell.descriptor = control
    os.set_blocking(control, False)
    signals.setup_logging.connect(_keep_logging, weak=False)
    app = make_app(
        url,
        worker_id,
        execute,
        children={
            "worker_max_tasks_per_child": runs_per_child,
            "worker_max_memory_per_child": memory_per_child // 1024,
        },
    )
    worker = app.WorkController(
        hostname=f"hub@{worker_id}",
        pool="prefork",
        concurrency=slots,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        ready_callback=lambda _consumer: tell("ready"),
    )
    parent, threaded = os.getpid(), not worker.use_eventloop

    def prepare(**_: Any) -> None:
        _prepare(parent, threaded, prepare_child)

    signals.worker_process_init.connect(prepare, weak=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_warm)
    # What there is now is shared with the children; their collectors must not touch, and so copy, it.
    gc.collect()
    gc.freeze()
    worker.start()
    return worker.exitcode or 0


def _stop_warm(_number: int, _frame: object) -> None:
    worker_state.should_stop = 0


def _keep_logging(**_: Any) -> None:
    """Logging is set up already; that somebody listens keeps Celery from setting it up again."""


def _prepare(parent: int, threaded: bool, prepare_child: Callable[[], None]) -> None:
    """A new child: dies with its parent, is a group of its own with whatever its flows start."""
    os.close(tell.descriptor)
    tell.descriptor = -1
    if threaded:
        # Without an event loop it may have been forked by a thread, whose end is not its parent's.
        process.watch_parent(parent)
    else:
        process.die_with_parent(parent)
    os.setpgid(0, 0)
    process.call_this("runs")
    prepare_child()
