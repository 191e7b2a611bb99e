"""A wire to a real server that a test may cut at a given place."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Wire:
    """Forwards connections to `target`. Armed with bytes, it cuts the connection that sends them next."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._word: bytes | None = None
        self._awaited = b""
        self._answered = False
        self._then_down = False
        self._then: Callable[[], None] | None = None
        self.is_down = False
        self.cuts = 0
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(
        self, word: bytes, *, answered: bool, then_down: bool = False, then: Callable[[], None] | None = None
    ) -> None:
        """Cut at `word`. `answered`: the server gets it and does it; only its answer, with the word in it, is lost.

        `then` is called at that moment: before the word goes on, or when its answer comes, which then may be any.
        """
        self._word, self._answered, self._then_down, self._then = word, answered, then_down, then

    def down(self) -> None:
        """Nothing goes through any more, until `up`."""
        self.is_down = True
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        """Let connections through again."""
        self.is_down = False

    def close(self) -> None:
        """End all connections."""
        self.down()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                with self._lock:
                    self._open |= {client, server}
                lost = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, lost, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, lost, False), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, lost: threading.Event, watched: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if (
                    lost.is_set() and not watched
                ):  # nothing more gets through, and when the server has said that it is done, it ends
                    if self._then is None and self._awaited not in data:
                        continue
                    self._struck()
                    break
                if watched and self._word is not None and self._word in data:
                    self._awaited, self._word, self.cuts = self._word, None, self.cuts + 1
                    self.is_down = self._then_down
                    if not self._answered:
                        self._struck()
                        break
                    lost.set()
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(one)
            one.close()

    def _struck(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()


@contextmanager
def wire(target: tuple[str, int]) -> Iterator[Wire]:
    """A wire to `target`, closed at the end."""
    made = Wire(target)
    try:
        yield made
    finally:
        made.close()
