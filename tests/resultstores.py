"""The real thing behind every result store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hub.resultstores import ResultStore
from hub.resultstores.files import FileResults
from hub.resultstores.memory import MemoryResults
from pydantic import SecretStr
from tests.conftest import service
from tests.plugins.storage.servers import ACCOUNT, CONTAINER, KEY, Azure, Objects, serving
from tests.plugins.storage.servers import Gcs as Gcs_

from hub_plugins.storage.postgresql import PostgresqlResults
from hub_plugins.storage.results import ObjectResults
from hub_plugins.storage.settings import S3, AzureBlob, Gcs, Postgresql

BUCKET = "results-test"


def needed(*modules: str) -> None:
    """Skip without these modules; fail where HUB_TEST_REQUIRE_SERVICES=1."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing and os.environ.get("HUB_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A server that speaks S3, with one bucket, on a free port."""
    needed("moto", "obstore", "flask")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    # One request after the other: of puts at the same time that none may win but one, moto's threads let several win.
    code = (
        "from moto.moto_server.werkzeug_app import DomainDispatcherApplication as Application, create_backend_app;"
        "from werkzeug.serving import run_simple;"
        f"run_simple('127.0.0.1', {port}, Application(create_backend_app), threaded=False)"
    )
    started = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _until_it_answers(started, port)
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield endpoint
    finally:
        started.kill()
        started.wait(20)


def _until_it_answers(started: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and started.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("moto's server did not start")


def s3_settings(endpoint: str, **more: Any) -> S3:
    given = {"bucket": BUCKET, "endpoint": endpoint, "access_key_id": "key", "secret_access_key": "s3-secret-canary"}
    return S3(**{**given, **more})


def postgresql_settings(url: str, **more: Any) -> Postgresql:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    given = {"host": parts.hostname, "port": parts.port, "user": parts.username, "database": parts.path.strip("/")}
    return Postgresql(**{**given, **more})


@pytest.fixture
def results_table() -> Iterator[Postgresql]:
    """A table of its own in the shared database, dropped afterwards."""
    import psycopg

    url = service("HUB_TEST_POSTGRES_URL")
    settings = postgresql_settings(url, table=f"hub_test_{os.getpid()}")
    yield settings
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"DROP TABLE IF EXISTS {settings.table}")


@pytest.fixture(params=["memory", "files", "postgresql", "s3", "azure-blob", "gcs"])
def result_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResultStore]:
    """Every result store there is, on the real thing."""
    if request.param == "memory":
        yield MemoryResults()
    elif request.param == "files":
        yield FileResults(tmp_path / "not" / "there" / "yet")
    elif request.param == "postgresql":
        # In the shared database: the table is dropped, its name is the process's own.
        settings = postgresql_settings(service("HUB_TEST_POSTGRES_URL"), table=f"results_{os.getpid()}")
        store = PostgresqlResults(settings)
        yield store
        store.close()
        import psycopg

        with psycopg.connect(service("HUB_TEST_POSTGRES_URL"), autocommit=True) as admin:
            admin.execute(f"DROP TABLE IF EXISTS {settings.table}")
    elif request.param == "s3":
        yield ObjectResults(s3_settings(request.getfixturevalue("s3_endpoint")))
    else:
        needed("obstore")
        with other_bucket(request.param) as (_, settings):
            yield ObjectResults(settings)


@contextmanager
def other_bucket(kind: str) -> Iterator[tuple[Objects, AzureBlob | Gcs]]:
    """A server that speaks Azure's or Google's language, and the settings that get in."""
    server = Azure() if kind == "azure-blob" else Gcs_()
    with serving(server):
        if isinstance(server, Gcs_):
            key = SecretStr(server.credential)
            yield server, Gcs(bucket=CONTAINER, service_account_key=key, endpoint=server.url)
        else:
            place = {"account": ACCOUNT, "container": CONTAINER, "endpoint": f"{server.url}/{ACCOUNT}"}
            yield server, AzureBlob(**place, account_key=SecretStr(KEY))
