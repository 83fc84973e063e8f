"""Serves the metrics of a process, at no cost before somebody asks.

A process listens at once but imports neither prometheus_client nor an HTTP server: 70 ms and 8 MB that a run of
13 processes on two processors would pay 13 times while it starts. The first request brings them in.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from bus.messages import Peer
from bus.process import Process

BACKLOG: Final = 16

_log = logging.getLogger("metrics")


def serve_metrics(
    process: Process, bind: str, port: int, peers: Callable[[], list[Peer]] | None = None, *, run: str = ""
) -> str:
    """Serve GET /metrics, and on the hub /sd (service discovery) and /healthz, until this OS process ends.

    Args:
        process: Whose measurements are shown; its loop is never waited for.
        bind: The address to listen on.
        port: 0 lets the system choose.
        peers: The run's processes, on the hub only.
        run: The run's name, a label of what service discovery tells.
    Returns: The URL, with the process's host name.
    Raises: OSError: the port is in use, or the address is not ours; the text says which.
    """
    return Exporter(process, bind, port, peers, run=run).url


class Exporter:
    """Listens in a thread of its own."""

    def __init__(
        self, process: Process, bind: str, port: int, peers: Callable[[], list[Peer]] | None = None, *, run: str = ""
    ) -> None:
        self._process = process
        self._peers = peers
        self._run = run
        self._site: Any = None
        self._first = threading.Lock()
        self._socket = _listen(bind, port)
        host = f"[{process.host}]" if ":" in process.host else process.host
        self.url = f"http://{host}:{self._socket.getsockname()[1]}/metrics"
        self._thread = threading.Thread(target=self._accept, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; for tests, since a process serves until it ends."""
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, as close() alone does not
        self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, client = self._socket.accept()
            except OSError:
                return
            # A thread each: one who connects and says nothing must not keep Prometheus waiting.
            threading.Thread(target=self._serve, args=(connection, client), name="scrape", daemon=True).start()

    def _serve(self, connection: socket.socket, client: Any) -> None:
        from monitoring import scrape

        with self._first:
            if self._site is None:
                self._site = scrape.Site(self._process, self._peers, self._run)
        scrape.serve(self._site, connection, client)


def _listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        return socket.create_server((bind, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(
            error.errno, f"cannot serve metrics on port {port} of {bind} ({reason}); choose another --metrics-port"
        ) from None
