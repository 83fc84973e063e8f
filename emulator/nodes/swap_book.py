"""What a run keeps of its swaps: a table of events, how each ended, and what the digest covers."""

from __future__ import annotations

from collections import deque
from typing import Final

from bus.digest import Entry
from bus.messages import ToStart
from bus.node import Node
from bus.publisher import Publisher
from bus.registry import Registry
from bus.slots import Now
from bus.standbys import Standbys
from bus.swap_messages import Swap, Swapped, SwapState
from emulator import records
from emulator.folder import Writer
from emulator.nodes.swap_request import Part, Request
from emulator.nodes.swap_rules import choose

TABLE: Final = "swaps.csv"
FIELDS: Final = ("number", "event", "frame", "edge", "epoch", "agent", "reason")
EVENTS: Final = ("asked", "ready", "handed over", "cold start", "bound", "done", "failed", "rolled back")
MOST_KEPT: Final = 1000


class SwapBook:
    """That of one run."""

    def __init__(self, writer: Writer, node: Node) -> None:
        """Write into a run folder, and say as the hub's node what the digest covers."""
        self.live: dict[int, Request] = {}
        """Swaps that are not over, by number."""
        self.opened = 0
        """How many there were, and so the number of the last."""
        self._ended: deque[SwapState] = deque(maxlen=MOST_KEPT)
        self._writer = writer
        self._counts = {event: node.process.measurements.counter("swap_events", reason=event) for event in EVENTS}
        self._node = node
        self._told: dict[int, Publisher] = {}  # by edge server; made when they are needed
        self._digest: list[tuple[int, Swapped]] = []  # with the frame in whose first slot it stands

    def open(self, asked: Swap, frame: int, registry: Registry) -> Request:
        """Begin a swap, in a frame.

        Raises: ValueError: another one is under way at an edge server, or nobody stands by as it is asked for.
        """
        for edge in asked.edges:
            found = self._of_edge(edge)
            if found is not None:
                raise ValueError(f"edge {edge}: swap {found.number} is {found.stage}; wait, or end it first")
        number = self.opened + 1
        parts = {edge: Part(edge, f"agent-{edge}-swap-{number}") for edge in asked.edges}
        if not asked.agent:
            taken = {known.instance for request in self.live.values() for known in request.parts.values()}
            for part, token in zip(parts.values(), asked.to, strict=True):
                choose(part, token, registry, taken)
        for edge in asked.edges:
            if edge not in self._told:  # now, so that whoever records has met it when it says something
                self._told[edge] = self._node.publisher(f"/hub/swap/{edge}")
        self.opened = number
        request = self.live[number] = Request(number, asked, frame, parts)
        for part in parts.values():
            self.row(request, "asked", frame, part)
        return request

    def title(self, request: Request, standbys: Standbys) -> str:
        """What those who come call themselves, with their versions."""
        names = [standbys.describe(part.instance) for part in request.parts.values()]
        return ", ".join(dict.fromkeys(" ".join(name).strip() for name in names))

    def _of_edge(self, edge: int) -> Request | None:
        """The swap that is under way at an edge server."""
        return next((request for request in self.live.values() if edge in request.parts), None)

    def close(self, request: Request) -> None:
        """A swap is over."""
        self.live.pop(request.number, None)
        self._ended.append(request.state())

    def states(self, number: int = 0) -> tuple[SwapState, ...]:
        """How a swap stands, or how all do."""
        states = [*self._ended, *(request.state() for request in self.live.values())]
        return tuple(state for state in states if number in (0, state.number))

    def to_start(self) -> tuple[ToStart, ...]:
        """Whom the launcher shall start, until they are there."""
        return tuple(
            ToStart(part.process, part.edge, request.asked.agent)
            for request in self.live.values()
            for part in request.parts.values()
            if request.asked.agent and not part.instance
        )

    def row(self, request: Request, event: str, frame: int, part: Part, reason: str = "") -> None:
        """Write down an event.

        Raises: RunFolderError: it cannot be written.
        """
        self._counts[event].value += 1.0
        row = (request.number, event, frame, part.edge, part.epoch, request.name, reason)
        self._writer.row(TABLE, FIELDS, row)

    def enter(self, request: Request, part: Part, frame: int, outcome: str) -> None:
        """Let the digest cover what becomes of a swap in a frame."""
        swapped = Swapped(part.edge, frame, part.epoch, request.title, outcome)
        self._digest.append((frame, swapped))

    def due(self, now: Now) -> list[Entry]:
        """Say what of it stands in a frame's first slot, which counts now; returns what the digest covers."""
        due = [swapped for at, swapped in self._digest if at <= now.frame]
        if due:
            self._digest = [found for found in self._digest if found[0] > now.frame]
        for swapped in due:
            self._told[swapped.edge].publish(swapped, slot=now.slot, attempt=now.attempt)
        return [records.digest_entry(self._told[swapped.edge].topic, swapped) for swapped in due]

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        self._digest = []
