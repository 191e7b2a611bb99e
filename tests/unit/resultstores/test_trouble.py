"""Stores that are away, full, or do not let us in: said in our words, without the credential."""

from __future__ import annotations

import errno
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub.errors import PermanentError, TransientError
from hub.resultstores import ResultMissing
from hub.resultstores.files import FileResults
from tests.conftest import service
from tests.resultstores import postgresql_settings, s3_settings

from hub_plugins.storage import checks
from hub_plugins.storage.objects import check
from hub_plugins.storage.postgresql import PostgresqlResults
from hub_plugins.storage.results import ObjectResults
from hub_plugins.storage.settings import Http

CANARY = "s3-secret-canary"
EXPIRED = f"""<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>expired</Message>
<Token-0>{CANARY}</Token-0></Error>"""
SLOW = "<Error><Code>SlowDown</Code></Error>"


@pytest.fixture
def angry() -> Iterator[dict[str, object]]:
    """A service that answers every request with what `says` holds: (status, body)."""
    says: dict[str, object] = {"answer": (400, EXPIRED)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            status, body = says["answer"]  # type: ignore[misc]
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_POST = do_HEAD = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    says["endpoint"] = f"http://127.0.0.1:{server.server_port}"
    yield says
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_an_expired_credential_of_s3_is_named_by_its_code_alone(angry: dict[str, object]) -> None:
    pytest.importorskip("obstore")
    store = ObjectResults(s3_settings(str(angry["endpoint"]), session_token=CANARY))
    for call in (lambda: store.put("a", b"x"), lambda: store.get("a"), lambda: store.list("a")):
        with pytest.raises(PermanentError, match="ExpiredToken") as caught:
            call()
        assert CANARY not in str(caught.value)
    angry["answer"] = (403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
    with pytest.raises(PermanentError, match=r"SignatureDoesNotMatch|403"):
        check(s3_settings(str(angry["endpoint"])))


def test_a_busy_or_absent_s3_may_work_later(angry: dict[str, object]) -> None:
    pytest.importorskip("obstore")
    angry["answer"] = (503, SLOW)
    with pytest.raises(TransientError):
        ObjectResults(s3_settings(str(angry["endpoint"]), timeout=2)).put("a", b"x")
    with pytest.raises(TransientError) as caught:
        ObjectResults(s3_settings("http://127.0.0.1:9", timeout=2)).get("a")
    assert CANARY not in str(caught.value)


def test_settings_of_which_s3_makes_no_request_are_an_error_like_others() -> None:
    pytest.importorskip("obstore")
    settings = s3_settings("http://[", secret_access_key="geheim")
    for call in (lambda: check(settings), lambda: ObjectResults(settings).put("a", b"x")):
        with pytest.raises(PermanentError, match="no request can be made") as told:
            call()
        assert "geheim" not in str(told.value)


def test_addresses_and_credentials_that_no_request_carries_are_an_error_like_others() -> None:
    long = f"http://{'a' * 300}.example/"
    for wrong in ({"url": "http://\u2603.example/"}, {"url": long}, {"token": "geheim\u2603"}):
        with pytest.raises(PermanentError) as told:
            checks.http(Http.model_validate({"url": "http://127.0.0.1:9/", **wrong}))
        assert "geheim" not in str(told.value)


def test_a_bucket_that_is_not_there_is_no_missing_result(s3_endpoint: str) -> None:
    with pytest.raises(PermanentError, match=r"no-such-bucket|NoSuchBucket"):
        ObjectResults(s3_settings(s3_endpoint, bucket="no-such-bucket")).put("a", b"x")
    assert "nothing is kept" in check(s3_settings(s3_endpoint, prefix="empty"))


def test_a_database_that_is_not_there_is_told_without_the_password() -> None:
    url = service("HUB_TEST_POSTGRES_URL")
    with pytest.raises(PermanentError, match="no_such_db"):
        PostgresqlResults(postgresql_settings(url, database="no_such_db", password=CANARY)).get("a")
    with pytest.raises(TransientError) as caught:
        PostgresqlResults(postgresql_settings(url, port=9, password=CANARY)).put("a", b"x")
    assert CANARY not in str(caught.value)


def test_a_connection_that_was_cut_is_made_anew() -> None:
    import psycopg

    url = service("HUB_TEST_POSTGRES_URL")
    store = PostgresqlResults(postgresql_settings(url, table=f"cut_{os.getpid()}"))
    store.put("a", b"x")
    with psycopg.connect(url, autocommit=True) as admin:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hubspoke'"
        admin.execute(f"{ours} AND query LIKE %s", (f"%cut_{os.getpid()}%",))
        assert store.get("a") == b"x"
        admin.execute(f"DROP TABLE cut_{os.getpid()}")
    store.close()


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = FileResults(tmp_path)
    store.put("run/before", b"x")
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(PermanentError, match="the disk is full"):
            store.put("run/a", b"x" * 100)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["before"]


def test_a_folder_that_may_not_be_used_and_keys_that_lead_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="no folder"):
        FileResults(tmp_path / "file" / "below").put("a", b"x")
    for key in ("../a", "/etc/passwd", "a/../../b", ""):
        with pytest.raises(ResultMissing):
            FileResults(tmp_path).get(key)
