"""A state that goes from one agent to its successor: cut into pieces, put together again, never looked into.

What is in the bytes is the agents' own business. Nothing here unpickles or runs anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, Protocol

from bus import agent_wire as wire

NO_STATE: Final = "it remembers nothing"
STATE: Final = "state"
"""The capability of a Hello."""
LONGEST_FORMAT: Final = 128
MOST_STATE_BYTES: Final = 64 * 2**20
PIECE_BYTES: Final = 2**19
"""Of a state in one frame, which holds at most ``wire.MOST_BYTES``."""
DEADLINE_S: Final = 5.0
"""From the question to the word that the state is in place, wall seconds; the wall clock waits less."""


class StateError(ValueError):
    """A state that is not taken; the text says why."""


def pieces_of(state: bytes, state_format: str) -> Iterator[wire.StatePiece]:
    """A state as messages; one without bytes is one piece without bytes.

    Raises: StateError: it is too large.
    """
    if len(state) > MOST_STATE_BYTES:
        raise StateError(f"too large: {len(state):,} bytes, at most {MOST_STATE_BYTES:,}")
    sha256 = hashlib.sha256(state).hexdigest()
    for offset in range(0, max(1, len(state)), PIECE_BYTES):
        data = state[offset : offset + PIECE_BYTES]
        yield wire.StatePiece(state_format, len(state), sha256, offset, data)


class Pieces:
    """A state that comes piece by piece, in order."""

    def __init__(self, state_format: str) -> None:
        """Expect a state of one format."""
        self._format = state_format
        self._first: wire.StatePiece | None = None
        self._hash = hashlib.sha256()
        self._data = bytearray()

    def add(self, piece: wire.StatePiece) -> bytes | None:
        """Take the next piece; returns the state when that was the last one.

        Raises: StateError: it is no piece of such a state.
        """
        first = self._first = piece if self._first is None else self._first
        if piece.format != self._format:
            raise StateError(f"wrong format: {piece.format[:LONGEST_FORMAT]!r}, not {self._format!r}")
        if not 0 <= piece.size_bytes <= MOST_STATE_BYTES:
            raise StateError(f"too large: {piece.size_bytes:,} bytes, at most {MOST_STATE_BYTES:,}")
        if (piece.size_bytes, piece.sha256) != (first.size_bytes, first.sha256):
            raise StateError("pieces of different states")
        end = piece.offset + len(piece.data)
        if piece.offset != len(self._data) or end > piece.size_bytes or not (piece.data or end == piece.size_bytes):
            raise StateError(f"a piece from byte {piece.offset} on, not from byte {len(self._data)} on")
        self._data += piece.data
        self._hash.update(piece.data)
        if len(self._data) < piece.size_bytes:
            return None
        if self._hash.hexdigest() != piece.sha256:
            raise StateError("wrong hash: the bytes are not those that it names")
        return bytes(self._data)


class Keeper(Protocol):
    """What remembers something between frames, and can give and take it; see ``AgentSide``."""

    def give_state(self) -> bytes:
        """All that it remembers. Raises: ValueError: it cannot say."""
        ...

    def take_state(self, state: bytes) -> None:
        """Remember this instead. Raises: ValueError: it means nothing to this agent, which is as it was."""
        ...


class AgentSide:
    """What an agent answers when it is asked for its state, or given one."""

    def __init__(self, state_format: str) -> None:
        """Give and take states of one format; empty: none."""
        self._format = state_format
        self._pieces = Pieces(state_format)

    def asked(self, query: wire.StateQuery, keeper: Keeper) -> Iterator[wire.Said]:
        """The pieces of what it remembers, or why it gives none."""
        try:
            if not self._format:
                raise StateError(NO_STATE)
            if query.format != self._format:
                raise StateError(f"wrong format: {query.format[:LONGEST_FORMAT]!r}, not {self._format!r}")
            yield from pieces_of(keeper.give_state(), self._format)
        except ValueError as error:
            yield wire.StateResult(False, str(error))

    def given(self, piece: wire.StatePiece, keeper: Keeper) -> wire.StateResult | None:
        """Take a piece; what is to be said to it, if anything."""
        if piece.offset == 0:
            self._pieces = Pieces(self._format)
        try:
            if not self._format:
                raise StateError(NO_STATE)
            state = self._pieces.add(piece)
            if state is None:
                return None
            keeper.take_state(state)
        except ValueError as error:
            return wire.StateResult(False, str(error))
        return wire.StateResult(True)
