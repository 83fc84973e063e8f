"""Where a process listens, and where others reach it, on each plane.

A host is a name, or ``to:NAME``: our own address on the way to NAME. A container with two networks finds by that
which of its addresses belongs to which, whatever the engine gave it, and listens on each plane at that address only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.errors import PlaceLost

TOWARDS: Final = "to:"
ANY_PORT: Final = 9  # nothing is sent there
LOOK_S: Final = 1.0


@dataclass(frozen=True)
class Place:
    """Hosts and addresses of one process.

    Attributes:
        host: The name or address others reach its calls and its metrics by. bind: The address these listen on.
        topics_host: The same of what it publishes. topics_bind: The same.
        found: Addresses that were found on the way to somebody: what was asked, who that was then, and the answer.
    """

    host: str
    bind: str
    topics_host: str
    topics_bind: str
    found: tuple[tuple[str, str, str], ...] = ()

    @property
    def topics_at(self) -> tuple[str, str]:
        """As ``Process`` takes it."""
        return self.topics_host, self.topics_bind

    def lost(self) -> str:
        """Why it is our place no more, as a sentence; empty while it is."""
        for asked, target, address in self.found:
            now = _address_towards(target)
            if now != address:
                return f"our address {asked} was {address}, and is {now or 'gone'}"
        return ""


def place(host: str, bind: str, topics_host: str) -> Place:
    """What the options mean.

    Args:
        host: A name, or ``to:NAME``. bind: The address to listen on; where a host is ``to:NAME``, it is that address.
        topics_host: The same for what is published; empty: as host.
    Raises: PlaceLost: there is no way to NAME.
    """
    found: list[tuple[str, str, str]] = []

    def one(asked: str) -> tuple[str, str]:
        if not asked.startswith(TOWARDS):
            return asked, bind
        name = asked.removeprefix(TOWARDS)
        target = _resolved(name)
        address = _address_towards(target)
        if not address:
            raise PlaceLost(f"no way to {name} ({target}); is this host on its network?")
        found.append((f"towards {name}", target, address))
        return address, address

    own, topics = one(host), one(topics_host or host)
    return Place(*own, *topics, tuple(dict.fromkeys(found)))


def watch(where: Place, every: Callable[[float, Callable[[], None]], object], patience_s: float) -> None:
    """End the process with PlaceLost when its addresses are not its own any more for that long.

    Args:
        every: Calls something again and again, as ``Process.timers.every``.
    """
    missing = 0.0

    def look() -> None:
        nonlocal missing
        why = where.lost()
        missing = missing + LOOK_S if why else 0.0
        if missing >= patience_s:
            raise PlaceLost(f"{why}; start again to be found there")

    if where.found:
        every(LOOK_S, look)


def _resolved(name: str) -> str:
    try:
        return str(socket.getaddrinfo(name, ANY_PORT, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError as error:
        raise PlaceLost(f"{name} is not known here ({error.strerror}); is this host on its network?") from None


def _address_towards(target: str) -> str:
    """Our address on the way to another; empty if there is none. Nothing is sent."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, ANY_PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return ""
