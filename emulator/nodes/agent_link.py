"""The emulated links between an edge server and its foreign agent, who is no node of the bus.

Both ends of the bus are in the edge server's process, so the link to the agent ends here, by the name that the agent
decides under: what is lost, late or delayed is what it would be for an agent of ours. The link back ends where it
always does, in the edge server's gather, and reckons from the time at which the observation came.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bus.codec import Header
from bus.gather import Absent
from bus.node import Node
from emulator.nodes.seat import Face

HandOver = Callable[[Any, Header], None]


class AgentLink:
    """Stands before whoever takes the observations of one edge server for its agent."""

    def __init__(self, node: Node, edge: int, face: Face, hand_over: HandOver) -> None:
        """Take what the edge server says.

        Args:
            node: The edge server's.
            edge: Its number.
            face: What it shows.
            hand_over: Takes an observation when it has come, or what stands for one that does not come.
        """
        # In the rental world outcomes would have to pass, too, for which an agent is waited: runs refuse it.
        self._links = node.process.links if face.setup.world == "offloading" else None
        self._agent = f"/agent/{edge}"
        self._face = face
        self._hand_over = hand_over
        self._came = (-1, 0)  # the slot, and simulated nanoseconds into it

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        self._came = (-1, 0)

    def __call__(self, message: Any, header: Header) -> None:
        """The edge server has observed something; in lockstep it comes at once, be it later in simulated time."""
        end = None if self._links is None else self._links.end_of(self._agent)
        if end is None:
            self._hand_over(message, header)
        else:
            end.receive(self._face.observation, message, header, partial(self._file, header))

    def _file(self, header: Header, seen: Any, into_ns: int) -> None:
        self._came = (header.slot, into_ns)
        self._hand_over(self._face.made_up(0) if isinstance(seen, Absent) else seen, header)

    def leaves_ns(self, slot: int) -> int:
        """Simulated time at which a decision of a slot leaves: when the observation came; 0 where no link delays it."""
        came_in, into_ns = self._came
        if self._links is None or slot != came_in or not into_ns:
            return 0
        return slot * self._links.clock.slot_ns + into_ns
