"""What the kernel counts on TCP connections: the judge of the bus's own books."""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

ESTABLISHED = 1
RECEIVED = struct.Struct("=Q")  # tcpi_bytes_received
RECEIVED_AT = 128
SENT = struct.Struct("=QQ")  # tcpi_bytes_sent, tcpi_bytes_retrans
SENT_AT = 200


class Connection(NamedTuple):
    """One end of a connection: its ports, and the bytes that went out, sent again or not, and came in."""

    local_port: int
    remote_port: int
    sent_bytes: int
    received_bytes: int


def counters(info: bytes) -> tuple[int, int]:
    """Bytes sent, each once, and bytes received, of a ``struct tcp_info``."""
    if len(info) < SENT_AT + SENT.size:
        raise RuntimeError(f"this kernel's tcp_info has {len(info)} bytes and counts no bytes sent; Linux 4.19 does")
    sent, again = SENT.unpack_from(info, SENT_AT)
    return sent - again, RECEIVED.unpack_from(info, RECEIVED_AT)[0]


def own_connections() -> list[Connection]:
    """All established TCP connections of this very process."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            end = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # closed meanwhile, as the folder's own descriptor is
        with end:
            if end.family != socket.AF_INET or end.type != socket.SOCK_STREAM:
                continue
            info = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
            if info[0] == ESTABLISHED:
                found.append(Connection(end.getsockname()[1], end.getpeername()[1], *counters(info)))
    return found


SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
TCP_DESTROYED = 1  # SKNLGRP_INET_TCP_DESTROY
SOL_NETLINK, ADD_MEMBERSHIP, RECEIVE_BUFFER_FORCE = 270, 1, 33
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
PORTS = struct.Struct("!HH")
ATTRIBUTES_AT, INFO = 88, 2  # behind nlmsghdr and inet_diag_msg; INET_DIAG_INFO


class Undertaker:
    """Hears from the kernel of every TCP connection on this machine that ends, with what went over it.

    Raises: PermissionError: this needs CAP_NET_ADMIN, which root has, and containers may lack.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER_FORCE, 1 << 24)
            self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, TCP_DESTROYED)
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.ended: list[Connection] = []

    def listen(self) -> list[Connection]:
        """All ends of connections that have ended since the beginning.

        Raises: OSError: the kernel had more to tell than it could keep; nothing can be said then.
        """
        while True:
            try:
                datagram = self._socket.recv(1 << 16)
            except BlockingIOError:
                return self.ended
            at = 0
            while at + HEADER.size <= len(datagram):
                length = HEADER.unpack_from(datagram, at)[0]
                self.ended += _connection(datagram[at : at + length])
                at += (length + 3) & ~3

    def close(self) -> None:
        self._socket.close()


def _connection(message: bytes) -> list[Connection]:
    local_port, remote_port = PORTS.unpack_from(message, HEADER.size + 4)
    at = ATTRIBUTES_AT
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind == INFO:
            return [Connection(local_port, remote_port, *counters(message[at + 4 : at + length]))]
        at += (length + 3) & ~3
    return []
