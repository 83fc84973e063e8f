"""What a trial's journal has of a live run, so that a trial that was killed takes its run up again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bus.messages import RunStatus
from emulator.errors import RunFolderError
from emulator.trials.figures import Guardrail

Line = dict[str, Any]


@dataclass
class LiveStage:
    """What a stage on the live run came to; on the wall clock its delay begins with the first look after the swap."""

    kind: str
    edges: list[int]
    swap: int
    from_frame: int = -1
    frames: int = 0
    run_delay: float | None = None
    twin_delay: float | None = None
    missed: int = 0
    held_s: float = 0.0
    swaps: list[dict[str, Any]] = field(default_factory=list)


def served(status: RunStatus) -> float:
    """Tasks that the delay of a run is the mean of: in the rental world those that edge servers served."""
    names = ("edge",) if "edge" in status.tasks else ("local", "peer", "cloud")
    return sum(status.tasks.get(name, 0.0) for name in names)


@dataclass(frozen=True)
class From:
    """A run as it was when a stage began: the slot, the tasks that were served until then, and their mean delay."""

    slot: int
    done: float
    delay_s: float

    @classmethod
    def of(cls, status: RunStatus) -> From:
        """As a look at the run shows it."""
        return cls(status.slot, served(status), status.delay_s)


@dataclass
class Begun:
    """A stage that was under way: its edge servers, its swap (0: it is not known whether it was asked for)."""

    edges: list[int]
    swap: int = 0
    start: From | None = None


@dataclass
class LiveState:
    """As far as a trial had come in a live run.

    Attributes:
        run: The run, by its hub's instance; None: it was never begun.
        over: Stages that are over, by index.
        begun: The stage that was under way, with its index.
        broke: The guardrail that the candidate broke, and how it was told; None: none.
    """

    run: int | None = None
    over: dict[int, LiveStage] = field(default_factory=dict)
    begun: tuple[int, Begun] | None = None
    broke: tuple[Guardrail, str] | None = None


def read(lines: Sequence[Line]) -> LiveState:
    """What the lines of a journal come to; where the baseline was bound again everywhere, stages begin anew."""
    found = LiveState()
    for line in lines:
        event = line["event"]
        if event == "live_run":
            found.run = line["run"]
        elif event == "bind" and line.get("live"):
            _bound(found, line)
        elif event == "live_swap" and found.begun is not None:
            found.begun[1].swap = line["number"]
        elif event == "live_from" and found.begun is not None:
            found.begun[1].start = From(line["slot"], line["done"], line["delay_s"])
        elif event == "live_stage":
            found.over[line["stage"]], found.begun = LiveStage(**line["facts"]), None
    return found


def _bound(found: LiveState, line: Line) -> None:
    if "by" in line:
        found.broke = line["by"], line["text"]
    if not line["candidates"]:
        found.over, found.begun = {}, None
    elif "stage" in line:
        before = {edge for live in found.over.values() for edge in live.edges}
        found.begun = line["stage"], Begun([edge for edge in line["candidates"] if edge not in before])


def check(lines: Sequence[Line], folder: object, *, live: bool) -> None:
    """Check that a trial whose journal this is can go on.

    Args:
        lines: Of the journal.
        folder: Where it is.
        live: Whether a live run was named.
    Raises: RunFolderError: it is over, or its live run was not named.
    """
    events = [line["event"] for line in lines]
    if "live_run" not in events:
        return
    if events[-1] == "verdict":
        raise RunFolderError(f"{folder}: the trial is over in its live run; its answer is {folder}/trial.json")
    if not live:
        raise RunFolderError(f"{folder}: the trial had gone on in a live run; name its hub again, with --hub ADDRESS")
