"""The live half of a trial: a candidate that did well beside the network takes over a run that goes on, by stages.

The run is one replicate, so it proves nothing of delays; what it shows is whether the candidate crashes, answers badly
or comes late where it really works, and the hub takes it back by itself if so. The same run with the baseline
everywhere, in this process, is the twin that its delay is shown against.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bus.client import Client
from bus.errors import BusError, CallFailed
from bus.messages import Query, RunStatus, Setup
from bus.swap_messages import Control, ControlStatus, GoOn, Swap, SwapEnd, SwapQuery, SwapState, SwapStates
from emulator.errors import ScenarioError
from emulator.nodes.swap_request import OVER, facts_of
from emulator.scenario import Scenario
from emulator.scenario_file import parse
from emulator.trials.episode import Note
from emulator.trials.figures import Arm, Incident
from emulator.trials.on_bus import breach_of, can_be_called
from emulator.trials.plan import Stage
from emulator.trials.rules import Trial, Verdict
from emulator.trials.switchback_run import Blocks
from emulator.trials.worlds import OffloadingTrack

LOOK_S: Final = 0.05
SILENT_S: Final = 60.0
READY_S: Final = 60.0
SWITCHBACK: Final = Stage(kind="all", frames=1)
"""What reports call the blocks of a switchback: the candidate is everywhere in them."""
FAR: Final = 2**62


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


class Twin:
    """The live run with the baseline everywhere, slot by slot, as far as it is needed."""

    def __init__(self, scenario: Scenario, baseline: str) -> None:
        self._track = OffloadingTrack(scenario, {"baseline": baseline}, float("inf"))
        self._slots: list[tuple[float, float]] = []

    def delay_s(self, first: int, end: int) -> float | None:
        """Mean delay of the tasks of slots first..end-1, seconds; None without tasks."""
        while len(self._slots) < end:
            self._track.frame()
            for slot in self._track.latest.slots if self._track.latest is not None else ():
                done = slot.row.local + slot.row.peer + slot.row.cloud
                self._slots.append((done, done * slot.row.delay_s))
        done = sum(each[0] for each in self._slots[first:end])
        return sum(each[1] for each in self._slots[first:end]) / done if done else None


class Rollout:
    """Leads a run through the canary and ``all`` stages of a trial."""

    def __init__(
        self, client: Client, trial: Trial, scenario: Scenario, note: Note, tell: Callable[[str], None]
    ) -> None:
        """Prepare; nothing is changed yet.

        Args:
            client: Of the run's hub, with the right to change things.
            trial: Which has come to ``promoted`` beside the network.
            scenario: The run's.
            note: Told every binding before it is asked for.
            tell: Takes lines for people.
        """
        self._client, self.trial, self.scenario, self._note, self._tell = client, trial, scenario, note, tell
        self.name = f"trial {trial.plan.name}"
        self._wall = scenario.clock == "wall"
        self._pause = threading.Event()
        self._swaps: list[int] = []
        self._from: RunStatus | None = None
        baseline = trial.plan.baseline
        twin = trial.plan.switchback is None and can_be_called(baseline)
        self._twin = Twin(scenario, baseline) if twin else None
        self._turn = 0  # the swap of the candidate's block that is under way, in a switchback
        self.stages: list[LiveStage] = []
        self.blocks: Blocks | None = None
        """The turns of a switchback, once they have begun."""

    def hold(self) -> Verdict:
        """Lead the run through the stages, and say how it ended; afterwards the run goes on by itself.

        Raises: BusError: the hub is gone, or refuses. KeyboardInterrupt: the baseline is bound again before.
        """
        self._client.call("control", Control(self.name, -1, SILENT_S), ControlStatus)
        ended = False
        try:
            for stage in self.trial.plan.stage:
                if stage.kind != "shadow":
                    breach = self._stage(stage)
                    if breach is not None:
                        ended = True
                        return self._back(stage, breach)
            if self.trial.plan.switchback is not None:
                verdict, ended = self._in_turns(), True
                return verdict
            self._end("drain")
            ended = True
            return self._promoted()
        finally:
            if not ended:
                self._end("rollback")
            self._client.call("control", Control(""), ControlStatus)

    def _stage(self, stage: Stage) -> Incident | None:
        """Bind the candidate where the stage wants it, and watch it for the stage's frames."""
        bound = {edge for live in self.stages for edge in live.edges}
        wanted = [m for m, arm in enumerate(self.trial.binding(stage)) if arm == "candidate" and m not in bound]
        at = self._boundary()
        self._note({"event": "bind", "live": True, "frame": at, "candidates": sorted(bound | set(wanted))})
        state = self._client.call("swap", self._asked(wanted, at), SwapState)
        live = LiveStage(stage.kind, wanted, state.number)
        self.stages.append(live)
        self._swaps.append(state.number)
        self._from = None if self._wall else self._client.call("run_status", Query(), RunStatus)
        while True:
            status = self.step()
            found = self._states()
            breach = next((each for each in map(self._breach, found) if each is not None), None)
            (mine,) = [each for each in found if each.number == live.swap]
            self._book(live, mine, status)
            if breach is not None or live.frames >= stage.frames:
                live.swaps = [facts_of(each) for each in found]
                return breach
            if status.phase not in ("starting", "running"):
                raise BusError(
                    f"the run ended in stage {stage.kind}, in frame {status.frame}; the trial needs more frames"
                )

    # -- turns of a switchback -----------------------------------------------------------------------------------------

    def _in_turns(self) -> Verdict:
        self._end("rollback")  # blocks begin with the baseline everywhere
        self.blocks = Blocks(self, self._tell)
        found = self.blocks.hold()
        if isinstance(found, Incident):
            self.blocks.facts["rolled_back_frame"] = max(state.rolled_back_frame for state in self._states())
            return self._back(SWITCHBACK, found)
        if found.word == "promoted" and not isinstance(self.bind("candidate"), Incident):
            self._end("drain")
        else:
            self.bind("baseline")
            self.step()
            self.blocks.facts["rolled_back_frame"] = max(state.rolled_back_frame for state in self._states())
        return found

    def bind(self, arm: Arm) -> int | Incident:
        """Let an arm decide everywhere; from which frame on it does, or what the candidate broke."""
        at = self._boundary()
        everywhere = list(range(self.scenario.edges.count))
        if (arm == "candidate") == bool(self._turn):
            return at if at >= 0 else self.look().frame + 1
        self._note({"event": "bind", "live": True, "frame": at, "candidates": everywhere if arm == "candidate" else []})
        if arm == "baseline":
            number, self._turn = self._turn, 0
            self._client.call("swap_end", SwapEnd(number, "rollback"), SwapState)
            return at if at >= 0 else self._seen(number, "rolled_back_frame")
        self._turn = self._client.call("swap", self._asked(everywhere, at), SwapState).number
        self._swaps.append(self._turn)
        if at < 0:
            self._seen(self._turn, "frame")
        else:
            self.step()
        return self.breach() or (at if at >= 0 else self._seen(self._turn, "frame"))

    def _seen(self, number: int, what: str) -> int:
        """On the wall clock: the frame in which it came to something, or -1 if the swap came to nothing."""
        while True:
            (state,) = (each for each in self._states() if each.number == number)
            if getattr(state, what) >= 0 or state.stage == "failed":
                return int(getattr(state, what))
            self.step()

    def breach(self) -> Incident | None:
        """What the candidate broke in the block that is under way."""
        found = [self._breach(state) for state in self._states() if state.number == self._turn]
        return found[0] if found else None

    def look(self) -> RunStatus:
        """How far the run is."""
        return self._client.call("run_status", Query(), RunStatus)

    # -- time, and swaps -----------------------------------------------------------------------------------------------

    def _asked(self, edges: list[int], at: int) -> Swap:
        """The candidate as it stands by there, else to be started by the run's launcher."""
        there = self._client.call("swap_status", SwapQuery(), SwapStates).standbys
        ready = {each.edge for each in there if each.state == "ready"}
        if set(edges) <= ready:
            return Swap(tuple(edges), "", ("standby",) * len(edges), at, -1, READY_S)
        return Swap(tuple(edges), self.trial.plan.candidate, (), at, -1, READY_S)

    def _boundary(self) -> int:
        """The frame before which time stands; -1 on the wall clock, where it does not."""
        while not self._wall:
            status = self._client.call("control_status", Query(), ControlStatus)
            if status.paused_frame >= 0:
                return status.paused_frame
            if status.phase not in ("starting", "running"):
                raise BusError(f"the run is {status.phase}; the trial needs one that goes on")
            self._pause.wait(LOOK_S)
        return -1

    def step(self) -> RunStatus:
        """Let a frame pass, or on the wall clock some time; how far the run is then."""
        if self._wall:
            self._client.call("go_on", GoOn(self.name, FAR), ControlStatus)
            self._pause.wait(LOOK_S)
        else:
            at = self._boundary()
            self._client.call("go_on", GoOn(self.name, at), ControlStatus)
            while self._client.call("control_status", Query(), ControlStatus).paused_frame in (-1, at):
                if self._client.call("run_status", Query(), RunStatus).phase not in ("starting", "running"):
                    break
                self._pause.wait(LOOK_S)
        return self._client.call("run_status", Query(), RunStatus)

    def _states(self) -> list[SwapState]:
        states = self._client.call("swap_status", SwapQuery(), SwapStates).swaps
        return [state for state in states if state.number in self._swaps]

    def _breach(self, state: SwapState) -> Incident | None:
        return breach_of(facts_of(state), max(state.frame, 0), self._wall)

    def _book(self, live: LiveStage, state: SwapState, status: RunStatus) -> None:
        """Note how far a stage is; its delay is that of the slots since the first look after the take-over."""
        if state.frame < 0:
            return
        if live.from_frame < 0:
            self._tell(
                f"{self.name}: stage {live.kind}: edge {', '.join(map(str, live.edges))} from frame {state.frame} on"
            )
        live.from_frame, live.missed, live.held_s = state.frame, state.missed, state.held_s
        over = state.rolled_back_frame
        now = over if over >= 0 else (status.slot + 1) // self.scenario.slots_per_frame
        live.frames = now - state.frame
        self._from = self._from or status  # on the wall clock nobody knows the very slot
        if status.slot > self._from.slot:
            done, before = _completed(status), _completed(self._from)
            if done > before:
                cost_s = status.delay_s * done - self._from.delay_s * before
                live.run_delay = cost_s / (done - before)
            if self._twin is not None:
                live.twin_delay = self._twin.delay_s(self._from.slot + 1, status.slot + 1)

    def _back(self, stage: Stage, breach: Incident) -> Verdict:
        self._note({"event": "bind", "live": True, "candidates": []})
        self._end("rollback")
        text = f"{breach.guardrail} on the live run (stage {stage.kind}): {breach.text}"
        return Verdict("rolled_back", (text,), breach.guardrail)

    def _promoted(self) -> Verdict:
        frames = sum(live.frames for live in self.stages)
        before = self.trial.verdict
        held = f"held {frames} frames of the live run, {sum(live.missed for live in self.stages)} decisions missed"
        return Verdict("promoted", (*(before.reasons if before is not None else ()), held), "interval")

    def _end(self, how: str) -> None:
        """Drain those who stand by, or bind them again, wherever that is still to be said."""
        for state in self._states():
            if state.stage not in OVER:
                try:
                    self._client.call(
                        "swap_end", SwapEnd(state.number, "drain" if how == "drain" else "rollback"), SwapState
                    )
                except CallFailed as error:
                    self._tell(f"{self.name}: swap {state.number}: {error.text}")


def _completed(status: RunStatus) -> float:
    return sum(status.tasks.get(name, 0.0) for name in ("local", "peer", "cloud"))


def scenario_of(client: Client, name: str) -> Scenario:
    """The scenario of a live run, which must be the one that the trial means.

    Raises: ScenarioError: it is another.
    """
    found = parse(client.call("setup", Query(), Setup).scenario, origin="the hub's scenario")
    if found.name != name:
        raise ScenarioError(
            f"scenario: the trial is of {name}, but the run at the hub is of {found.name}; give its trial"
        )
    if found.link:
        raise ScenarioError(f"{found.name}: emulated links do not lead to agents that come by a swap")
    return found
