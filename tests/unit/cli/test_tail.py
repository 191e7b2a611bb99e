"""`hub events tail` as a process: a server that hangs up, and Ctrl-C."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading

ANSWERS = ["id: 7\n\n", 'id: 8\nevent: hub.run.failed\ndata: {"seq": 8}\n\n']


class Handler(http.server.BaseHTTPRequestHandler):
    asked: list[str]
    leave: threading.Event

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('last-event-id', '')}".strip())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(ANSWERS[min(len(self.asked), 2) - 1].encode())
        if len(self.asked) > 1:
            self.leave.wait(30)  # the second connection stays

    def log_message(self, *args: object) -> None:
        pass


def test_it_goes_on_after_a_lost_connection_and_ctrl_c_ends_it_without_a_fuss() -> None:
    Handler.asked, Handler.leave = [], threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        tail = subprocess.Popen(
            [sys.executable, "-m", "hub.cli", "events", "tail", "--type", "hub.run", "--json"],
            env={**os.environ, "HUB_API_URL": f"http://127.0.0.1:{server.server_port}"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert tail.stdout is not None
            assert tail.stdout.readline() == '{"seq": 8}\n'
            tail.send_signal(signal.SIGINT)
            out, err = tail.communicate(timeout=30)
        finally:
            tail.kill()
            Handler.leave.set()
            server.shutdown()
            thread.join()
    assert (tail.returncode, out) == (0, "")
    assert err.startswith("The hub is away: the stream broke off.")
    assert len(err.splitlines()) == 1
    assert Handler.asked == ["/api/v1/stream?topics=hub.run", "/api/v1/stream?topics=hub.run 7"]
