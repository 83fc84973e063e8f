"""A TCP relay whose connections can be cut: what was on its way in it, and in the kernel's buffers, is lost."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Final

CHUNK: Final = 65_536
NO_LINGER: Final = struct.pack("ii", 1, 0)  # close at once, with a reset


class Relay:
    """Listens on the loopback and passes bytes to an endpoint and back, each direction in a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.connections = 0
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def cut(self) -> bool:
        """Break every connection; returns whether there was one."""
        with self._lock:
            cut, self._open = self._open, []
        for end in cut:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
        return bool(cut)

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open += [near, far]
                self.connections += 1
            for source, sink in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(CHUNK):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
