"""An agent of ours on the bus gives what it remembers to whoever takes over, piece by piece, when it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bus.agent_state import NO_STATE, pieces_of
from bus.agent_wire import StatePiece
from bus.node import Node
from bus.swap_messages import AgentState, AgentStateQuery


def format_of(policy: Any) -> str:
    """The format of a policy's state; empty: it gives none."""
    return str(getattr(policy, "state_format", ""))


class StateGiver:
    """That of one agent. Its policy changes what it remembers in ``after_frame`` only, so a frame may be under way."""

    def __init__(self, node: Node, policy: Callable[[], Any]) -> None:
        """Answer ``state``, if the policy has one."""
        self.through = -1
        """The last frame that it knows the worth of."""
        self._policy = policy
        self._pieces: dict[int, StatePiece] = {}
        if format_of(policy()):
            node.serve("state", AgentStateQuery, self._give, AgentState)

    def _give(self, asked: AgentStateQuery) -> AgentState:
        """A piece of it.

        Raises: ValueError: it cannot say. LookupError: there is no such piece.
        """
        policy = self._policy()
        if not format_of(policy):
            raise LookupError(NO_STATE)
        if self.through < asked.frame:
            return AgentState(settled=False)
        if asked.offset == 0:
            self._pieces = {piece.offset: piece for piece in pieces_of(policy.give_state(), format_of(policy))}
        piece = self._pieces.get(asked.offset)
        if piece is None:
            raise LookupError(f"no piece begins with byte {asked.offset}")
        if asked.offset + len(piece.data) == piece.size_bytes:
            self._pieces = {}
        return AgentState(True, piece.format, piece.size_bytes, piece.sha256, piece.offset, piece.data)
