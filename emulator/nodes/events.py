"""What happened to a run: told in the log, in the run's notes, and as a line each in events.jsonl."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from bus.messages import Peer
from emulator.folder import Writer
from emulator.nodes.swap_request import Request

_log = logging.getLogger("hub")

MOST_TEXTS: Final = 64
"""That are kept as notes; the file has all."""

TABLE: Final = "events.jsonl"


class Events:
    """Those of one run.

    Kinds: ``lost``, ``joined``, ``link``, ``swap``, ``swap_failed``, ``swap_back``, ``waits``, ``gap``, ``note``.
    """

    def __init__(self, writer: Writer, slot: Callable[[], int], slots_per_frame: int) -> None:
        """Write into a run folder; ``slot`` tells which one is being computed."""
        self._slots_per_frame = slots_per_frame
        self.texts: list[str] = []
        self._writer = writer
        self._slot = slot

    def __call__(self, text: str) -> None:
        """Tell what has no kind of its own."""
        self.tell("note", text)

    def joined(self, peer: Peer, slot: int) -> None:
        """Tell that a process takes part from a slot on."""
        names = [node.name for node in peer.nodes]
        self.tell("joined", f"{peer.process} takes part from slot {slot} on", names, slot)

    def swapped(self, kind: str, request: Request, frame: int, text: str) -> None:
        """Tell what became of a swap, from a frame on."""
        agents = [f"/agent/{edge}" for edge in request.parts]
        self.tell(kind, f"swap {request.number}{text}", agents, frame * self._slots_per_frame, swap=request.number)

    def tell(
        self, kind: str, text: str, nodes: Sequence[str] = (), slot: int | None = None, **facts: str | float
    ) -> None:
        """Tell what happened.

        Args:
            kind: One word.
            text: A sentence for people.
            nodes: Whom it concerns.
            slot: The first one that it has to do with; None for the one that is being computed.
            facts: More, for programs.
        Raises: RunFolderError: it cannot be written.
        """
        _log.warning("%s", text)
        self.texts = [*self.texts[1 - MOST_TEXTS :], text]
        at = self._slot() if slot is None else slot
        self._writer.line(TABLE, {"slot": max(at, 0), "kind": kind, "nodes": list(nodes), "text": text, **facts})
