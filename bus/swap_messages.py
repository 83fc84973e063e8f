"""What the hub, edge servers, the launcher and tools say to each other of swaps; the table is in messages.py."""

from __future__ import annotations

from typing import Final, Literal

from bus.messages import Message

HELD: Final = "held"
"""The role, in a roster, of the one that was bound before and stands by."""
SHADOW: Final = "shadow"
"""The role of one that decides, too, and is obeyed by nobody."""
BESIDE: Final = (HELD, SHADOW)
"""Roles of those that are not bound."""


class Standby(Message, frozen=True):
    """An agent that stands by for an edge server; state: warm-up or ready. name, version: what it calls itself."""

    edge: int
    instance: int
    process: str
    state: str
    name: str = ""
    version: str = ""


class Swap(Message, frozen=True):
    """Let other agents decide for edge servers, all of them from one frame on.

    Attributes:
        edges: Edge servers.
        agent: Whom the launcher shall start for each of them: a policy's SPEC, or ``exec:`` and a manifest's path.
        to: Instead: who stands by for each edge server, as process name or instance number; ``standby`` for the only
            one.
        at_frame: The frame; -1: the next boundary at which they are ready. In lockstep time waits for them there.
        hold_frames: Frames for which the agents before stand by after they were replaced; -1: until ``swap_end``.
        deadline_s: Wall seconds that may pass until they are ready, from now on, or from ``at_frame`` on.
        back_frame: From which on those before shall decide again; -1: they need not.
        cold: No state goes over, though it could.
    """

    edges: tuple[int, ...]
    agent: str = ""
    to: tuple[str, ...] = ()
    at_frame: int = -1
    hold_frames: int = 1
    deadline_s: float = 30.0
    back_frame: int = -1
    cold: bool = False


class SwapQuery(Message, frozen=True):
    """Ask how swaps stand: of one, by its number, or of all (0)."""

    number: int = 0


class SwapEnd(Message, frozen=True):
    """What becomes of the agents that stand by since a swap: drain them, or rollback: bind them again."""

    number: int
    how: Literal["drain", "rollback"]


class SwappedEdge(Message, frozen=True):
    """One edge server of a swap: who came (0: not there yet), who was bound before, and the epoch that began.

    state: What became of the state of the one before, if the one that came takes any: ``handed over``, or
    ``cold start`` and why in state_reason. state_format, state_bytes, state_sha256: of what was handed over;
    state_frame: after which it was taken; state_s: wall seconds that it took.
    """

    edge: int
    process: str
    instance: int = 0
    ready: bool = False
    before: int = 0
    epoch: int = 0
    state: Literal["", "handed over", "cold start"] = ""
    state_reason: str = ""
    state_format: str = ""
    state_bytes: int = 0
    state_sha256: str = ""
    state_frame: int = -1
    state_s: float = 0.0


class SwapState(Message, frozen=True):
    """How a swap stands.

    Attributes:
        number: Of the swap, in its run.
        stage: starting, warm-up, ready, taking over, bound (the one before stands by), and in the end done, failed or
            rolled back.
        agent: What was asked for.
        parts: By edge server.
        asked_frame, at_frame, frame: When it was asked for, for when (-1: as soon as can be), and when it came to be
            (-1: not yet, or not at all).
        failed: The stage in which it failed; reason: why, or why it was rolled back.
        missed: Decisions missed at its edge servers since it took over, as docs/swap.md counts them.
        gap_frames: Frames between the last decision of the one before and the first of the one that came.
        held_s: Wall seconds for which time waited for it.
        rolled_back_frame: From which on those before decide again; -1: they do not.
        hold_frames: As asked for.
    """

    number: int
    stage: str
    agent: str
    parts: tuple[SwappedEdge, ...]
    asked_frame: int
    at_frame: int
    frame: int = -1
    failed: str = ""
    reason: str = ""
    missed: int = 0
    gap_frames: int = 0
    held_s: float = 0.0
    rolled_back_frame: int = -1
    hold_frames: int = 1


class SwapStates(Message, frozen=True):
    """Swaps of a run by number, and everyone who stands by."""

    swaps: tuple[SwapState, ...]
    standbys: tuple[Standby, ...] = ()


class SwapFailed(Message, frozen=True):
    """An edge server tells that an agent gave no valid decision in the frame in which it took over."""

    edge: int
    instance: int
    frame: int
    reason: str


class AgentStateQuery(Message, frozen=True):
    """Ask an agent's process for what it remembers after a frame (-1: by now), from a byte on; 0 begins anew."""

    frame: int
    offset: int = 0


class AgentState(Message, frozen=True):
    """A piece of it; settled is false while it does not know yet what that frame was worth."""

    settled: bool
    format: str = ""
    size_bytes: int = 0
    sha256: str = ""
    offset: int = 0
    data: bytes = b""


class StateDue(Message, frozen=True):
    """An edge server asks whether an instance that takes over there shall have the state of the one before."""

    edge: int
    instance: int


class StateHanded(Message, frozen=True):
    """An edge server tells what became of a state at a swap: given to an instance (reason empty), or why it was not.

    frame: After which it was taken; size_bytes, sha256: of it; took_s: wall seconds.
    """

    edge: int
    instance: int
    frame: int
    reason: str
    size_bytes: int = 0
    sha256: str = ""
    took_s: float = 0.0


class Swapped(Message, frozen=True):
    """What the digest of a run covers of a swap: nothing that differs from run to run of the same world."""

    edge: int
    frame: int
    epoch: int
    agent: str
    outcome: str


class NotStarted(Message, frozen=True):
    """The launcher could not start a process, or it ended; reason: for people."""

    process: str
    reason: str


class Control(Message, frozen=True):
    """Somebody wants to say at frame boundaries how a run goes on; without a name: does not want to any more.

    through_frame: the last frame that may pass before the next word; deadline_s: wall seconds that time in lockstep
    waits for a word before the run ends; 0: the scenario's ``deadlines.controller_s``.
    """

    name: str
    through_frame: int = -1
    deadline_s: float = 0.0


class GoOn(Message, frozen=True):
    """Whoever is in control lets a run go on, up to and with a frame."""

    name: str
    through_frame: int


class ControlStatus(Message, frozen=True):
    """Who is in control of a run (empty: nobody), and where it is.

    Attributes:
        phase: Of the run, in a word.
        frame: That is computed; -1 before the first.
        through_frame: The last one that may pass.
        paused_frame: Before which time stands; -1: it does not.
    """

    name: str
    phase: str
    frame: int
    through_frame: int
    paused_frame: int


class Shadow(Message, frozen=True):
    """Let agents decide beside those of edge servers, obeyed by nobody; agent and to: as in ``Swap``."""

    edges: tuple[int, ...]
    agent: str = ""
    to: tuple[str, ...] = ()


class ShadowEnd(Message, frozen=True):
    """Let the shadows of edge servers go; who stood by before stands by again."""

    edges: tuple[int, ...]


class ShadowState(Message, frozen=True):
    """One shadow: since which frame (-1: not yet), decisions that were good and that were not, and how it ended."""

    edge: int
    process: str
    instance: int
    agent: str
    since_frame: int
    decided: int
    refused: int
    over: str = ""


class ShadowStates(Message, frozen=True):
    """Every shadow that there is or was in a run."""

    shadows: tuple[ShadowState, ...]


class Shadowed(Message, frozen=True):
    """An edge server tells what a shadow decided: services by index, or units; refused: why that is no good."""

    edge: int
    instance: int
    frame: int
    decision: tuple[int, ...]
    refused: str = ""
