"""The agent before is a process of ours on the bus: it is called for its state, and answers as a program says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bus import agent_wire as wire
from bus.agent_state import DEADLINE_S
from bus.messages import Peer
from bus.process import Process
from bus.swap_messages import AgentState, AgentStateQuery
from emulator.nodes.handover import Party

AGAIN_S: Final = 0.02
"""It may not have heard yet what its last frame was worth."""
Hear = Callable[[int, wire.Header, wire.Said, str], bool]


class AskedState:
    """Calls one process.

    Args:
        process: The edge server's.
        peer: The agent's.
        edge: Of both.
        waits: Whether the worth of the last frame is waited for, as in lockstep.
        hear: Takes what it says; False: nobody wants that any more.
    """

    def __init__(self, process: Process, peer: Peer, edge: int, *, waits: bool, hear: Hear) -> None:
        self._process = process
        self._node = f"/agent/{edge}"
        self._asking = process.asking(peer.call_endpoint, self._node, peer.public_key)
        self._instance = peer.instance
        self._edge = edge
        self._waits = waits
        self._hear = hear

    def party(self, state_format: str) -> Party:
        """It as one of the two agents; its format shows when it answers."""
        return Party(self._instance, state_format, needs=False, say=self._say, awaits=lambda _frame: False)

    def _say(self, _said: wire.Said, epoch: int, frame: int) -> None:
        self._ask(epoch, frame, 0)

    def _ask(self, epoch: int, frame: int, offset: int) -> None:
        query = AgentStateQuery(frame if self._waits else -1, offset)

        def told(answer: Any) -> None:
            if isinstance(answer, AgentState) and not answer.settled:
                self._process.after(AGAIN_S, lambda: self._ask(epoch, frame, offset))
                return
            said: wire.Said
            if isinstance(answer, AgentState):
                whole = answer.format, answer.size_bytes, answer.sha256
                said = wire.StatePiece(*whole, answer.offset, answer.data)
            else:
                unknown = answer.kind == "unknown_method"
                said = wire.StateResult(False, "it is an agent of ours that has none" if unknown else answer.text)
            kind = wire.NUMBERS[type(said)]
            header = wire.Header(wire.MAGIC, wire.PROTOCOL, kind, self._edge, self._instance, epoch, frame, 0)
            more = isinstance(said, wire.StatePiece) and offset + len(said.data) < said.size_bytes
            if self._hear(self._instance, header, said, "") and more and isinstance(said, wire.StatePiece):
                self._ask(epoch, frame, offset + len(said.data))

        self._asking.ask(self._node, "state", query, AgentState, DEADLINE_S, told)
